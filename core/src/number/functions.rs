//! Functions of fixed-point numbers. Arguments that are logarithms or go into
//! an exponential are to base 2 and in Q22.
//!
//! Their worst errors, over all arguments that the tests scan: `exp2` 1.5e-6
//! relative; `exp2_fraction` 7.0e-5 relative in Q15; `sigmoid` 7.2e-4 relative and 5.1e-5 absolute; `tanh` 6.1e-5 absolute,
//! and 1.1e-4 relative beside 1e-6; the logarithm of a sum 7.7e-6; `inverse_root`
//! 5e-5 relative.

use super::choice::{limited, opaque, smaller};
use super::product::mulq;
use super::tables::{Step, FRACTIONS, POWERS, SHARES, SHARE_OCTAVES, SHARE_STEPS};

/// Places of Q22.
pub(crate) const PLACES: u32 = crate::shape::FIXED_BITS;

/// A power of two, `fraction 2^-halvings`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Power {
    /// Q30, above 1/2 and at most 1.
    pub fraction: u32,
    /// 0 to 31: what is smaller counts as 2^-31.
    pub halvings: u32,
}

/// `2^-x`, with `x` in Q22.
#[cfg_attr(kinglet_fast, inline(always))]
pub(crate) fn exp2(x: u32) -> Power {
    let at = POWERS.get((x >> (PLACES - 5) & 31) as usize);
    // The fraction of a step in 16 bits.
    let t = x >> (PLACES - 21) & 0xffff;
    let fraction = at.map_or(0, |piece| {
        let slope = u32::from(piece.slope).wrapping_sub((u32::from(piece.curve) * t) >> 16);
        piece.base.wrapping_sub(slope.wrapping_mul(t) >> 7)
    });
    Power {
        fraction,
        halvings: smaller((x >> PLACES) as i32, 31) as u32,
    }
}

/// `2^-x` of the fraction of `x`, which is in Q22: in Q31, below 1, with an error of
/// 2^-14, less work than [`exp2`].
#[cfg_attr(kinglet_fast, inline(always))]
pub(crate) fn exp2_fraction(x: i32) -> u32 {
    let chord = FRACTIONS.get((x as u32 >> (PLACES - 6) & 63) as usize);
    let t = x as u32 >> (PLACES - 18) & 0xfff;
    chord.map_or(0, |chord| {
        chord.wrapping_sub((chord & 0x1fff).wrapping_mul(t))
    })
}

/// Two that share a whole: a power `2^-x` beside 1. The parts of both are
/// `2^-halvings` times what the fields say.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Share {
    /// `2^-x / (1 + 2^-x)`, Q32.
    of_power: u32,
    /// `log2(1 + 2^-x)`, Q31.
    logarithm: u32,
    /// 0 to 31.
    pub halvings: u32,
}

impl Share {
    /// Of the power `2^-x`, with `x` in Q22, below 2^31.
    #[cfg_attr(kinglet_fast, inline(always))]
    pub(crate) fn of(x: u32) -> Self {
        // What is smaller counts as 2^-31.
        let x = limited(x as i32, (32 << PLACES) - 1) as u32;
        let halvings = x >> PLACES;
        let octave = limited(halvings as i32, SHARE_OCTAVES as i32 - 1) as usize;
        let step = (x >> (PLACES - SHARE_STEPS.ilog2())) as usize & (SHARE_STEPS - 1);
        let Step { share, logarithm } = SHARES
            .get(octave * SHARE_STEPS + step)
            .copied()
            .unwrap_or_default();
        // The part of a step, in 14 bits.
        let t = x >> (PLACES - SHARE_STEPS.ilog2() - 14) & 0x3fff;
        let of_power = share.wrapping_add((share as i16 as u32).wrapping_mul(t));
        // The mean along the way, Q17.
        let mean = of_power.wrapping_add(share.wrapping_sub(of_power) >> 1) >> 15;
        Self {
            of_power,
            logarithm: logarithm.wrapping_sub(mean.wrapping_mul(t) >> SHARE_STEPS.ilog2()),
            halvings,
        }
    }

    /// The power's share as a factor in Q15, and halvings of it.
    #[cfg_attr(kinglet_fast, inline(always))]
    pub(crate) fn factor(self) -> i32 {
        (self.of_power >> 17) as i32
    }

