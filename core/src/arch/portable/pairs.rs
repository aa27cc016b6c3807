//! The layout `pairs`: int8 as in `rows4` but for the offsets; int4 with two
//! rows in the halves of a word.

#[cfg(feature = "int6")]
use super::dot;
use super::{groups, int8_words};
use crate::shape::{Bits, BLOCK_ROWS};

/// Turns the stored bytes of an int8 word into two's complement: all but the
/// last are stored with 128 added.
const INT8_FLIP: u32 = 0x0080_8080;

/// The exact sums of a block of four rows.
pub(super) fn block(bits: Bits, block: &[u32], columns: &[i8]) -> [i32; BLOCK_ROWS] {
    match bits {
        Bits::Int8 => int8_words(block, columns, INT8_FLIP),
        Bits::Int4 => groups(bits, block, columns, group),
        #[cfg(feature = "int6")]
        Bits::Int6 => groups(bits, block, columns, int6_group),
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

/// The sums of a group of int6 weights: for each eight columns three times two words,
/// of edges twice, then of the middle; each of two rows.
#[cfg(feature = "int6")]
fn int6_group(words: &[u32], x: &[i8]) -> [i32; BLOCK_ROWS] {
    let mut sums = [0i32; BLOCK_ROWS];
    let steps = words.as_chunks::<6>().0.iter().zip(x.chunks_exact(8));
    for (&[edge0, edge1, other0, other1, middle0, middle1], x) in steps {
        let pairs = [[edge0, other0, middle0], [edge1, other1, middle1]];
        let rows = pairs
            .into_iter()
            .flat_map(|words| [0, 16].map(|half| words.map(|w| w >> half)));
        for (sum, [edge, other, middle]) in sums.iter_mut().zip(rows) {
            let field = |word: u32, at: u32, bits: u32| (word >> at & ((1 << bits) - 1)) as i32;
            let whole = |word: u32, at: u32| field(word, at, 6) - 32;
            let weights = [
                whole(edge, 10),
                whole(edge, 4),
                whole(middle, 10),
                whole(middle, 4),
                whole(other, 10),
                whole(other, 4),
                field(edge, 0, 4) + 16 * field(middle, 0, 2) - 32,
                field(other, 0, 4) + 16 * field(middle, 2, 2) - 32,
            ];
            *sum = sum.wrapping_add(dot(weights, x));
        }
    }
    sums
}
