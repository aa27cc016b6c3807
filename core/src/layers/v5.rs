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
use super::heads::{bonus, heads, BonusInputs};
use super::pace::Pace;
use super::work::Work;
use crate::arch::{group_norm, layer_norm, token_shift, Epsilon};
use crate::image::Parts;
use crate::number::{add, copy, multiply_silu, Peak, Vector, View};
use crate::shape::v5::Mix;
use crate::shape::vectors::HeadState;
use crate::shape::Dim::Embd;
use crate::shape::{Shape, Version};

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

/// `x += out`, and the state advances by one token.
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
        k,
        v,
        ru,
        exps,
        room,
    } = Mix::split(shape, wide);
    let channels = tmp.len();
    let (mut k, mut v) = (Vector(k), Vector(v));
    let affine = [parts.factors(Embd), parts.factors(Embd)];
    pace.part(|| layer_norm(x.view(), affine, xx))?;
    for out in [&mut k, &mut v] {
        let mix = parts.factors(Embd);
        let matrix = parts.matrix(Embd, Embd);
        let shift = |tmp: &mut [i32]| token_shift(xx.view(), state.att_x, mix, tmp);
        pace.product(product, &matrix, tmp, shift, out)?;
    }
    let mix = parts.factors(Embd);
    let receptance = parts.matrix(Embd, Embd);
    let shift = |tmp: &mut [i32]| token_shift(xx.view(), state.att_x, mix, tmp);
    pace.product(product, &receptance, tmp, shift, r)?;
    let (w, u) = (parts.fixed(Embd), parts.factors(Embd));
    let exp = r.exp() + u.exp + 16;
    pace.part(|| {
        bonus(r.view(), u, ru);
    })?;
    let inputs = BonusInputs {
        r: r.first(channels),
        k: k.first(channels),
        v: v.first(channels),
        w,
        ru: View { m: ru, exp },
    };
    heads(shape, state, &inputs, room, (tmp, exps), pace)?;
    let affine = [parts.factors(Embd), parts.factors(Embd)];
    // From here on r, k and v are free to be reused.
    let epsilon = Epsilon::from_f32(shape.gn_eps);
    pace.part(|| group_norm(tmp, exps, epsilon, affine, r))?;
    let has_gate = shape.version == Version::V52;
    let mut g = k;
    if has_gate {
        let mix = parts.factors(Embd);
        let gate = parts.matrix(Embd, Embd);
        let shift = |tmp: &mut [i32]| token_shift(xx.view(), state.att_x, mix, tmp);
        pace.product(product, &gate, tmp, shift, &mut g)?;
    }
    pace.part(|| copy(xx.view().m, state.att_x))?;
    let normed = r.first(channels);
    let gated = |tmp: &mut [i32]| {
        if has_gate {
            return multiply_silu(normed, g.view(), tmp);
        }
        copy(normed.m, tmp);
        Peak::of(normed)
    };
    pace.product(product, &parts.matrix(Embd, Embd), tmp, gated, xx)?;
    pace.part(|| add(x, xx.view()))
}
