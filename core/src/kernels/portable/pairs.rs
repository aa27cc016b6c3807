//! The layout `pairs`: int8 as in `rows4` but for the offsets; int4 with two
//! rows in the halves of a word.

use super::int8_words;
use crate::image::{Bits, BLOCK_ROWS, GROUP_BYTES, GROUP_COLS};

/// Turns the stored bytes of an int8 word into two's complement: all but the
/// last are stored with 128 added.
const INT8_FLIP: u32 = 0x0080_8080;

/// The exact sums of a block of four rows.
pub(super) fn block(bits: Bits, block: &[u32], columns: &[i8]) -> [i32; BLOCK_ROWS] {
    match bits {
        Bits::Int8 => int8_words(block, columns, INT8_FLIP),
        Bits::Int4 => int4_block(block, columns),
    }
}

/// Four rows of int4 weights: groups of 32 columns, each eight steps of four
/// columns with a word for two rows, then a word of four scales.
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
        for (words, x) in steps.chunks_exact(2).zip(x.chunks_exact(4)) {
            let halves = words.iter().flat_map(|word| [word & 0xffff, word >> 16]);
            for (sum, half) in group_sums.iter_mut().zip(halves) {
                *sum = sum.wrapping_add(four_nibbles(half, x));
            }
        }
        for ((sum, group_sum), scale) in sums.iter_mut().zip(group_sums).zip(scales.to_le_bytes()) {
            *sum = sum.wrapping_add(group_sum.wrapping_mul(i32::from(scale)));
        }
    }
    sums
}

/// The dot product of four nibbles, stored with 8 added, with four columns.
fn four_nibbles(half: u32, x: &[i8]) -> i32 {
    let weight = |k: usize| (half >> (4 * k) & 15) as i32 - 8;
    let products = x.iter().enumerate().map(|(k, &x)| weight(k) * i32::from(x));
    products.sum()
}
