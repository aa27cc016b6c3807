//! Functions of fixed-point numbers. Arguments that are logarithms or go into
//! an exponential are to base 2 and in Q22.
//!
//! Their worst errors, over all arguments that the tests scan: `exp2` 1.1e-6
//! relative, `sigmoid` 5e-5 relative and 2e-5 absolute, `tanh` 2e-5 absolute and 2e-5
//! relative beside 2e-6, `log2_of_sum` 1.3e-5, `inverse_root` 7e-5 relative.

use super::product::mulq;
use super::tables::{along, LOGARITHMS, POWERS, SHARES};

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
#[inline(always)]
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
    /// In Q16.
    #[inline(always)]
    pub(crate) fn q16(self) -> u32 {
        self.fraction >> 14 >> self.halvings
    }

    /// `1 / (1 + p)` in Q15, below 1.
    #[inline(always)]
    pub(crate) fn rest(self) -> u32 {
        ((1 << 20) - 1 - along(&SHARES, self.q16())) >> 5
    }

    /// `p / (1 + p)` as a factor in Q15 and halvings of it.
    #[inline(always)]
    pub(crate) fn share(self) -> i32 {
        ((self.fraction >> 14).wrapping_mul(self.rest()) >> 16) as i32
    }
}

/// The logistic function of `x`, `1 / (1 + 2^-x)`, in Q31, always below 1.
#[inline(always)]
pub(crate) fn sigmoid(x: i32) -> u32 {
    let power = exp2(x.unsigned_abs());
    let rest = power.rest();
    if x >= 0 {
        rest << 16
    } else {
        (power.fraction >> 14).wrapping_mul(rest) >> power.halvings
    }
}

/// The hyperbolic tangent `(1 - 2^-x) / (1 + 2^-x)`, in Q29. `x` is twice the
/// usual argument, to base 2.
#[inline(always)]
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

/// `log2(1 + p)` in Q22, for a power `p`.
#[inline(always)]
pub(crate) fn log2_of_sum(power: Power) -> i32 {
    (along(&LOGARITHMS, power.q16()) << (PLACES - 20)) as i32
}

/// `floor(a / b)`, in a fixed number of instructions; `b` is not 0.
///
/// `quotient_bits` bounds the result.
#[inline(always)]
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
#[inline(always)]
pub(crate) fn inverse_root(x: u32) -> u32 {
    let (mut root, mut bit) = (0u32, 1u32 << 15);
    while bit > 0 {
        let trial = root | bit;
        root |= bit & 0u32.wrapping_sub(u32::from(trial * trial <= x));
        bit >>= 1;
    }
    // To the nearest, where both are rounded down otherwise.
    let root = 2 * root + 1;
    divide((1 << 32) - 1, root, 17).min(0xffff)
}
