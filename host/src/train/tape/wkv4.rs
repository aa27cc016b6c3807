//! The weighted average of RWKV-4 over all positions, channel by channel
//! (Peng et al., arXiv 2305.13048, section 3.2).
//!
//! With `A` and `B` the decayed sums of `e^k v` and `e^k` before a position,
//! `y = (A + e^(u+k) v) / (B + e^(u+k))`. Both sums are kept as a mantissa
//! and a common exponent p: `A = aa e^p`. The backward pass needs the sums of
//! `e^(w n) / (B + e^(u+k))` over later positions, which are kept likewise.

use super::super::real::Real;
use super::{Back, Backward, Param, Tape, Var};
use crate::simd::wide;

struct Wkv4<F> {
    k: Var,
    v: Var,
    decay: Param,
    first: Param,
    /// aa, bb and p before each position, `[T, 3, C]`.
    sums: Vec<F>,
}

/// `(e^(a - q), e^(b - q), q)` with `q = max(a, b)`.
#[inline(always)]
fn relative<F: Real>(a: F, b: F) -> (F, F, F) {
    let q = a.max(b);
    let smaller = (-(b - a).abs()).exp_fast();
    if b > a {
        (smaller, F::one(), q)
    } else {
        (F::one(), smaller, q)
    }
}

impl<F: Real> Tape<'_, F> {
    /// The average `[T, C]` of values v weighed by keys k. `decay` and
    /// `first` are `time_decay` and `time_first`, `[C]`.
    pub fn wkv4(&mut self, k: Var, v: Var, decay: Param, first: Param) -> Var {
        let cols = self.cols(k);
        let len = self.value(k).len();
        let mut y = self.pool.take(len);
        let mut sums = self.pool.take(3 * len);
        let mut now = self.pool.take(3 * cols);
        now.fill(F::zero());
        now[2 * cols..].fill(F::of(-1e30));
        let (ks, vs) = (self.value(k), self.value(v));
        let w: Vec<F> = self.param(decay).iter().map(|d| -d.exp()).collect();
        let u = self.param(first);
        wide(
            #[inline(always)]
            || {
                for (start, sums) in (0..len).step_by(cols).zip(sums.chunks_exact_mut(3 * cols)) {
                    let at = start..start + cols;
                    sums.copy_from_slice(&now);
                    forward_row(
                        &mut now,
                        [&ks[at.clone()], &vs[at.clone()], &w, u],
                        &mut y[at],
                    );
                }
            },
        );
        self.pool.give(now);
        let op = Wkv4 {
            k,
            v,
            decay,
            first,
            sums,
        };
        self.push(cols, y, op)
    }
}

#[inline(always)]
fn forward_row<F: Real>(now: &mut [F], [k, v, w, u]: [&[F]; 4], y: &mut [F]) {
    let cols = y.len();
    let (aa, rest) = now.split_at_mut(cols);
    let (bb, p) = rest.split_at_mut(cols);
    let p = &mut p[..cols];
    let (k, v, w, u) = (&k[..cols], &v[..cols], &w[..cols], &u[..cols]);
    for c in 0..cols {
        let (e1, e2, _) = relative(p[c], u[c] + k[c]);
        y[c] = (e1 * aa[c] + e2 * v[c]) / (e1 * bb[c] + e2);
        let (e1, e2, q) = relative(p[c] + w[c], k[c]);
        aa[c] = e1 * aa[c] + e2 * v[c];
        bb[c] = e1 * bb[c] + e2;
        p[c] = q;
    }
}

/// Gradients by the sums after a position, mantissas and exponent, and those
/// of the weights so far; each `[C]`.
struct Later<F> {
    aa: Vec<F>,
    bb: Vec<F>,
    o: Vec<F>,
    w: Vec<F>,
    u: Vec<F>,
}

impl<F: Real> Backward<F> for Wkv4<F> {
    fn kept(&mut self) -> Vec<F> {
        std::mem::take(&mut self.sums)
    }

