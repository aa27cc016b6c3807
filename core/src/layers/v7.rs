//! RWKV-7 "Goose": the recurrent step of one layer (Peng et al.,
//! arXiv 2503.14456). The state learns by a generalized delta rule: its
//! value for a direction is partly removed before the new value is added.
//!
//! ```text
//! x_q = att_x + (xx - att_x) mix_q                   for q in r, w, k, v, a, g
//! w   = exp(-e^-0.5 sigmoid(w0 + w2 tanh(w1 x_w)))
//! a   = sigmoid(a0 + a2 a1 x_a)
//! g   = g2 sigmoid(g1 x_g)
//! v   = v + (v_first - v) sigmoid(v0 + v2 v1 x_v)    in all layers but the first
//! kk  = k k_k, divided by its length in each head
//! k   = k (1 + (a - 1) k_a)                          after kk
//!
//! S[j,i] = w[j] S[j,i] - kk[j] a[j] sum_l kk[l] S[l,i] + k[j] v[i]
//! y[i]   = sum_j r[j] S[j,i]                         with the new S
//! out    = output ((group_norm(y) + (sum_j r[j] k[j] r_k[j]) v) * g)
//! ```
//!
//! | letter | shape | meaning |
//! |---|---|---|
//! | x | \[C\] | residual stream |
//! | xx | \[C\] | its layer norm, the input of a block |
//! | r, k, v, g | \[C\] | receptance, key, value, gate |
//! | w | \[C\] | decay of this token, in (0.545, 1) |
//! | a | \[C\] | learning rate in context, in \[0, 1\], later b = kk a |
//! | v_first | \[C\] | value of the first layer at this token |
//! | kk | \[C\] | direction to be removed, of length one in each head |
//! | S | \[H, N, N\] | state, by key channel `j` and value channel `i` |
//!
//! `w1`, `w2`, `a1`, `a2`, `v1`, `v2`, `g1` and `g2` are low-rank matrices;
//! `w0`, `a0`, `v0`, `k_k`, `k_a` and `r_k` are vectors `[C]`, and products
//! with them element-wise.

use super::channel_mix;
use super::heads::{LayerState, Matrices};
use super::pace::Pace;
use super::work::{Product, Work};
use crate::arch::{delta, exp, group_norm, layer_norm, sigmoid, tanh, token_shift, Cell, Delta};
use crate::image::Parts;
use crate::number::{add_to, apply, copy, dot, half_to_f32, multiply, rsqrt, AbsMax};
use crate::pieces::{pieces, pieces_mut};
use crate::shape::v7::Mix;
use crate::shape::Dim::{DecayRank, Embd, GateRank, RateRank, ValueRank};
use crate::shape::{Dim, Shape};
use half::f16;

/// The decay is `e^(-e^-0.5 sigmoid(..))`.
const DECAY_SPEED: f32 = -0.606_530_66;

/// The least square of a length that a direction is divided by.
const LEAST_SQUARE: f32 = 1e-24;

/// Advances layer `index` by one token: `work.x` is read and updated.
#[inline(never)]
pub(crate) fn layer<P: Pace>(
    shape: &Shape,
    index: u32,
    parts: &mut Parts<'_>,
    state: &mut [f32],
    work: &mut Work<'_, '_>,
    pace: &mut P,
) -> Result<(), P::Break> {
    let mut state = LayerState::split(shape, state);
    time_mix(shape, index == 0, parts, &mut state, work, pace)?;
    channel_mix::plain(parts, state.ffn_x, work, pace)
}