    /// `log2(1 + 2^-x)` in Q22. However small it is, it is rounded: floors would
    /// add up.
    #[cfg_attr(kinglet_fast, inline(always))]
    pub(crate) fn logarithm(self) -> i32 {
        (((self.logarithm >> 8 >> self.halvings) + 1) >> 1) as i32
    }
}

/// The logistic function of `x`, `1 / (1 + 2^-x)`, in Q31, always below 1.
#[cfg_attr(kinglet_fast, inline(always))]
pub(crate) fn sigmoid(x: i32) -> u32 {
    let share = Share::of(x.unsigned_abs());
    let small = share.of_power >> 1 >> share.halvings;
    (small ^ !opaque(x >> 31) as u32) & (u32::MAX >> 1)
}

/// The same in Q15, a factor of 16 bits, of a number with this size; `sign` is
/// negative where the number is.
#[cfg_attr(kinglet_fast, inline(always))]
pub(crate) fn sigmoid_q15(size: u32, sign: i32) -> i32 {
    let share = Share::of(size);
    let small = share.of_power >> 17 >> share.halvings;
    (small ^ 0x7fff) as i32 ^ (opaque(sign >> 31) & 0x7fff)
}

/// The hyperbolic tangent `(1 - 2^-x) / (1 + 2^-x)`, in Q29. `x` is twice the
/// usual argument, to base 2.
#[cfg_attr(kinglet_fast, inline(always))]
pub(crate) fn tanh(x: i32) -> i32 {
    let size = x.unsigned_abs();
    let power = exp2(size);
    let less = (1 << 30) - (power.fraction >> power.halvings) as i32;
    let y = mulq(
        less,
        (sigmoid(smaller((size >> 1) as i32, 1 << 29) << 1) >> 16) as i32,
    );
    let sign = x >> 31;
    (y ^ sign) - sign
}

/// The logarithm to base 2 of a number, in units of 2^-16; 0 for 0.
pub(crate) fn log2(x: u64) -> u32 {
    let zeros = x.leading_zeros().min(63);
    // From 1 to 2, Q31.
    let mut x = (x << zeros >> 32) as u32;
    // One binary digit after the other, by squaring.
    let digits = (0..16).fold(0, |digits, _| {
        let square = u64::from(x) * u64::from(x);
        let digit = (square >> 63) as u32;
        x = (square >> 31 >> digit) as u32;
        2 * digits + digit
    });
    ((63 - zeros) << 16) + digits
}

/// `floor(a / b)`, in a fixed number of instructions, where `b` is not 0 and less
/// than 2^31.
///
/// `quotient_bits` bounds the result.
#[cfg_attr(kinglet_fast, inline(always))]
pub(crate) fn divide(a: u32, b: u32, quotient_bits: u32) -> u32 {
    if cfg!(kinglet_armv6m) {
        return by_digits(a, b, quotient_bits);
    }
    a.checked_div(b).unwrap_or(0)
}

/// [`divide`] without an instruction for it, digit by digit.
#[cfg_attr(kinglet_fast, inline(always))]
fn by_digits(a: u32, b: u32, quotient_bits: u32) -> u32 {
    // The first digits are 0.
    let (mut rest, mut digits) = match quotient_bits {
        32.. => (0, a),
        bits => (a >> bits, a << (32 - bits)),
    };
    for _ in 0..quotient_bits {
        rest = rest << 1 | digits >> 31;
        let less = opaque((rest.wrapping_sub(b) as i32) >> 31) as u32;
        rest = rest.wrapping_sub(b & !less);
        digits = digits << 1 | (!less & 1);
    }
    match quotient_bits {
        32.. => digits,
        bits => digits & ((1 << bits) - 1),
    }
}

