//! The layout `rows4`: words of four int8 or eight int4 columns of one row.

use super::{int4_groups, int8_words};
use crate::shape::{Bits, BLOCK_ROWS};

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
        Bits::Int4 => int4_groups(block, columns, group),
    }
}

/// The sums of a group: four steps of eight columns, a word for each row.
fn group(steps: &[u32], x: &[i8]) -> [i32; BLOCK_ROWS] {
    let mut sums = [0i32; BLOCK_ROWS];
    for (words, x) in steps.chunks_exact(BLOCK_ROWS).zip(x.chunks_exact(8)) {
        for (sum, word) in sums.iter_mut().zip(words) {
            *sum = sum.wrapping_add(eight_nibbles(word ^ INT4_FLIP, x));
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
