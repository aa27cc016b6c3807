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
use crate::arch::{add_gated, layer_norm, relu_squared, token_shift};
use crate::image::Parts;
use crate::number::{add_to, copy, AbsMax};
use crate::shape::Dim::{Embd, Ffn};

/// `x += sigmoid(r) * value(key)`; `ffn_x` `[C]` is the state.
pub(crate) fn gated<P: Pace>(
    parts: &mut Parts<'_>,
    ffn_x: &mut [f32],
    work: &mut Work<'_, '_>,
    pace: &mut P,
) -> Result<(), P::Break> {
    let Work {
        x,
        xx,
        tmp,
        r,
        wide: hidden,
        product,
        ..
    } = work;
    let affine = [parts.half(Embd), parts.half(Embd)];
    pace.part(|| layer_norm(x, affine[0], affine[1], xx))?;
    let (mix, key) = (parts.half(Embd), parts.matrix(Ffn, Embd));
    let shift = |tmp: &mut [f32]| token_shift(xx, ffn_x, mix, tmp);
    pace.product(product, &key, tmp, shift, hidden)?;
    let (mix, receptance) = (parts.half(Embd), parts.matrix(Embd, Embd));
    let shift = |tmp: &mut [f32]| token_shift(xx, ffn_x, mix, tmp);
    pace.product(product, &receptance, tmp, shift, r)?;
    pace.part(|| copy(xx, ffn_x))?;
    let value = parts.matrix(Embd, Ffn);
    let hidden = hidden.get_mut(..value.cols).unwrap_or_default();
    pace.product(product, &value, hidden, relu_squared, xx)?;
    pace.channels(x.len(), |range| {
        if P::WHOLE {
            add_gated(x, r, xx);
        } else if let Some(x) = x.get_mut(range.clone()) {
            let (r, xx) = (r.get(range.clone()), xx.get(range));
            add_gated(x, r.unwrap_or_default(), xx.unwrap_or_default());
        }
        AbsMax::ZERO
    })?;
    Ok(())
}

/// `x += value(key)`; `ffn_x` `[C]` is the state.
pub(crate) fn plain<P: Pace>(
    parts: &mut Parts<'_>,
    ffn_x: &mut [f32],
    work: &mut Work<'_, '_>,
    pace: &mut P,
) -> Result<(), P::Break> {
    let Work {
        x,
        xx,
        tmp,
        wide: hidden,
        product,
        ..
    } = work;
    let affine = [parts.half(Embd), parts.half(Embd)];
    pace.part(|| layer_norm(x, affine[0], affine[1], xx))?;
    let (mix, key) = (parts.half(Embd), parts.matrix(Ffn, Embd));
    let shift = |tmp: &mut [f32]| token_shift(xx, ffn_x, mix, tmp);
    pace.product(product, &key, tmp, shift, hidden)?;
    pace.part(|| copy(xx, ffn_x))?;
    let value = parts.matrix(Embd, Ffn);
    let hidden = hidden.get_mut(..value.cols).unwrap_or_default();
    pace.product(product, &value, hidden, relu_squared, xx)?;
    pace.part(|| add_to(x, xx))
}
