//! What the ports for the layout `pairs` share: Cortex-M0 and M3, RISC-V.
//!
//! All of them multiply 32-bit words modulo 2^32, so corrections
//! need no narrow lanes: a prepared vector has a word for each column.

use super::Words;
use crate::arch::Quantizer;
use crate::shape::{Bits, Matrix, BLOCK_ROWS, GROUP_BYTES, GROUP_COLS};

/// Words of a prepared int4 group: the constant, then one per column.
const GROUP_WORDS: usize = GROUP_COLS + 1;

/// Arranges four columns of an int4 group.
pub trait Arrange: Fn([u32; 4]) -> [u32; 4] + Copy {}

impl<F: Fn([u32; 4]) -> [u32; 4] + Copy> Arrange for F {}

/// Quantizes `x` and arranges it, int4 columns by `arrange`; zeros after the last
/// column.
pub fn prepare(
    x: &[i32],
    quantizer: Quantizer,
    bits: Bits,
    words: &mut [u32],
    arrange: impl Arrange,
) {
    match bits {
        Bits::Int8 => prepare_int8(x, quantizer, words),
        Bits::Int4 => {
            let groups = x
                .chunks(GROUP_COLS)
                .zip(words.chunks_exact_mut(GROUP_WORDS));
            groups.for_each(|(x, words)| prepare_group(x, quantizer, words, arrange));
        }
    }
}

/// Quantizes `x`, a word per column; zeros after the last.
#[inline(always)]
fn quantize(x: &[i32], quantizer: Quantizer, words: &mut [u32]) {
    let (whole, padding) = words.split_at_mut(x.len().min(words.len()));
    for (word, &x) in whole.iter_mut().zip(x) {
        *word = quantizer.of(x) as u32;
    }
    padding.fill(0);
}

/// `y_k = x_k - 256 x_(k-1)` within each four columns; first the constant
/// that cancels the offset of the stored weights.
#[inline(never)]
fn prepare_int8(x: &[i32], quantizer: Quantizer, words: &mut [u32]) {
    let Some((constant, words)) = words.split_first_mut() else {
        return;
    };
    quantize(x, quantizer, words);
    let mut offset = 0u32;
    for step in words.chunks_exact_mut(4) {
        let &mut [x0, x1, x2, x3] = step else { return };
        let y = [
            x0,
            x1.wrapping_sub(x0 << 8),
            x2.wrapping_sub(x1 << 8),
            x3.wrapping_sub(x2 << 8),
        ];
        step.copy_from_slice(&y);
        offset = offset.wrapping_add(x0).wrapping_add(x1).wrapping_add(x2);
    }
    *constant = (offset << 7).wrapping_neg();
}

/// `y_k = x_k - 16^k x_0`, in the order y1, y2, y3, y0: the word that meets y0
/// is needed whole until then.
#[cfg(any(kinglet_armv6m, kinglet_armv7m))]
pub fn less_first([x0, x1, x2, x3]: [u32; 4]) -> [u32; 4] {
    [
        x1.wrapping_sub(x0 << 4),
        x2.wrapping_sub(x0 << 8),
        x3.wrapping_sub(x0 << 12),
        x0,
    ]
}

/// Each four columns as `arrange` has them. First the constant that cancels the
/// offset of the stored weights, in both halves.
#[inline(never)]
fn prepare_group(x: &[i32], quantizer: Quantizer, words: &mut [u32], arrange: impl Arrange) {
    let Some((constant, words)) = words.split_first_mut() else {
        return;
    };
    quantize(x, quantizer, words);
    let mut sum = 0u32;
    for step in words.chunks_exact_mut(4) {
        let &mut [x0, x1, x2, x3] = step else { return };
        step.copy_from_slice(&arrange([x0, x1, x2, x3]));
        sum = sum.wrapping_add(x0).wrapping_add(x1);
        sum = sum.wrapping_add(x2).wrapping_add(x3);
    }
    *constant = (sum << 3).wrapping_neg().wrapping_mul(0x0001_0001);
}

/// A routine: weights, prepared words, sums, blocks of rows, and steps (int8)
/// or groups (int4) of a block.
pub type Routine = unsafe extern "C" fn(Words, Words, *mut i32, usize, usize);

/// Calls the routine for the matrix's precision, if the slices hold all that
/// it will read and write.
///
/// # Safety
/// The routines must read no more than whole blocks of weights and a prepared
/// vector, and write no more than four sums per block.
pub unsafe fn call(
    int8: Routine,
    int4: Routine,
    matrix: &Matrix<'_>,
    words: &[u32],
    sums: &mut [i32],
) {
    let blocks = matrix.rows.div_ceil(BLOCK_ROWS);
    let (routine, rounds, block_words, prepared) = match matrix.bits {
        Bits::Int8 => {
            let steps = matrix.cols.div_ceil(4);
            (int8, steps, steps * BLOCK_ROWS, 4 * steps + 1)
        }
        Bits::Int4 => {
            let groups = matrix.cols.div_ceil(GROUP_COLS);
            (int4, groups, groups * GROUP_BYTES / 4, groups * GROUP_WORDS)
        }
    };
    let fits = blocks > 0
        && rounds > 0
        && sums.len() >= blocks * BLOCK_ROWS
        && matrix.weights.len() >= blocks * block_words
        && words.len() >= prepared;
    if fits {
        let (weights, words, sums) = (matrix.weights.as_ptr(), words.as_ptr(), sums.as_mut_ptr());
        // SAFETY: checked just above, and promised by the caller.
        unsafe { routine(weights, words, sums, blocks, rounds) }
    }
}
