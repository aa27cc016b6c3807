//! The channel mix. Versions 4 to 6 share it, with other names for the mix;
//! RWKV-7 drops its gate.
//!
//! ```text
//! xx  = layer_norm(x)
//! x_q = ffn_x + (xx - ffn_x) mix_q            for q in k, r
//! out = sigmoid(receptance x_r) * (value max(key x_k, 0)^2)      RWKV-4 to 6
//! out = value max(key x_k, 0)^2                                  RWKV-7
//! ```
//!
//! `key` is `[F, C]`, `value` `[C, F]`, `receptance` `[C, C]`; `ffn_x` `[C]`
//! holds `xx` of the token before and becomes that of this one. The mix is
//! `time_mix_*` in RWKV-4 and 5, one minus `time_maa_*` in RWKV-6, one minus
//! `x_k` in RWKV-7.

use super::pace::Pace;
use super::work::Work;
use crate::arch::{layer_norm, relu_squared, token_shift};
use crate::image::Parts;
use crate::number::{add, add_gated, copy, Peak, Vector};
use crate::shape::Dim::{Embd, Ffn};

/// `x += sigmoid(r) * value(key)`; `ffn_x` `[C]` is the state. r is to base 2.
pub(crate) fn gated<P: Pace>(
    parts: &mut Parts<'_>,
    ffn_x: &mut [i32],
    work: &mut Work<'_, '_>,
    pace: &mut P,
) -> Result<(), P::Break> {
    hidden(parts, ffn_x, work, pace)?;
    let Work {
        xx,
        tmp,
        r,
        product,
        ..
    } = work;
    let mix = parts.factors(Embd);
    let receptance = parts.matrix(Embd, Embd);
    let shift = |tmp: &mut [i32]| token_shift(xx.view(), ffn_x, mix, tmp);
    pace.product(product, &receptance, tmp, shift, r)?;
    value(parts, ffn_x, work, pace)?;
    let Work { x, xx, r, .. } = work;
    // One part, though a channel is costly: the sum has a power of two for all.
    pace.part(|| add_gated(x, r.view(), xx.view()))
}

/// `x += value(key)`; `ffn_x` `[C]` is the state.
pub(crate) fn plain<P: Pace>(
    parts: &mut Parts<'_>,
    ffn_x: &mut [i32],
    work: &mut Work<'_, '_>,
    pace: &mut P,
) -> Result<(), P::Break> {
    hidden(parts, ffn_x, work, pace)?;
    value(parts, ffn_x, work, pace)?;
    let Work { x, xx, .. } = work;
    pace.part(|| add(x, xx.view()))
}

/// The norm of `x`, and the hidden channels before their function.
fn hidden<P: Pace>(
    parts: &mut Parts<'_>,
    ffn_x: &[i32],
    work: &mut Work<'_, '_>,
    pace: &mut P,
) -> Result<(), P::Break> {
    let Work {
        x,
        xx,
        tmp,
        wide,
        product,
        ..
    } = work;
    let affine = [parts.factors(Embd), parts.factors(Embd)];
    pace.part(|| layer_norm(x.view(), affine, xx))?;
    let mix = parts.factors(Embd);
    let key = parts.matrix(Ffn, Embd);
    let shift = |tmp: &mut [i32]| token_shift(xx.view(), ffn_x, mix, tmp);
    pace.product(product, &key, tmp, shift, &mut Vector(wide))?;
    Ok(())
}

/// `xx = value max(hidden, 0)^2`, after `ffn_x` has become `xx`.
fn value<P: Pace>(
    parts: &mut Parts<'_>,
    ffn_x: &mut [i32],
    work: &mut Work<'_, '_>,
    pace: &mut P,
) -> Result<(), P::Break> {
    let Work {
        xx, wide, product, ..
    } = work;
    pace.part(|| copy(xx.view().m, ffn_x))?;
    let value = parts.matrix(Embd, Ffn);
    let mut hidden = Vector(wide);
    let exp = hidden.exp();
    let hidden = hidden.m();
    let hidden = hidden.get_mut(..value.cols).unwrap_or_default();
    let square = |hidden: &mut [i32]| -> Peak { relu_squared(hidden, exp) };
    pace.product(product, &value, hidden, square, xx)?;
    Ok(())
}
