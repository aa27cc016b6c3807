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
use super::heads::{heads, of_heads, Inputs};
use super::pace::Pace;
use super::work::{Product, Work};
use crate::arch::{group_norm, layer_norm, token_shift, unit_length, Epsilon, HeadInputs};
use crate::image::Parts;
use crate::number::{
    add, apply, copy, dot, larger, mulh, mulq, multiply, sigmoid, smaller, times, Factors,
    Function, Number, Peak, Shift, ToFixed, Vector, View,
};
use crate::pieces::{pieces, pieces_mut};
use crate::shape::v7::Mix;
use crate::shape::vectors::HeadState;
use crate::shape::Dim::{DecayRank, Embd, GateRank, RateRank, ValueRank};
use crate::shape::{Dim, Shape};
use core::ops::Range;

/// The decay is `e^(-e^-0.5 sigmoid(..))`: this is `e^-0.5 log2(e)` in Q24.
const DECAY_SPEED: i32 = 14_680_518;

/// Advances layer `index` by one token: `work.x` is read and updated.
#[inline(never)]
pub(crate) fn layer<P: Pace>(
    shape: &Shape,
    index: u32,
    parts: &mut Parts<'_>,
    state: &mut [i32],
    work: &mut Work<'_, '_>,
    pace: &mut P,
) -> Result<(), P::Break> {
    let mut state = HeadState::split(shape, state);
    time_mix(shape, index == 0, parts, &mut state, work, pace)?;
    channel_mix::plain(parts, state.ffn_x, work, pace)
}

/// `x += out`, and the state advances by one token. `first` is whether the layer is
/// the first, which stores `v_first` for the others.
fn time_mix<P: Pace>(
    shape: &Shape,
    first: bool,
    parts: &mut Parts<'_>,
    state: &mut HeadState<'_>,
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
        exps,
        hidden,
    } = Mix::split(shape, wide);
    let (size, channels) = (shape.head_size(), tmp.len());
    let [mut w, mut k, mut v, mut a, mut kk] = [w, k, v, a, kk].map(Vector);
    let affine = [parts.factors(Embd), parts.factors(Embd)];
    pace.part(|| layer_norm(x.view(), affine, xx))?;

    let mix = parts.factors(Embd);
    let matrix = parts.matrix(Embd, Embd);
    let shift = |tmp: &mut [i32]| token_shift(xx.view(), state.att_x, mix, tmp);
    let peak = pace.product(product, &matrix, tmp, shift, &mut v)?;
    if first {
        pace.part(|| copy(v.0, v_first))?;
    } else {
        let ranks = (ValueRank, Function::Identity);
        let shift = |tmp: &mut [i32]| match matrix.is_fine() {
            true => shift(tmp),
            false => peak,
        };
        low_rank(parts, ranks, product, pace, tmp, shift, hidden, &mut a)?;
        let v0 = parts.fixed(Embd);
        pace.part(|| lean(&mut v, Vector(v_first).view(), a.view(), v0))?;
    }

    let mix = parts.factors(Embd);
    let shift = |tmp: &mut [i32]| token_shift(xx.view(), state.att_x, mix, tmp);
    let ranks = (DecayRank, Function::Tanh);
    low_rank(parts, ranks, product, pace, tmp, shift, hidden, &mut w)?;
    let w0 = parts.fixed(Embd);
    pace.part(|| decay(&mut w, w0))?;

    let mix = parts.factors(Embd);
    let matrix = parts.matrix(Embd, Embd);
    let shift = |tmp: &mut [i32]| token_shift(xx.view(), state.att_x, mix, tmp);
    pace.product(product, &matrix, tmp, shift, &mut k)?;
    let k_k = parts.factors(Embd);
    pace.part(|| direction(k.view(), k_k, size, &mut kk))?;

    let mix = parts.factors(Embd);
    let shift = |tmp: &mut [i32]| token_shift(xx.view(), state.att_x, mix, tmp);
    let ranks = (RateRank, Function::Identity);
    low_rank(parts, ranks, product, pace, tmp, shift, hidden, &mut a)?;
    let (a0, k_a) = (parts.fixed(Embd), parts.factors(Embd));
    pace.part(|| learn(&mut a, a0, k_a, &mut k, &mut kk))?;

    let mix = parts.factors(Embd);
    let matrix = parts.matrix(Embd, Embd);
    let shift = |tmp: &mut [i32]| token_shift(xx.view(), state.att_x, mix, tmp);
    pace.product(product, &matrix, tmp, shift, r)?;

    let inputs = DeltaInputs {
        r: r.first(channels),
        w: w.first(channels).m,
        k: k.first(channels),
        v: v.first(channels),
        b: a.first(channels),
        kk: kk.first(channels),
    };
    let (of_y, of_bonus) = exps
        .split_at_mut_checked(shape.n_head as usize)
        .unwrap_or_default();
    heads(shape, state, &inputs, hidden, (tmp, of_y), pace)?;
    let affine = [parts.factors(Embd), parts.factors(Embd)];
    // From here on kk and w are free to be reused.
    let epsilon = Epsilon::from_f32(shape.gn_eps);
    pace.part(|| group_norm(tmp, of_y, epsilon, affine, &mut kk))?;
    let r_k = parts.factors(Embd);
    let vectors = [r.first(channels), k.first(channels), v.first(channels)];
    pace.part(|| add_bonus(vectors, r_k, size, [of_y, of_bonus], tmp, &mut kk))?;

    let mix = parts.factors(Embd);
    let shift = |tmp: &mut [i32]| token_shift(xx.view(), state.att_x, mix, tmp);
    let ranks = (GateRank, Function::Sigmoid);
    low_rank(parts, ranks, product, pace, tmp, shift, hidden, &mut w)?;
    pace.part(|| copy(xx.view().m, state.att_x))?;
    let gated = |tmp: &mut [i32]| multiply(kk.first(channels), w.first(channels), tmp);
    pace.product(product, &parts.matrix(Embd, Embd), tmp, gated, xx)?;
    pace.part(|| add(x, xx.view()))
}

