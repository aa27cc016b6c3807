//! The layout `rows4`: words of four int8 or eight int4 columns of one row.

use super::int8_words;
use crate::image::{Bits, BLOCK_ROWS, GROUP_BYTES, GROUP_COLS};

/// Turns the stored bytes of an int8 word into two's complement: the even
/// ones are stored with 128 added.
const INT8_FLIP: u32 = 0x0080_0080;

/// Turns the stored nibbles of an int4 word into two's complement: all but
/// the fourth of each half are stored with 8 added.
const INT4_FLIP: u32 = 0x0888_0888;

/// The exact sums of a block of four rows.
pub(super) fn block(bits: Bits, block: &[u32], columns: &[i8]) -> [i32; BLOCK_ROWS] {
    match bits {
        Bits::Int8 => int8_words(block, columns, INT8_FLIP),
        Bits::Int4 => int4_block(block, columns),
    }
}

/// Four rows of int4 weights: groups of 32 columns, each four steps of eight
/// columns with a word for each row, then a word of four scales.
fn int4_block(block: &[u32], columns: &[i8]) -> [i32; BLOCK_ROWS] {
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
