//! Causal self-attention: the Transformer that RWKV is compared with.

use super::super::real::Real;
use super::{Back, Backward, Param, Tape, Var};
use crate::simd::{sum, wide};

struct Attention<F> {
    inputs: [Var; 3],
    size: usize,
    /// The weights that each head and position gives to itself and those
    /// before, `[H, T, T]`.
    weights: Vec<F>,
}

impl<F: Real> Tape<'_, F> {
    /// The values v `[T, C]` of all positions up to each, weighed by the
    /// softmax of q . k in heads of `size` channels.
    pub fn attention(&mut self, inputs: [Var; 3], size: usize) -> Var {
        let cols = self.cols(inputs[0]);
        let rows = self.rows(inputs[0]);
        let mut y = self.pool.take(rows * cols);
        y.fill(F::zero());
        let mut weights = self.pool.take(cols / size * rows * rows);
        let [q, k, v] = inputs.map(|input| self.value(input));
        let scale = F::one() / F::of(size as f64).sqrt();
        wide(
            #[inline(always)]
            || {
                let maps = weights.chunks_exact_mut(rows * rows);
                for (head, map) in (0..cols).step_by(size).zip(maps) {
                    for (t, map) in map.chunks_exact_mut(rows).enumerate() {
                        let row = |t: usize| t * cols + head..t * cols + head + size;
                        let q = &q[row(t)];
                        let map = &mut map[..=t];
                        for (s, weight) in map.iter_mut().enumerate() {
                            let k = &k[row(s)];
                            *weight = scale * sum(size, |i| q[i] * k[i]);
                        }
                        softmax(map);
                        let y = &mut y[row(t)];
                        for (s, &weight) in map.iter().enumerate() {
                            let v = &v[row(s)];
                            for i in 0..size {
                                y[i] += weight * v[i];
                            }
                        }
                    }
                }
            },
        );
        let op = Attention {
            inputs,
            size,
            weights,
        };
        self.push(cols, y, op)
    }

    /// `x + table`, the first rows of a table of positions `[P, C]`.
    pub fn add_positions(&mut self, x: Var, table: Param) -> Var {
        let mut y = self.pool.take(self.value(x).len());
        let inputs = self.value(x).iter().zip(self.param(table));
        y.iter_mut()
            .zip(inputs)
            .for_each(|(y, (&x, &p))| *y = x + p);
        self.push(self.cols(x), y, Positions { x, table })
    }
}

#[inline(always)]
fn softmax<F: Real>(map: &mut [F]) {
    let max = map.iter().fold(F::neg_infinity(), |m, &w| m.max(w));
    map.iter_mut().for_each(|w| *w = (*w - max).exp_fast());
    let inverse = F::one() / sum(map.len(), |i| map[i]);
    map.iter_mut().for_each(|w| *w *= inverse);
}

impl<F: Real> Backward<F> for Attention<F> {
    fn kept(&mut self) -> Vec<F> {
        std::mem::take(&mut self.weights)
    }

    fn backward(&self, y: &[F], dy: Vec<F>, back: &mut Back<'_, F>) {
        let size = self.size;
        let cols = back.cols(self.inputs[0]);
        let rows = y.len() / cols;
        let [q, k, v] = self.inputs.map(|input| back.value(input));
        let mut slopes: [Vec<F>; 3] = std::array::from_fn(|_| back.zeros(y.len()));
        let [dq, dk, dv] = slopes.each_mut().map(|slope| &mut slope[..]);
        let scale = F::one() / F::of(size as f64).sqrt();
        wide(
            #[inline(always)]
            || {
                let maps = self.weights.chunks_exact(rows * rows);
                for (head, map) in (0..cols).step_by(size).zip(maps) {
                    let row = |t: usize| t * cols + head..t * cols + head + size;
                    for (t, map) in map.chunks_exact(rows).enumerate() {
                        let (q, y, dy) = (&q[row(t)], &y[row(t)], &dy[row(t)]);
                        let dq = &mut dq[row(t)];
                        let along = sum(size, |i| y[i] * dy[i]);
                        for (s, &weight) in map[..=t].iter().enumerate() {
                            let (k, v) = (&k[row(s)], &v[row(s)]);
                            let (dk, dv) = (&mut dk[row(s)], &mut dv[row(s)]);
                            let slope = scale * weight * (sum(size, |i| dy[i] * v[i]) - along);
                            for i in 0..size {
                                dv[i] += weight * dy[i];
                                dq[i] += slope * k[i];
                                dk[i] += slope * q[i];
                            }
                        }
                    }
                }
            },
        );
        back.give_all(self.inputs, slopes);
        back.free(dy);
    }
}

struct Positions {
    x: Var,
    table: Param,
}

impl<F: Real> Backward<F> for Positions {
    fn backward(&self, _: &[F], dy: Vec<F>, back: &mut Back<'_, F>) {
        let gradient = back.gradient(self.table).iter_mut();
        gradient.zip(&dy).for_each(|(g, &dy)| *g += dy);
        back.give(self.x, dy);
    }
}
