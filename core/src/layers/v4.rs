//! RWKV-4: the recurrent step of one layer (Peng et al., arXiv 2305.13048,
//! section 3 and its appendix on the numerically stable recurrence). The state
//! is a weighted average of the values of all tokens before, for each channel.
//!
//! ```text
//! x_q = att_x + (xx - att_x) mix_q                   for q in k, v, r
//! wkv = (e1 aa + e2 v) / (e1 bb + e2),  e1 = e^(pp - q), e2 = e^(u + k - q),
//!                                        q = max(pp, u + k)
//! out = output (sigmoid(r) * wkv)
//! aa  = e1 aa + e2 v,  bb = e1 bb + e2,  pp = q,
//!        with e1 = e^(pp + w - q), e2 = e^(k - q), q = max(pp + w, k)
//! ```
//!
//! | letter | shape | meaning |
//! |---|---|---|
//! | x | \[C\] | residual stream |
//! | xx | \[C\] | its layer norm, the input of a block |
//! | r, k, v | \[C\] | receptance, key, value |
//! | w | \[C\] | decay per token in log space, `-exp(time_decay)`, at most 0 |
//! | u | \[C\] | bonus of the current token, `time_first` |
//! | aa, bb | \[C\] | numerator and denominator of the weighted average |
//! | pp | \[C\] | largest exponent so far: aa and bb are scaled by `e^-pp` |

use super::channel_mix;
use super::pace::Pace;
use super::work::Work;
use crate::arch::{exp, layer_norm, token_shift};
use crate::image::Parts;
use crate::number::{add_to, copy, AbsMax};
use crate::shape::v4::{Mix, State};
use crate::shape::Dim::Embd;
use crate::shape::Shape;
use core::ops::Range;

/// The exponent of an empty state: below every key.
const PP_START: f32 = -1e30;

/// Makes the state of one layer, all zeros, that of an empty text.
pub(crate) fn reset(shape: &Shape, state: &mut [f32]) {
    State::split(shape, state).pp.fill(PP_START);
}

/// Advances one layer by one token: `work.x` is read and updated.
#[inline(never)]
pub(crate) fn layer<P: Pace>(
    shape: &Shape,
    parts: &mut Parts<'_>,
    state: &mut [f32],
    work: &mut Work<'_, '_>,
    pace: &mut P,
) -> Result<(), P::Break> {
    let mut state = State::split(shape, state);
    time_mix(shape, parts, &mut state, work, pace)?;
    channel_mix::gated(parts, state.ffn_x, work, pace)
}

/// `x += output(sigmoid(r) * wkv)`, and the state advances by one token.
fn time_mix<P: Pace>(
    shape: &Shape,
    parts: &mut Parts<'_>,
    state: &mut State<'_>,
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
    for out in [&mut *k, &mut *v, &mut *r] {
        let (mix, matrix) = (parts.half(Embd), parts.matrix(Embd, Embd));
        let shift = |tmp: &mut [f32]| token_shift(xx, state.att_x, mix, tmp);
        pace.product(product, &matrix, tmp, shift, out)?;
    }
    let (w, u) = (parts.single(Embd), parts.single(Embd));
    pace.part(|| copy(xx, state.att_x))?;
    let max = pace.channels(tmp.len(), |range| {
        weighted_average::<P>(state, w, u, [k, v, r], tmp, range)
    })?;
    pace.product(product, &parts.matrix(Embd, Embd), tmp, |_| max, xx)?;
    pace.part(|| add_to(x, xx))
}

/// `out = sigmoid(r) * wkv`, and the state advances by one token, for a range
/// of channels.
// As a separate function it keeps its constants in registers.
#[cfg_attr(kinglet_fast, inline(never))]
fn weighted_average<P: Pace>(
    state: &mut State<'_>,
    w: &[f32],
    u: &[f32],
    [k, v, r]: [&[f32]; 3],
    out: &mut [f32],
    range: Range<usize>,
) -> AbsMax {
    let average = state
        .aa
        .iter_mut()
        .zip(state.bb.iter_mut())
        .zip(state.pp.iter_mut());
    let inputs = k.iter().zip(v).zip(r).zip(w.iter().zip(u));
    let channels = out.iter_mut().zip(average).zip(inputs);
    if P::WHOLE {
        each_average(channels)
    } else {
        each_average(channels.skip(range.start).take(range.len()))
    }
}

/// A channel: its output, aa, bb and pp, and k, v, r, w and u.
type Channel<'a> = (
    (&'a mut f32, ((&'a mut f32, &'a mut f32), &'a mut f32)),
    (((&'a f32, &'a f32), &'a f32), (&'a f32, &'a f32)),
);

#[inline(always)]
fn each_average<'a>(channels: impl Iterator<Item = Channel<'a>>) -> AbsMax {
    let mut max = AbsMax::default();
    for ((out, ((aa, bb), pp)), (((&k, &v), &r), (&w, &u))) in channels {
        let (e1, e2) = relative_weights(*pp, u + k);
        let numerator = e1 * *aa + e2 * v;
        let denominator = e1 * *bb + e2;
        // One division for the average and the sigmoid of r.
        *out = numerator / (denominator * (1.0 + exp(-r)));
        max.see(*out);

        let decayed = *pp + w;
        let (e1, e2) = relative_weights(decayed, k);
        *aa = e1 * *aa + e2 * v;
        *bb = e1 * *bb + e2;
        *pp = if k > decayed { k } else { decayed };
    }
    max
}

/// `(e^(a - q), e^(b - q))` with `q = max(a, b)`: one of the two is 1.
#[inline(always)]
fn relative_weights(a: f32, b: f32) -> (f32, f32) {
    let difference = b - a;
    let smaller = exp(-difference.abs());
    if difference > 0.0 {
        (smaller, 1.0)
    } else {
        (1.0, smaller)
    }
}
