//! The float operations around a product, for cores without an FPU: the same
//! bits as IEEE single arithmetic at a fraction of the library's cost.
//!
//! A general multiplication takes 60 to 120 instructions, most of them for
//! cases that do not occur here. What does not fit the assumptions below goes
//! to the general one.

use super::{quantize_float, scale_float};
use half::bf16;

/// The exponent field that stands for 1.
const BIAS: u32 = 127;

/// The bit above the 23 stored ones of a normal float's significand.
const HIDDEN: u32 = 1 << 23;

/// The exponent field.
#[inline(always)]
fn exponent(bits: u32) -> u32 {
    bits << 1 >> 24
}

/// The significand with its hidden bit at the top of the word.
#[inline(always)]
fn significand(bits: u32) -> u32 {
    bits << 8 | 1 << 31
}

/// `round(x * inverse)`, both operations rounded to nearest even, as the low
/// byte of an integer.
///
/// The upper 16 bits of both significands give the product with an error
/// below `2^17` in `2^32`; where that, or the rounding of the float product,
/// could change the integer, the general arithmetic decides.
#[inline(always)]
pub fn quantize_one(x: f32, inverse: f32) -> i8 {
    let (bits, factor) = (x.to_bits(), inverse.to_bits());
    // An exponent outside these makes every value a general case. The
    // compiler computes all of this once for a vector.
    let scale = exponent(factor);
    let ordinary = factor >> 31 == 0 && (6..234).contains(&scale);
    let offset = if ordinary { 29 + 2 * BIAS - scale } else { 0 };
    // x * inverse = product / 2^shift
    let product = ((significand(bits) >> 16) * (significand(factor) >> 16)) >> 1;
    let shift = offset.wrapping_sub(exponent(bits));
    if shift.wrapping_sub(23) > 8 {
        // Below a half, or not small.
        return if shift as i32 > 31 {
            0
        } else {
            general_quantize_one(x, inverse)
        };
    }
    let rounded = product + (1 << (shift - 1));
    let (least, most) = ((rounded - 0x100) >> shift, (rounded + 0x1_0200) >> shift);
    if least != most {
        return general_quantize_one(x, inverse);
    }
    let sign = bits as i32 >> 31;
    ((least as i32 ^ sign) - sign) as i8
}

#[cold]
#[inline(never)]
fn general_quantize_one(x: f32, inverse: f32) -> i8 {
    quantize_float(x, inverse)
}

/// Turns sums into values: `out = (out as i32) * scale * x_scale`.
pub fn scale_rows(scales: &[bf16], x_scale: f32, out: &mut [f32]) {
    for (out, &scale) in out.iter_mut().zip(scales) {
        let sum = out.to_bits() as i32;
        *out = match scaled(sum, scale.to_bits(), x_scale.to_bits()) {
            Some(bits) => f32::from_bits(bits),
            None => general_scaled(sum, scale, x_scale),
        };
    }
}

#[cold]
#[inline(never)]
fn general_scaled(sum: i32, scale: bf16, x_scale: f32) -> f32 {
    scale_float(sum, scale, x_scale)
}

/// A significand of 31 bits, the last of which stands for all that were cut
/// off behind it, if its value is below `2^30` moved up by a bit; and whether
/// it was not.
#[inline(always)]
fn normal(value: u32) -> (u32, u32) {
    let carry = value >> 30;
    (value << (1 - carry), carry)
}

/// The upper 24 of 31 bits, rounded to nearest even: up to `2^24`.
#[inline(always)]
fn round(value: u32) -> u32 {
    (value + 0x3f + (value >> 7 & 1)) >> 7
}

/// `sum * scale * x_scale` as the bits of a float, rounded after each of the
/// three steps: conversion, product, product. `None` for zero and for
/// whatever overflows or is subnormal.
#[inline(always)]
fn scaled(sum: i32, scale: u16, x_scale: u32) -> Option<u32> {
    let (scale_exponent, x_exponent) = (exponent(u32::from(scale) << 16), exponent(x_scale));
    let magnitude = sum.unsigned_abs();
    // All ordinary exponents, so that the first product cannot overflow; no
    // zero, and no more than 31 bits.
    if magnitude.wrapping_sub(1) > i32::MAX as u32 - 1
        || scale_exponent.wrapping_sub(1) > 221
        || x_exponent.wrapping_sub(1) > 253
    {
        return None;
    }
    let (normal_sum, zeros) = moved_up(magnitude);
    let sum = sum as u32;
    // 24 bits times 8, then times 24.
    let product = round(normal_sum) * (u32::from(scale) & 0x7f | 0x80);
    let (product, carry) = normal(product >> 1 | product & 1);
    let (product, carry_too) = normal(product48(round(product), significand(x_scale) >> 8));
    let exponent = (scale_exponent + x_exponent + carry + carry_too)
        .wrapping_sub(zeros)
        .wrapping_sub(96);
    if exponent.wrapping_sub(1) > 252 {
        return None;
    }
    let sign = (sum ^ u32::from(scale) << 16 ^ x_scale) & 1 << 31;
    // The hidden bit, or the carry of rounding, adds to the exponent.
    Some(sign | (exponent << 23).wrapping_add(round(product) - HIDDEN))
}

/// A number of 1 to 31 bits, moved up until it has 31, and the zeros that
/// stood before it in the word.
#[cfg(not(kinglet_armv6m))]
#[inline(always)]
fn moved_up(value: u32) -> (u32, u32) {
    let zeros = value.leading_zeros();
    (value << (zeros - 1), zeros)
}

