//! Element-wise operations, with weights per channel.

use super::super::real::{sigmoid, tanh, Real};
use super::{Back, Backward, Param, Tape, Var};
use crate::simd::wide;

/// `y = f(x, w)` of `N` values and `M` vectors of weights, element by
/// element. `partials(x, w, y)` are the derivatives of y.
struct Pointwise<const N: usize, const M: usize, P> {
    inputs: [Var; N],
    weights: [Param; M],
    partials: P,
}

impl<F, P, const N: usize, const M: usize> Backward<F> for Pointwise<N, M, P>
where
    F: Real,
    P: Fn([F; N], [F; M], F) -> ([F; N], [F; M]),
{
    fn backward(&self, y: &[F], dy: Vec<F>, back: &mut Back<'_, F>) {
        let x = self.inputs.map(|input| back.value(input));
        let cols = self.inputs.first().map_or(1, |&input| back.cols(input));
        let w = self.weights.map(|weights| back.param(weights));
        let mut dx: [Vec<F>; N] = std::array::from_fn(|_| back.buffer(dy.len()));
        let mut dw: [Vec<F>; M] = std::array::from_fn(|_| back.zeros(cols));
        wide(
            #[inline(always)]
            || {
                for start in (0..dy.len()).step_by(cols) {
                    let row = start..start + cols;
                    let x = x.map(|x| &x[row.clone()]);
                    let (y, dy) = (&y[row.clone()], &dy[row.clone()]);
                    let dx = dx.each_mut().map(|dx| &mut dx[row.clone()]);
                    let dw = dw.each_mut().map(|dw| &mut dw[..cols]);
                    partials_of_row(&self.partials, x, w, y, dy, dx, dw);
                }
            },
        );
        back.give_all(self.inputs, dx);
        for (weights, dw) in self.weights.into_iter().zip(dw) {
            back.learn(weights, dw);
        }
        back.free(dy);
    }
}

#[inline(always)]
fn partials_of_row<F: Real, const N: usize, const M: usize>(
    partials: &impl Fn([F; N], [F; M], F) -> ([F; N], [F; M]),
    x: [&[F]; N],
    w: [&[F]; M],
    y: &[F],
    dy: &[F],
    dx: [&mut [F]; N],
    dw: [&mut [F]; M],
) {
    let cols = dy.len();
    let x = x.map(|x| &x[..cols]);
    let w = w.map(|w| &w[..cols]);
    let y = &y[..cols];
    let dx = dx.map(|dx| &mut dx[..cols]);
    let dw = dw.map(|dw| &mut dw[..cols]);
    for c in 0..cols {
        let (px, pw) = partials(x.map(|x| x[c]), w.map(|w| w[c]), y[c]);
        for i in 0..N {
            dx[i][c] = px[i] * dy[c];
        }
        for i in 0..M {
            dw[i][c] += pw[i] * dy[c];
        }
    }
}

