//! RWKV-4: the recurrent step of one layer (Peng et al., arXiv 2305.13048,
//! section 3). The state is a weighted average of the values of all tokens
//! before, for each channel, and the logarithm of its weight.
//!
//! ```text
//! x_q = att_x + (xx - att_x) mix_q                  for q in k, v, r
//! wkv = A + (v - A) sigmoid(k + u - L)
//! out = output (sigmoid(r) * wkv)
//! A   = A + (v - A) sigmoid(k - L - w),  L = log(e^(L + w) + e^k)
//! ```
//!
//! With the numerator aa, the denominator bb and the largest exponent pp of the
//! paper, `A = aa / bb` and `L = log(bb) + pp`: two words in place of three,
//! and nothing to divide.
//!
//! | letter | shape | meaning |
//! |---|---|---|
//! | x | \[C\] | residual stream |
//! | xx | \[C\] | its layer norm, the input of a block |
//! | r, k, v | \[C\] | receptance, key, value |
//! | w | \[C\] | decay per token in log space, `-exp(time_decay)`, at most 0 |
//! | u | \[C\] | bonus of the current token, `time_first` |
//! | A | \[C\] | average of the values so far |
//! | L | \[C\] | logarithm of its weight |
//!
//! All logarithms, and r, are to base 2: the image holds w and u so, and the
//! scales of the matrices that give k and r.

use super::channel_mix;
use super::pace::Pace;
use super::work::Work;
use crate::arch::{layer_norm, token_shift};
use crate::image::Parts;
use crate::number::{
    add, copy, exp2, log2_of_sum, magnitude, mulq, sigmoid, Peak, Shift, ToFixed, Vector, View,
};
use crate::shape::v4::{Mix, State};
use crate::shape::Dim::Embd;
use crate::shape::Shape;
use core::ops::Range;

/// The logarithm of no weight at all: below every key.
const NOTHING: i32 = -1 << 30;

/// The power of two of an average of nothing: below that of every value.
const LOWEST: i32 = -4096;

/// Makes the state of one layer, all zeros, that of an empty text.
pub(crate) fn reset(shape: &Shape, state: &mut [i32]) {
    let state = State::split(shape, state);
    state.weight.fill(NOTHING);
    Vector(state.average).set_exp(LOWEST);
}

/// Advances one layer by one token: `work.x` is read and updated.
#[inline(never)]
pub(crate) fn layer<P: Pace>(
    shape: &Shape,
    parts: &mut Parts<'_>,
    state: &mut [i32],
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
    let (mut k, mut v, mut r) = (Vector(k), Vector(v), Vector(r.0));
    let affine = [parts.factors(Embd), parts.factors(Embd)];
    pace.part(|| layer_norm(x.view(), affine, xx))?;
    for out in [&mut k, &mut v, &mut r] {
        let (mix, matrix) = (parts.factors(Embd), parts.matrix(Embd, Embd));
        let shift = |tmp: &mut [i32]| token_shift(xx.view(), state.att_x, mix, tmp);
        pace.product(product, &matrix, tmp, shift, out)?;
    }
    let (w, u) = (parts.fixed(Embd), parts.fixed(Embd));
    let mut average = Vector(state.average);
    pace.part(|| {
        copy(xx.view().m, state.att_x);
        make_room(&mut average, v.exp());
    })?;
    let peak = pace.channels(tmp.len(), |range| {
        let inputs = [k.view(), v.view(), r.view()];
        weighted_average::<P>(&mut average, state.weight, [w, u], inputs, tmp, range)
    })?;
    pace.product(product, &parts.matrix(Embd, Embd), tmp, |_| peak, xx)?;
    pace.part(|| add(x, xx.view()))
}

/// Raises the power of two of the averages to that of the values, if it is
/// lower: an average never leaves the range of its values.
fn make_room(average: &mut Vector<'_>, exp: i32) {
    let places = (exp - average.exp()).clamp(0, 31);
    let half = (1 << places) >> 1;
    for a in average.m() {
        *a = a.wrapping_add(half) >> places;
    }
    average.set_exp(average.exp().max(exp));
}

/// `out = sigmoid(r) * wkv`, and the state advances by one token, for a range
/// of channels.
// As a separate function it keeps its constants in registers.
#[cfg_attr(kinglet_fast, inline(never))]
fn weighted_average<P: Pace>(
    average: &mut Vector<'_>,
    weight: &mut [i32],
    [w, u]: [&[i32]; 2],
    [k, v, r]: [View<'_>; 3],
    out: &mut [i32],
    range: Range<usize>,
) -> Peak {
    let exp = average.exp();
    let of_v = Shift::by(v.exp - exp);
    let [of_k, of_r] = [k, r].map(|vector| ToFixed::from(vector.exp));
    let inputs = k.m.iter().zip(v.m).zip(r.m).zip(w.iter().zip(u));
    let state = average.m().iter_mut().zip(weight);
    let channels = out.iter_mut().zip(state).zip(inputs);
    let mut max = 0;
    let one = |((out, (a, l)), (((&k, &v), &r), (&w, &u))): Channel<'_>| {
        let (k, v) = (of_k.of(k), of_v.of(v));
        let wkv = leaned(*a, v, k + u - *l);
        let share = (sigmoid(of_r.of(r)) >> 16) as i32;
        *out = mulq(wkv << 1, share);
        max = magnitude(*out).max(max);

        let decayed = *l + w;
        *a = leaned(*a, v, k - decayed);
        *l = k.max(decayed) + log2_of_sum(exp2((k - decayed).unsigned_abs()));
    };
    if P::WHOLE {
        channels.for_each(one);
    } else {
        channels.skip(range.start).take(range.len()).for_each(one);
    }
    Peak { max, exp }
}

/// A channel: its output, A and L, and k, v, r, w and u.
type Channel<'a> = (
    (&'a mut i32, (&'a mut i32, &'a mut i32)),
    (((&'a i32, &'a i32), &'a i32), (&'a i32, &'a i32)),
);

/// `a + (v - a) sigmoid(d)`, computed from the nearer of both: the smaller share
/// keeps its precision, however small it is. Rounded, since a
/// floor would make slow channels drift.
#[cfg_attr(kinglet_fast, inline(always))]
fn leaned(a: i32, v: i32, d: i32) -> i32 {
    let (near, far) = if d < 0 { (a, v) } else { (v, a) };
    let power = exp2(d.unsigned_abs());
    let part = mulq((far - near) << 1, power.share());
    near + ((part + ((1 << power.halvings) >> 1)) >> power.halvings)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn an_average_leans_by_the_logistic_function(
            a in -1i32 << 28..1 << 28, v in -1i32 << 28..1 << 28, d in -1i32 << 30..1 << 30
        ) {
            let d = d >> (d & 7);
            let share = 1.0 / (1.0 + (-f64::from(d) / f64::from(1 << 22)).exp2());
            let exact = f64::from(a) + (f64::from(v) - f64::from(a)) * share;
            let error = f64::from(leaned(a, v, d)) - exact;
            // Of the smaller share, and half a unit of rounding.
            let small = share.min(1.0 - share) * (f64::from(v) - f64::from(a)).abs();
            prop_assert!(error.abs() <= 1.6e-4 * small + 1.5, "{error} of {small}");
        }
    }
}
