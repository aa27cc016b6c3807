//! ARMv7E-M and ARMv8-M with the DSP extension: Cortex-M4, M7, M33.
//!
//! `SMLAD` multiplies two pairs of signed 16-bit lanes and adds both products
//! to a 32-bit sum. It is fed packed weights; the
//! activations are chosen so that the other weights in a lane cancel.
//!
//! **int8.** A lane of the stored word is `256 w1 + u0`, with `u0 = w0 + 128`:
//!
//! | weights | activations | gives |
//! |---|---|---|
//! | the word as it is | `x1` | `256 w1 x1 + u0 x1` |
//! | `UXTB16(word)` | `256 x0 - x1` | `256 u0 x0 - u0 x1` |
//!
//! The sum is `256 S + 256 * 128 * (x0 + ..)`; the accumulator starts with minus
//! the constant. Three instructions for four products. `256 S` fits
//! for 512 columns; longer rows are summed span by span.
//!
//! **int4.** A lane is `4096 n3 + 256 u2 + 16 u1 + u0`, with `u = n + 8`:
//!
//! | weights | activations | gives |
//! |---|---|---|
//! | the word as it is | `x3` | `4096 n3 x3 + (256 u2 + 16 u1 + u0) x3` |
//! | `(word << 8) & mask` | `16 x0 - x1` | `4096 u0 x0 - 256 u0 x1` |
//! | `word & mask` | `16 x2 - x3` | `4096 u2 x2 - 256 u2 x3` |
//! | `UXTB16(word)` | `256 x1 - x3` | `4096 u1 x1 + 256 u0 x1 - (16 u1 + u0) x3` |
//!
//! with `mask = 0x0F000F00`. The sum is `4096 S` plus a constant: seven
//! instructions for eight products. `SMLAWB/T` multiplies it by `16 m` and
//! drops the lower 16 bits: exactly `m S`, added to the row's sum.
//!
//! **int6.** Lanes of three words are `1024 n_A + 16 u_B + g`, `1024 n_E + 16 u_F + h` and
//! `1024 n_C + 256 h' + 4 u_D + g'`, with `u = n + 32` and `u_G = 16 g' + g`. Of the first:
//!
//! | weights | activations | gives |
//! |---|---|---|
//! | the word as it is | `x_A` | `1024 n_A x_A + (16 u_B + g) x_A` |
//! | `word & 0x03FF03FF` | `64 x_B - x_A` | `1024 u_B x_B + 64 g x_B - (16 u_B + g) x_A` |
//! | `(word << 6) & 0x03C003C0` | `16 x_G - x_B` | `1024 g x_G - 64 g x_B` |
//!
//! and of the last:
//!
//! | weights | activations | gives |
//! |---|---|---|
//! | the word as it is | `x_C` | `1024 n_C x_C + (256 h' + 4 u_D + g') x_C` |
//! | `word & 0x03000300` | `64 x_H - x_C` | `1024 16 h' x_H - 256 h' x_C` |
//! | `UXTB16(word)` | `256 x_D - x_C` | `1024 u_D x_D + 256 g' x_D - (4 u_D + g') x_C` |
//! | `(UXTB16(word) << 8) & 0x03C003C0` | `64 x_G - x_D` | `1024 16 g' x_G - 256 g' x_D` |
//!
//! The sum is `1024 S` plus a constant: 17 instructions for 16 products. `SMLAWB/T` takes
//! `64 m`.
//!
//! **int8 with vectors of 16 bits**, up to 1,024 columns, from the same words:
//!
//! | weights | activations | gives |
//! |---|---|---|
//! | `UXTB16(word)` | `x0` | `u0 x0` |
//! | `SXTB16(word, ROR 8)` | `x1` | `w1 x1` |
//!
//! The sum is `S + 128 * (x0 + ..)`: four instructions for four products.
//!
//! All activations fit a signed lane: `256 * 127 + 127 < 2^15`. `m` is at most
//! 255, and `4096 S` and `1024 S` below `2^27`, so that `SMLAWB/T` loses nothing. The
//! intermediate sums may wrap; the last one is exact.
//!
//! All routines take four rows at a time: more accumulators do not fit into
//! the registers. With loads and loops an int8 product takes about 0.9
//! instructions, with a vector of 16 bits 1.14, an int4 product 1.06, an int6 product 1.31, group
//! scales included.

use super::shared::assembly::processor;
#[cfg(kinglet_fast)]
use super::shared::coefficients::{self, coefficients_in_rounds};
#[cfg(kinglet_fast)]
use super::shared::gates::gates_in_assembly;
#[cfg(kinglet_fast)]
use super::shared::rounds::{self, steps_in_rounds};
#[cfg(kinglet_fast)]
use super::shared::rows::{self, rows_of_thumb2};
use super::shared::state::{self as states, states_in_rounds};
#[cfg(kinglet_fast)]
use super::shared::thumb2::{self, steps_of_thumb2};
#[cfg(feature = "fine")]
use super::FineQuantizer;
#[cfg(kinglet_fast)]
use super::Scaling;
use super::{Mantissa, Narrow, Port, Portable, Quantizer, Write};
use crate::shape::{Bits, Layout, Matrix, BLOCK_ROWS, GROUP_COLS};
use core::arch::naked_asm;

