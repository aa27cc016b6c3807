//! Values as the integers that an image stores.

use kinglet::shape::{Bits, Kind, BLOCK_ROWS, FIXED_BITS, FIXED_LIMIT, MOST_PLACES, MOST_SHIFT};

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

/// The scales of rows.
pub(crate) struct RowScales {
    /// Of each row; or of all, where blocks have places.
    factors: Factors,
    /// For each block of four rows, by how many the factor goes to the right.
    places: Option<Vec<u8>>,
}

impl RowScales {
    /// Of these values, times a number.
    pub fn of(bits: Bits, values: &[f32], times: f64) -> Self {
        if bits == Bits::Int8 {
            return Self {
                factors: factors(values, times),
                places: None,
            };
        }
        // Powers of two.
        let largest = values.iter().fold(0.0f32, |max, &value| max.max(value));
        let blocks = values.iter().step_by(BLOCK_ROWS);
        let places =
            blocks.map(|&value| (largest / value).log2().round().min(MOST_PLACES.into()) as u8);
        Self {
            factors: factors(&[largest], times),
            places: Some(places.collect()),
        }
    }

    /// The power of two.
    pub fn exp(&self) -> i32 {
        self.factors.exp
    }

    /// Of a matrix: with the power of two of a product. Returns the places that its sums
    /// are shifted by; `largest_sum` is the largest of these.
    pub fn scale_sums(&mut self, largest_sum: u64) -> u32 {
        let bits = u64::BITS - largest_sum.leading_zeros();
        assert!(bits <= SUM_BITS, "quantization bounds the sums");
        let shift = (SUM_BITS - bits).min(MOST_SHIFT);
        self.factors.exp += SUM_BITS as i32 + 1 - shift as i32;
        if self.places.is_none() {
            let m = &mut self.factors.m;
            m.resize(m.len().next_multiple_of(BLOCK_ROWS), 0);
        }
        shift
    }

    /// As an image has them, without padding.
    pub fn bytes(&self) -> Vec<u8> {
        let factors = self.factors.m.iter();
        match &self.places {
            None => factors.copied().flat_map(i16::to_le_bytes).collect(),
            Some(places) => {
                let words = factors.map(|&m| u32::from(m as u16));
                let bytes = words.flat_map(u32::to_le_bytes);
                bytes.chain(places.iter().copied()).collect()
            }
        }
    }

    /// What they stand for: values that were multiplied by `times`, of whole blocks where
    /// these have places.
    pub fn values(&self, times: f64) -> Vec<f32> {
        let mut factors = self.factors.values(times);
        match &self.places {
            None => factors.collect(),
            Some(places) => {
                let factor = factors.next().unwrap_or(0.0);
                let values = places.iter().map(|&n| factor * (-f32::from(n)).exp2());
                values.flat_map(|value| [value; BLOCK_ROWS]).collect()
            }
        }
    }
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
            let mut scales = RowScales::of(Bits::Int8, &[5.0], 1.0);
            scales.scale_sums(largest_sum)
        };
        for (largest, shift) in [(0, 29), (1, 29), (2, 28), (3, 28), ((1 << 30) - 1, 0)] {
            assert_eq!(shift_of(largest), shift);
        }
    }

    #[test]
    fn scales_of_blocks_are_powers_of_two_apart() {
        let blocks = [0.25, 2.0, 0.0, 2e-20];
        let values: Vec<f32> = blocks.iter().flat_map(|&value| [value; 4]).collect();
        let scales = RowScales::of(Bits::Int4, &values, 0.3);
        assert_eq!(scales.bytes()[4..], [3, 0, MOST_PLACES, MOST_PLACES]);
        let stored = scales.values(0.3);
        for (stored, value) in stored.iter().zip(&values).take(8) {
            assert!((stored / value - 1.0).abs() < 1e-4, "{stored} {value}");
        }
    }

    #[test]
    fn fixed_point_numbers_leave_room_for_sums() {
        assert_eq!(fixed(f64::NEG_INFINITY), -(1 << 29) + 1);
        assert_eq!(fixed(1.0), 1 << FIXED_BITS);
    }
}
