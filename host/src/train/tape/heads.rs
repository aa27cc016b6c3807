//! Operations within the heads of matrix-state versions.

use super::super::real::Real;
use super::{Back, Backward, Param, Tape, Var};
use crate::simd::{sum, wide};

struct Length<F> {
    x: Var,
    size: usize,
    /// What each head of each row was multiplied by.
    factors: Vec<F>,
    /// One over the square of the length that it has now.
    inverse_square: F,
}

impl<F: Real> Backward<F> for Length<F> {
    fn backward(&self, y: &[F], dy: Vec<F>, back: &mut Back<'_, F>) {
        let mut dx = back.buffer(dy.len());
        let size = self.size;
        wide(
            #[inline(always)]
            || {
                for (index, &factor) in self.factors.iter().enumerate() {
                    let at = index * size..(index + 1) * size;
                    let (y, dy) = (&y[at.clone()], &dy[at.clone()]);
                    let along = sum(size, |i| y[i] * dy[i]) * self.inverse_square;
                    let dx = &mut dx[at];
                    for i in 0..size {
                        dx[i] = (dy[i] - y[i] * along) * factor;
                    }
                }
            },
        );
        back.give(self.x, dx);
        back.free(dy);
    }
}

struct Bonus<F> {
    inputs: [Var; 3],
    weight: Param,
    size: usize,
    /// `sum r k r_k` of each head of each row.
    sums: Vec<F>,
}

impl<F: Real> Backward<F> for Bonus<F> {
    fn backward(&self, _: &[F], dy: Vec<F>, back: &mut Back<'_, F>) {
        let [r, k, v] = self.inputs.map(|input| back.value(input));
        let w = back.param(self.weight);
        let [mut dr, mut dk, mut dv] = [(); 3].map(|()| back.buffer(dy.len()));
        let mut dw = back.zeros(w.len());
        let size = self.size;
        let heads = w.len() / size;
        wide(
            #[inline(always)]
            || {
                for (index, &weight) in self.sums.iter().enumerate() {
                    let at = index * size..(index + 1) * size;
                    let head = index % heads * size..(index % heads + 1) * size;
                    let [r, k, v, dy] = [r, k, v, &dy[..]].map(|x| &x[at.clone()]);
                    let (w, dw) = (&w[head.clone()], &mut dw[head]);
                    let slope = sum(size, |i| dy[i] * v[i]);
                    let (dr, dk, dv) = (&mut dr[at.clone()], &mut dk[at.clone()], &mut dv[at]);
                    for i in 0..size {
                        dv[i] = weight * dy[i];
                        dr[i] = slope * k[i] * w[i];
                        dk[i] = slope * r[i] * w[i];
                        dw[i] += slope * r[i] * k[i];
                    }
                }
            },
        );
        back.learn(self.weight, dw);
        back.give_all(self.inputs, [dr, dk, dv]);
        back.free(dy);
    }
}

impl<F: Real> Tape<'_, F> {
    /// Each head of `size` channels with length one.
    pub fn unit(&mut self, x: Var, size: usize) -> Var {
        self.with_length(x, size, 1.0)
    }

    /// The same with another length.
    pub fn with_length(&mut self, x: Var, size: usize, length: f64) -> Var {
        let mut y = self.pool.take(self.value(x).len());
        let mut factors = Vec::with_capacity(y.len() / size);
        let heads = self.value(x).chunks_exact(size);
        wide(
            #[inline(always)]
            || {
                for (x, y) in heads.zip(y.chunks_exact_mut(size)) {
                    let found = sum(size, |i| x[i] * x[i]).sqrt().max(F::of(1e-12));
                    let factor = F::of(length) / found;
                    for i in 0..size {
                        y[i] = x[i] * factor;
                    }
                    factors.push(factor);
                }
            },
        );
        let inverse_square = F::of(1.0 / (length * length));
        let op = Length {
            x,
            size,
            factors,
            inverse_square,
        };
        self.push(self.cols(x), y, op)
    }

    /// The bonus of RWKV-7: in each head, v times `sum r k r_k`; the weight
    /// r_k is `[C]`.
    pub fn bonus(&mut self, inputs: [Var; 3], weight: Param, size: usize) -> Var {
        let cols = self.cols(inputs[0]);
        let mut y = self.pool.take(self.value(inputs[0]).len());
        let mut sums = Vec::with_capacity(y.len() / size);
        let [r, k, v] = inputs.map(|input| self.value(input));
        let w = self.param(weight);
        wide(
            #[inline(always)]
            || {
                for (index, y) in y.chunks_exact_mut(size).enumerate() {
                    let at = index * size..(index + 1) * size;
                    let [r, k, v] = [r, k, v].map(|x| &x[at.clone()]);
                    let w = &w[index * size % w.len()..][..size];
                    let weight = sum(size, |i| r[i] * k[i] * w[i]);
                    for i in 0..size {
                        y[i] = weight * v[i];
                    }
                    sums.push(weight);
                }
            },
        );
        let op = Bonus {
            inputs,
            weight,
            size,
            sums,
        };
        self.push(cols, y, op)
    }
}
