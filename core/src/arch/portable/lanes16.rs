//! The layout `lanes16`: vectors of 16 bytes, each a row's.

use super::int4_groups;
use crate::shape::{Bits, BLOCK_ROWS, GROUP_COLS};

/// Words of a vector.
const VECTOR_WORDS: usize = 4;

/// The exact sums of a block of four rows.
pub(super) fn block(bits: Bits, block: &[u32], columns: &[i8]) -> [i32; BLOCK_ROWS] {
    match bits {
        Bits::Int8 => int8_block(block, columns),
        Bits::Int4 => int4_groups(block, columns, group),
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
