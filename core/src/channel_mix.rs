//! The channel mix, which versions 4 to 6 share but for how the mix is
//! named; RWKV-7 drops its gate.
//!
//! ```text
//! out = sigmoid(receptance xr) * (value max(key xk, 0)^2)
//! ```

use crate::image::Dim::{Embd, Ffn};
use crate::image::Parts;
use crate::kernels::Executor;
#[cfg(any(feature = "v4", feature = "v5", feature = "v6"))]
use crate::math::add_gated;
#[cfg(feature = "v7")]
use crate::math::add_to;
use crate::math::{copy, layer_norm, relu_squared, token_shift};
use crate::scratch::Work;

/// `x += sigmoid(r) * value(key)`; `ffn_x` `[C]` is the state.
#[cfg(any(feature = "v4", feature = "v5", feature = "v6"))]
pub(crate) fn gated(
    parts: &mut Parts<'_>,
    ffn_x: &mut [f32],
    work: &mut Work<'_, '_>,
    executor: &mut impl Executor,
) {
    let Work {
        x,
        xx,
        tmp,
        r,
        wide: hidden,
        product,
        ..
    } = work;
    layer_norm(x, parts.half(Embd), parts.half(Embd), xx);
    let max = token_shift(xx, ffn_x, parts.half(Embd), tmp);
    product.of(&parts.matrix(Ffn, Embd), tmp, max, executor, hidden);
    let max = token_shift(xx, ffn_x, parts.half(Embd), tmp);
    product.of(&parts.matrix(Embd, Embd), tmp, max, executor, r);
    copy(xx, ffn_x);
    let value = parts.matrix(Embd, Ffn);
    let hidden = hidden.get_mut(..value.cols).unwrap_or_default();
    let max = relu_squared(hidden);
    product.of(&value, hidden, max, executor, xx);
    add_gated(x, r, xx);
}

/// `x += value(key)`; `ffn_x` `[C]` is the state.
#[cfg(feature = "v7")]
pub(crate) fn plain(
    parts: &mut Parts<'_>,
    ffn_x: &mut [f32],
    work: &mut Work<'_, '_>,
    executor: &mut impl Executor,
) {
    let Work {
        x,
        xx,
        tmp,
        wide: hidden,
        product,
        ..
    } = work;
    layer_norm(x, parts.half(Embd), parts.half(Embd), xx);
    let max = token_shift(xx, ffn_x, parts.half(Embd), tmp);
    product.of(&parts.matrix(Ffn, Embd), tmp, max, executor, hidden);
    copy(xx, ffn_x);
    let value = parts.matrix(Embd, Ffn);
    let hidden = hidden.get_mut(..value.cols).unwrap_or_default();
    let max = relu_squared(hidden);
    product.of(&value, hidden, max, executor, xx);
    add_to(x, xx);
}