    fn backward(&self, y: &[F], dy: Vec<F>, back: &mut Back<'_, F>) {
        let (ks, vs, u) = (
            back.value(self.k),
            back.value(self.v),
            back.param(self.first),
        );
        let cols = u.len();
        let w: Vec<F> = back.param(self.decay).iter().map(|d| -d.exp()).collect();
        let (mut dk, mut dv) = (back.buffer(dy.len()), back.buffer(dy.len()));
        let zeros = || vec![F::zero(); cols];
        let mut later = Later {
            aa: zeros(),
            bb: zeros(),
            o: vec![F::of(-1e30); cols],
            w: zeros(),
            u: back.zeros(cols),
        };
        wide(
            #[inline(always)]
            || {
                let rows = (0..dy.len()).step_by(cols).rev();
                for (start, sums) in rows.zip(self.sums.chunks_exact(3 * cols).rev()) {
                    let at = start..start + cols;
                    let inputs = [ks, vs, y, &dy].map(|x| &x[at.clone()]);
                    backward_row(
                        sums,
                        inputs,
                        [&w, u],
                        &mut later,
                        [&mut dk[at.clone()], &mut dv[at]],
                    );
                }
            },
        );
        // w = -e^decay: its derivative by the decay is itself.
        let gradient = back.gradient(self.decay).iter_mut();
        gradient
            .zip(later.w.iter().zip(&w))
            .for_each(|(g, (&dw, &w))| *g += dw * w);
        back.learn(self.first, later.u);
        back.give(self.k, dk);
        back.give(self.v, dv);
        back.free(dy);
    }
}

/// Channels that are computed side by side, in registers.
const LANES: usize = 16;

#[inline(always)]
fn backward_row<F: Real>(
    sums: &[F],
    inputs: [&[F]; 4],
    weights: [&[F]; 2],
    later: &mut Later<F>,
    mut slopes: [&mut [F]; 2],
) {
    let cols = inputs[0].len();
    let whole = cols / LANES * LANES;
    for c in (0..whole).step_by(LANES) {
        backward_lanes::<F, LANES>(c, sums, inputs, weights, later, &mut slopes);
    }
    for c in whole..cols {
        backward_lanes::<F, 1>(c, sums, inputs, weights, later, &mut slopes);
    }
}

/// `L` neighbours of `x`.
#[inline(always)]
fn lanes<F: Real, const L: usize>(x: &[F], first: usize) -> [F; L] {
    let mut lanes = [F::zero(); L];
    lanes.copy_from_slice(&x[first..first + L]);
    lanes
}

/// One position of `L` channels from `c` on.
#[inline(always)]
fn backward_lanes<F: Real, const L: usize>(
    c: usize,
    sums: &[F],
    inputs: [&[F]; 4],
    weights: [&[F]; 2],
    later: &mut Later<F>,
    [dk_out, dv_out]: &mut [&mut [F]; 2],
) {
    let cols = inputs[0].len();
    let [k, v, y, dy] = inputs.map(|x| lanes::<F, L>(x, c));
    let [w, u] = weights.map(|x| lanes::<F, L>(x, c));
    let [aa, bb, p] = [0, 1, 2].map(|i| lanes::<F, L>(sums, i * cols + c));
    let Later {
        aa: ga_out,
        bb: gb_out,
        o: o_out,
        w: gw_out,
        u: gu_out,
    } = later;
    let [mut ga, mut gb, mut o] = [&*ga_out, gb_out, o_out].map(|x| lanes::<F, L>(x, c));
    let [mut gw, mut gu] = [&*gw_out, gu_out].map(|x| lanes::<F, L>(x, c));
    let (mut dk, mut dv) = ([F::zero(); L], [F::zero(); L]);
    for l in 0..L {
        // The output: numerator and denominator scaled by e^-q.
        let (e1, e2, q) = relative(p[l], u[l] + k[l]);
        let inverse = F::one() / (e1 * bb[l] + e2);
        let dn = dy[l] * inverse;
        let dd = -dn * y[l];
        let own = e2 * (v[l] * dn + dd);
        // The sums after this position cannot overflow: each divisor includes
        // this position's key.
        let by_key = (k[l] + o[l]).exp_fast();
        dv[l] = e2 * dn + by_key * ga[l];
        dk[l] = own + by_key * (v[l] * ga[l] + gb[l]);
        gu[l] += own;
        let decayed = (p[l] + w[l] + o[l]).exp_fast();
        gw[l] += decayed * (aa[l] * ga[l] + bb[l] * gb[l]);
        let (f1, f2, next) = relative(o[l] + w[l], -q);
        ga[l] = f1 * ga[l] + f2 * dn;
        gb[l] = f1 * gb[l] + f2 * dd;
        o[l] = next;
    }
    let at = c..c + L;
    ga_out[at.clone()].copy_from_slice(&ga);
    gb_out[at.clone()].copy_from_slice(&gb);
    o_out[at.clone()].copy_from_slice(&o);
    gw_out[at.clone()].copy_from_slice(&gw);
    gu_out[at.clone()].copy_from_slice(&gu);
    dk_out[at.clone()].copy_from_slice(&dk);
    dv_out[at].copy_from_slice(&dv);
}
