//! The matrix state of RWKV-7 over all positions.
//!
//! A state has a row for each value channel, and no row depends on another:
//! `s <- s w + sa b + v k` with `sa = -s . kk` and `b = kk a`, then
//! `y = s . r`. So some rows at a time go through all positions, their states
//! kept for the backward pass.

use super::super::real::Real;
use super::padding::padded_size;
use super::rows::{add, add_product, for_size, row, row_mut, ROWS};
use super::{Back, Backward, Tape, Var};
use crate::simd::wide;
use pulp::{Simd, WithSimd};

/// r, w, k, v, kk and a of each position, `[T, C]`.
struct Wkv7 {
    inputs: [Var; 6],
    size: usize,
}

/// What the rows of a head share at one position.
struct Shared<'x, F, const N: usize> {
    r: &'x [F; N],
    w: &'x [F; N],
    k: &'x [F; N],
    kk: &'x [F; N],
    a: &'x [F; N],
    b: [F; N],
}

impl<'x, F: Real, const N: usize> Shared<'x, F, N> {
    #[inline(always)]
    fn at([r, w, k, _, kk, a]: &[&'x [F]; 6], from: usize) -> Self {
        let (kk, a) = (row::<F, N>(kk, from), row::<F, N>(a, from));
        Self {
            r: row(r, from),
            w: row(w, from),
            k: row(k, from),
            kk,
            a,
            b: std::array::from_fn(|j| kk[j] * a[j]),
        }
    }

    /// Moves a row on by one position; returns `sa`.
    #[inline(always)]
    fn advance<S: Simd>(&self, simd: S, s: &mut [F; N], v: F) -> F {
        let sa = -F::dot(simd, s, self.kk);
        for j in 0..N {
            s[j] = s[j] * self.w[j] + sa * self.b[j] + v * self.k[j];
        }
        sa
    }
}

impl<F: Real> Tape<'_, F> {
    /// The read-out `[T, C]` of heads of `size` channels, from r, w, k, v,
    /// kk and a.
    pub fn wkv7(&mut self, inputs: [Var; 6], size: usize) -> Var {
        let inputs = inputs.map(|input| self.padded_heads(input, size));
        let padded = padded_size(size);
        let cols = self.cols(inputs[0]);
        let mut y = self.pool.take(self.value(inputs[0]).len());
        let values = inputs.map(|input| self.value(input));
        for_size!(padded, forward(cols, values, &mut y));
        let op = Wkv7 {
            inputs,
            size: padded,
        };
        let y = self.push(cols, y, op);
        self.unpadded_heads(y, size)
    }
}

/// The state is held transposed, `[key, value]`: all sums run down columns.
fn forward<F: Real, const N: usize>(cols: usize, values: [&[F]; 6], y: &mut [F]) {
    wide(
        #[inline(always)]
        || {
            for head in (0..cols).step_by(N) {
                let mut state = [[F::zero(); N]; N];
                for from in (head..y.len()).step_by(cols) {
                    let shared = Shared::<F, N>::at(&values, from);
                    let v = row::<F, N>(values[3], from);
                    let mut sa = [F::zero(); N];
                    for (s, &kk) in state.iter().zip(shared.kk) {
                        add(&mut sa, -kk, s);
                    }
                    let mut out = [F::zero(); N];
                    for (j, s) in state.iter_mut().enumerate() {
                        let (w, b, k, r) = (shared.w[j], shared.b[j], shared.k[j], shared.r[j]);
                        for i in 0..N {
                            s[i] = s[i] * w + sa[i] * b + v[i] * k;
                            out[i] += s[i] * r;
                        }
                    }
                    *row_mut(y, from) = out;
                }
            }
        },
    );
}

impl<F: Real> Backward<F> for Wkv7 {
    fn backward(&self, _: &[F], dy: Vec<F>, back: &mut Back<'_, F>) {
        let cols = back.cols(self.inputs[0]);
        let values = self.inputs.map(|input| back.value(input));
        let mut slopes: [Vec<F>; 6] = std::array::from_fn(|_| back.zeros(dy.len()));
        let rows = dy.len() / cols;
        let mut states = back.buffer((rows + 1) * ROWS * self.size);
        let mut sas = back.buffer(rows * ROWS);
        let kept = [&mut states[..], &mut sas];
        for_size!(self.size, backward(cols, values, &dy, kept, &mut slopes));
        for buffer in [states, sas, dy] {
            back.free(buffer);
        }
        back.give_all(self.inputs, slopes);
    }
}