#[cfg(feature = "fine")]
mod fine;
#[cfg(kinglet_fast)]
mod gates;
mod groups;
mod prepare;
mod state;
#[cfg(kinglet_fast)]
mod steps;

/// Columns for which `256 S` fits in 32 bits: 512 * 127 * 128 < 2^23.
const SPAN_COLS: usize = crate::shape::formats::DSP_SPAN_COLS;

/// Columns of an int8 word.
const STEP_COLS: usize = 4;

/// Words of a prepared span: the constant, then two words per step.
const SPAN_WORDS: usize = 1 + SPAN_COLS / 2;

/// Steps that the int8 routine has one after the other: a power of two.
const ROUND: usize = if cfg!(kinglet_fast) { 16 } else { 1 };

/// Cortex-M4, M7, M33.
#[derive(Debug)]
pub struct Dsp;

impl Port for Dsp {
    type Base = Portable;

    const LAYOUT: Layout = Layout::Rows4;

    fn prepare(x: &[i32], quantizer: Quantizer, bits: Bits, words: &mut [u32]) {
        prepare::prepare(x, quantizer, bits, words);
    }

    fn sums(matrix: &Matrix<'_>, words: &[u32], sums: &mut [i32]) {
        let blocks = matrix.rows.div_ceil(BLOCK_ROWS);
        if sums.len() < blocks * BLOCK_ROWS {
            return;
        }
        match matrix.bits {
            Bits::Int8 => int8_sums(matrix, blocks, words, sums),
            #[cfg(feature = "int6")]
            Bits::Int6 => group_sums(groups::INT6, matrix, blocks, words, sums),
            Bits::Int4 => group_sums(groups::INT4, matrix, blocks, words, sums),
        }
    }

    #[cfg(feature = "fine")]
    const FINE: bool = true;

    #[cfg(feature = "fine")]
    fn prepare_fine(x: &[i32], quantizer: FineQuantizer, words: &mut [u32]) {
        fine::prepare(x, quantizer, words);
    }

    #[cfg(feature = "fine")]
    fn fine_sums(matrix: &Matrix<'_>, words: &[u32], sums: &mut [i32]) {
        let blocks = matrix.rows.div_ceil(BLOCK_ROWS);
        if sums.len() >= blocks * BLOCK_ROWS {
            fine::sums(matrix, blocks, words, sums);
        }
    }

    #[cfg(kinglet_fast)]
    steps_of_thumb2!();
    #[cfg(kinglet_fast)]
    steps_in_rounds!();
    #[cfg(kinglet_fast)]
    gates_in_assembly!();
    states_in_rounds!(both);
    #[cfg(kinglet_fast)]
    rows_of_thumb2!();
}

/// Sums of `blocks` blocks of int8 rows, span by span; nothing where a slice is too
/// short.
fn int8_sums(matrix: &Matrix<'_>, blocks: usize, words: &[u32], sums: &mut [i32]) {
    let steps = matrix.cols.div_ceil(STEP_COLS);
    let span_steps = SPAN_COLS / STEP_COLS;
    let spans = steps.div_ceil(span_steps);
    let weights = blocks * steps * BLOCK_ROWS;
    if blocks == 0 || matrix.weights.len() < weights || words.len() < 2 * steps + spans {
        return;
    }
    for span in 0..spans {
        let first = span * span_steps;
        let here = (steps - first).min(span_steps);
        let call = Int8Call {
            steps: here,
            skip_bytes: (steps - here) * BLOCK_ROWS * 4,
            // The first span writes the sums, the others add to them.
            add: (span > 0) as usize,
        };
        // SAFETY: all blocks of this span lie inside `weights` (checked
        // above), the span's words inside `words`, and `sums` holds four
        // words per block. There is a block and a step. The routine keeps to
        // the C calling convention.
        unsafe {
            int8_routine(
                matrix.weights.as_ptr().add(first * BLOCK_ROWS),
                words.as_ptr().add(span * SPAN_WORDS),
                sums.as_mut_ptr(),
                blocks,
                &call,
            );
        }
    }
}