impl<F: Real> Tape<'_, F> {
    fn pointwise<const N: usize, const M: usize>(
        &mut self,
        inputs: [Var; N],
        weights: [Param; M],
        f: impl Fn([F; N], [F; M]) -> F,
        partials: impl Fn([F; N], [F; M], F) -> ([F; N], [F; M]) + 'static,
    ) -> Var {
        let cols = self.cols(inputs[0]);
        let mut y = self.pool.take(self.value(inputs[0]).len());
        let x = inputs.map(|input| self.value(input));
        let w = weights.map(|weights| self.param(weights));
        wide(
            #[inline(always)]
            || {
                for start in (0..y.len()).step_by(cols) {
                    let row = start..start + cols;
                    let x = x.map(|x| &x[row.clone()]);
                    let w = w.map(|w| &w[..cols]);
                    let y = &mut y[row];
                    for c in 0..cols {
                        y[c] = f(x.map(|x| x[c]), w.map(|w| w[c]));
                    }
                }
            },
        );
        let op = Pointwise {
            inputs,
            weights,
            partials,
        };
        self.push(cols, y, op)
    }

    fn map(&mut self, x: Var, f: impl Fn(F) -> F, derivative: impl Fn(F, F) -> F + 'static) -> Var {
        self.pointwise(
            [x],
            [],
            #[inline(always)]
            move |[x], []| f(x),
            #[inline(always)]
            move |[x], [], y| ([derivative(x, y)], []),
        )
    }

    /// `1 / (1 + e^-x)`.
    pub fn sigmoid(&mut self, x: Var) -> Var {
        self.map(
            x,
            sigmoid,
            #[inline(always)]
            |_, y| y * (F::one() - y),
        )
    }

    /// `tanh(x)`.
    pub fn tanh(&mut self, x: Var) -> Var {
        self.map(
            x,
            tanh,
            #[inline(always)]
            |_, y| F::one() - y * y,
        )
    }

    /// `max(x, 0)^2`.
    pub fn relu2(&mut self, x: Var) -> Var {
        let positive = |x: F| x.max(F::zero());
        self.map(
            x,
            #[inline(always)]
            move |x| positive(x) * positive(x),
            #[inline(always)]
            move |x, _| F::of(2.0) * positive(x),
        )
    }

    /// `x sigmoid(x)`.
    pub fn silu(&mut self, x: Var) -> Var {
        self.map(
            x,
            #[inline(always)]
            |x| x * sigmoid(x),
            #[inline(always)]
            |x, y| {
                let s = sigmoid(x);
                s + y * (F::one() - s)
            },
        )
    }

    /// The decay of RWKV-7, `exp(-e^-0.5 sigmoid(x))`.
    pub fn decay7(&mut self, x: Var) -> Var {
        let speed = -(-0.5f64).exp();
        self.map(
            x,
            #[inline(always)]
            move |x| (F::of(speed) * sigmoid(x)).exp_fast(),
            #[inline(always)]
            move |x, y| {
                let s = sigmoid(x);
                y * F::of(speed) * s * (F::one() - s)
            },
        )
    }

    /// The decay of RWKV-6, `exp(-exp(x))`.
    pub fn decay6(&mut self, x: Var) -> Var {
        self.map(
            x,
            #[inline(always)]
            |x| (-x.exp_fast()).exp_fast(),
            #[inline(always)]
            |x, y| -y * x.exp_fast(),
        )
    }

    /// `a b`.
    pub fn mul(&mut self, a: Var, b: Var) -> Var {
        self.pointwise(
            [a, b],
            [],
            #[inline(always)]
            |[a, b], []| a * b,
            #[inline(always)]
            |[a, b], [], _| ([b, a], []),
        )
    }

    /// `sigmoid(r) y`.
    pub fn gate(&mut self, r: Var, y: Var) -> Var {
        self.pointwise(
            [r, y],
            [],
            #[inline(always)]
            |[r, y], []| sigmoid(r) * y,
            #[inline(always)]
            |[r, _], [], out| {
                let s = sigmoid(r);
                ([out * (F::one() - s), s], [])
            },
        )
    }

    /// `a + (b - a) s`.
    pub fn lerp(&mut self, a: Var, b: Var, s: Var) -> Var {
        self.pointwise(
            [a, b, s],
            [],
            #[inline(always)]
            |[a, b, s], []| a + (b - a) * s,
            #[inline(always)]
            |[a, b, s], [], _| ([F::one() - s, s, b - a], []),
        )
    }

    /// `x + w`, the vector `[C]` added to each row.
    pub fn add_row(&mut self, x: Var, w: Param) -> Var {
        self.pointwise(
            [x],
            [w],
            #[inline(always)]
            |[x], [w]| x + w,
            #[inline(always)]
            |_, _, _| ([F::one()], [F::one()]),
        )
    }

    /// `x w`, each row times the vector `[C]`.
    pub fn mul_row(&mut self, x: Var, w: Param) -> Var {
        self.pointwise(
            [x],
            [w],
            #[inline(always)]
            |[x], [w]| x * w,
            #[inline(always)]
            |[x], [w], _| ([w], [x]),
        )
    }

    /// The keys of RWKV-7, `k (1 + (a - 1) k_a)`.
    pub fn rated_keys(&mut self, k: Var, a: Var, k_a: Param) -> Var {
        let one = F::one();
        self.pointwise(
            [k, a],
            [k_a],
            #[inline(always)]
            move |[k, a], [k_a]| k * (one + (a - one) * k_a),
            #[inline(always)]
            move |[k, a], [k_a], _| {
                let slope = one + (a - one) * k_a;
                ([slope, k * k_a], [k * (a - one)])
            },
        )
    }

    /// `a + b`.
    pub fn add(&mut self, a: Var, b: Var) -> Var {
        let mut y = self.pool.take(self.value(a).len());
        let (x, z) = (self.value(a), self.value(b));
        wide(
            #[inline(always)]
            || {
                let inputs = x.iter().zip(z);
                y.iter_mut()
                    .zip(inputs)
                    .for_each(|(y, (&x, &z))| *y = x + z);
            },
        );
        self.push(self.cols(a), y, Add { a, b })
    }
}

struct Add {
    a: Var,
    b: Var,
}

impl<F: Real> Backward<F> for Add {
    fn backward(&self, _: &[F], dy: Vec<F>, back: &mut Back<'_, F>) {
        let mut copy = back.buffer(dy.len());
        copy.copy_from_slice(&dy);
        back.give(self.a, copy);
        back.give(self.b, dy);
    }
}