/// `2^31 / sqrt(x)` for `x` from 2^30 up: between 2^15 and 2^16, in a fixed number
/// of instructions.
#[cfg_attr(kinglet_fast, inline(always))]
pub(crate) fn inverse_root(x: u32) -> u32 {
    let (mut root, mut bit) = (1u32 << 15, 1u32 << 14);
    while bit > 0 {
        let trial = root | bit;
        // Of 31 bits and a sign, from the second digit on.
        let rest = x.wrapping_sub(trial * trial) as i32;
        root |= bit & !opaque(rest >> 31) as u32;
        bit >>= 1;
    }
    // To the nearest, where both are rounded down otherwise.
    let root = 2 * root + 1;
    smaller(divide(u32::MAX, root, 17) as i32, 0xffff) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn q22(x: u32) -> f64 {
        f64::from(x) / f64::from(1 << 22)
    }

    /// All arguments of one halving, and others far apart.
    fn arguments() -> impl Iterator<Item = u32> {
        (0..1 << 22).chain((0..1u32 << 31).step_by(3_001))
    }

    #[test]
    fn quotients_are_rounded_down() {
        for b in (1..1u32 << 31).step_by(6_700_417).chain([1, (1 << 31) - 1]) {
            for a in [0, 1, b - 1, b, b + 1, 2 * b - 1, 127 << 22, u32::MAX] {
                assert_eq!(by_digits(a, b, 32), a / b, "{a} {b}");
                if a / b < 1 << 17 {
                    assert_eq!(by_digits(a, b, 17), a / b, "{a} {b}");
                }
            }
        }
    }

    #[test]
    fn powers_are_within_their_error() {
        let mut worst = 0.0f64;
        for x in arguments() {
            let power = exp2(x);
            assert!(power.fraction > 1 << 29 && power.fraction <= 1 << 30);
            if x >> PLACES < 31 {
                let found = f64::from(power.fraction) / f64::from(1 << 30);
                let exact = (-q22(x) + f64::from(power.halvings)).exp2();
                worst = worst.max((found / exact - 1.0).abs());
            }
        }
        assert!(worst < 1.5e-6, "{worst}");
    }

    #[test]
    fn fractions_are_within_their_error() {
        let (mut low, mut high) = (0.0f64, 0.0f64);
        for x in 0..1 << 22 {
            let found = exp2_fraction(x) >> 16;
            assert!((16_383..32_768).contains(&found));
            let error = f64::from(found) / ((-q22(x as u32)).exp2() * f64::from(1 << 15)) - 1.0;
            (low, high) = (low.min(error), high.max(error));
        }
        assert!(low > -7.0e-5 && high < 1.4e-5, "{low} {high}");
    }

    #[test]
    fn sigmoid_is_within_its_error_and_rises() {
        let (mut absolute, mut relative) = (0.0f64, 0.0f64);
        for x in arguments() {
            let exact = 1.0 / (1.0 + q22(x).exp2());
            let (low, high) = (sigmoid(-(x as i32)), sigmoid(x as i32));
            let [low, high] = [low, high].map(|y| f64::from(y) / f64::from(1u32 << 31));
            assert!(high < 1.0);
            absolute = absolute.max((high - 1.0 + exact).abs());
            if x < 12 << PLACES {
                relative = relative.max((low / exact - 1.0).abs());
            }
        }
        assert!(
            absolute < 5.1e-5 && relative < 7.2e-4,
            "{absolute} {relative}"
        );
        assert_eq!(sigmoid(-i32::MAX), 0);
    }

    #[test]
    fn tanh_is_within_its_error_and_odd() {
        let (mut absolute, mut relative) = (0.0f64, 0.0f64);
        for x in arguments() {
            let exact = 1.0 - 2.0 / (1.0 + q22(x).exp2());
            let found = tanh(x as i32);
            assert_eq!(found, -tanh(-(x as i32)));
            let error = (f64::from(found) / f64::from(1 << 29) - exact).abs();
            absolute = absolute.max(error);
            relative = relative.max((error - 1e-6) / exact.max(1e-12));
        }
        assert!(
            absolute < 6.1e-5 && relative < 1.1e-4,
            "{absolute} {relative}"
        );
    }

    #[test]
    fn logarithms_are_within_their_error() {
        let mut worst = 0.0f64;
        for x in arguments() {
            let exact = (1.0 + (-q22(x)).exp2()).log2();
            let found = q22(Share::of(x).logarithm() as u32);
            worst = worst.max((found - exact).abs());
        }
        assert!(worst < 7.7e-6, "{worst}");
        for (x, expected) in [(0, 0), (1, 0), (2, 1 << 16), (1 << 63, 63 << 16)] {
            assert_eq!(log2(x), expected);
        }
        for x in (1..1u64 << 40).step_by(999_999_937) {
            let error = f64::from(log2(x)) / 65536.0 - (x as f64).log2();
            assert!(error.abs() < 4e-5, "{x}: {error}");
        }
    }

    #[test]
    fn roots_are_within_their_error() {
        for x in (1 << 30..u32::MAX).step_by(997).chain([u32::MAX]) {
            let exact = f64::from(1u32 << 31) / f64::from(x).sqrt();
            let error = f64::from(inverse_root(x)) / exact - 1.0;
            assert!(error.abs() < 5e-5, "{x}: {error}");
        }
    }
}
