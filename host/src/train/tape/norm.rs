//! Layer norm and group norm.

use super::super::real::Real;
use super::{Back, Backward, Param, Tape, Var};
use crate::simd::{sum, wide};

/// The epsilon of layer norms.
const LAYER_NORM_EPS: f64 = 1e-5;

struct Normalize<F> {
    x: Var,
    weight: Param,
    bias: Param,
    /// Channels of a group.
    size: usize,
    /// Mean and inverse deviation of each group of each row.
    moments: Vec<[F; 2]>,
}

impl<F: Real> Backward<F> for Normalize<F> {
    fn backward(&self, _: &[F], dy: Vec<F>, back: &mut Back<'_, F>) {
        let (x, weight) = (back.value(self.x), back.param(self.weight));
        let mut dx = back.buffer(dy.len());
        let (mut dw, mut db) = (back.zeros(weight.len()), back.zeros(weight.len()));
        let groups = weight.len() / self.size;
        wide(
            #[inline(always)]
            || {
                for (index, &[mean, inverse]) in self.moments.iter().enumerate() {
                    let channels = index % groups * self.size..(index % groups + 1) * self.size;
                    let at = index * self.size..(index + 1) * self.size;
                    group_backward(
                        [mean, inverse],
                        [&x[at.clone()], &dy[at.clone()], &weight[channels.clone()]],
                        [&mut dx[at], &mut dw[channels.clone()], &mut db[channels]],
                    );
                }
            },
        );
        back.learn(self.weight, dw);
        back.learn(self.bias, db);
        back.give(self.x, dx);
        back.free(dy);
    }
}

#[inline(always)]
fn group_backward<F: Real>(
    [mean, inverse]: [F; 2],
    [x, dy, weight]: [&[F]; 3],
    [dx, dw, db]: [&mut [F]; 3],
) {
    let len = x.len();
    let (dy, weight) = (&dy[..len], &weight[..len]);
    let (dx, dw, db) = (&mut dx[..len], &mut dw[..len], &mut db[..len]);
    let n = F::of(len as f64);
    let mean_g = sum(len, |i| dy[i] * weight[i]) / n;
    let mean_gx = sum(len, |i| dy[i] * weight[i] * (x[i] - mean) * inverse) / n;
    for i in 0..len {
        let normal = (x[i] - mean) * inverse;
        dx[i] = (dy[i] * weight[i] - mean_g - normal * mean_gx) * inverse;
        dw[i] += dy[i] * normal;
        db[i] += dy[i];
    }
}

impl<F: Real> Tape<'_, F> {
    /// Each row with mean 0 and variance 1, times `weight` plus `bias`.
    pub fn layer_norm(&mut self, x: Var, [weight, bias]: [Param; 2]) -> Var {
        self.group_norm(x, [weight, bias], weight.cols, LAYER_NORM_EPS)
    }

    /// The same for each group of `size` channels of each row.
    pub fn group_norm(&mut self, x: Var, [weight, bias]: [Param; 2], size: usize, eps: f64) -> Var {
        let cols = self.cols(x);
        let mut y = self.pool.take(self.value(x).len());
        let mut moments = Vec::with_capacity(y.len() / size);
        let (xs, w, b) = (self.value(x), self.param(weight), self.param(bias));
        let n = F::of(size as f64);
        wide(
            #[inline(always)]
            || {
                for (index, (x, y)) in xs
                    .chunks_exact(size)
                    .zip(y.chunks_exact_mut(size))
                    .enumerate()
                {
                    let from = index * size % cols;
                    let (w, b) = (&w[from..from + size], &b[from..from + size]);
                    let mean = sum(size, |i| x[i]) / n;
                    let variance = sum(size, |i| (x[i] - mean) * (x[i] - mean)) / n;
                    let inverse = F::one() / (variance + F::of(eps)).sqrt();
                    for i in 0..size {
                        y[i] = (x[i] - mean) * inverse * w[i] + b[i];
                    }
                    moments.push([mean, inverse]);
                }
            },
        );
        let op = Normalize {
            x,
            weight,
            bias,
            size,
            moments,
        };
        self.push(cols, y, op)
    }
}
