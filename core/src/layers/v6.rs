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
use super::heads::{read_and_update, Inputs, LayerState};
use super::pace::Pace;
use super::work::{Product, Work};
use crate::arch::{exp, group_norm, layer_norm, multiply_silu, tanh, token_shift};
use crate::image::Parts;
use crate::number::{abs_max, add_to, apply, copy, token_shift_less};
use crate::shape::v6::Mix;
use crate::shape::Dim::{DecayRank, Embd, ShiftRank, ShiftRanks};
use crate::shape::Shape;
use half::f16;

/// Advances one layer by one token: `work.x` is read and updated.
#[inline(never)]
pub(crate) fn layer<P: Pace>(
    shape: &Shape,
    parts: &mut Parts<'_>,
    state: &mut [f32],
    work: &mut Work<'_, '_>,
    pace: &mut P,
) -> Result<(), P::Break> {
    let mut state = LayerState::split(shape, state);
    time_mix(shape, parts, &mut state, work, pace)?;
    channel_mix::gated(parts, state.ffn_x, work, pace)
}

/// `x += out` as in RWKV-5.2, and the state advances by one token.
fn time_mix<P: Pace>(
    shape: &Shape,
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
        product,
        ..
    } = work;
    let Mix { w, k, v, z, m } = Mix::split(shape, wide);
    let affine = [parts.half(Embd), parts.half(Embd)];
    pace.part(|| layer_norm(x, affine[0], affine[1], xx))?;
    let (mix, w1) = (parts.half(Embd), parts.low_rank(ShiftRanks, Embd));
    let shift = |tmp: &mut [f32]| token_shift(xx, state.att_x, mix, tmp);
    pace.product(product, &w1, tmp, shift, z)?;
    pace.part(|| {
        apply(z, tanh);
    })?;
    let mut shifts = z.chunks_mut(shape.dim(ShiftRank).max(1));
    let mut next = || shifts.next().unwrap_or_default();
    let inputs = [xx, &*state.att_x];
    let mix = shift_mix(parts, next(), product, pace, m)?;
    // The hidden vector of the decay takes the place of the mix's part.
    let max = pace.find_max(|| token_shift_less(inputs, mix, m, tmp))?;
    let (w1, w2) = (
        parts.low_rank(DecayRank, Embd),
        parts.low_rank(Embd, DecayRank),
    );
    pace.product(product, &w1, tmp, |_| max, m)?;
    let hidden = m.get_mut(..w1.rows).unwrap_or_default();
    pace.product(product, &w2, hidden, |hidden| apply(hidden, tanh), w)?;
    let base = parts.single(Embd);
    pace.part(|| decay(w, base))?;
    for out in [&mut *k, &mut *v] {
        let mix = shift_mix(parts, next(), product, pace, m)?;
        let shift = |tmp: &mut [f32]| token_shift_less(inputs, mix, m, tmp);
        pace.product(product, &parts.keys(Embd, Embd), tmp, shift, out)?;
    }
    let mix = shift_mix(parts, next(), product, pace, m)?;
    let shift = |tmp: &mut [f32]| token_shift_less(inputs, mix, m, tmp);
    pace.product(product, &parts.matrix(Embd, Embd), tmp, shift, r)?;
    let u = parts.single(Embd);
    let heads = Inputs { w, u, r, k, v };
    read_and_update(&mut state.matrices, shape.head_size(), &heads, tmp, pace)?;
    let affine = [parts.half(Embd), parts.half(Embd)];
    // From here on r, k and v are free to be reused.
    let normed = r.get_mut(..tmp.len()).unwrap_or_default();
    pace.part(|| group_norm(tmp, shape.head_size(), shape.gn_eps, affine, normed))?;
    let mix = shift_mix(parts, next(), product, pace, m)?;
    let g = k;
    let shift = |tmp: &mut [f32]| token_shift_less(inputs, mix, m, tmp);
    pace.product(product, &parts.matrix(Embd, Embd), tmp, shift, g)?;
    pace.part(|| copy(xx, state.att_x))?;
    let gated = |tmp: &mut [f32]| multiply_silu(normed, g, tmp);
    pace.product(product, &parts.matrix(Embd, Embd), tmp, gated, xx)?;
    pace.part(|| add_to(x, xx))
}

/// `m = w2_q z_q`, the part that `z` `[R]` adds to the mix of a token shift;
/// returns the mix, which is stored next.
fn shift_mix<'i, P: Pace>(
    parts: &mut Parts<'i>,
    z: &mut [f32],
    product: &mut Product<'_>,
    pace: &mut P,
    m: &mut [f32],
) -> Result<&'i [f16], P::Break> {
    let matrix = parts.low_rank(Embd, ShiftRank);
    pace.product(product, &matrix, z, |z| abs_max(z), m)?;
    Ok(parts.half(Embd))
}

/// `w = exp(-exp(base + w))`.
#[cfg_attr(kinglet_fast, inline(never))]
fn decay(w: &mut [f32], base: &[f32]) {
    for (w, &base) in w.iter_mut().zip(base) {
        *w = exp(-exp(*w + base));
    }
}
