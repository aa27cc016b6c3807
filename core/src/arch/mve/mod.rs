//! ARMv8.1-M with vectors (MVE, "Helium"): Cortex-M55.
//!
//! `VMLADAVA.S8` adds the products of 16 pairs of bytes to a core register.
//!
//! **int8.** A load and a `VMLADAVA` for a row's 16 weights; the vector of
//! activations is loaded once for four rows.
//!
//! **int4.** A byte holds column `i` of a group in its low nibble and column
//! `16 + i` in its high one, both in two's complement:
//!
//! | weights | activations | gives |
//! |---|---|---|
//! | `bytes << 4` | `x[0..16]` | `16 sum n x` of the low nibbles |
//! | `bytes & 0xF0` | `x[16..32]` | `16 sum n x` of the high nibbles |
//!
//! One instruction unpacks each half; the factor 16 is removed once per 16 groups, from
//! the sums of four rows in a vector.
//!
//! **int6.** A byte of three rows is `4 n + g`, where the `g` are two bits of the fourth
//! row's weights each. A mask leaves `4 n`; a shift and two insertions make `4 n` of the fourth
//! row. The sums are four times too large, and the rest is as for int4.
//!
//! Sums of a group are below `16 * 2^15`. With loads an int8 product takes about
//! 0.15 instructions, an int4 product 0.21, an int6 product 0.27.

mod gates;
mod groups;
mod rows;
mod state;
mod steps;

use super::shared::assembly::assembly;
use super::shared::gates::gates_in_assembly;
use super::shared::rounds::{self, steps_in_rounds};
use super::shared::state::{self as states, states_in_rounds};
use super::shared::Words;
use super::{Mantissa, Narrow, Port, Portable, Quantizer, Scaling, Write};
use crate::shape::{Bits, Layout, Matrix, BLOCK_ROWS};

/// Bytes of a vector: columns of an int8 step.
const VECTOR: usize = 16;

/// Cortex-M55.
#[derive(Debug)]
pub struct Mve;

impl Port for Mve {
    type Base = Portable;

    const LAYOUT: Layout = Layout::Lanes16;

    fn prepare(x: &[i32], quantizer: Quantizer, _: Bits, words: &mut [u32]) {
        let columns: &mut [i8] = bytemuck::cast_slice_mut(words);
        let len = x.len().min(columns.len());
        let (columns, padding) = columns.split_at_mut(len);
        padding.fill(0);
        if len > 0 {
            let Quantizer { left, inverse } = quantizer;
            let places = left as i32 - 16;
            // SAFETY: both slices are as long, and not empty.
            unsafe { steps::prepare(x.as_ptr(), columns.as_mut_ptr(), len, places, inverse) }
        }
    }

    fn sums(matrix: &Matrix<'_>, words: &[u32], sums: &mut [i32]) {
        let blocks = matrix.rows.div_ceil(BLOCK_ROWS);
        if blocks == 0 || sums.len() < blocks * BLOCK_ROWS {
            return;
        }
        match matrix.bits {
            Bits::Int8 => int8_sums(matrix, blocks, words, sums),
            _ => groups::sums(matrix, blocks, words, sums),
        }
    }

    steps_in_rounds!();
    states_in_rounds!();

    fn copy(from: &[i32], to: &mut [i32]) {
        let len = from.len().min(to.len());
        if len > 0 {
            // SAFETY: both slices are as long, and not empty.
            unsafe { steps::copy(from.as_ptr(), to.as_mut_ptr(), len) }
        }
    }

    fn round_off(x: &mut [i32], right: u32) {
        if !x.is_empty() {
            // SAFETY: the slice is not empty.
            unsafe { steps::round_off(x.as_mut_ptr(), x.len(), -(right as i32)) }
        }
    }

    fn add(x: &mut [i32], y: &[i32], places: i32, right: u32) -> u32 {
        let len = x.len().min(y.len());
        if len == 0 {
            return 0;
        }
        let (places, right) = (places.clamp(-31, 31), -(right as i32));
        // SAFETY: both slices are as long, and not empty.
        unsafe { steps::add(x.as_mut_ptr(), y.as_ptr(), len, places, right) }
    }

    fn decay(lam: &mut [i32], bounds: &mut [i32], w: &[i32]) {
        rows::decay(lam, bounds, w);
    }

    fn decayed_coefficients(
        x: &[i32],
        w: &[i32],
        [lam, bounds]: [&mut [i32]; 2],
        most_and_sign: [i32; 2],
        scaled: &mut [i32],
        out: (&mut [i16], usize),
    ) -> i32 {
        rows::decay(lam, bounds, w);
        rows::coefficients(x, [lam, bounds], most_and_sign, scaled, out)
    }

