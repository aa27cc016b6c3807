//! The float operations around a product, for cores without an FPU: the same
//! bits as IEEE single arithmetic at a fraction of the library's cost.
//!
//! A general multiplication takes 60 to 120 instructions, most of them for
//! cases that do not occur here. Values outside of the assumptions below take
//! the general one. Scaling takes about 60 instructions a row on a Cortex-M3 and 70
//! on a Cortex-M0, quantizing and arranging 34 to 50 a column.
//!
//! **Quantizing.** The product of the upper 16 bits of both significands lies
//! at most [`LEAST`] above and [`MOST`] below that of all bits, rounded. Where
//! both ends round to the same integer, it is the result; else the float
//! operations decide.
//!
//! **Scaling.** Significands are multiplied as integers; a sticky bit stands
//! for all that was cut off, so that each of the three roundings is to nearest
//! even.

mod exp;

use crate::arch::portable::{self, Portable};
use crate::arch::Port;
#[cfg(kinglet_armv6m)]
pub use exp::HALVES;
pub use exp::{exp, WHOLE};
use half::bf16;

/// The base of ports for cores without an FPU.
#[derive(Debug)]
pub struct Soft;

impl Port for Soft {
    type Base = Portable;

    fn scale_rows(scales: &[bf16], x_scale: f32, out: &mut [f32]) {
        for (out, &scale) in out.iter_mut().zip(scales) {
            let sum = out.to_bits() as i32;
            *out = match scaled(sum, scale.to_bits(), x_scale.to_bits()) {
                Some(bits) => f32::from_bits(bits),
                None => general_scaled(sum, scale, x_scale),
            };
        }
    }

    #[inline]
    fn exp(x: f32) -> f32 {
        exp::<WHOLE>(x)
    }
}

/// The exponent field that stands for 1.
const BIAS: u32 = 127;

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

/// The common factor of a vector's values.
#[repr(C)]
pub struct Factor {
    /// The upper 16 bits of the significand.
    significand: u32,
    /// `x * factor = product / 2^(1 + offset - exponent(x))`, the product of
    /// two 16-bit significands halved. 0 makes every value a general case.
    offset: u32,
}

impl Factor {
    /// From a float; general unless it is positive and neither tiny nor huge.
    #[inline(always)]
    pub fn new(factor: f32) -> Self {
        let bits = factor.to_bits();
        let ordinary = (6 << 23..234 << 23).contains(&bits);
        Self {
            significand: significand(bits) >> 16,
            offset: if ordinary {
                28 + 2 * BIAS - exponent(bits)
            } else {
                0
            },
        }
    }
}

/// The error bound of the product of the upper halves of two significands,
/// plus that of rounding the float product.
#[cfg(any(not(kinglet_armv6m), test))]
const LEAST: u32 = 0xff;
#[cfg(any(not(kinglet_armv6m), test))]
const MOST: u32 = 0x1_0200;

/// `round(x * factor)`, both operations rounded to nearest even, as the low
/// byte of an integer: exact where the error of a shorter product cannot
/// change it, general where it could.
#[cfg(any(not(kinglet_armv6m), test))]
#[inline(always)]
pub fn quantize_one(x: f32, factor: f32) -> i8 {
    // The compiler computes this once for a vector.
    let Factor {
        significand: upper,
        offset,
    } = Factor::new(factor);
    let bits = x.to_bits();
    let product = ((significand(bits) >> 16) * upper) >> 1;
    let shift = offset.wrapping_sub(exponent(bits));
    if shift > 30 {
        // Below a half, or too large.
        return if shift as i32 > 30 {
            0
        } else {
            general_quantize_one(x, factor)
        };
    }
    let least = (((product - LEAST) >> shift) + 1) >> 1;
    let most = (((product + MOST) >> shift) + 1) >> 1;
    if least != most {
        return general_quantize_one(x, factor);
    }
    let sign = bits as i32 >> 31;
    ((least as i32 ^ sign) - sign) as i8
}

/// Quantizes `x`, a word per column.
#[cfg(kinglet_armv7m)]
#[inline]
pub fn quantize(x: &[f32], inverse: f32, words: &mut [u32]) {
    for (word, &x) in words.iter_mut().zip(x) {
        *word = i32::from(quantize_one(x, inverse)) as u32;
    }
}

/// [`quantize_one`] by float operations.
#[cold]
#[inline(never)]
pub fn general_quantize_one(x: f32, factor: f32) -> i8 {
    portable::quantize(x, factor)
}

/// The value of a row by float operations.
#[cold]
#[inline(never)]
pub fn general_scaled(sum: i32, scale: bf16, x_scale: f32) -> f32 {
    portable::scaled(sum, scale, x_scale)
}

/// `sum * scale * x_scale` as the bits of a float, rounded after each of the
/// three steps: conversion, product, product. `None` for zero and for
/// results that overflow or are subnormal.
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
    let zeros = magnitude.leading_zeros();
    // 24 bits times 8, then times 24.
    let product = round(magnitude << (zeros - 1)) * (u32::from(scale) & 0x7f | 0x80);
    let (product, carry) = normal(product >> 1 | product & 1);
    let (product, carry_too) = normal(product31(round(product), significand(x_scale)));
    let exponent = (scale_exponent + x_exponent + carry + carry_too)
        .wrapping_sub(zeros)
        .wrapping_sub(97);
    if exponent > 252 {
        return None;
    }
    let sign = (sum as u32 ^ u32::from(scale) << 16 ^ x_scale) & 1 << 31;
    // The hidden bit of the significand, or the carry of rounding, adds one
    // to the exponent.
    Some(sign | ((exponent << 23) + round(product)))
}

/// The upper 31 of the 56 bits of the product of a 24-bit number, or 2^24,
/// and a 32-bit number; the last is the sticky bit of all that were cut off.
#[inline(always)]
fn product31(a: u32, b: u32) -> u32 {
    let product = u64::from(a << 7) * u64::from(b);
    (product >> 32) as u32 | u32::from(product as u32 != 0)
}

/// Normalizes a significand of 31 bits, of which the last is a sticky bit:
/// shifts it left by one where its first bit is 0. Returns 1 where it did not,
/// and 0 where it did.
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
            // The bits of a NaN depend on the processor.
            if !(x * inverse).is_nan() {
                assert_eq!(quantize_one(x, inverse), expected, "{x:e} {inverse:e}");
            }
        }
    }

    /// Halves and their neighbours: where the rounded value changes.
    #[test]
    fn ties_of_quantization() {
        // Miri is a thousand times slower.
        for k in (-260i32..260).step_by(if cfg!(miri) { 131 } else { 1 }) {
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
            Soft::scale_rows(&[scale], x_scale, &mut out);
            let expected = general_scaled(sum, scale, x_scale);
            assert!(same_bits(out[0], expected), "{sum} {scale} {x_scale:e}");
        }
    }
}
