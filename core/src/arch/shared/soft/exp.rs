//! `exp` in integers, for cores without an FPU. Each step of
//! [`number::exp`] is rounded as there, so the bits are the same. It is faster
//! than general float operations because the exponent and the sign of most
//! steps are known, and nothing is infinite.
//!
//! In the polynomial `p = p r + term` both roundings of the float code are
//! made: that of the product, then that of the sum, which has guard bits and a
//! sticky bit.

use crate::number::{self, EXP_MAX, EXP_MIN, EXP_TERMS, LN2_LOW};
use core::f32::consts::LOG2_E;

/// Fraction bits of a significand, after its hidden bit, which is set.
const POINT: i32 = 23;

/// Guard bits of a sum, before it is rounded. The last of them is the sticky
/// bit: set where any bit after it was.
const GUARD: u32 = 7;

/// The exponents of the polynomial's terms.
const EXPONENTS: [i32; 6] = [-13, -10, -7, -5, -3, -1];

/// The 24 bits of a normal float's significand, the hidden bit set.
const fn significand(bits: u32) -> u32 {
    bits & 0x7f_ffff | 1 << POINT
}

/// The exponent of a normal float, without its bias.
const fn exponent(bits: u32) -> i32 {
    (bits << 1 >> 24) as i32 - 127
}

/// The terms' significands, of the exponents above.
const TERMS: [u32; 6] = {
    let mut terms = [0; 6];
    let mut i = 0;
    while i < terms.len() {
        let bits = EXP_TERMS[i].to_bits();
        assert!(exponent(bits) == EXPONENTS[i]);
        terms[i] = significand(bits);
        i += 1;
    }
    terms
};

/// `-LN2_LOW`, in units of 2^-36.
const LOW: u32 = {
    assert!(LN2_LOW < 0.0 && exponent(LN2_LOW.to_bits()) == POINT - 36);
    significand(LN2_LOW.to_bits())
};

/// 355/512 in units of 2^-25: ln 2, less `LN2_LOW`.
const HIGH: u32 = 355 << 16;

/// A positive number: `significand / 2^23 * 2^exponent`. The significand is in
/// [2^23, 2^24].
#[derive(Clone, Copy)]
struct Number {
    significand: u32,
    exponent: i32,
}

/// Stands for all values below 2^-25.
const LESS: Number = Number {
    significand: 1 << POINT,
    exponent: -26,
};

/// How a core multiplies two words: at once, or in halves of 16 bits where a
/// product has only 32.
pub const WHOLE: bool = false;
/// See [`WHOLE`].
#[cfg(any(kinglet_armv6m, test))]
pub const HALVES: bool = true;

/// `e^x`, clamped and rounded as [`number::exp`]. `BY` is [`WHOLE`] or
/// `HALVES`.
pub fn exp<const BY: bool>(x: f32) -> f32 {
    let bits = x.to_bits();
    // All ones for a negative number: subtraction by complement.
    let sign = (bits as i32 >> 31) as u32;
    let bound = if sign == 0 { EXP_MAX } else { -EXP_MIN };
    let mut magnitude = bits << 1 >> 1;
    if magnitude > bound.to_bits() {
        if magnitude > f32::INFINITY.to_bits() {
            return number::exp(x);
        }
        magnitude = bound.to_bits();
    }
    let x = Number {
        significand: significand(magnitude),
        exponent: exponent(magnitude),
    };
    let n = powers::<BY>(x);
    let (r, r_sign) = match n {
        0 => (x, sign),
        _ => remainder(x, sign, n),
    };
    let y = match r.exponent {
        -25.. => polynomial::<BY>(r, r_sign),
        // Nearer to 1 than to the number beside it.
        _ => 1f32.to_bits(),
    };
    f32::from_bits(y.wrapping_add(signed(n, sign) << POINT))
}

/// `value` where `sign` is 0, and `-value` where all its bits are set.
#[inline(always)]
fn signed(value: u32, sign: u32) -> u32 {
    (value ^ sign).wrapping_sub(sign)
}

/// `x * log2(e)`, rounded to a float and then to an integer.
#[inline(always)]
fn powers<const BY: bool>(x: Number) -> u32 {
    let (product, carry) = multiply::<BY>(x.significand, significand(LOG2_E.to_bits()));
    let exponent = x.exponent + carry;
    // Less than a half.
    if exponent < -1 {
        return 0;
    }
    round(product, (POINT - exponent) as u32)
}

