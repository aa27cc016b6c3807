//! The layout `lanes16`: vectors of 16 bytes, each a row's.

use crate::image::{Bits, BLOCK_ROWS, GROUP_BYTES, GROUP_COLS};

/// Words of a vector.
const VECTOR_WORDS: usize = 4;

/// The exact sums of a block of four rows.
pub(super) fn block(bits: Bits, block: &[u32], columns: &[i8]) -> [i32; BLOCK_ROWS] {
    match bits {
        Bits::Int8 => int8_block(block, columns),
        Bits::Int4 => int4_block(block, columns),
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

/// Four rows of int4 weights: groups of 32 columns, each a vector for each
/// row, columns 0..16 in the low nibbles and 16..32 in the high ones, then a
/// word of four scales.
fn int4_block(block: &[u32], columns: &[i8]) -> [i32; BLOCK_ROWS] {
    let mut sums = [0i32; BLOCK_ROWS];
    let groups = block
        .chunks_exact(GROUP_BYTES / 4)
        .zip(columns.chunks_exact(GROUP_COLS));
    for (group, x) in groups {
        let Some((scales, vectors)) = group.split_last() else {
            continue;
        };
        let (low, high) = x.split_at_checked(GROUP_COLS / 2).unwrap_or((&[], &[]));
        let rows = vectors.chunks_exact(VECTOR_WORDS).zip(scales.to_le_bytes());
        for (sum, (vector, scale)) in sums.iter_mut().zip(rows) {
            let products = bytes(vector)
                .zip(low.iter().zip(high))
                .map(|(byte, (&low, &high))| {
                    i32::from(byte << 4 >> 4) * i32::from(low)
                        + i32::from(byte >> 4) * i32::from(high)
                });
            *sum = sum.wrapping_add(products.sum::<i32>().wrapping_mul(i32::from(scale)));
        }
    }
    sums
}