/// The same: an ARMv6-M core has no instruction that counts zeros.
#[cfg(any(kinglet_armv6m, test))]
#[cfg_attr(test, allow(dead_code))]
#[inline(always)]
fn moved_up_by_halves(mut value: u32) -> (u32, u32) {
    let mut zeros = 1;
    for bits in [16, 8, 4, 2, 1] {
        if value >> (31 - bits) == 0 {
            value <<= bits;
            zeros += bits;
        }
    }
    (value, zeros)
}

/// The upper 31 of the 48 bits of a product of two numbers up to `2^24`; the
/// last stands for all that were cut off.
#[cfg(not(kinglet_armv6m))]
#[inline(always)]
fn product48(a: u32, b: u32) -> u32 {
    let product = u64::from(a << 7) * u64::from(b << 8);
    (product >> 32) as u32 | u32::from(product as u32 != 0)
}

/// The same from halves: no product here has more than 32 bits.
#[cfg(any(kinglet_armv6m, test))]
#[cfg_attr(test, allow(dead_code))]
#[inline(always)]
fn product48_of_halves(a: u32, b: u32) -> u32 {
    const HALF: u32 = 0xfff;
    let (a1, a0, b1, b0) = (a >> 12, a & HALF, b >> 12, b & HALF);
    let low = a0 * b0;
    let middle = a1 * b0 + a0 * b1 + (low >> 12);
    let rest = middle << 20 | (low & HALF) << 8;
    ((a1 * b1 + (middle >> 12)) << 7 | rest >> 25) | u32::from(rest << 7 != 0)
}

#[cfg(kinglet_armv6m)]
use {moved_up_by_halves as moved_up, product48_of_halves as product48};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Pcg32;

    /// Bits of floats, half of them near a magnitude of 1.
    fn float_bits(rng: &mut Pcg32) -> u32 {
        let bits = rng.next_u32();
        match rng.next_u32() & 3 {
            0 => bits,
            1 => (bits & 0x8000_0000) | ((bits >> 8 & 0x0fff_ffff) + 0x3800_0000),
            2 => bits & 0xc0ff_0000 | 0x3c00_0000,
            _ => bits & 0xffff_fff0 | 0x4000_0000,
        }
    }

    fn same_bits(ours: f32, ieee: f32) -> bool {
        ours.to_bits() == ieee.to_bits() || ours.is_nan() && ieee.is_nan()
    }

    #[test]
    fn quantization_is_that_of_floats() {
        let mut rng = Pcg32::new(1);
        let inverses = [
            0.0,
            1.0,
            127.0,
            0.3,
            1e-38,
            1e-30,
            1e30,
            1.27e32,
            f32::MAX,
            f32::INFINITY,
            -3.0,
        ];
        for i in 0..if cfg!(miri) { 300 } else { 3_000_000 } {
            let inverse = match i & 1 {
                0 => inverses[i / 2 % inverses.len()],
                _ => f32::from_bits(float_bits(&mut rng)),
            };
            // Values up to 127, and any.
            let x = match rng.next_u32() & 1 {
                0 => f32::from_bits(float_bits(&mut rng)),
                _ => (rng.next_u32() as i32 as f32) * (127.0 / (1u32 << 31) as f32) / inverse,
            };
            let expected = general_quantize_one(x, inverse);
            // Which NaN comes out is the processor's choice.
            if !(x * inverse).is_nan() {
                assert_eq!(quantize_one(x, inverse), expected, "{x:e} {inverse:e}");
            }
        }
    }

    /// Halves, and their neighbours: where rounding changes its mind.
    #[test]
    fn ties_of_quantization() {
        for k in -260i32..260 {
            for inverse in [0.25f32, 1.0, 3.0, 127.0 / 0.37, 1e20, 7e-20] {
                let x = (k as f32 / 2.0) / inverse;
                for step in -40i32..=40 {
                    let x = f32::from_bits(x.to_bits().wrapping_add_signed(step));
                    if !x.is_nan() {
                        assert_eq!(
                            quantize_one(x, inverse),
                            general_quantize_one(x, inverse),
                            "{x:e}"
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn scaling_is_that_of_floats() {
        let mut rng = Pcg32::new(2);
        let edges = [
            0,
            1,
            -1,
            (1 << 24) - 1,
            1 << 24,
            (1 << 24) + 1,
            (1 << 25) + 2,
            (1 << 25) + 6,
            i32::MAX,
            i32::MIN,
        ];
        for i in 0..if cfg!(miri) { 300 } else { 3_000_000 } {
            let sum = match i % 3 {
                0 => edges[i / 3 % edges.len()],
                1 => rng.next_u32() as i32,
                _ => rng.next_u32() as i32 >> (1 + i % 31),
            };
            let scale = bf16::from_bits((float_bits(&mut rng) >> 16) as u16);
            let x_scale = f32::from_bits(float_bits(&mut rng));
            let mut out = [f32::from_bits(sum as u32)];
            scale_rows(&[scale], x_scale, &mut out);
            let expected = general_scaled(sum, scale, x_scale);
            assert!(same_bits(out[0], expected), "{sum} {scale} {x_scale:e}");
        }
    }

    #[test]
    fn what_armv6m_does_by_halves() {
        let mut rng = Pcg32::new(3);
        for _ in 0..if cfg!(miri) { 300 } else { 1_000_000 } {
            // Up to 2^24: what rounding may have carried to.
            let (a, b) = ((rng.next_u32() >> 8) + 1, rng.next_u32() >> 8);
            assert_eq!(product48(a, b), product48_of_halves(a, b));
            let value = (rng.next_u32() >> 1 >> (a & 31)) | 1;
            assert_eq!(moved_up(value), moved_up_by_halves(value));
        }
    }
}