/// The magnitude and the sign of `x - n ln 2`, in two steps: the first is
/// exact, the second is rounded.
#[inline(always)]
fn remainder(x: Number, sign: u32, n: u32) -> (Number, u32) {
    // In units of 2^-25. Modulo 2^32, because the difference is small.
    let first = (x.significand << (x.exponent + 2)).wrapping_sub(n * HIGH);
    // In units of 2^-36.
    let low = n * LOW;
    // Not counted at once: a Cortex-M0 has no instruction for it, and most
    // `n` are small.
    let extra = (0..8).find(|extra| low >> extra >> (POINT + 1) == 0);
    let extra = extra.unwrap_or(0);
    let low = round(low << 1, extra + 1) << extra;
    // `first` has 11 fraction bits less than `low`: those are kept in `rest`.
    let (mut whole, mut rest) = (first.wrapping_add(low >> 11), low & 0x7ff);
    let mut sign = sign;
    if whole >> 31 != 0 {
        rest = rest.wrapping_neg() & 0x7ff;
        whole = whole.wrapping_neg() - u32::from(rest != 0);
        sign = !sign;
    }
    // Normalizes: the leading bit to the top of the word; a sticky bit for those
    // that are shifted out.
    let up = whole.leading_zeros();
    if up > 31 {
        return (LESS, sign);
    }
    let rest = rest << 21;
    let mark = u32::from(rest << up != 0);
    // 8 bits at least: `whole` is less than 2^24.
    let significand = round(whole << up | rest >> (32 - up) | mark, 8);
    let carry = significand >> (POINT + 1);
    let number = Number {
        significand: significand >> carry,
        exponent: 31 - 25 - up as i32 + carry as i32,
    };
    (number, sign)
}

/// The bits of `e^r` for `2^-25 <= |r| < 0.35`, as the float polynomial has them.
///
/// Each addend is at most 0.35 of the sum before it: it can change the exponent
/// of the last sum alone, that of the term 1/2.
#[inline(always)]
fn polynomial<const BY: bool>(r: Number, sign: u32) -> u32 {
    let mut p = TERMS[0];
    for i in 1..5 {
        let (product, carry) = multiply::<BY>(p, r.significand);
        let down = EXPONENTS[i] - EXPONENTS[i - 1] - r.exponent - carry;
        p = round(add(TERMS[i], product, down, sign), GUARD);
    }
    let (product, carry) = multiply::<BY>(p, r.significand);
    let down = EXPONENTS[5] - EXPONENTS[4] - r.exponent - carry;
    let p = rounded(add(TERMS[5], product, down, sign), EXPONENTS[5]);
    let (square, carry) = multiply::<BY>(r.significand, r.significand);
    let square = Number {
        significand: square,
        exponent: 2 * r.exponent + carry,
    };
    let (p, square) = (p.normal(), square.normal());
    let (curve, carry) = multiply::<BY>(p.significand, square.significand);
    let down = r.exponent - p.exponent - square.exponent - carry;
    // Less than a fifth of r.
    let slope = rounded(add(r.significand, curve, down, sign), r.exponent);
    let y = add(1 << POINT, slope.significand, -slope.exponent, sign);
    // The hidden bit counts as one in the exponent.
    match sign {
        0 => round(y, GUARD) + (126 << POINT),
        _ => round(y, GUARD - 1) + (125 << POINT),
    }
}

/// Rounds a sum with guard bits; `exponent` is that of its first term.
#[inline(always)]
fn rounded(sum: u32, exponent: i32) -> Number {
    let change = (sum >> 31) as i32 - i32::from(sum >> 30 == 0);
    Number {
        significand: round(sum, (GUARD as i32 + change) as u32),
        exponent: exponent + change,
    }
}

impl Number {
    /// The same number with a significand below 2^24, as `multiply` wants it.
    #[inline(always)]
    fn normal(self) -> Self {
        let carry = self.significand >> (POINT + 1);
        Self {
            significand: self.significand >> carry,
            exponent: self.exponent + carry as i32,
        }
    }
}

