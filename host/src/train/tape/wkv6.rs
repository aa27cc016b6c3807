//! The matrix state of RWKV-5 and 6 over all positions.
//!
//! `y = sum_i r[i] (u[i] k[i] v + S[i])`, then `S[i] <- w[i] S[i] + k[i] v`:
//! the rows, one for each key channel, do not depend on each other.

use super::super::real::Real;
use super::padding::padded_size;
use super::rows::{add, for_size, row, row_mut, ROWS};
use super::{Back, Backward, Tape, Var};
use crate::simd::wide;
use pulp::{Simd, WithSimd};

struct Wkv6 {
    /// r, k, v and w of each position, `[T, C]`.
    inputs: [Var; 4],
    bonus: Var,
    size: usize,
}

impl<F: Real> Tape<'_, F> {
    /// The read-out `[T, C]` of heads of `size` channels, from r, k, v, the
    /// decays w and the bonus u `[1, C]`.
    pub fn wkv6(&mut self, inputs: [Var; 4], bonus: Var, size: usize) -> Var {
        let inputs = inputs.map(|input| self.padded_heads(input, size));
        let bonus = self.padded_heads(bonus, size);
        let padded = padded_size(size);
        let mut y = self.pool.take(self.value(inputs[0]).len());
        let values = inputs.map(|input| self.value(input));
        for_size!(padded, forward(values, self.value(bonus), &mut y));
        let op = Wkv6 {
            inputs,
            bonus,
            size: padded,
        };
        let y = self.push(self.cols(inputs[0]), y, op);
        self.unpadded_heads(y, size)
    }
}

fn forward<F: Real, const N: usize>([r, k, v, w]: [&[F]; 4], u: &[F], y: &mut [F]) {
    let cols = u.len();
    wide(
        #[inline(always)]
        || {
            for head in (0..cols).step_by(N) {
                let mut state = [[F::zero(); N]; N];
                for from in (head..y.len()).step_by(cols) {
                    let v = row::<F, N>(v, from);
                    let mut out = [F::zero(); N];
                    for (i, s) in state.iter_mut().enumerate() {
                        let (r, k, w) = (r[from + i], k[from + i], w[from + i]);
                        let bonus = u[head + i] * k;
                        for j in 0..N {
                            out[j] += r * (bonus * v[j] + s[j]);
                            s[j] = w * s[j] + k * v[j];
                        }
                    }
                    *row_mut(y, from) = out;
                }
            }
        },
    );
}

impl<F: Real> Backward<F> for Wkv6 {
    fn backward(&self, _: &[F], dy: Vec<F>, back: &mut Back<'_, F>) {
        let u = back.value(self.bonus);
        let values = self.inputs.map(|input| back.value(input));
        let mut slopes: [Vec<F>; 4] = std::array::from_fn(|_| back.buffer(dy.len()));
        slopes[2].fill(F::zero());
        let mut states = back.buffer(dy.len() / u.len() * ROWS * self.size);
        let mut du = back.buffer(u.len());
        let kept = [&mut states[..], &mut du];
        for_size!(self.size, backward(values, u, &dy, kept, &mut slopes));
        back.give(self.bonus, du);
        for buffer in [states, dy] {
            back.free(buffer);
        }
        back.give_all(self.inputs, slopes);
    }
}

fn backward<F: Real, const N: usize>(
    values: [&[F]; 4],
    u: &[F],
    dy: &[F],
    [states, du]: [&mut [F]; 2],
    slopes: &mut [Vec<F>; 4],
) {
    du.fill(F::zero());
    pulp::Arch::new().dispatch(Rows::<F, N> {
        values,
        u,
        dy,
        states,
        du,
        slopes,
    });
}

/// The backward pass of all heads, some rows at a time.
struct Rows<'x, F, const N: usize> {
    values: [&'x [F]; 4],
    u: &'x [F],
    dy: &'x [F],
    /// States of some rows, before each position: `[T, ROWS, N]`.
    states: &'x mut [F],
    du: &'x mut [F],
    slopes: &'x mut [Vec<F>; 4],
}

impl<F: Real, const N: usize> WithSimd for Rows<'_, F, N> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        for first in (0..self.u.len()).step_by(ROWS) {
            self.keep_states(first);
            self.back(simd, first);
        }
    }
}

impl<F: Real, const N: usize> Rows<'_, F, N> {
    #[inline(always)]
    fn keep_states(&mut self, first: usize) {
        let [_, k, v, w] = self.values;
        let (cols, head) = (self.u.len(), first / N * N);
        let mut now = [[F::zero(); N]; ROWS];
        for (t, kept) in self.states.chunks_exact_mut(ROWS * N).enumerate() {
            let v = row::<F, N>(v, t * cols + head);
            for (i, s) in now.iter_mut().enumerate() {
                *row_mut(kept, i * N) = *s;
                let (k, w) = (k[t * cols + first + i], w[t * cols + first + i]);
                for j in 0..N {
                    s[j] = w * s[j] + k * v[j];
                }
            }
        }
    }

    #[inline(always)]
    fn back<S: Simd>(&mut self, simd: S, first: usize) {
        let [r, k, v, w] = self.values;
        let [dr, dk, dv_out, dw] = &mut *self.slopes;
        let (cols, head) = (self.u.len(), first / N * N);
        // The gradient by the state after a position.
        let mut g = [[F::zero(); N]; ROWS];
        for (t, states) in self.states.chunks_exact(ROWS * N).enumerate().rev() {
            let from = t * cols + head;
            let (v, dy) = (row::<F, N>(v, from), row::<F, N>(self.dy, from));
            let read = F::dot(simd, dy, v);
            let mut dv = [F::zero(); N];
            for (i, g) in g.iter_mut().enumerate() {
                let (c, at) = (first + i, t * cols + first + i);
                let state = row::<F, N>(states, i * N);
                let (r, k, w, u) = (r[at], k[at], w[at], self.u[c]);
                dr[at] = u * k * read + F::dot(simd, dy, state);
                dk[at] = r * u * read + F::dot(simd, g, v);
                dw[at] = F::dot(simd, g, state);
                self.du[c] += r * k * read;
                for j in 0..N {
                    dv[j] += k * (r * u * dy[j] + g[j]);
                    g[j] = w * g[j] + r * dy[j];
                }
            }
            add(row_mut(dv_out, from), F::one(), &dv);
        }
    }
}
