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
use crate::arch::{layer_norm, token_shift, Native, Port};
use crate::image::Parts;
use crate::number::{add, copy, larger, places, shares, Peak, Vector, View, PLACES};
use crate::shape::v4::{Mix, State};
use crate::shape::Dim::Embd;
use crate::shape::Shape;

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
        let mix = parts.factors(Embd);
        let matrix = parts.matrix(Embd, Embd);
        let shift = |tmp: &mut [i32]| token_shift(xx.view(), state.att_x, mix, tmp);
        pace.product(product, &matrix, tmp, shift, out)?;
    }
    let (w, u) = (parts.fixed(Embd), parts.fixed(Embd));
    let mut average = Vector(state.average);
    pace.part(|| {
        copy(xx.view().m, state.att_x);
        make_room(&mut average, v.exp());
    })?;
    let exp = average.exp();
    let average = average.m();
    let peak = pace.channels(tmp.len(), |range| {
        let fixed = [w, u].map(|x: &[i32]| x.get(range.clone()).unwrap_or_default());
        let [k, v, r] = [&k, &v, &r].map(|vector| vector.view().part(range.clone()));
        let out = tmp.get_mut(range.clone()).unwrap_or_default();
        let state = [&mut *average, &mut *state.weight]
            .map(|state| state.get_mut(range.clone()).unwrap_or_default());
        shares(r, out);
        Peak {
            max: weighted_average(state, exp, fixed, [k, v], out),
            exp,
        }
    })?;
    pace.product(product, &parts.matrix(Embd, Embd), tmp, |_| peak, xx)?;
    pace.part(|| add(x, xx.view()))
}

/// Raises the power of two of the averages to that of the values, if it is
/// lower: an average never leaves the range of its values.
fn make_room(average: &mut Vector<'_>, exp: i32) {
    let places = places(exp - average.exp());
    Native::round_off(average.m(), places);
    average.set_exp(larger(average.exp(), exp));
}

/// `out = out * wkv`, and the state advances by one token; returns the largest
/// magnitude. `exp` is the power of two of the averages, and of the results.
// As a separate function it keeps its constants in registers.
#[cfg_attr(kinglet_fast, inline(never))]
fn weighted_average(
    state: [&mut [i32]; 2],
    exp: i32,
    fixed: [&[i32]; 2],
    [k, v]: [View<'_>; 2],
    out: &mut [i32],
) -> u32 {
    let places = [k.exp + PLACES as i32, v.exp - exp];
    Native::average(state, fixed, [k.m, v.m], places, out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec;
    use std::vec::Vec;

    /// Over 100,000 tokens, with decays from a half in 10,000 tokens to a half in
    /// one: the error of an average stays a small part of its values' range.
    #[test]
    fn averages_follow_the_exact_ones_for_ever() {
        const CHANNELS: usize = 14;
        let q22 = |x: i32| f64::from(x) / f64::from(1 << 22);
        let w: Vec<i32> = (0..CHANNELS).map(|c| -(420 << c).min(1 << 22)).collect();
        let u = vec![3 << 20; CHANNELS];
        let (mut average, mut weight) = (vec![0; CHANNELS], vec![NOTHING; CHANNELS]);
        let mut exact = [(0.0f64, f64::from(-256)); CHANNELS];
        let mut rng = crate::Pcg32::new(3);
        let mut worst = [0.0f64; 2];
        for token in 0..100_000 {
            let mut vector = |bits: u32| -> Vec<i32> {
                (0..CHANNELS)
                    .map(|_| rng.next_u32() as i32 >> (32 - bits))
                    .collect()
            };
            // Keys from -8 to 8; values of 21 bits, in which floors would show.
            let (k, v) = (vector(26), vector(21));
            let mut out = vec![32_767; CHANNELS];
            let [k_view, v_view] = [View { m: &k, exp: -22 }, View { m: &v, exp: 0 }];
            let state = [&mut average[..], &mut weight[..]];
            weighted_average(state, 0, [&w, &u], [k_view, v_view], &mut out);
            for (c, (a, l)) in exact.iter_mut().enumerate() {
                let (k, v, decayed) = (q22(k[c]), f64::from(v[c]), *l + q22(w[c]));
                let share = |d: f64| 1.0 / (1.0 + (-d).exp2());
                let wkv = *a + (v - *a) * share(k + q22(u[c]) - *l);
                *a += (v - *a) * share(k - decayed);
                *l = k.max(decayed) + (-(k - decayed).abs()).exp2().ln_1p() / 2f64.ln();
                let error = (f64::from(out[c]) - wkv).abs() / f64::from(1 << 20);
                worst[usize::from(token >= 1000)] = worst[usize::from(token >= 1000)].max(error);
            }
        }
        assert!(worst[0] < 2e-4 && worst[1] < 2e-4, "{worst:?}");
    }
}
