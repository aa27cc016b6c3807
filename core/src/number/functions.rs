//! Functions of fixed-point numbers. Arguments that are logarithms or go into
//! an exponential are to base 2 and in Q22.
//!
//! Their worst errors, over all arguments that the tests scan: `exp2` 1.5e-6
//! relative, `sigmoid` 6e-5 relative and 4e-5 absolute, `tanh` 4e-5 absolute and
//! 5e-5 relative beside 1e-6, `log2_of_sum` 2.5e-5, `inverse_root` 5e-5 relative.

use super::product::mulq;
use super::tables::{along, LOG2_E_Q20, LOGARITHMS, POWERS, SHARES};

/// Places of Q22.
pub(crate) const PLACES: u32 = crate::shape::FIXED_BITS;

/// The largest number below 1 in Q15: a factor of 16 bits.
pub(crate) const ONE_Q15: i32 = (1 << 15) - 1;

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
        let slope = u32::from(piece.slope).wrapping_sub(u32::from(piece.curve) * t >> 16);
        piece.base.wrapping_sub(slope.wrapping_mul(t) >> 7)
    });
    Power {
        fraction,
        halvings: (x >> PLACES).min(31),
    }
}

impl Power {
    /// The fraction alone, in Q16, rounded.
    #[cfg_attr(kinglet_fast, inline(always))]
    fn factor(self) -> u32 {
        (self.fraction + (1 << 13)) >> 14
    }

    /// In Q15, below 1.
    #[cfg_attr(kinglet_fast, inline(always))]
    pub(crate) fn q15(self) -> u32 {
        (self.fraction >> self.halvings >> 15).min(32_767)
    }

    /// In Q16, rounded.
    #[cfg_attr(kinglet_fast, inline(always))]
    pub(crate) fn q16(self) -> u32 {
        ((self.fraction >> self.halvings) + (1 << 13)) >> 14
    }

    /// `1 / (1 + p)` in Q15, below 1.
    #[cfg_attr(kinglet_fast, inline(always))]
    pub(crate) fn rest(self) -> u32 {
        ((1 << 20) + 16 - along(&SHARES, self.q16())) >> 5
    }

    /// `p / (1 + p)` as a factor in Q15 and halvings of it.
    #[cfg_attr(kinglet_fast, inline(always))]
    pub(crate) fn share(self) -> i32 {
        (self.factor().wrapping_mul(self.rest()) >> 16) as i32
    }
}

/// The logistic function of `x`, `1 / (1 + 2^-x)`, in Q31, always below 1.
#[cfg_attr(kinglet_fast, inline(always))]
pub(crate) fn sigmoid(x: i32) -> u32 {
    let power = exp2(x.unsigned_abs());
    let rest = power.rest();
    if x >= 0 {
        rest << 16
    } else {
        power.factor().wrapping_mul(rest) >> power.halvings
    }
}

/// The hyperbolic tangent `(1 - 2^-x) / (1 + 2^-x)`, in Q29. `x` is twice the
/// usual argument, to base 2.
#[cfg_attr(kinglet_fast, inline(always))]
pub(crate) fn tanh(x: i32) -> i32 {
    let power = exp2(x.unsigned_abs());
    let less = (1 << 30) - (power.fraction >> power.halvings) as i32;
    let y = mulq(less, power.rest() as i32);
    if x < 0 {
        -y
    } else {
        y
    }
}

/// `log2(1 + p)` in Q22, for a power `p`. However small `p` is, its part of the
/// result keeps its precision, and is rounded: floors would add up.
#[cfg_attr(kinglet_fast, inline(always))]
pub(crate) fn log2_of_sum(power: Power) -> i32 {
    let product = power.factor().wrapping_mul(log2_ratio(power.q16()));
    (((product >> 8 >> power.halvings) + 1) >> 1) as i32
}

/// `log2(1 + x) / x` in Q15, of a number in Q16 from 0 to 1.
#[cfg_attr(kinglet_fast, inline(always))]
fn log2_ratio(x: u32) -> u32 {
    (LOG2_E_Q20 + 16 - along(&LOGARITHMS, x)) >> 5
}

/// The logarithm to base 2 of a number, in units of 2^-16; 0 for 0.
pub(crate) fn log2(x: u64) -> u32 {
    let zeros = x.leading_zeros().min(63);
    let fraction = (x << zeros >> 47) as u32 & 0xffff;
    ((63 - zeros) << 16) + (fraction * log2_ratio(fraction) >> 15)
}

/// `floor(a / b)`, in a fixed number of instructions; `b` is not 0.
///
/// `quotient_bits` bounds the result.
#[cfg_attr(kinglet_fast, inline(always))]
pub(crate) fn divide(a: u32, b: u32, quotient_bits: u32) -> u32 {
    if !cfg!(kinglet_armv6m) {
        return a.checked_div(b).unwrap_or(0);
    }
    let (mut rest, mut quotient) = (u64::from(a), 0u32);
    for bit in (0..quotient_bits).rev() {
        let part = u64::from(b) << bit;
        let fits = u32::from(rest >= part);
        rest -= part & 0u64.wrapping_sub(fits.into());
        quotient |= fits << bit;
    }
    quotient
}

/// `2^31 / sqrt(x)` for `x` from 2^30 up: between 2^15 and 2^16, in a fixed number
/// of instructions.
#[cfg_attr(kinglet_fast, inline(always))]
pub(crate) fn inverse_root(x: u32) -> u32 {
    let (mut root, mut bit) = (0u32, 1u32 << 15);
    while bit > 0 {
        let trial = root | bit;
        root |= bit & 0u32.wrapping_sub(u32::from(trial * trial <= x));
        bit >>= 1;
    }
    // To the nearest, where both are rounded down otherwise.
    let root = 2 * root + 1;
    divide(u32::MAX, root, 17).min(0xffff)
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
        assert!(absolute < 4e-5 && relative < 6e-5, "{absolute} {relative}");
        assert_eq!(sigmoid(i32::MIN), 0);
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
        assert!(absolute < 4e-5 && relative < 5e-5, "{absolute} {relative}");
    }

    #[test]
    fn logarithms_are_within_their_error() {
        let mut worst = 0.0f64;
        for x in arguments() {
            let exact = (1.0 + (-q22(x)).exp2()).log2();
            let found = q22(log2_of_sum(exp2(x)) as u32);
            worst = worst.max((found - exact).abs());
        }
        assert!(worst < 2.5e-5, "{worst}");
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
