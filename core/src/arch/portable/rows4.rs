//! The layout `rows4`: words of four int8 or eight int4 columns of one row.

#[cfg(feature = "int6")]
use super::dot;
use super::{groups, int8_words};
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
        Bits::Int4 => groups(bits, block, columns, group),
        #[cfg(feature = "int6")]
        Bits::Int6 => groups(bits, block, columns, int6_group),
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

/// The sums of a group of int6 weights: for each half three words of each row, two of
/// edges, then one of the middle. A lane is eight columns.
#[cfg(feature = "int6")]
fn int6_group(words: &[u32], x: &[i8]) -> [i32; BLOCK_ROWS] {
    let mut sums = [0i32; BLOCK_ROWS];
    let halves = words.chunks_exact(3 * BLOCK_ROWS).zip(x.chunks_exact(16));
    for (words, x) in halves {
        for (row, sum) in sums.iter_mut().enumerate() {
            let mut stages = words.iter().skip(row).step_by(BLOCK_ROWS);
            let [edge, other, middle] = [(); 3].map(|()| stages.next().map_or(0, |&word| word));
            for (lane, x) in [0, 16].into_iter().zip(x.chunks_exact(8)) {
                let field = |word: u32, at: u32, bits: u32| {
                    (word >> (lane + at) & ((1 << bits) - 1)) as i32
                };
                // The upper one of a lane has its sign.
                let signed = |word: u32| (word << (16 - lane)) as i32 >> 26;
                let g = field(edge, 0, 4) + 16 * field(middle, 0, 2) - 32;
                let h = field(other, 0, 4) + 16 * field(middle, 8, 2) - 32;
                let weights = [
                    signed(edge),
                    field(edge, 4, 6) - 32,
                    signed(middle),
                    field(middle, 2, 6) - 32,
                    signed(other),
                    field(other, 4, 6) - 32,
                    g,
                    h,
                ];
                *sum = sum.wrapping_add(dot(weights, x));
            }
        }
    }
    sums
}
