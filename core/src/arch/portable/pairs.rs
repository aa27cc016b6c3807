//! The layout `pairs`: int8 as in `rows4` but for the offsets; int4 with two
//! rows in the halves of a word.

use super::{int4_groups, int8_words};
use crate::shape::{Bits, BLOCK_ROWS};

/// Turns the stored bytes of an int8 word into two's complement: all but the
/// last are stored with 128 added.
const INT8_FLIP: u32 = 0x0080_8080;

/// The exact sums of a block of four rows.
pub(super) fn block(bits: Bits, block: &[u32], columns: &[i8]) -> [i32; BLOCK_ROWS] {
    match bits {
        Bits::Int8 => int8_words(block, columns, INT8_FLIP),
        Bits::Int4 => int4_groups(block, columns, group),
    }
}

/// The sums of a group: eight steps of four columns, a word for two rows.
fn group(steps: &[u32], x: &[i8]) -> [i32; BLOCK_ROWS] {
    let mut sums = [0i32; BLOCK_ROWS];
    for (words, x) in steps.chunks_exact(2).zip(x.chunks_exact(4)) {
        let halves = words.iter().flat_map(|word| [word & 0xffff, word >> 16]);
        for (sum, half) in sums.iter_mut().zip(halves) {
            *sum = sum.wrapping_add(four_nibbles(half, x));
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
