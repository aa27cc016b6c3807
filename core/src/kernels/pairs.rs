//! What the kernels for the layout `pairs` share: Cortex-M0 and M3.
//!
//! Both instruction sets multiply 32-bit words modulo 2^32, so corrections
//! need no narrow lanes: a prepared vector has a word for each column.

use super::quantize_one;
use crate::image::{Bits, Matrix, BLOCK_ROWS, GROUP_BYTES, GROUP_COLS};

/// Words of a prepared int4 group: the constant, then one per column.
const GROUP_WORDS: usize = GROUP_COLS + 1;

/// Quantizes `x` and arranges it; zeros behind the last column.
pub fn prepare(x: &[f32], inverse: f32, bits: Bits, words: &mut [u32]) {
    match bits {
        Bits::Int8 => prepare_int8(x, inverse, words),
        Bits::Int4 => {
            let groups = x
                .chunks(GROUP_COLS)
                .zip(words.chunks_exact_mut(GROUP_WORDS));
            groups.for_each(|(x, words)| prepare_group(x, inverse, words));
        }
    }
}

/// Quantizes up to four values, zeros behind the last.
fn four(x: &[f32], inverse: f32) -> [i32; 4] {
    let mut q = [0; 4];
    for (q, &x) in q.iter_mut().zip(x) {
        *q = i32::from(quantize_one(x, inverse));
    }
    q
}

/// `y_k = x_k - 256 x_(k-1)` within each four columns; first the constant
/// that takes the offset of the stored weights away.
fn prepare_int8(x: &[f32], inverse: f32, words: &mut [u32]) {
    let Some((constant, words)) = words.split_first_mut() else {
        return;
    };
    let mut offset = 0;
    for (x, words) in x.chunks(4).zip(words.chunks_exact_mut(4)) {
        let [x0, x1, x2, x3] = four(x, inverse);
        let y = [x0, x1 - 256 * x0, x2 - 256 * x1, x3 - 256 * x2];
        words.copy_from_slice(&y.map(|y| y as u32));
        offset += x0 + x1 + x2;
    }
    *constant = (-128 * offset) as u32;
}

/// `y_k = x_k - 16^k x_0` within each four columns, in the order y1, y2, y3,
/// y0: the word that meets y0 is needed whole until then. First the constant,
/// in both halves.
fn prepare_group(x: &[f32], inverse: f32, words: &mut [u32]) {
    let Some((constant, words)) = words.split_first_mut() else {
        return;
    };
    words.fill(0);
    let mut sum = 0i32;
    for (x, words) in x.chunks(4).zip(words.chunks_exact_mut(4)) {
        let [x0, x1, x2, x3] = four(x, inverse);
        let y = [x1 - 16 * x0, x2 - 256 * x0, x3 - 4096 * x0, x0];
        words.copy_from_slice(&y.map(|y| y as u32));
        sum += x0 + x1 + x2 + x3;
    }
    *constant = (-8 * sum).wrapping_mul(0x0001_0001) as u32;
}

/// A kernel: weights, prepared words, sums, blocks of rows, and steps (int8)
/// or groups (int4) of a block.
pub(super) type Routine = unsafe extern "C" fn(*const u32, *const u32, *mut i32, usize, usize);

/// Calls the routine for the matrix's precision, if the slices hold all that
/// it will read and write.
///
/// # Safety
/// The routines must read no more than whole blocks of weights and a prepared
/// vector, and write no more than four sums per block.
pub(super) unsafe fn call(
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
