//! Token shift: each row mixed with the row before; the first with zeros.

use super::super::real::Real;
use super::{Back, Backward, Param, Tape, Var};
use crate::simd::wide;

/// The row that the mix weighs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weighs {
    /// The current row (RWKV-4 and 5).
    Current,
    /// The row before (RWKV-6 and 7).
    Previous,
}

impl Weighs {
    /// The weight of the current row.
    #[inline(always)]
    fn current<F: Real>(self, mix: F) -> F {
        match self {
            Self::Current => mix,
            Self::Previous => F::one() - mix,
        }
    }
}

struct Shift {
    x: Var,
    mix: Param,
    weighs: Weighs,
    /// `[T, C]` added to the mix of each row (RWKV-6).
    moved: Option<Var>,
}

impl<F: Real> Backward<F> for Shift {
    fn backward(&self, _: &[F], dy: Vec<F>, back: &mut Back<'_, F>) {
        let (x, mix) = (back.value(self.x), back.param(self.mix));
        let moved = self.moved.map(|moved| back.value(moved));
        let cols = mix.len();
        let sign = match self.weighs {
            Weighs::Current => F::one(),
            Weighs::Previous => -F::one(),
        };
        let mut dx = back.buffer(dy.len());
        let mut dmix = back.buffer(dy.len());
        let weighs = self.weighs;
        wide(
            #[inline(always)]
            || {
                dx[..cols].fill(F::zero());
                for start in (0..dy.len()).step_by(cols) {
                    let dy = &dy[start..start + cols];
                    let now = &x[start..start + cols];
                    let moved = moved.map(|moved| &moved[start..start + cols]);
                    let weight = |c: usize| match moved {
                        None => weighs.current(mix[c]),
                        Some(moved) => weighs.current(mix[c] + moved[c]),
                    };
                    let dmix = &mut dmix[start..start + cols];
                    if start == 0 {
                        for c in 0..cols {
                            dmix[c] = sign * now[c] * dy[c];
                            dx[c] = weight(c) * dy[c];
                        }
                        continue;
                    }
                    let before = &x[start - cols..start];
                    let (dbefore, dnow) = dx[start - cols..start + cols].split_at_mut(cols);
                    for c in 0..cols {
                        let weight = weight(c);
                        dmix[c] = sign * (now[c] - before[c]) * dy[c];
                        dnow[c] = weight * dy[c];
                        dbefore[c] += (F::one() - weight) * dy[c];
                    }
                }
            },
        );
        let gradient = back.gradient(self.mix);
        for dmix in dmix.chunks_exact(cols) {
            gradient.iter_mut().zip(dmix).for_each(|(g, &d)| *g += d);
        }
        match self.moved {
            Some(moved) => back.give(moved, dmix),
            None => back.free(dmix),
        }
        back.give(self.x, dx);
        back.free(dy);
    }
}

impl<F: Real> Tape<'_, F> {
    /// Each row mixed with the one before it by `mix` `[C]`.
    pub fn shift(&mut self, x: Var, mix: Param, weighs: Weighs) -> Var {
        self.shift_by(x, mix, None, weighs)
    }

    /// The same with `mix + moved`, `[T, C]`.
    pub fn shift_by(&mut self, x: Var, mix: Param, moved: Option<Var>, weighs: Weighs) -> Var {
        let cols = self.cols(x);
        let mut y = self.pool.take(self.value(x).len());
        let (xs, weights) = (self.value(x), self.param(mix));
        let moves = moved.map(|moved| self.value(moved));
        wide(
            #[inline(always)]
            || {
                for start in (0..y.len()).step_by(cols) {
                    let now = &xs[start..start + cols];
                    let moves = moves.map(|moves| &moves[start..start + cols]);
                    let weight = |c: usize| match moves {
                        None => weighs.current(weights[c]),
                        Some(moves) => weighs.current(weights[c] + moves[c]),
                    };
                    let y = &mut y[start..start + cols];
                    if start == 0 {
                        for c in 0..cols {
                            y[c] = weight(c) * now[c];
                        }
                        continue;
                    }
                    let before = &xs[start - cols..start];
                    for c in 0..cols {
                        y[c] = before[c] + (now[c] - before[c]) * weight(c);
                    }
                }
            },
        );
        let op = Shift {
            x,
            mix,
            weighs,
            moved,
        };
        self.push(cols, y, op)
    }
}
