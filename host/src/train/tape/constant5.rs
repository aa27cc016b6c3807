//! What RWKV-5 has the same at every position: decays and bonuses, by channel or, before
//! 5.2, by head.

use super::super::real::Real;
use super::{Back, Backward, Param, Tape, Var};

/// Values of `times` channels each.
struct Decay5 {
    decay: Param,
    times: usize,
}

struct Bonus5 {
    first: Param,
    times: usize,
}

impl<F: Real> Tape<'_, F> {
    /// `exp(-exp(time_decay))`, for every row of `like` `[T, C]`.
    pub fn decay5(&mut self, decay: Param, like: Var) -> Var {
        let cols = self.cols(like);
        let times = cols / decay.cols;
        let mut y = self.pool.take(self.value(like).len());
        let values = self.param(decay).iter();
        let decays: Vec<F> = values
            .flat_map(|d| std::iter::repeat_n((-d.exp()).exp(), times))
            .collect();
        y.chunks_exact_mut(cols)
            .for_each(|y| y.copy_from_slice(&decays));
        self.push(cols, y, Decay5 { decay, times })
    }

    /// The bonus `[1, cols]`; one by head is given as its logarithm.
    pub fn bonus5(&mut self, first: Param, cols: usize) -> Var {
        let times = cols / first.cols;
        let mut y = self.pool.take(cols);
        for (y, &first) in y.chunks_exact_mut(times).zip(self.param(first)) {
            y.fill(if times > 1 { first.exp() } else { first });
        }
        self.push(cols, y, Bonus5 { first, times })
    }
}

impl<F: Real> Backward<F> for Decay5 {
    fn backward(&self, y: &[F], dy: Vec<F>, back: &mut Back<'_, F>) {
        let decays = back.param(self.decay);
        let (times, cols) = (self.times, self.times * decays.len());
        let gradient = back.gradient(self.decay);
        for (y, dy) in y.chunks_exact(cols).zip(dy.chunks_exact(cols)) {
            for c in 0..cols {
                gradient[c / times] += -y[c] * decays[c / times].exp() * dy[c];
            }
        }
        back.free(dy);
    }
}

impl<F: Real> Backward<F> for Bonus5 {
    fn backward(&self, y: &[F], dy: Vec<F>, back: &mut Back<'_, F>) {
        let times = self.times;
        let gradient = back.gradient(self.first);
        for (c, (&y, &dy)) in y.iter().zip(&dy).enumerate() {
            gradient[c / times] += if times > 1 { y * dy } else { dy };
        }
        back.free(dy);
    }
}