/// `out = up f(down x)` with the intermediate vector `hidden`, as long as the
/// rank; `fill` computes `x`.
#[allow(clippy::too_many_arguments)]
fn low_rank<P: Pace>(
    parts: &mut Parts<'_>,
    (rank, function): (Dim, Function),
    product: &mut Product<'_>,
    pace: &mut P,
    x: &mut [i32],
    fill: impl FnOnce(&mut [i32]) -> Peak,
    hidden: &mut [i32],
    out: &mut Vector<'_>,
) -> Result<(), P::Break> {
    let down = parts.matrix(rank, Embd);
    let up = parts.matrix(Embd, rank);
    let mut hidden = Vector(hidden);
    pace.product(product, &down, x, fill, &mut hidden)?;
    let exp = hidden.exp();
    let hidden = hidden.m().get_mut(..down.rows).unwrap_or_default();
    let applied = |hidden: &mut [i32]| apply(hidden, exp, function);
    pace.product(product, &up, hidden, applied, out)?;
    Ok(())
}

/// `v = v + (v_first - v) sigmoid(v0 + s)`, to base 2.
#[cfg_attr(kinglet_fast, inline(never))]
fn lean(v: &mut Vector<'_>, v_first: View<'_>, s: View<'_>, v0: &[i32]) {
    let exp = larger(v.exp(), v_first.exp);
    let [of_v, of_first] = [v.exp(), v_first.exp].map(|own| Shift::by(own - exp));
    let to_fixed = ToFixed::from(s.exp);
    let inputs = v_first.m.iter().zip(s.m.iter().zip(v0));
    for (v, (&first, (&s, &v0))) in v.m().iter_mut().zip(inputs) {
        let (own, first) = (of_v.of(*v), of_first.of(first));
        let share = (sigmoid(to_fixed.of(s).wrapping_add(v0)) >> 16) as i32;
        *v = own.wrapping_add(mulq(first.wrapping_sub(own) << 1, share));
    }
    v.set_exp(exp);
}

/// The logarithm of the decay to base 2, Q22: `-e^-0.5 log2(e) sigmoid(w0 + w)`.
#[cfg_attr(kinglet_fast, inline(never))]
fn decay(w: &mut Vector<'_>, w0: &[i32]) {
    let to_fixed = ToFixed::from(w.exp());
    for (w, &w0) in w.m().iter_mut().zip(w0) {
        let share = (sigmoid(to_fixed.of(*w).wrapping_add(w0)) >> 1) as i32;
        *w = -mulh(share, DECAY_SPEED);
    }
}

