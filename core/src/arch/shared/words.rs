//! Quantizing an activation vector for the workstation's ports: two words
//! per step of four (int8) or eight (int4) columns. Four columns are the bytes
//! of a word.

use crate::arch::Quantizer;
#[cfg(feature = "int6")]
use crate::arch::{Port, Portable};
use crate::shape::{Bits, GROUP_COLS};

/// Words of a step in a prepared vector.
pub const STEP_WORDS: usize = 2;

/// Words of a prepared int4 group: four steps, then the sum of its columns.
pub const GROUP_WORDS: usize = 4 * STEP_WORDS + 1;

/// Words of a stored int4 group of four rows.
pub const STORED_WORDS: usize = Bits::Int4.group_bytes() / 4;

/// Quantizes up to `N` values, zeros after the last.
pub fn quantized<const N: usize>(x: &[i32], quantizer: Quantizer) -> [i8; N] {
    let mut q = [0; N];
    for (q, &x) in q.iter_mut().zip(x) {
        *q = quantizer.of(x) as i8;
    }
    q
}

/// A word of four bytes, the first the lowest.
fn bytes(b: [i8; 4]) -> u32 {
    u32::from_le_bytes(b.map(|b| b as u8))
}

/// int8: per step the four columns and their sum. int4: per group the even
/// columns of its steps, the odd ones, and the sum of all.
pub fn prepare(x: &[i32], quantizer: Quantizer, bits: Bits, words: &mut [u32]) {
    match bits {
        Bits::Int8 => {
            for (x, step) in x.chunks(4).zip(words.chunks_exact_mut(STEP_WORDS)) {
                let q: [i8; 4] = quantized(x, quantizer);
                let sum: i32 = q.map(i32::from).iter().sum();
                step.copy_from_slice(&[bytes(q), sum as u32]);
            }
        }
        #[cfg(feature = "int6")]
        Bits::Int6 => Portable::prepare(x, quantizer, bits, words),
        Bits::Int4 => {
            let groups = x
                .chunks(GROUP_COLS)
                .zip(words.chunks_exact_mut(GROUP_WORDS));
            groups.for_each(|(x, words)| prepare_group(x, quantizer, words));
        }
    }
}

/// A group of 32 columns; zeros where `x` has fewer.
fn prepare_group(x: &[i32], quantizer: Quantizer, words: &mut [u32]) {
    let q: [i8; GROUP_COLS] = quantized(x, quantizer);
    let (even, rest) = words.split_at_mut(4);
    let (odd, sum) = rest.split_at_mut(4);
    for ((q, even), odd) in q.chunks_exact(8).zip(even).zip(odd) {
        *even = bytes([q[0], q[2], q[4], q[6]]);
        *odd = bytes([q[1], q[3], q[5], q[7]]);
    }
    sum.fill(q.iter().map(|&q| i32::from(q)).sum::<i32>() as u32);
}