/// `x += out`, and the state advances by one token. `first` is whether the layer is
/// the first, which stores `v_first` for the others.
fn time_mix<P: Pace>(
    shape: &Shape,
    first: bool,
    parts: &mut Parts<'_>,
    state: &mut LayerState<'_>,
    work: &mut Work<'_, '_>,
    pace: &mut P,
) -> Result<(), P::Break> {
    let Work {
        x,
        xx,
        tmp,
        r,
        wide,
        kept: v_first,
        product,
    } = work;
    let Mix {
        w,
        k,
        v,
        a,
        kk,
        hidden,
    } = Mix::split(shape, wide);
    let affine = [parts.half(Embd), parts.half(Embd)];
    pace.part(|| layer_norm(x, affine[0], affine[1], xx))?;

    let (mix, matrix) = (parts.half(Embd), parts.keys(Embd, Embd));
    let shift = |tmp: &mut [f32]| token_shift(xx, state.att_x, mix, tmp);
    let max = pace.product(product, &matrix, tmp, shift, v)?;
    if first {
        pace.part(|| copy(v, v_first))?;
    } else {
        low_rank(
            parts,
            ValueRank,
            product,
            pace,
            tmp,
            |_| max,
            hidden,
            |h| h,
            a,
        )?;
        let v0 = parts.single(Embd);
        pace.part(|| lean(v, v_first, a, v0))?;
    }

    let mix = parts.half(Embd);
    let shift = |tmp: &mut [f32]| token_shift(xx, state.att_x, mix, tmp);
    let rank = DecayRank;
    low_rank(parts, rank, product, pace, tmp, shift, hidden, tanh, w)?;
    let w0 = parts.single(Embd);
    pace.part(|| decay(w, w0))?;

    let (mix, matrix) = (parts.half(Embd), parts.keys(Embd, Embd));
    let shift = |tmp: &mut [f32]| token_shift(xx, state.att_x, mix, tmp);
    pace.product(product, &matrix, tmp, shift, k)?;
    let k_k = parts.half(Embd);
    pace.part(|| direction(k, k_k, shape.head_size(), kk))?;

    let mix = parts.half(Embd);
    let shift = |tmp: &mut [f32]| token_shift(xx, state.att_x, mix, tmp);
    let rank = RateRank;
    low_rank(parts, rank, product, pace, tmp, shift, hidden, |h| h, a)?;
    let (a0, k_a) = (parts.single(Embd), parts.half(Embd));
    pace.part(|| learn(a, a0, k_a, k, kk))?;

    let (mix, matrix) = (parts.half(Embd), parts.matrix(Embd, Embd));
    let shift = |tmp: &mut [f32]| token_shift(xx, state.att_x, mix, tmp);
    pace.product(product, &matrix, tmp, shift, r)?;

    let inputs = Inputs {
        r,
        w,
        k,
        v,
        b: a,
        kk,
    };
    let size = shape.head_size();
    inputs.update_and_read(&mut state.matrices, size, hidden, tmp, pace)?;
    let affine = [parts.half(Embd), parts.half(Embd)];
    // From here on kk and w are free to be reused.
    let normed = kk.get_mut(..tmp.len()).unwrap_or_default();
    pace.part(|| group_norm(tmp, size, shape.gn_eps, affine, normed))?;
    let r_k = parts.half(Embd);
    pace.part(|| add_bonus([r, k, v], r_k, size, normed))?;

    let mix = parts.half(Embd);
    let shift = |tmp: &mut [f32]| token_shift(xx, state.att_x, mix, tmp);
    let (rank, g) = (GateRank, w);
    low_rank(parts, rank, product, pace, tmp, shift, hidden, sigmoid, g)?;
    pace.part(|| copy(xx, state.att_x))?;
    let gated = |tmp: &mut [f32]| multiply(normed, g, tmp);
    pace.product(product, &parts.matrix(Embd, Embd), tmp, gated, xx)?;
    pace.part(|| add_to(x, xx))
}

/// `out = up f(down x)` with the intermediate vector `hidden`, as long as the
/// rank; `fill` computes `x`.
#[allow(clippy::too_many_arguments)]
fn low_rank<P: Pace>(
    parts: &mut Parts<'_>,
    rank: Dim,
    product: &mut Product<'_>,
    pace: &mut P,
    x: &mut [f32],
    fill: impl FnOnce(&mut [f32]) -> AbsMax,
    hidden: &mut [f32],
    f: impl Fn(f32) -> f32,
    out: &mut [f32],
) -> Result<(), P::Break> {
    let (down, up) = (parts.low_rank(rank, Embd), parts.low_rank(Embd, rank));
    pace.product(product, &down, x, fill, hidden)?;
    let hidden = hidden.get_mut(..down.rows).unwrap_or_default();
    pace.product(product, &up, hidden, |hidden| apply(hidden, f), out)?;
    Ok(())
}

/// `v = v + (v_first - v) sigmoid(v0 + s)`.
#[cfg_attr(kinglet_fast, inline(never))]
fn lean(v: &mut [f32], v_first: &[f32], s: &[f32], v0: &[f32]) {
    for ((v, &v_first), (&s, &v0)) in v.iter_mut().zip(v_first).zip(s.iter().zip(v0)) {
        *v += (v_first - *v) * sigmoid(v0 + s);
    }
}

