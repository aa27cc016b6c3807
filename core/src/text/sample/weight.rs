//! Weights of logits at a temperature.

use crate::number::{divide, exp2, limited, mulq, zeros, Shift};

/// Places of a weight: that of the likeliest token is `2^24`, and one that is
/// less than 1 beside it is 0.
pub(in crate::text) const PLACES: u32 = 24;

/// The largest weight.
pub(in crate::text) const ONE: u32 = 1 << PLACES;

/// `log2(e)`, of 24 bits.
const LOG2_E: u32 = 12_102_203;

/// Turns how far a logit lies below the largest into its weight,
/// `2^(-difference log2(e) / temperature)`.
#[derive(Clone, Copy, Debug)]
pub(in crate::text) struct Temperature {
    /// `2^6 log2(e) / temperature`, which takes a logit to Q22: of 15 bits.
    factor: i32,
    /// Brings differences to 30 bits.
    left: u32,
    /// And their products to Q22.
    shift: Shift,
    /// Larger differences have no weight.
    most: u32,
}

impl Temperature {
    /// From a float that is more than 0. Integers compute it: a core needs no
    /// floating point.
    // Inlined, so that no register of a floating-point unit passes it on.
    #[inline(always)]
    pub(in crate::text) fn new(temperature: f32) -> Self {
        Self::from_bits(temperature.to_bits())
    }

    fn from_bits(bits: u32) -> Self {
        let (exponent, mantissa) = (bits >> 23 & 0xff, 1 << 23 | bits & 0x7f_ffff);
        // Infinite: all weights are alike.
        let quotient = match exponent {
            0xff => 0,
            _ => divide(LOG2_E << 7, mantissa >> 9, 32),
        };
        let factor = quotient >> 2;
        let places = 119 - exponent as i32;
        // 24 halvings, where nothing is left of a weight.
        let most = match factor {
            0 => 1 << 30,
            _ if places >= 0 => divide(PLACES << 22, factor, 32) >> places.min(31),
            _ => {
                let most = divide(PLACES << 22, factor, 32);
                (most << (-places).min(zeros(most))).min(1 << 30)
            }
        };
        let left = limited(zeros(most | 1) - 2, 29) as u32;
        Self {
            factor: factor as i32,
            left,
            shift: Shift::by(16 + places - left as i32),
            most,
        }
    }

    /// The weight of a logit that lies this far below the largest.
    #[inline]
    pub(in crate::text) fn weight(&self, difference: u32) -> u32 {
        if difference > self.most {
            return 0;
        }
        let x = mulq((difference << self.left) as i32, self.factor);
        let power = exp2(self.shift.of(x) as u32);
        power.fraction >> (30 - PLACES) >> power.halvings
    }
}

/// How far `logit` lies below `max`.
#[inline]
pub(in crate::text) fn below(max: i32, logit: i32) -> u32 {
    max.wrapping_sub(logit) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_are_those_of_the_softmax() {
        for temperature in [0.05f32, 0.3, 0.8, 1.0, 1.7, 40.0] {
            let scale = Temperature::new(temperature);
            assert_eq!(scale.weight(0), ONE);
            for difference in (0..2_000_000u32).step_by(77) {
                let x = f64::from(difference) / 65536.0 / f64::from(temperature);
                let exact = (-x).exp();
                let weight = f64::from(scale.weight(difference)) / f64::from(ONE);
                let error = (weight - exact).abs();
                assert!(
                    error <= 1.3e-3 * exact + 2e-7,
                    "{temperature} {difference} {weight} {exact}"
                );
            }
        }
    }

    #[test]
    fn cold_and_hot_temperatures_have_weights() {
        for cold in [1e-45f32, 1e-40, 1e-30, 1e-6] {
            assert!(Temperature::new(cold).weight(1) < 4, "{cold}");
            assert_eq!(Temperature::new(cold).weight(0), ONE);
        }
        for hot in [1e30f32, f32::MAX, f32::INFINITY] {
            assert!(Temperature::new(hot).weight(1 << 30) > ONE - 256, "{hot}");
        }
    }
}
