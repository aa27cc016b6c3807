//! RWKV-5 "Eagle": the recurrent step of one layer (Peng et al., *Eagle and
//! Finch*, arXiv 2404.05892). The state is a matrix per head.
//!
//! ```text
//! x_q    = att_x + (xx - att_x) mix_q                for q in k, v, r, g
//! y[j]   = sum_i r[i] (u[i] k[i] v[j] + S[i,j])      with the old S
//! S[i,j] = k[i] v[j] + w[i] S[i,j]
//! out    = output (group_norm(y) * silu(g))
//! ```
//!
//! | letter | shape | meaning |
//! |---|---|---|
//! | x | \[C\] | residual stream |
//! | xx | \[C\] | its layer norm, the input of a block |
//! | r, k, v | \[C\] | receptance, key, value: a part of N channels for each head |
//! | g | \[C\] | gate; RWKV-5.0 has none |
//! | w | \[C\] | decay per token, `exp(-exp(time_decay))`, by key channel, in \[0, 1\] |
//! | u | \[C\] | bonus of the current token, by key channel |
//! | S | \[H, N, N\] | state, by key and value channel |
//!
//! The group norm takes each head's `y` `[N]` alone. Where there is no gate,
//! `out` is `output group_norm(y)`.

use super::channel_mix;
use super::heads::{read_and_update, Inputs, LayerState};
use super::pace::Pace;
use super::work::Work;
use crate::arch::{group_norm, layer_norm, multiply_silu, token_shift};
use crate::image::Parts;
use crate::number::{abs_max, add_to, copy};
use crate::shape::v5::Mix;
use crate::shape::Dim::Embd;
use crate::shape::{Shape, Version};

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

/// `x += out`, and the state advances by one token.
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
    let Mix { k, v } = Mix::split(shape, wide);
    let affine = [parts.half(Embd), parts.half(Embd)];
    pace.part(|| layer_norm(x, affine[0], affine[1], xx))?;
    for out in [&mut *k, &mut *v] {
        let (mix, matrix) = (parts.half(Embd), parts.keys(Embd, Embd));
        let shift = |tmp: &mut [f32]| token_shift(xx, state.att_x, mix, tmp);
        pace.product(product, &matrix, tmp, shift, out)?;
    }
    let (mix, receptance) = (parts.half(Embd), parts.matrix(Embd, Embd));
    let shift = |tmp: &mut [f32]| token_shift(xx, state.att_x, mix, tmp);
    pace.product(product, &receptance, tmp, shift, r)?;
    let inputs = Inputs {
        w: parts.single(Embd),
        u: parts.single(Embd),
        r,
        k,
        v,
    };
    read_and_update(&mut state.matrices, shape.head_size(), &inputs, tmp, pace)?;
    let affine = [parts.half(Embd), parts.half(Embd)];
    // From here on r, k and v are free to be reused.
    let normed = r.get_mut(..tmp.len()).unwrap_or_default();
    pace.part(|| group_norm(tmp, shape.head_size(), shape.gn_eps, affine, normed))?;
    let has_gate = shape.version == Version::V52;
    let g = k;
    if has_gate {
        let (mix, gate) = (parts.half(Embd), parts.matrix(Embd, Embd));
        let shift = |tmp: &mut [f32]| token_shift(xx, state.att_x, mix, tmp);
        pace.product(product, &gate, tmp, shift, g)?;
    }
    pace.part(|| copy(xx, state.att_x))?;
    let gated = |tmp: &mut [f32]| {
        if has_gate {
            return multiply_silu(normed, g, tmp);
        }
        copy(normed, tmp);
        abs_max(tmp)
    };
    pace.product(product, &parts.matrix(Embd, Embd), tmp, gated, xx)?;
    pace.part(|| add_to(x, xx))
}
