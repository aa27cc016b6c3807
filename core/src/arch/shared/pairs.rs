//! What the ports for the layout `pairs` share: Cortex-M0 and M3, RISC-V.
//!
//! All of them multiply 32-bit words modulo 2^32, so corrections
//! need no narrow lanes: a prepared vector has a word for each column.

use super::Words;
use crate::arch::Quantizer;
use crate::shape::{Bits, Matrix, BLOCK_ROWS, GROUP_COLS};

/// Words of a prepared int4 group: the constant, then one per column.
const GROUP_WORDS: usize = GROUP_COLS + 1;

/// Words of a prepared int6 group: eleven for each eight columns.
#[cfg(feature = "int6")]
const SIX_WORDS: usize = 4 * 11;

/// Columns that are arranged together.
const STEP: usize = 4;

/// Quantizes and arranges steps of four columns, of which there is one: `x`, the
/// words, how many, and [`Quantizer`]. Returns the sum of all columns whose
/// weights are stored with an offset.
pub type Prepare = unsafe extern "C" fn(*const i32, *mut u32, usize, &Quantizer) -> i32;

/// Quantizes `x` and arranges it; zeros after the last column.
///
/// # Safety
/// The routines must read and write no more than the steps.
pub unsafe fn prepare(
    [int8, int4]: [Prepare; 2],
    x: &[i32],
    quantizer: Quantizer,
    bits: Bits,
    words: &mut [u32],
) {
    match bits {
        Bits::Int8 => {
            let Some((constant, words)) = words.split_first_mut() else {
                return;
            };
            let whole = x.len().min(words.len()) / STEP;
            let tail: [i32; STEP] = padded(x.get(whole * STEP..).unwrap_or_default());
            let (first, last) = words.split_at_mut_checked(whole * STEP).unwrap_or_default();
            // SAFETY: the caller's; the slices are as long.
            let offset =
                unsafe { steps(int8, x, first, &quantizer) + steps(int8, &tail, last, &quantizer) };
            *constant = ((offset as u32) << 7).wrapping_neg();
        }
        #[cfg(feature = "int6")]
        Bits::Int6 => {
            let mut rest = words;
            for x in x.chunks(GROUP_COLS) {
                let Some((words, after)) = rest.split_first_chunk_mut::<SIX_WORDS>() else {
                    return;
                };
                rest = after;
                let (steps, _) = words.as_chunks_mut();
                let all: [i32; GROUP_COLS];
                let x = match x.first_chunk() {
                    Some(x) => x,
                    None => {
                        all = padded(x);
                        &all
                    }
                };
                for (x, words) in x.as_chunks().0.iter().zip(steps) {
                    six_bits(x, quantizer, words);
                }
            }
        }
        Bits::Int4 => {
            let mut rest = words;
            for x in x.chunks(GROUP_COLS) {
                let Some((words, after)) = rest.split_first_chunk_mut::<GROUP_WORDS>() else {
                    return;
                };
                rest = after;
                let [constant, words @ ..] = words;
                let all: [i32; GROUP_COLS];
                let x = match x.len() {
                    GROUP_COLS => x,
                    _ => {
                        all = padded(x);
                        &all
                    }
                };
                // SAFETY: the caller's; the slices are as long.
                let sum = unsafe { steps(int4, x, words, &quantizer) };
                *constant = ((sum as u32) << 3).wrapping_neg().wrapping_mul(0x0001_0001);
            }
        }
    }
}

/// Eight int6 columns, A to H. The words are a constant, then the factors of three fields
/// of an edge, of another, and of four of the middle: see `armv7m`.
#[cfg(feature = "int6")]
fn six_bits(x: &[i32; 8], quantizer: Quantizer, words: &mut [u32; 11]) {
    let [a, b, c, d, e, f, g, h] = x.map(|x| quantizer.of(x));
    let sum = a + b + c + d + e + f + g + h;
    *words = [
        (-32 * sum).wrapping_mul(0x0001_0001).wrapping_add(0x8000),
        b - 16 * g,
        a - 1024 * g,
        g,
        f - 16 * h,
        e - 1024 * h,
        h,
        4 * h - 16 * g,
        d - 256 * g,
        c - 16384 * g,
        16 * g,
    ]
    .map(|word| word as u32);
}

/// As many steps as both slices hold.
///
/// # Safety
/// As for [`prepare`].
unsafe fn steps(routine: Prepare, x: &[i32], words: &mut [u32], quantizer: &Quantizer) -> i32 {
    match x.len().min(words.len()) / STEP {
        0 => 0,
        // SAFETY: both slices hold the steps, of which there is one.
        steps => unsafe { routine(x.as_ptr(), words.as_mut_ptr(), steps, quantizer) },
    }
}

/// Zeros after the last element.
fn padded<const N: usize>(x: &[i32]) -> [i32; N] {
    let mut all = [0; N];
    for (to, &from) in all.iter_mut().zip(x) {
        *to = from;
    }
    all
}

/// A routine: weights, prepared words, sums, blocks of rows, and steps (int8)
/// or groups (int4, int6) of a block.
pub type Routine = unsafe extern "C" fn(Words, Words, *mut i32, usize, usize);

/// Those for int8, int4 and int6.
pub type Routines = [Routine; Bits::ALL.len()];

/// Calls the routine for the matrix's precision, if the slices hold all that
/// it will read and write.
///
/// # Safety
/// The routines must read no more than whole blocks of weights and a prepared
/// vector, and write no more than four sums per block.
pub unsafe fn call(routines: Routines, matrix: &Matrix<'_>, words: &[u32], sums: &mut [i32]) {
    let blocks = matrix.rows.div_ceil(BLOCK_ROWS);
    let [int8, int4, ..] = routines;
    #[cfg(feature = "int6")]
    let [.., int6] = routines;
    let (routine, rounds, block_words, prepared) = match matrix.bits {
        Bits::Int8 => {
            let steps = matrix.cols.div_ceil(4);
            (int8, steps, steps * BLOCK_ROWS, 4 * steps + 1)
        }
        #[cfg(feature = "int6")]
        Bits::Int6 => {
            let groups = matrix.cols.div_ceil(GROUP_COLS);
            let block_words = groups * Bits::Int6.group_bytes() / 4;
            (int6, groups, block_words, groups * SIX_WORDS)
        }
        Bits::Int4 => {
            let groups = matrix.cols.div_ceil(GROUP_COLS);
            (
                int4,
                groups,
                groups * Bits::Int4.group_bytes() / 4,
                groups * GROUP_WORDS,
            )
        }
    };
    let fits = blocks > 0
        && rounds > 0
        && sums.len() >= blocks * BLOCK_ROWS
        && matrix.weights.len() >= blocks * block_words
        && words.len() >= prepared;
    if fits {
        let (weights, words, sums) = (matrix.weights.as_ptr(), words.as_ptr(), sums.as_mut_ptr());
        // SAFETY: checked just above, and promised by the caller.
        unsafe { routine(weights, words, sums, blocks, rounds) }
    }
}