/// The rounded significand of the product of two significands below 2^24, and
/// the carry to the sum of the exponents: 0 or 1.
#[inline(always)]
fn multiply<const BY: bool>(a: u32, b: u32) -> (u32, i32) {
    let (high, low) = product::<BY>(a << 8, b << 8);
    let carry = high >> 31;
    let (high, low) = match carry {
        0 => (high << 1 | low >> 31, low << 1),
        _ => (high, low),
    };
    (round(high | u32::from(low != 0), 8), carry as i32)
}

/// `a + b / 2^down`, or `a - b / 2^down` where all bits of `sign` are set, with
/// guard bits. The second term is smaller than `a`.
#[inline(always)]
fn add(a: u32, b: u32, down: i32, sign: u32) -> u32 {
    let down = down.min(31) as u32;
    let whole = b << GUARD;
    let aligned = whole >> down;
    let aligned = aligned | u32::from(aligned << down != whole);
    (a << GUARD).wrapping_add(signed(aligned, sign))
}

/// `value / 2^down` to the nearest integer, ties to even; `down` is at least 1.
#[inline(always)]
fn round(value: u32, down: u32) -> u32 {
    let whole = value >> down;
    let rest = value & ((1 << down) - 1);
    whole + u32::from(rest + (whole & 1) > 1 << (down - 1))
}

/// The high and the low word of a product.
#[inline(always)]
fn product<const BY: bool>(a: u32, b: u32) -> (u32, u32) {
    if BY {
        return product_of_halves(a, b);
    }
    let product = u64::from(a) * u64::from(b);
    ((product >> 32) as u32, product as u32)
}

/// The same for a core whose products have 32 bits.
#[inline(always)]
fn product_of_halves(a: u32, b: u32) -> (u32, u32) {
    let ([al, ah], [bl, bh]) = ([a & 0xffff, a >> 16], [b & 0xffff, b >> 16]);
    // A product of halves is 2^32 - 2^17 + 1 at most: no sum overflows.
    let middle = ah * bl + ((al * bl) >> 16);
    let second = (middle & 0xffff) + al * bh;
    let high = ah * bh + (middle >> 16) + (second >> 16);
    (high, second << 16 | (al * bl) & 0xffff)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Pcg32;

    fn check(bits: u32) {
        let x = f32::from_bits(bits);
        let (found, expected) = (exp::<WHOLE>(x), number::exp(x));
        // The bits of a computed NaN are unspecified, and they reach the result.
        if !x.is_nan() {
            assert_eq!(found.to_bits(), expected.to_bits(), "{x:e} {bits:#x}");
            assert_eq!(exp::<HALVES>(x).to_bits(), expected.to_bits(), "{x:e}");
        }
    }

    /// All of them: takes minutes.
    #[test]
    #[ignore = "takes minutes"]
    fn all_bits_are_those_of_float_operations() {
        (0..=u32::MAX).for_each(check);
    }

    #[test]
    #[cfg_attr(miri, ignore)]
    fn bits_are_those_of_float_operations() {
        for bits in (0..=u32::MAX).step_by(509) {
            check(bits);
        }
        // Densely in the range of models' values.
        for i in 0..2_000_000u32 {
            check((-1e-5 * i as f32).to_bits());
            check((1e-5 * i as f32).to_bits());
        }
    }

    #[test]
    #[cfg_attr(miri, ignore)]
    fn bits_are_those_of_float_operations_at_every_boundary() {
        let ln2 = core::f32::consts::LN_2;
        for n in -130i32..=130 {
            for at in [n as f32 * ln2, (n as f32 + 0.5) * ln2, n as f32] {
                for near in -20i32..=20 {
                    check(at.to_bits().wrapping_add(near as u32));
                }
            }
            // Every exponent.
            for near in -3i32..=3 {
                check((((n + 127) << 23) as u32).wrapping_add(near as u32));
            }
        }
        for special in [
            f32::INFINITY,
            f32::NEG_INFINITY,
            f32::NAN,
            -f32::NAN,
            0.0,
            -0.0,
        ] {
            check(special.to_bits());
        }
    }

    #[test]
    fn halves_give_the_whole_product() {
        let mut random = Pcg32::new(1);
        for _ in 0..1000 {
            let (a, b) = (random.next_u32(), random.next_u32());
            for (a, b) in [(a, b), (u32::MAX, b), (a, u32::MAX), (u32::MAX, u32::MAX)] {
                let product = u64::from(a) * u64::from(b);
                let expected = ((product >> 32) as u32, product as u32);
                assert_eq!(product_of_halves(a, b), expected);
            }
        }
    }
}
