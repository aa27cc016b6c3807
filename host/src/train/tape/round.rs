//! Rounding to the device's numbers; gradients pass unrounded (the
//! straight-through estimator).

use super::super::real::Real;
use super::{Back, Backward, Param, Tape, Var};
use crate::quantize::{round_row, round_row_finely};
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
    /// Each row rounded as the products of the engine read it: to 8 bits under one scale,
    /// its largest magnitude being 127, or to 16 bits where it is `fine`.
    pub fn round_rows(&mut self, x: Var, fine: bool) -> Var {
        let cols = self.cols(x);
        let mut y = self.pool.take(self.value(x).len());
        let rows = self.value(x).chunks_exact(cols);
        wide(
            #[inline(always)]
            || {
                let pairs = rows.zip(y.chunks_exact_mut(cols));
                match fine {
                    true => pairs.for_each(|(x, y)| round_row_finely(x, y)),
                    false => pairs.for_each(|(x, y)| round_row(x, y)),
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

#[cfg(test)]
mod tests {
    use super::*;
    use kinglet::arch::{prepare, Peak};
    use kinglet::shape::{prepared_words, Bits, Layout, Matrix, Scales};
    use kinglet::Pcg32;

    /// The steps are those that the engine takes, but where a value is almost
    /// between two of them.
    #[test]
    fn rows_are_rounded_as_the_engine_does() {
        // A layout of other cores: its vectors are bytes, column by column.
        let (layout, bits, cols) = (Layout::Lanes16, Bits::Int8, 4096);
        let matrix = Matrix::new(layout, bits, [4, cols], &[], Scales::Rows(&[]));
        let mut words = vec![0; prepared_words(layout, bits, cols)];
        let mut random = Pcg32::new(1);
        for shift in [3, 12] {
            let mut x: Vec<i32> = (0..cols)
                .map(|_| random.next_u32() as i32 >> shift)
                .collect();
            let max = x.iter().map(|x| x.unsigned_abs()).max().unwrap();
            prepare(&mut x, Peak { max, exp: 0 }, &matrix, &mut words);
            let engine: &[i8] = bytemuck::cast_slice(&words);
            let x: Vec<f64> = x.into_iter().map(f64::from).collect();
            let mut y = vec![0.0; cols];
            round_row(&x, &mut y);
            for ((x, y), &engine) in x.iter().zip(y).zip(engine) {
                let step = 127.0 / f64::from(max);
                let between = (x * step - 0.5).rem_euclid(1.0);
                if (1.0 / 64.0..63.0 / 64.0).contains(&between) {
                    assert_eq!((y * step).round(), f64::from(engine), "{x} of {max}");
                }
            }
        }
    }
}
