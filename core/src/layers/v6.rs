//! RWKV-6 "Finch": the recurrent step of one layer (Peng et al., *Eagle and
//! Finch*, arXiv 2404.05892). As RWKV-5.2, but the token shift and the decay
//! depend on the data, through low-rank matrices.
//!
//! ```text
//! z   = tanh(w1 (x + (p - x) maa_x)), five vectors of R
//! x_q = x + (p - x) (maa_q + w2_q z_q)            for q in w, k, v, r, g
//! w   = exp(-exp(time_decay + decay_w2 tanh(decay_w1 x_w)))
//! ```
//!
//! | letter | shape | meaning |
//! |---|---|---|
//! | x | \[C\] | residual stream |
//! | xx, p | \[C\] | its layer norm, and that of the token before |
//! | z | \[5 R\] | low-rank input of the token shift |
//! | m | \[C\] | data-dependent part of a mix; also the hidden vector of the decay, \[D\] |
//! | r, k, v, g | \[C\] | receptance, key, value, gate |
//! | w | \[C\] | decay of this token, by key channel, in \[0, 1\] |
//! | u | \[C\] | bonus of the current token, by key channel |
//!
//! `p` is `att_x` of the state. The image holds `1 - maa_q`, the weight of the
//! current token: `x_q = p + (x - p) (mix_q - m_q)`. R and D are the ranks of
//! shift and decay.

use super::channel_mix;
use super::heads::{bonus, heads, BonusInputs};
use super::pace::Pace;
use super::work::{Product, Work};
use crate::arch::{group_norm, layer_norm, token_shift, Epsilon, LEAST_DECAY};
use crate::image::Parts;
use crate::number::{
    add, apply, copy, exp2, larger, multiply_silu, token_shift_less, Factors, Function, Peak,
    ToFixed, Vector, View,
};
use crate::shape::v6::Mix;
use crate::shape::vectors::HeadState;
use crate::shape::Dim::{DecayRank, Embd, ShiftRank, ShiftRanks};
use crate::shape::Shape;

/// Advances one layer by one token: `work.x` is read and updated.
#[inline(never)]
pub(crate) fn layer<P: Pace>(
    shape: &Shape,
    parts: &mut Parts<'_>,
    state: &mut [i32],
    work: &mut Work<'_, '_>,
    pace: &mut P,
) -> Result<(), P::Break> {
    let mut state = HeadState::split(shape, state);
    time_mix(shape, parts, &mut state, work, pace)?;
    channel_mix::gated(parts, state.ffn_x, work, pace)
}

