//! The layout `lanes16`: vectors of 16 bytes, each a row's.

use super::groups;
use crate::shape::{Bits, BLOCK_ROWS, GROUP_COLS};

/// Words of a vector.
const VECTOR_WORDS: usize = 4;

/// The exact sums of a block of four rows.
pub(super) fn block(bits: Bits, block: &[u32], columns: &[i8]) -> [i32; BLOCK_ROWS] {
    match bits {
        Bits::Int8 => int8_block(block, columns),
        Bits::Int4 => groups(bits, block, columns, group),
        #[cfg(feature = "int6")]
        Bits::Int6 => groups(bits, block, columns, int6_group),
    }
}

fn bytes(words: &[u32]) -> impl Iterator<Item = i8> + '_ {
    words
        .iter()
        .flat_map(|word| word.to_le_bytes())
        .map(|byte| byte as i8)
}

/// Four rows of int8 weights: steps of 16 columns, a vector for each row.
fn int8_block(block: &[u32], columns: &[i8]) -> [i32; BLOCK_ROWS] {
    let mut sums = [0i32; BLOCK_ROWS];
    let steps = block
        .chunks_exact(BLOCK_ROWS * VECTOR_WORDS)
        .zip(columns.chunks_exact(16));
    for (vectors, x) in steps {
        for (sum, vector) in sums.iter_mut().zip(vectors.chunks_exact(VECTOR_WORDS)) {
            let products = bytes(vector)
                .zip(x)
                .map(|(w, &x)| i32::from(w) * i32::from(x));
            *sum = sum.wrapping_add(products.sum());
        }
    }
    sums
}

/// The sums of a group: a vector for each row, columns 0..16 in the low
/// nibbles and 16..32 in the high ones.
fn group(vectors: &[u32], x: &[i8]) -> [i32; BLOCK_ROWS] {
    let mut sums = [0i32; BLOCK_ROWS];
    let (low, high) = x.split_at_checked(GROUP_COLS / 2).unwrap_or((&[], &[]));
    for (sum, vector) in sums.iter_mut().zip(vectors.chunks_exact(VECTOR_WORDS)) {
        let columns = low.iter().zip(high);
        let products = bytes(vector).zip(columns).map(|(byte, (&low, &high))| {
            i32::from(byte << 4 >> 4) * i32::from(low) + i32::from(byte >> 4) * i32::from(high)
        });
        *sum = products.sum();
    }
    sums
}

/// The sums of a group of int6 weights: for each half the vectors of three rows, whose
/// lower two bits are the fourth row.
#[cfg(feature = "int6")]
fn int6_group(vectors: &[u32], x: &[i8]) -> [i32; BLOCK_ROWS] {
    let mut sums = [0i32; BLOCK_ROWS];
    let halves = vectors
        .chunks_exact(3 * VECTOR_WORDS)
        .zip(x.chunks_exact(16));
    for (vectors, x) in halves {
        let (a, rest) = vectors.split_at_checked(VECTOR_WORDS).unwrap_or((&[], &[]));
        let (b, c) = rest.split_at_checked(VECTOR_WORDS).unwrap_or((&[], &[]));
        for (((a, b), c), &x) in bytes(a).zip(bytes(b)).zip(bytes(c)).zip(x) {
            let last = c << 6 | (b & 3) << 4 | (a & 3) << 2;
            for (sum, byte) in sums.iter_mut().zip([a, b, c, last]) {
                *sum = sum.wrapping_add(i32::from(byte >> 2) * i32::from(x));
            }
        }
    }
    sums
}