    fn coefficients(
        x: &[i32],
        rows: [&[i32]; 2],
        most_and_sign: [i32; 2],
        scaled: &mut [i32],
        out: (&mut [i16], usize),
    ) -> i32 {
        rows::coefficients(x, rows, most_and_sign, scaled, out)
    }

    fn to_16_bits(
        (x, step): (&[i32], usize),
        sign: i32,
        out: &mut [[i16; 2]],
        place: usize,
    ) -> i32 {
        match step {
            1 => rows::to_16_bits(x, sign, out, place),
            _ => Portable::to_16_bits((x, step), sign, out, place),
        }
    }

    fn plan(
        rows: [&mut [i32]; 2],
        products: [&[i32]; 2],
        exps: [i32; 2],
        slack: u32,
        writes: &mut [Write],
    ) {
        rows::plan(rows, products, exps, slack, writes);
    }

    fn add_values(
        sums: (&[i32], usize),
        values: &[[i16; 2]],
        weights: [i32; 2],
        right: [u32; 3],
        y: &mut [i32],
    ) {
        match (sums, bytemuck::try_cast_slice(values.as_flattened())) {
            ((sums, 1), Ok(words)) => rows::add_values(sums, words, weights, right, y),
            _ => Portable::add_values(sums, values, weights, right, y),
        }
    }

    fn differences(words: &[u32]) -> u32 {
        rows::differences(words)
    }

    gates_in_assembly!();
}

/// Sums of `blocks` blocks of int8 rows; nothing where a slice is too short. The caller
/// has checked `sums`, and that there is a block.
fn int8_sums(matrix: &Matrix<'_>, blocks: usize, words: &[u32], sums: &mut [i32]) {
    let steps = matrix.cols.div_ceil(VECTOR);
    let weights = blocks * steps * VECTOR;
    if steps == 0 || matrix.weights.len() < weights || words.len() < steps * VECTOR / 4 {
        return;
    }
    let (weights, words, sums) = (matrix.weights.as_ptr(), words.as_ptr(), sums.as_mut_ptr());
    // SAFETY: `weights`, `words` and `sums` hold all that the routine reads and writes
    // (checked above and by the caller); there is a block and a step. The routine keeps
    // to the C calling convention.
    unsafe { kinglet_mve_int8(weights, words, sums, blocks, steps) }
}

extern "C" {
    /// Writes the sums of `blocks` blocks of four rows. Reads `16 steps` words
    /// of weights per block and `4 steps` of the prepared vector; a step is 16
    /// columns.
    fn kinglet_mve_int8(weights: Words, words: Words, sums: *mut i32, blocks: usize, steps: usize);
}

// Registers of the int8 routine:
//   r0 weights   r1 words   r2 sums   r3 blocks left
//   r4, r6, r8, r10 sums of four rows (VMLADAVA takes even ones)
//   r5 rounds   lr rounds left   q0 activations   q1-q4 weights
// Stack: what a block starts with, in one LDM: words, four zeros, entry.
// A round is eight steps; the first enters it so that the last ends with it.
// Loads and products alternate, so that they overlap.
assembly!(
    r#"
    .macro kinglet_mve_int8_step
        vldrw.u32 q0, [r1], #16
        vldrw.u32 q1, [r0], #64
        vmladava.s8 r4, q0, q1
        vldrw.u32 q2, [r0, #-48]
        vmladava.s8 r6, q0, q2
        vldrw.u32 q3, [r0, #-32]
        vmladava.s8 r8, q0, q3
        vldrw.u32 q1, [r0, #-16]
        vmladava.s8 r10, q0, q1
    .endm

    kinglet_function kinglet_mve_int8
    push    {{r4-r11, lr}}
    ldr     r4, [sp, #36]
    sub     sp, #28
    subs    r4, #1
    lsrs    r5, r4, #3
    and     r4, r4, #7
    adds    r5, #1
    adds    r4, #1
    adr.w   r6, 3f
    adr.w   r7, 2f
    sub     r7, r6, r7
    lsrs    r7, r7, #3
    mls     r6, r4, r7, r6
    orr     r6, r6, #1
    movs    r4, #0
    str     r1, [sp]
    strd    r4, r4, [sp, #4]
    strd    r4, r4, [sp, #12]
    str     r6, [sp, #20]
1:  dls     lr, r5
    ldm.w   sp, {{r1, r4, r6, r8, r10, pc}}
    .balign 4
2:
    .rept 8
    kinglet_mve_int8_step
    .endr
3:  le      lr, 2b
    stm     r2!, {{r4, r6, r8, r10}}
    subs    r3, #1
    bne     1b
    add     sp, #28
    pop     {{r4-r11, pc}}
    .size kinglet_mve_int8, . - kinglet_mve_int8
"#
);