/// `x += out` as in RWKV-5.2, and the state advances by one token.
fn time_mix<P: Pace>(
    shape: &Shape,
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
        product,
        ..
    } = work;
    let Mix {
        w,
        k,
        v,
        z,
        m,
        exps,
        room,
    } = Mix::split(shape, wide);
    let channels = tmp.len();
    let [mut w, mut k, mut v, mut z, mut m] = [w, k, v, z, m].map(Vector);
    let affine = [parts.factors(Embd), parts.factors(Embd)];
    pace.part(|| layer_norm(x.view(), affine, xx))?;
    let mix = parts.factors(Embd);
    let w1 = parts.matrix(ShiftRanks, Embd);
    let shift = |tmp: &mut [i32]| token_shift(xx.view(), state.att_x, mix, tmp);
    pace.product(product, &w1, tmp, shift, &mut z)?;
    pace.part(|| {
        let exp = z.exp();
        apply(z.m(), exp, Function::Tanh);
    })?;
    let mut shifts = z.m().chunks_mut(shape.dim(ShiftRank).max(1));
    let mut next = || shifts.next().unwrap_or_default();
    let mix = shift_mix(parts, next(), product, pace, &mut m)?;
    // The hidden vector of the decay takes the place of the mix's part.
    let peak = pace.find_max(|| token_shift_less(xx.view(), state.att_x, mix, m.view(), tmp))?;
    let w1 = parts.matrix(DecayRank, Embd);
    let w2 = parts.matrix(Embd, DecayRank);
    pace.product(product, &w1, tmp, |_| peak, &mut m)?;
    let exp = m.exp();
    let hidden = m.m().get_mut(..w1.rows).unwrap_or_default();
    let function = |hidden: &mut [i32]| apply(hidden, exp, Function::Tanh);
    pace.product(product, &w2, hidden, function, &mut w)?;
    let base = parts.fixed(Embd);
    pace.part(|| decay(&mut w, base))?;
    for out in [&mut k, &mut v] {
        let mix = shift_mix(parts, next(), product, pace, &mut m)?;
        let shift = |tmp: &mut [i32]| token_shift_less(xx.view(), state.att_x, mix, m.view(), tmp);
        pace.product(product, &parts.matrix(Embd, Embd), tmp, shift, out)?;
    }
    let mix = shift_mix(parts, next(), product, pace, &mut m)?;
    let shift = |tmp: &mut [i32]| token_shift_less(xx.view(), state.att_x, mix, m.view(), tmp);
    pace.product(product, &parts.matrix(Embd, Embd), tmp, shift, r)?;
    let u = parts.factors(Embd);
    let exp = r.exp() + u.exp + 16;
    pace.part(|| {
        bonus(r.view(), u, m.m());
    })?;
    let inputs = BonusInputs {
        r: r.first(channels),
        k: k.first(channels),
        v: v.first(channels),
        w: w.first(channels).m,
        ru: View {
            exp,
            ..m.first(channels)
        },
    };
    heads(shape, state, &inputs, room, (tmp, exps), pace)?;
    let affine = [parts.factors(Embd), parts.factors(Embd)];
    // From here on r, k and v are free to be reused.
    let epsilon = Epsilon::from_f32(shape.gn_eps);
    pace.part(|| group_norm(tmp, exps, epsilon, affine, r))?;
    let mix = shift_mix(parts, next(), product, pace, &mut m)?;
    let mut g = k;
    let shift = |tmp: &mut [i32]| token_shift_less(xx.view(), state.att_x, mix, m.view(), tmp);
    pace.product(product, &parts.matrix(Embd, Embd), tmp, shift, &mut g)?;
    pace.part(|| copy(xx.view().m, state.att_x))?;
    let normed = r.first(channels);
    let gated = |tmp: &mut [i32]| multiply_silu(normed, g.view(), tmp);
    pace.product(product, &parts.matrix(Embd, Embd), tmp, gated, xx)?;
    pace.part(|| add(x, xx.view()))
}

/// `m = w2_q z_q`, the part that `z` `[R]`, Q29, adds to the mix of a token shift;
/// returns the mix, which is stored next.
fn shift_mix<'i, P: Pace>(
    parts: &mut Parts<'i>,
    z: &mut [i32],
    product: &mut Product<'_>,
    pace: &mut P,
    m: &mut Vector<'_>,
) -> Result<Factors<'i>, P::Break> {
    let matrix = parts.matrix(Embd, ShiftRank);
    let peak = |z: &mut [i32]| Peak::of(View { m: z, exp: -29 });
    pace.product(product, &matrix, z, peak, m)?;
    Ok(parts.factors(Embd))
}

/// The logarithm of the decay, `log2(exp(-exp(base + w)))`, in Q22. With what is
/// folded into base and `w`, it is `-2^(base + w)`.
#[cfg_attr(kinglet_fast, inline(never))]
fn decay(w: &mut Vector<'_>, base: &[i32]) {
    let to_fixed = ToFixed::from(w.exp());
    for (w, &base) in w.m().iter_mut().zip(base) {
        // 2^x = 2^5 2^(x - 5).
        let less = (5 << 22) - to_fixed.of(*w).wrapping_add(base);
        let power = exp2(less.max(0) as u32);
        let speed = (power.fraction >> 3 >> power.halvings) as i32;
        *w = larger(-speed, LEAST_DECAY);
    }
}
