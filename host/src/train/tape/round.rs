//! Rounding to the device's numbers; gradients pass unrounded (the
//! straight-through estimator).

use super::super::real::Real;
use super::{Back, Backward, Param, Tape, Var};
use crate::simd::wide;

struct Through {
    x: Var,
}

impl<F: Real> Backward<F> for Through {
    fn backward(&self, _: &[F], dy: Vec<F>, back: &mut Back<'_, F>) {
        back.give(self.x, dy);
    }
}

impl<F: Real> Tape<'_, F> {
    /// Each row rounded to 8 bits under one scale, its largest magnitude
    /// being 127: what the products of the engine read.
    pub fn round_rows(&mut self, x: Var) -> Var {
        let cols = self.cols(x);
        let mut y = self.pool.take(self.value(x).len());
        let rows = self.value(x).chunks_exact(cols);
        let steps = F::of(127.0);
        let magic = F::of(12_582_912.0);
        wide(
            #[inline(always)]
            || {
                for (x, y) in rows.zip(y.chunks_exact_mut(cols)) {
                    let max = x.iter().fold(F::zero(), |m, x| m.max(x.abs()));
                    if max <= F::zero() {
                        y.fill(F::zero());
                        continue;
                    }
                    let (up, down) = (steps / max, max / steps);
                    for c in 0..cols {
                        y[c] = ((x[c] * up + magic) - magic) * down;
                    }
                }
            },
        );
        self.push(cols, y, Through { x })
    }

    /// The rows of `table` `[V, C]` that `tokens` name, in place of `x`: what
    /// x was rounded to.
    pub fn replace_by_rows(&mut self, x: Var, tokens: &[u32], table: Param) -> Var {
        let cols = table.cols;
        let mut y = self.pool.take(tokens.len() * cols);
        let rows = self.param(table);
        for (&token, y) in tokens.iter().zip(y.chunks_exact_mut(cols)) {
            y.copy_from_slice(&rows[token as usize * cols..][..cols]);
        }
        self.push(cols, y, Through { x })
    }
}
