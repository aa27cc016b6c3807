//! AArch64: NEON, and its byte dot product `SDOT` where the processor has it.
//!
//! The layout `rows4` puts a word of each of four rows side by side: a vector
//! of 16 bytes, of which each 32-bit lane belongs to one row. An exclusive-or
//! makes its bytes or nibbles two's complement; both instruction sets then
//! multiply signed bytes, exactly.
//!
//! A prepared vector is that of `words`: per step of four (int8) or eight
//! (int4) columns the factors of the even and of the odd bytes or nibbles.

use super::shared::words::{self, GROUP_WORDS, STEP_WORDS, STORED_WORDS};
use super::{Port, Portable, Quantizer};
use crate::shape::{Bits, Layout, Matrix, BLOCK_ROWS, GROUP_COLS};
use core::arch::aarch64::*;
use core::arch::asm;
use std::arch::is_aarch64_feature_detected;

/// Turns stored int8 words into two's complement.
const INT8_FLIP: u32 = 0x0080_0080;

/// Turns stored int4 words into two's complement.
const INT4_FLIP: u32 = 0x0888_0888;

/// Adds the products of bytes to the sums of the four 32-bit lanes.
type Dot = fn(int32x4_t, int8x16_t, int8x16_t) -> int32x4_t;

/// AArch64.
#[derive(Debug)]
pub struct Neon;

impl Port for Neon {
    type Base = Portable;

    const LAYOUT: Layout = Layout::Rows4;

    fn prepare(x: &[i32], quantizer: Quantizer, bits: Bits, words: &mut [u32]) {
        words::prepare(x, quantizer, bits, words);
    }

    fn sums(matrix: &Matrix<'_>, words: &[u32], sums: &mut [i32]) {
        if is_aarch64_feature_detected!("dotprod") {
            sums_with(dot_sdot, matrix, words, sums);
        } else {
            sums_with(dot_neon, matrix, words, sums);
        }
    }
}

/// As [`Neon`], without `SDOT`: on a processor that has it, the tests see both.
#[cfg(test)]
#[derive(Debug)]
pub struct NeonAlone;

#[cfg(test)]
impl Port for NeonAlone {
    type Base = Neon;

    fn sums(matrix: &Matrix<'_>, words: &[u32], sums: &mut [i32]) {
        sums_with(dot_neon, matrix, words, sums);
    }
}

/// The sums of all blocks: a vector of four, a lane for each row.
#[inline(always)]
fn sums_with(dot: Dot, matrix: &Matrix<'_>, words: &[u32], out: &mut [i32]) {
    let (rounds, stored, prepared) = match matrix.bits {
        Bits::Int8 => (matrix.cols.div_ceil(4), BLOCK_ROWS, STEP_WORDS),
        #[cfg(feature = "int6")]
        Bits::Int6 => return Portable::sums(matrix, words, out),
        Bits::Int4 => (matrix.cols.div_ceil(GROUP_COLS), STORED_WORDS, GROUP_WORDS),
    };
    let words = words.get(..rounds * prepared).unwrap_or(&[]);
    let weights = matrix.weights.chunks_exact((rounds * stored).max(1));
    for (out, weights) in out.chunks_exact_mut(BLOCK_ROWS).zip(weights) {
        let sums = match matrix.bits {
            Bits::Int8 => int8_block(dot, weights, words),
            _ => int4_block(dot, weights, words),
        };
        // SAFETY: NEON is a part of AArch64; `out` is a chunk of four words.
        unsafe { vst1q_s32(out.as_mut_ptr(), sums) };
    }
}

/// Four words; zeros where there are fewer.
#[inline(always)]
fn load4(words: &[u32]) -> uint32x4_t {
    let words: &[u32; 4] = words.first_chunk().unwrap_or(&[0; 4]);
    // SAFETY: NEON is a part of AArch64; reads an array of four words.
    unsafe { vld1q_u32(words.as_ptr()) }
}

/// Four bytes of the vector, for each row.
#[inline(always)]
fn each(word: u32) -> int8x16_t {
    // SAFETY: NEON is a part of AArch64.
    unsafe { vreinterpretq_s8_u32(vdupq_n_u32(word)) }
}

/// A step is a vector of weights times four columns, in every lane the same.
#[inline(always)]
fn int8_block(dot: Dot, weights: &[u32], words: &[u32]) -> int32x4_t {
    // SAFETY: NEON is a part of AArch64.
    let (flip, mut sum) = unsafe { (vdupq_n_u32(INT8_FLIP), vdupq_n_s32(0)) };
    let steps = weights
        .chunks_exact(BLOCK_ROWS)
        .zip(words.chunks_exact(STEP_WORDS));
    for (weights, words) in steps {
        // SAFETY: as above.
        let w = unsafe { vreinterpretq_s8_u32(veorq_u32(load4(weights), flip)) };
        sum = dot(sum, w, each(words[0]));
    }
    sum
}

/// Even columns are the low nibbles, shifted up and down again for their sign; odd
/// ones the high nibbles. The group's sums are multiplied by its scales.
#[inline(always)]
fn int4_block(dot: Dot, weights: &[u32], words: &[u32]) -> int32x4_t {
    // SAFETY: NEON is a part of AArch64.
    let (flip, zero) = unsafe { (vdupq_n_u32(INT4_FLIP), vdupq_n_s32(0)) };
    let mut total = zero;
    let groups = weights
        .chunks_exact(STORED_WORDS)
        .zip(words.chunks_exact(GROUP_WORDS));
    for (weights, words) in groups {
        let mut sum = zero;
        for (step, weights) in weights.chunks_exact(BLOCK_ROWS).enumerate() {
            // SAFETY: as above.
            let (even, odd) = unsafe {
                let w = vreinterpretq_s8_u32(veorq_u32(load4(weights), flip));
                (vshrq_n_s8::<4>(vshlq_n_s8::<4>(w)), vshrq_n_s8::<4>(w))
            };
            sum = dot(sum, even, each(words[step]));
            sum = dot(sum, odd, each(words[4 + step]));
        }
        let scales = weights[STORED_WORDS - 1].to_le_bytes().map(u32::from);
        // SAFETY: as above.
        total = unsafe { vmlaq_s32(total, sum, vreinterpretq_s32_u32(load4(&scales))) };
    }
    total
}

/// By `SMULL`: products of 16 bits, added in pairs to 32 bits, and these in pairs.
#[inline(always)]
fn dot_neon(sum: int32x4_t, a: int8x16_t, b: int8x16_t) -> int32x4_t {
    // SAFETY: NEON is a part of AArch64. 128 x 128 fits in 16 bits.
    unsafe {
        let low = vpaddlq_s16(vmull_s8(vget_low_s8(a), vget_low_s8(b)));
        let high = vpaddlq_s16(vmull_high_s8(a, b));
        vaddq_s32(sum, vpaddq_s32(low, high))
    }
}

/// By `SDOT`: four products of bytes are added to each 32-bit lane.
#[inline(always)]
fn dot_sdot(mut sum: int32x4_t, a: int8x16_t, b: int8x16_t) -> int32x4_t {
    // SAFETY: only called where the processor has the instruction, which
    // touches nothing but its operands.
    unsafe {
        asm!(
            ".arch_extension dotprod",
            "sdot {sum:v}.4s, {a:v}.16b, {b:v}.16b",
            sum = inout(vreg) sum,
            a = in(vreg) a,
            b = in(vreg) b,
            options(pure, nomem, nostack, preserves_flags),
        );
    }
    sum
}
