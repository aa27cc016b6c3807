//! Values as the integers that an image stores.

use kinglet::shape::{Kind, BLOCK_ROWS, FIXED_BITS, FIXED_LIMIT, MOST_SHIFT};

/// The largest factor.
const MOST: f64 = 32_767.0;

/// Steps of the largest value of a vector that is multiplied.
const STEPS: f64 = 127.0;

/// The same of a vector of 16 bits, whose low part is half a step more.
const FINE_STEPS: f64 = 126.0;

/// Bits of a sum, shifted, beside its sign.
const SUM_BITS: u32 = 30;

/// The unit of a fixed-point number, inverted.
pub(super) const FIXED_ONE: f64 = (1u32 << FIXED_BITS) as f64;

/// Factors `m 2^exp`.
pub(crate) struct Factors {
    pub m: Vec<i16>,
    pub exp: i32,
}

impl Factors {
    /// What they stand for: values that were multiplied by `times`.
    pub fn values(&self, times: f64) -> impl Iterator<Item = f32> + '_ {
        let unit = f64::from(self.exp).exp2() / times;
        self.m.iter().map(move |&m| (f64::from(m) * unit) as f32)
    }

    /// The mantissas, then the power of two.
    pub fn words(&self) -> impl Iterator<Item = i16> + '_ {
        self.m.iter().copied().chain([self.exp as i16])
    }
}

/// Values, times a number, as factors: the largest takes all 16 bits.
pub(crate) fn factors(values: &[f32], times: f64) -> Factors {
    let magnitudes = values.iter().map(|&v| (f64::from(v) * times).abs());
    let largest = magnitudes.fold(0.0, f64::max);
    let exp = if largest > 0.0 {
        (largest / MOST).log2().ceil() as i32
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
fn mix(values: &[f32]) -> Factors {
    let grows = |&mix: &f32| f64::from(mix).abs() + (1.0 - f64::from(mix)).abs();
    let growth = values.iter().map(grows).fold(0.0, f64::max);
    let more = (growth / 3.0).log2().ceil().max(0.0);
    with_exp(values, 1.0, -14 + more as i32)
}

/// A vector of this kind.
pub(crate) fn vector(kind: Kind, values: &[f32], times: f64) -> Factors {
    match kind {
        Kind::Mix(_) => mix(values),
        _ => factors(values, times),
    }
}

/// A fixed-point number; a logarithm of nothing is less than all others.
pub(super) fn fixed(value: f64) -> i32 {
    let limit = f64::from(FIXED_LIMIT - 1);
    (value * FIXED_ONE).round().clamp(-limit, limit) as i32
}

/// What the scales of rows of this kind are multiplied by, where the values are by
/// `times`: the largest value of a vector is [`STEPS`], or [`FINE_STEPS`] of one of 16
/// bits, and a table has no vector.
pub(crate) fn scale_times(kind: Kind, times: f64, fine: bool) -> f64 {
    match (kind, fine) {
        (Kind::Table(..), _) => times,
        (_, false) => times / STEPS,
        (_, true) => times / FINE_STEPS,
    }
}

/// The scales of a matrix in whole blocks, with the power of two of a product, and
/// the places that its sums are shifted by; `largest_sum` is the largest of these.
pub(super) fn matrix_scales(mut scales: Factors, largest_sum: u64) -> (Factors, u32) {
    let bits = u64::BITS - largest_sum.leading_zeros();
    assert!(bits <= SUM_BITS, "quantization bounds the sums");
    let shift = (SUM_BITS - bits).min(MOST_SHIFT);
    let blocks = scales.m.len().next_multiple_of(BLOCK_ROWS);
    scales.m.resize(blocks, 0);
    scales.exp += SUM_BITS as i32 + 1 - shift as i32;
    (scales, shift)
}

#[cfg(test)]
mod tests {
    use super::*;
    use kinglet::shape::Dim::Embd;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn factors_are_within_half_a_unit(
            values in proptest::collection::vec(-9.0f32..9.0, 1..40), scale in -60i32..60, times in 0.1f64..9.0
        ) {
            let values: Vec<f32> = values.iter().map(|v| v * (scale as f32).exp2()).collect();
            let largest = values.iter().fold(0.0f32, |max, v| max.max(v.abs()));
            let factors = factors(&values, times);
            for (value, stored) in values.iter().zip(factors.values(times)) {
                prop_assert!((value - stored).abs() <= largest * (0.5001 / 16383.0));
            }
        }

        /// A shifted token is at most four tokens large.
        #[test]
        fn mixes_leave_room(values in proptest::collection::vec(-9.0f32..9.0, 1..40)) {
            let mixes = vector(Kind::Mix(Embd), &values, 1.0);
            let one = f64::from(-mixes.exp).exp2();
            for &m in &mixes.m {
                prop_assert!(f64::from(m).abs() + (one - f64::from(m)).abs() <= 3.0 * 16384.0);
            }
        }
    }

    #[test]
    fn shifted_sums_have_30_bits() {
        let shift_of = |largest_sum: u64| {
            let scales = Factors { m: vec![5], exp: 0 };
            matrix_scales(scales, largest_sum).1
        };
        for (largest, shift) in [(0, 29), (1, 29), (2, 28), (3, 28), ((1 << 30) - 1, 0)] {
            assert_eq!(shift_of(largest), shift);
        }
    }

    #[test]
    fn fixed_point_numbers_leave_room_for_sums() {
        assert_eq!(fixed(f64::NEG_INFINITY), -(1 << 29) + 1);
        assert_eq!(fixed(1.0), 1 << FIXED_BITS);
    }
}
