//! Values as the integers that an image stores.

use kinglet::shape::{BLOCK_ROWS, FIXED_BITS};

/// The largest factor.
const MOST: f64 = 32_767.0;

/// The unit of a fixed-point number, inverted.
pub(super) const FIXED_ONE: f64 = (1u32 << FIXED_BITS) as f64;

/// Factors `m 2^exp`.
pub(super) struct Factors {
    pub m: Vec<i16>,
    pub exp: i32,
}

/// Values, times a number, as factors: the largest takes all 16 bits.
pub(super) fn factors(values: &[f32], times: f64) -> Factors {
    let largest = values.iter().fold(0.0, |max: f64, &v| max.max((f64::from(v) * times).abs()));
    let exp = if largest > 0.0 {
        // Below 2^-1000 nothing is stored.
        ((largest / MOST).log2().ceil() as i32).max(-1000)
    } else {
        0
    };
    with_exp(values, times, exp)
}

fn with_exp(values: &[f32], times: f64, exp: i32) -> Factors {
    let unit = f64::from(exp).exp2();
    let m = |&value: &f32| (f64::from(value) * times / unit).round().clamp(-MOST, MOST) as i16;
    Factors {
        m: values.iter().map(m).collect(),
        exp,
    }
}

/// The mix of a token shift, in units of 2^-14 or, where it is large, of more: a
/// shifted token takes two bits more than a token at most.
pub(super) fn mix(values: &[f32]) -> Factors {
    let grows = |&mix: &f32| f64::from(mix).abs() + (1.0 - f64::from(mix)).abs();
    let growth = values.iter().map(grows).fold(0.0, f64::max);
    let more = (growth / 3.0).log2().ceil().max(0.0);
    with_exp(values, 1.0, -14 + more as i32)
}

/// A fixed-point number; a logarithm of nothing is less than all others.
pub(super) fn fixed(value: f64) -> i32 {
    // A quarter of the range, so that sums fit.
    let limit = f64::from(1 << 29) - 1.0;
    (value * FIXED_ONE).round().clamp(-limit, limit) as i32
}

/// Scales of rows in whole blocks, the power of two of a product, and the places that its
/// sums are shifted by, of which `largest_sum` is the largest.
pub(super) fn matrix_scales(scales: Vec<f32>, times: f64, largest_sum: u64) -> Vec<i16> {
    // A vector's largest value is 127 steps.
    let Factors { mut m, exp } = factors(&scales, times / 127.0);
    m.resize(m.len().next_multiple_of(BLOCK_ROWS), 0);
    let bits = u64::BITS - largest_sum.leading_zeros();
    let shift = 30u32.saturating_sub(bits).min(29);
    m.extend([(exp + 31 - shift as i32) as i16, shift as i16]);
    m
}