/// Sums of `blocks` blocks of rows in groups; nothing where a slice is too short. The caller has checked `sums`, and the
/// format is the matrix's.
#[inline(always)]
fn group_sums(
    format: groups::Format,
    matrix: &Matrix<'_>,
    blocks: usize,
    words: &[u32],
    sums: &mut [i32],
) {
    let groups = matrix.cols.div_ceil(GROUP_COLS);
    let weights = blocks * groups * format.stored_words;
    let prepared = groups * format.prepared_words;
    if blocks * groups == 0 || matrix.weights.len() < weights || words.len() < prepared {
        return;
    }
    // SAFETY: `weights`, `words` and `sums` hold all that the routine reads
    // and writes (checked above and by the caller), and there is a block and a
    // group. The routine keeps to the C calling convention.
    unsafe {
        (format.routine)(
            matrix.weights.as_ptr(),
            words.as_ptr(),
            sums.as_mut_ptr(),
            blocks,
            groups,
        );
    }
}

/// The arguments of the int8 routine that do not fit in registers.
#[repr(C)]
struct Int8Call {
    /// Steps of four columns in this span.
    steps: usize,
    /// Bytes of a block that belong to other spans.
    skip_bytes: usize,
    /// 1 to add to the sums, 0 to write them.
    add: usize,
}

/// The sums of a span of `blocks` blocks of rows; at least one of them, and a
/// step.
///
/// # Safety
/// `weights` up to the last step of the last block, the `words` of the span
/// and four `sums` per block must be there.
///
/// # Registers
/// ```text
/// r0 weights   r1 words   r2 rounds left   r4-r7 sums of four rows
/// r8-r11 their weights   r12, lr activations
/// Stack, from sp: what a block starts with, in one LDM
///   [0] words  [4] rounds  [8] the constant, four times  [24] entry
///   [28] sums  [32] blocks left  [36] bytes to skip  [40] add
/// ```
/// A round is [`ROUND`] steps of four columns, `$step` each; the first enters it so that the
/// last ends with it, if a round has more than one. SMLAD and the extractions alternate: a
/// Cortex-M7 can issue them together.
macro_rules! rows_of_int8 {
    ($name:ident, $step:literal, right $right:literal) => {
#[unsafe(naked)]
unsafe extern "C" fn $name(
    weights: *const u32,
    words: *const u32,
    sums: *mut i32,
    blocks: usize,
    call: &Int8Call,
) {
    naked_asm!(
        processor!(),
        r#"
    push    {{r4-r11, lr}}
    ldr     r12, [sp, #36]
    sub     sp, #44
    ldm     r12, {{r4-r6}}
    strd    r2, r3, [sp, #28]
    strd    r5, r6, [sp, #36]
    .if {steps} > 1
    subs    r4, #1
    and     r5, r4, #{steps} - 1
    lsrs    r4, r4, #{steps_log2}
    adds    r5, #1
    adds    r4, #1
    adr.w   r6, 3f
    adr.w   r7, 2f
    sub     r7, r6, r7
    lsrs    r7, r7, #{steps_log2}
    mls     r6, r5, r7, r6
    orr     r6, r6, #1
    str     r6, [sp, #24]
    .endif
    ldr     r5, [r1], #4
    strd    r1, r4, [sp]
    strd    r5, r5, [sp, #8]
    strd    r5, r5, [sp, #16]
1:
    .if {steps} > 1
    ldm.w   sp, {{r1, r2, r4-r7, pc}}
    .balign 4
    .else
    ldm.w   sp, {{r1, r2, r4-r7}}
    .endif
2:
    .rept {steps}
"#,
        $step,
        r#"
    .endr
3:  subs    r2, #1
    bne     2b
    ldrd    r8, r9, [sp, #28]
    ldrd    r10, r3, [sp, #36]
    .if {right}
    .irp    sum, r4, r5, r6, r7
    asrs    \sum, \sum, #{right}
    .endr
    .endif
    cbnz    r3, 5f
4:  add     r0, r10
    stm     r8!, {{r4-r7}}
    subs    r9, #1
    strd    r8, r9, [sp, #28]
    bne     1b
    add     sp, #44
    pop     {{r4-r11, pc}}
5:  ldm     r8, {{r1, r2, r3, r12}}
    add     r4, r1
    add     r5, r2
    add     r6, r3
    add     r7, r12
    b       4b
"#,
        steps = const ROUND,
        steps_log2 = const ROUND.ilog2(),
        right = const $right,
    )
}
    };
}
#[cfg(feature = "fine")]
use rows_of_int8;

rows_of_int8!(
    int8_routine,
    r#"
    ldm     r0!, {{r8-r11}}
    ldrd    r12, lr, [r1], #8
    smlad   r4, r8, r12, r4
    uxtb16  r8, r8
    smlad   r5, r9, r12, r5
    uxtb16  r9, r9
    smlad   r6, r10, r12, r6
    uxtb16  r10, r10
    smlad   r7, r11, r12, r7
    uxtb16  r11, r11
    smlad   r4, r8, lr, r4
    smlad   r5, r9, lr, r5
    smlad   r6, r10, lr, r6
    smlad   r7, r11, lr, r7
"#,
    right 8
);