/// `w = exp(-e^-0.5 sigmoid(w0 + w))`.
#[cfg_attr(kinglet_fast, inline(never))]
fn decay(w: &mut [f32], w0: &[f32]) {
    for (w, &w0) in w.iter_mut().zip(w0) {
        *w = exp(DECAY_SPEED * sigmoid(w0 + *w));
    }
}

/// `kk = k k_k`, of length one in each head.
#[cfg_attr(kinglet_fast, inline(never))]
fn direction(k: &[f32], k_k: &[f16], size: usize, kk: &mut [f32]) {
    for ((kk, &k), &k_k) in kk.iter_mut().zip(k).zip(k_k) {
        *kk = k * half_to_f32(k_k);
    }
    for kk in kk.chunks_mut(size.max(1)) {
        let square = dot(kk, kk);
        let scale = rsqrt(if square > LEAST_SQUARE {
            square
        } else {
            LEAST_SQUARE
        });
        kk.iter_mut().for_each(|kk| *kk *= scale);
    }
}

/// `a = sigmoid(a0 + a)`; then `k = k (1 + (a - 1) k_a)`, `a = a kk` and
/// `kk = -kk`: the inputs of the state.
#[cfg_attr(kinglet_fast, inline(never))]
fn learn(a: &mut [f32], a0: &[f32], k_a: &[f16], k: &mut [f32], kk: &mut [f32]) {
    let keys = k.iter_mut().zip(kk.iter_mut());
    for ((a, (k, kk)), (&a0, &k_a)) in a.iter_mut().zip(keys).zip(a0.iter().zip(k_a)) {
        let rate = sigmoid(a0 + *a);
        *k *= 1.0 + (rate - 1.0) * half_to_f32(k_a);
        *a = rate * *kk;
        *kk = -*kk;
    }
}

/// The inputs of the heads, each `[C]`; `kk` with its sign changed.
struct Inputs<'a> {
    r: &'a [f32],
    w: &'a [f32],
    k: &'a [f32],
    v: &'a [f32],
    b: &'a [f32],
    kk: &'a [f32],
}

impl Inputs<'_> {
    /// Advances the state by one token and reads it into `y` `[C]`: a part for
    /// each head.
    fn update_and_read<P: Pace>(
        &self,
        matrices: &mut Matrices<'_>,
        size: usize,
        scratch: &mut [f32],
        y: &mut [f32],
        pace: &mut P,
    ) -> Result<(), P::Break> {
        match matrices {
            Matrices::F32(cells) => self.heads(cells, size, scratch, y, pace),
            Matrices::F16(cells) => self.heads(cells, size, scratch, y, pace),
        }
    }

    /// A part for each head. `scratch` has `2 N` floats: `w r`, then `sa`.
    fn heads<S: Cell, P: Pace>(
        &self,
        cells: &mut [S],
        size: usize,
        scratch: &mut [f32],
        y: &mut [f32],
        pace: &mut P,
    ) -> Result<(), P::Break> {
        let (wr, sa) = scratch.split_at_mut_checked(size).unwrap_or_default();
        let of_heads = |channels| pieces(channels, size);
        let inputs = of_heads(self.r).zip(of_heads(self.w));
        let inputs = inputs.zip(of_heads(self.k).zip(of_heads(self.v)));
        let inputs = inputs.zip(of_heads(self.b).zip(of_heads(self.kk)));
        let heads = pieces_mut(cells, size * size).zip(pieces_mut(y, size));
        for ((state, y), (((r, w), (k, v)), (b, read))) in heads.zip(inputs) {
            pace.part(|| {
                multiply(w, r, wr);
                let head = Delta {
                    read,
                    wr,
                    w,
                    b,
                    k,
                    v,
                    br_kr: [dot(b, r), dot(k, r)],
                };
                delta(state, &head, y, sa);
            })?;
        }
        Ok(())
    }
}

/// `y += (sum_j r[j] k[j] r_k[j]) v`, for each head.
#[cfg_attr(kinglet_fast, inline(never))]
fn add_bonus([r, k, v]: [&[f32]; 3], r_k: &[f16], size: usize, y: &mut [f32]) {
    let keys = pieces(r, size).zip(pieces(k, size)).zip(pieces(r_k, size));
    for (((r, k), r_k), (v, y)) in keys.zip(pieces(v, size).zip(pieces_mut(y, size))) {
        let mut sum = 0.0;
        for ((&r, &k), &r_k) in r.iter().zip(k).zip(r_k) {
            sum += r * k * half_to_f32(r_k);
        }
        for (y, &v) in y.iter_mut().zip(v) {
            *y += sum * v;
        }
    }
}
