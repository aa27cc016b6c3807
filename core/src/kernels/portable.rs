//! The obviously right kernels: what every other kernel must equal bit for
//! bit. They read the layout of the image word by word.

use super::quantize_one;
use crate::image::{Bits, Matrix, BLOCK_ROWS, GROUP_BYTES, GROUP_COLS, STEP_COLS};

/// Turns the stored bytes of an int8 word into two's complement: the even
/// ones are stored with 128 added.
const INT8_FLIP: u32 = 0x0080_0080;

/// Turns the stored nibbles of an int4 word into two's complement: all but
/// the fourth of each half are stored with 8 added.
const INT4_FLIP: u32 = 0x0888_0888;

/// Quantizes `x` to one byte per column, zeros behind the last.
pub fn prepare(x: &[f32], inverse: f32, bits: Bits, words: &mut [u32]) {
    let multiple = match bits {
        Bits::Int8 => STEP_COLS,
        Bits::Int4 => GROUP_COLS,
    };
    let columns: &mut [i8] = bytemuck::cast_slice_mut(words);
    let padding = x.len().next_multiple_of(multiple) - x.len();
    let padded = x.iter().copied().chain(core::iter::repeat_n(0.0, padding));
    for (column, x) in columns.iter_mut().zip(padded) {
        *column = quantize_one(x, inverse);
    }
}

/// The exact sums `[rows]` of `matrix` with a prepared vector; `sums` must
/// hold whole blocks of rows.
pub fn sums(matrix: &Matrix<'_>, words: &[u32], sums: &mut [i32]) {
    let columns: &[i8] = bytemuck::cast_slice(words);
    let (bits, cols) = (matrix.bits, matrix.cols);
    let block_words = match bits {
        Bits::Int8 => cols.div_ceil(STEP_COLS) * BLOCK_ROWS,
        Bits::Int4 => cols.div_ceil(GROUP_COLS) * GROUP_BYTES / 4,
    };
    let blocks = matrix.weights.chunks_exact(block_words.max(1));
    let blocks = blocks.take(matrix.rows.div_ceil(BLOCK_ROWS));
    for (sums, block) in sums.chunks_exact_mut(BLOCK_ROWS).zip(blocks) {
        sums.copy_from_slice(&match bits {
            Bits::Int8 => int8_block(block, columns),
            Bits::Int4 => int4_block(block, columns),
        });
    }
}

/// Four rows of int8 weights: steps of four columns, a word for each row.
fn int8_block(block: &[u32], columns: &[i8]) -> [i32; 4] {
    let mut sums = [0i32; BLOCK_ROWS];
    let steps = block
        .chunks_exact(BLOCK_ROWS)
        .zip(columns.chunks_exact(STEP_COLS));
    for (words, x) in steps {
        for (sum, word) in sums.iter_mut().zip(words) {
            let weights = (word ^ INT8_FLIP).to_le_bytes();
            for (w, &x) in weights.into_iter().zip(x) {
                *sum = sum.wrapping_add(i32::from(w as i8) * i32::from(x));
            }
        }
    }
    sums
}

/// Four rows of int4 weights: groups of 32 columns, each four steps of eight
/// columns with a word for each row, then a word of four scales.
fn int4_block(block: &[u32], columns: &[i8]) -> [i32; 4] {
    let mut sums = [0i32; BLOCK_ROWS];
    let groups = block
        .chunks_exact(GROUP_BYTES / 4)
        .zip(columns.chunks_exact(GROUP_COLS));
    for (group, x) in groups {
        let Some((scales, steps)) = group.split_last() else {
            continue;
        };
        let mut group_sums = [0i32; BLOCK_ROWS];
        for (words, x) in steps.chunks_exact(BLOCK_ROWS).zip(x.chunks_exact(8)) {
            for (sum, word) in group_sums.iter_mut().zip(words) {
                *sum = sum.wrapping_add(eight_nibbles(word ^ INT4_FLIP, x));
            }
        }
        for ((sum, group_sum), scale) in sums.iter_mut().zip(group_sums).zip(scales.to_le_bytes()) {
            *sum = sum.wrapping_add(group_sum.wrapping_mul(i32::from(scale)));
        }
    }
    sums
}

/// The dot product of eight signed nibbles, lowest first, with eight columns.
fn eight_nibbles(word: u32, x: &[i8]) -> i32 {
    let mut rest = word as i32;
    let mut sum = 0;
    for &x in x {
        sum += (rest << 28 >> 28) * i32::from(x);
        rest >>= 4;
    }
    sum
}
