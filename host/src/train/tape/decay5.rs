//! The decays of RWKV-5: the same at every position.

use super::super::real::Real;
use super::{Back, Backward, Param, Tape, Var};

struct Decay5 {
    decay: Param,
}

impl<F: Real> Tape<'_, F> {
    /// `exp(-exp(time_decay))` per channel `[C]`, for every row of `like`.
    pub fn decay5(&mut self, decay: Param, like: Var) -> Var {
        let mut y = self.pool.take(self.rows(like) * decay.cols);
        let decays = self.param(decay).iter();
        let decays: Vec<F> = decays.map(|d| (-d.exp()).exp()).collect();
        y.chunks_exact_mut(decay.cols)
            .for_each(|y| y.copy_from_slice(&decays));
        self.push(decay.cols, y, Decay5 { decay })
    }
}

impl<F: Real> Backward<F> for Decay5 {
    fn backward(&self, y: &[F], dy: Vec<F>, back: &mut Back<'_, F>) {
        let decays = back.param(self.decay);
        let cols = decays.len();
        let gradient = back.gradient(self.decay);
        for (y, dy) in y.chunks_exact(cols).zip(dy.chunks_exact(cols)) {
            for c in 0..cols {
                gradient[c] += -y[c] * decays[c].exp() * dy[c];
            }
        }
        back.free(dy);
    }
}
