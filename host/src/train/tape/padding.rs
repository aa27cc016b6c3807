//! Heads of any size among those that the compiler knows: padded with channels of zeros,
//! which stay zeros in every state.

use super::super::real::Real;
use super::rows::SIZES;
use super::{Back, Backward, Tape, Var};

/// The most channels of a head.
pub const MOST_HEAD_SIZE: usize = SIZES[SIZES.len() - 1];

/// Channels of a head of `size` channels and its padding.
///
/// # Panics
/// The size is above [`MOST_HEAD_SIZE`].
pub(super) fn padded_size(size: usize) -> usize {
    let known = SIZES.into_iter().find(|&known| known >= size);
    known.expect("settings are checked")
}

/// Copies the beginning of each head of `from` channels to one of `to` channels.
fn copy_heads<F: Real>(x: &[F], from: usize, y: &mut [F], to: usize) {
    let shared = from.min(to);
    for (x, y) in x.chunks_exact(from).zip(y.chunks_exact_mut(to)) {
        y[..shared].copy_from_slice(&x[..shared]);
        y[shared..].fill(F::zero());
    }
}

struct Copied {
    x: Var,
    from: usize,
    to: usize,
}

impl<F: Real> Backward<F> for Copied {
    fn backward(&self, _: &[F], dy: Vec<F>, back: &mut Back<'_, F>) {
        let mut dx = back.buffer(back.value(self.x).len());
        copy_heads(&dy, self.to, &mut dx, self.from);
        back.give(self.x, dx);
        back.free(dy);
    }
}

impl<F: Real> Tape<'_, F> {
    /// Heads of `size` channels, each padded with zeros.
    pub(super) fn padded_heads(&mut self, x: Var, size: usize) -> Var {
        self.copied_heads(x, size, padded_size(size))
    }

    /// The same heads without their padding.
    pub(super) fn unpadded_heads(&mut self, x: Var, size: usize) -> Var {
        self.copied_heads(x, padded_size(size), size)
    }

    fn copied_heads(&mut self, x: Var, from: usize, to: usize) -> Var {
        if from == to {
            return x;
        }
        let resized = |len: usize| len / from * to;
        let mut y = self.pool.take(resized(self.value(x).len()));
        copy_heads(self.value(x), from, &mut y, to);
        self.push(resized(self.cols(x)), y, Copied { x, from, to })
    }
}