/// `kk = k k_k`, of length one in each head.
#[cfg_attr(kinglet_fast, inline(never))]
fn direction(k: View<'_>, k_k: Factors<'_>, size: usize, kk: &mut Vector<'_>) {
    times(k, k_k, kk.m());
    let exp = unit_length(size, kk.m());
    kk.set_exp(exp);
}

/// `a = sigmoid(a0 + a)`; then `k = k (1 + (a - 1) k_a)`, `a = a kk` and
/// `kk = -kk`: the inputs of the state.
#[cfg_attr(kinglet_fast, inline(never))]
fn learn(
    a: &mut Vector<'_>,
    a0: &[i32],
    k_a: Factors<'_>,
    k: &mut Vector<'_>,
    kk: &mut Vector<'_>,
) {
    let to_fixed = ToFixed::from(a.exp());
    // (a - 1) k_a in Q14, from Q15 times a factor.
    let of_less = Shift::by(k_a.exp + 15);
    let keys = k.m().iter_mut().zip(kk.m().iter_mut());
    for ((a, (k, kk)), (&a0, &k_a)) in a.m().iter_mut().zip(keys).zip(a0.iter().zip(k_a.m)) {
        let rate = (sigmoid(to_fixed.of(*a).wrapping_add(a0)) >> 16) as i32;
        let less = of_less.of(((rate - (1 << 15)) * i32::from(k_a)) >> 16);
        *k = mulq(*k, larger(smaller((1 << 14) + less, 32_767), -32_767));
        *a = mulq(*kk << 1, rate);
        *kk = kk.wrapping_neg();
    }
    a.set_exp(kk.exp());
    k.set_exp(k.exp() + 2);
}

/// The inputs of the heads, each `[C]`; `kk` with its sign changed.
struct DeltaInputs<'a> {
    r: View<'a>,
    w: &'a [i32],
    k: View<'a>,
    v: View<'a>,
    b: View<'a>,
    kk: View<'a>,
}

impl Inputs for DeltaInputs<'_> {
    fn of_head(&self, channels: Range<usize>) -> HeadInputs<'_> {
        let [r, k, v, b, kk] =
            [self.r, self.k, self.v, self.b, self.kk].map(|view| view.part(channels.clone()));
        HeadInputs {
            r,
            k,
            v,
            w: self.w.get(channels.clone()).unwrap_or_default(),
            of_v: dot(k, r),
            delta: Some((kk, b, dot(b, r))),
        }
    }
}

/// `y += (sum_j r[j] k[j] r_k[j]) v`, for each head; `y` gets another power of two.
/// `tmp` `[C]` and a word or two for each head are room.
#[cfg_attr(kinglet_fast, inline(never))]
fn add_bonus(
    [r, k, v]: [View<'_>; 3],
    r_k: Factors<'_>,
    size: usize,
    [exps, bonuses]: [&mut [i32]; 2],
    tmp: &mut [i32],
    y: &mut Vector<'_>,
) {
    let rk_exp = times(r, r_k, tmp);
    let keys = of_heads(tmp, size).zip(pieces(k.m, size));
    let mut exp = y.exp();
    for ((rk, k_m), (e, bonus)) in keys.zip(exps.iter_mut().zip(bonuses.iter_mut())) {
        let rk = View { m: rk, exp: rk_exp };
        let number: Number = dot(rk, View { m: k_m, exp: k.exp });
        (*bonus, *e) = (number.m, number.exp + v.exp + 16);
        exp = larger(exp, *e);
    }
    // Both have 29 bits.
    let exp = exp + 1;
    let of_y = Shift::by(y.exp() - exp);
    let heads = pieces_mut(y.m(), size).zip(pieces(v.m, size));
    for ((y, v), (&e, &bonus)) in heads.zip(exps.iter().zip(bonuses.iter())) {
        let of_v = Shift::by(e - exp);
        for (y, &v) in y.iter_mut().zip(v) {
            *y = of_y.of(*y).wrapping_add(of_v.of(mulq(v, bonus)));
        }
    }
    y.set_exp(exp);
}