fn backward<F: Real, const N: usize>(
    cols: usize,
    values: [&[F]; 6],
    dy: &[F],
    [states, sas]: [&mut [F]; 2],
    slopes: &mut [Vec<F>; 6],
) {
    pulp::Arch::new().dispatch(Rows::<F, N> {
        cols,
        values,
        dy,
        states,
        sas,
        slopes,
    });
}

/// The backward pass of all heads, some rows at a time.
struct Rows<'x, F, const N: usize> {
    cols: usize,
    values: [&'x [F]; 6],
    dy: &'x [F],
    /// States of some rows, before each position and after the last:
    /// `[T + 1, ROWS, N]`.
    states: &'x mut [F],
    /// `sa` at each position, `[T, ROWS]`.
    sas: &'x mut [F],
    slopes: &'x mut [Vec<F>; 6],
}

impl<F: Real, const N: usize> WithSimd for Rows<'_, F, N> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        for head in (0..self.cols).step_by(N) {
            for first in (0..N).step_by(ROWS) {
                self.keep_states(simd, head, first);
                self.back(simd, head, first);
            }
        }
    }
}

impl<F: Real, const N: usize> Rows<'_, F, N> {
    #[inline(always)]
    fn keep_states<S: Simd>(&mut self, simd: S, head: usize, first: usize) {
        let mut now = [[F::zero(); N]; ROWS];
        self.states[..ROWS * N].fill(F::zero());
        let kept = self.states[ROWS * N..].chunks_exact_mut(ROWS * N);
        for ((t, sas), kept) in self.sas.chunks_exact_mut(ROWS).enumerate().zip(kept) {
            let from = t * self.cols + head;
            let shared = Shared::<F, N>::at(&self.values, from);
            let v = &self.values[3][from + first..from + first + ROWS];
            for (i, s) in now.iter_mut().enumerate() {
                sas[i] = shared.advance(simd, s, v[i]);
                *row_mut(kept, i * N) = *s;
            }
        }
    }

    #[inline(always)]
    fn back<S: Simd>(&mut self, simd: S, head: usize, first: usize) {
        let [dr_out, dw_out, dk_out, dv_out, dkk_out, da_out] = &mut *self.slopes;
        // The gradient by the state after a position.
        let mut g = [[F::zero(); N]; ROWS];
        for (t, sas) in self.sas.chunks_exact(ROWS).enumerate().rev() {
            let from = t * self.cols + head;
            let shared = Shared::<F, N>::at(&self.values, from);
            let [mut dr, mut dw, mut dk, mut db, mut dkk] = [[F::zero(); N]; 5];
            for (i, g) in g.iter_mut().enumerate() {
                let at = from + first + i;
                let (dy, v) = (self.dy[at], self.values[3][at]);
                let before = row::<F, N>(self.states, (t * ROWS + i) * N);
                let now = row::<F, N>(self.states, ((t + 1) * ROWS + i) * N);
                add(g, dy, shared.r);
                dv_out[at] = F::dot(simd, g, shared.k);
                let dsa = F::dot(simd, g, &shared.b);
                for j in 0..N {
                    dr[j] += dy * now[j];
                    dw[j] += g[j] * before[j];
                    dk[j] += v * g[j];
                    db[j] += sas[i] * g[j];
                    dkk[j] += -dsa * before[j];
                    g[j] = g[j] * shared.w[j] - dsa * shared.kk[j];
                }
            }
            add(row_mut(dr_out, from), F::one(), &dr);
            add(row_mut(dw_out, from), F::one(), &dw);
            add(row_mut(dk_out, from), F::one(), &dk);
            add_product(row_mut(da_out, from), &db, shared.kk);
            add_product(&mut dkk, &db, shared.a);
            add(row_mut(dkk_out, from), F::one(), &dkk);
        }
    }
}
