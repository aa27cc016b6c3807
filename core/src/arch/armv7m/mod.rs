//! ARMv7-M: Cortex-M3. No instruction multiplies lanes, but 32-bit products
//! are exact modulo 2^32, and that is enough.
//!
//! **int8.** With the stored word `W = 2^24 w3 + 2^16 u2 + 2^8 u1 + u0`,
//! `u = w + 128`, and `y_k = x_k - 256 x_(k-1)`:
//!
//! ```text
//! W y0 + (W asr 8) y1 + (W asr 16) y2 + (W asr 24) y3 = S + 128 (x0 + x1 + x2)
//! ```
//!
//! because `W asr 8k` is `256 (W asr 8(k+1)) + u_k`: each product's surplus
//! cancels the next one's correction. No mask, no sign extension: the word is
//! shifted in place. The prepared vector begins with the constant,
//! `-128 (x0 + x1 + x2)` over all steps. Seven instructions for four products;
//! with loads 1.9 per multiply-add.
//!
//! **int4.** The halves of a word are two rows, `W = lo + 2^16 hi`, each with
//! four nibbles `u = n + 8`. With `y_k = x_k - 16^k x_0`,
//! `W x0 + ((W >> 4) & m) y1 + ((W >> 8) & m) y2 + ((W >> 12) & m) y3`,
//! `m = 0x000F000F`, sums to `S_lo + 2^16 S_hi` plus a constant: 14
//! instructions for 16 products, 1.1 per multiply-add in all. A group's sums fit
//! in 16 bits, `32 * 8 * 127 < 2^15`, so they come apart again: `SXTH` gives the
//! lower one; what is left after it is subtracted is `2^16` times the upper one.
//!
//! **int6.** The halves of a word are two rows, with `u = n + 32`: two edges,
//! `1024 u_A + 16 u_B + g` and `1024 u_E + 16 u_F + h`, and a middle,
//! `1024 u_C + 16 u_D + 4 h' + g'`, where `u_G = 16 g' + g`. With `k = 0x003F003F`,
//!
//! ```text
//! W x_G + ((W >> 4) & k) (x_B - 16 x_G) + ((W >> 10) & k) (x_A - 1024 x_G)
//! ```
//!
//! sums to `u_A x_A + u_B x_B + g x_G` of both rows, and of the middle
//!
//! ```text
//! W 16 x_G + (W & 0x000C000C) (4 x_H - 16 x_G) + ((W >> 4) & k) (x_D - 256 x_G)
//!     + ((W >> 10) & k) (x_C - 16384 x_G)
//! ```
//!
//! the rest: 34 instructions for 32 products, 1.6 per multiply-add in all. The sums of
//! eight columns fit in 16 bits, `8 * 32 * 127 < 2^15`. The prepared vector begins each eight with
//! a constant that makes the lower one, plus 2^15, positive: a shift gives the upper one.
//! Of a group these are added up, `H`, and so are the words, `T`: `T - 2^16 H` is then the
//! sum of the lower row, and `4 2^15` more.

#[cfg(feature = "int6")]
mod int6;
mod state;
mod steps;

use super::shared::assembly::assembly;
#[cfg(kinglet_fast)]
use super::shared::coefficients::{self, coefficients_in_rounds};
use super::shared::pairs::{self, Routines};
use super::shared::rounds::{self, steps_in_rounds};
#[cfg(kinglet_fast)]
use super::shared::rows::{self, rows_of_thumb2};
use super::shared::state::{self as states, states_in_rounds};
use super::shared::thumb2::{self, steps_of_thumb2};
use super::shared::Words;
use super::{Mantissa, Narrow, Port, Portable, Quantizer, Scaling, Write};
use crate::shape::{Bits, Layout, Matrix};

/// Cortex-M3.
#[derive(Debug)]
pub struct Armv7m;

impl Port for Armv7m {
    type Base = Portable;

    const LAYOUT: Layout = Layout::Pairs;

    fn prepare(x: &[i32], quantizer: Quantizer, bits: Bits, words: &mut [u32]) {
        // SAFETY: the routines read and write whole steps only, and keep to the C
        // calling convention.
        unsafe {
            pairs::prepare(
                [steps::prepare_int8, steps::prepare_int4],
                x,
                quantizer,
                bits,
                words,
            )
        }
    }

    fn sums(matrix: &Matrix<'_>, words: &[u32], sums: &mut [i32]) {
        // SAFETY: the routines read and write what `pairs::call` checks, and
        // keep to the C calling convention.
        unsafe { pairs::call(ROUTINES, matrix, words, sums) }
    }

    steps_of_thumb2!();
    steps_in_rounds!();
    states_in_rounds!(both);
    #[cfg(kinglet_fast)]
    rows_of_thumb2!();
}

extern "C" {
    /// Writes the sums of `blocks` blocks of four rows. Reads `4 steps` words
    /// of weights per block and `1 + 4 steps` of the prepared vector; a step is
    /// four columns. Both counts are at least 1.
    fn kinglet_v7m_int8(weights: Words, words: Words, sums: *mut i32, blocks: usize, steps: usize);
    /// The same with `17 groups` words of weights per block and `33 groups` of the
    /// prepared vector.
    fn kinglet_v7m_int4(weights: Words, words: Words, sums: *mut i32, blocks: usize, groups: usize);
    /// The same with `25 groups` words of weights per block and `44 groups` of the
    /// prepared vector.
    #[cfg(feature = "int6")]
    fn kinglet_v7m_int6(weights: Words, words: Words, sums: *mut i32, blocks: usize, groups: usize);
}

/// What `pairs::call` calls.
const ROUTINES: Routines = [
    kinglet_v7m_int8,
    kinglet_v7m_int4,
    #[cfg(feature = "int6")]
    kinglet_v7m_int6,
];

// Registers: r0 weights  r1 words  r2-r5 sums of four rows
//   r6-r9 their weights  r10-r12, lr activations
// Stack: [0] words  [4] sums  [8] blocks left  [12] the vector's end less the
// 128 bytes of eight steps; 36 bytes of saved registers, then the fifth
// argument. The signed distance of r1 from that end says what is left.
assembly!(
    r#"
    .macro kinglet_v7m_int8_step
        ldm     r0!, {{r6-r9}}
        ldm     r1!, {{r10-r12, lr}}
        mla     r2, r6, r10, r2
        mla     r3, r7, r10, r3
        mla     r4, r8, r10, r4
        mla     r5, r9, r10, r5
        asrs    r6, r6, #8
        asrs    r7, r7, #8
        asr     r8, r8, #8
        asr     r9, r9, #8
        mla     r2, r6, r11, r2
        mla     r3, r7, r11, r3
        mla     r4, r8, r11, r4
        mla     r5, r9, r11, r5
        asrs    r6, r6, #8
        asrs    r7, r7, #8
        asr     r8, r8, #8
        asr     r9, r9, #8
        mla     r2, r6, r12, r2
        mla     r3, r7, r12, r3
        mla     r4, r8, r12, r4
        mla     r5, r9, r12, r5
        asrs    r6, r6, #8
        asrs    r7, r7, #8
        asr     r8, r8, #8
        asr     r9, r9, #8
        mla     r2, r6, lr, r2
        mla     r3, r7, lr, r3
        mla     r4, r8, lr, r4
        mla     r5, r9, lr, r5
    .endm

    kinglet_function kinglet_v7m_int8
    push    {{r4-r11, lr}}
    sub     sp, #16
    ldr     r6, [sp, #52]
    strd    r1, r2, [sp]
    add     r6, r1, r6, lsl #4
    subs    r6, #124
    strd    r3, r6, [sp, #8]
1:  ldr     r1, [sp]
    ldr     r6, [sp, #12]
    ldr     r2, [r1], #4
    mov     r3, r2
    mov     r4, r2
    mov     r5, r2
    subs    r6, r6, r1
    bmi     3f
2:  .rept 8
    kinglet_v7m_int8_step
    .endr
    ldr     r6, [sp, #12]
    subs    r6, r6, r1
    bpl     2b
3:  adds    r6, #128
    beq     5f
4:  kinglet_v7m_int8_step
    ldr     r6, [sp, #12]
    subs    r6, r6, r1
    adds    r6, #128
    bne     4b
5:  ldrd    r6, r7, [sp, #4]
    stm     r6!, {{r2-r5}}
    subs    r7, #1
    strd    r6, r7, [sp, #4]
    bne     1b
    add     sp, #16
    pop     {{r4-r11, pc}}
    .size kinglet_v7m_int8, . - kinglet_v7m_int8
"#
);

// Registers: r0 weights  r1 words  r2 mask  r3 scratch  r4 sums of rows 0
//   and 1, r5 of rows 2 and 3  r6, r7 and r12, lr their weights in two steps
//   r8-r11 activations
// Stack: [0] sums of four rows  [16] words  [20] sums  [24] blocks left
// [28] the vector's end; saved registers, then the fifth argument.
assembly!(
    r#"
    .macro kinglet_v7m_int4_rest w, sum
        and     r3, r2, \w, lsr #4
        mla     \sum, r3, r8, \sum
        and     r3, r2, \w, lsr #8
        mla     \sum, r3, r9, \sum
        and     r3, r2, \w, lsr #12
        mla     \sum, r3, r10, \sum
    .endm
    .macro kinglet_v7m_int4_step a, b
        ldm     r1!, {{r8-r11}}
        mla     r4, \a, r11, r4
        kinglet_v7m_int4_rest \a, r4
        mla     r5, \b, r11, r5
        kinglet_v7m_int4_rest \b, r5
    .endm
    .macro kinglet_v7m_int4_group
        ldm     r0!, {{r6, r7, r12, lr}}
        ldm     r1!, {{r5, r8-r11}}
        mla     r4, r6, r11, r5
        kinglet_v7m_int4_rest r6, r4
        mla     r5, r7, r11, r5
        kinglet_v7m_int4_rest r7, r5
        kinglet_v7m_int4_step r12, lr
        .rept 3
        ldm     r0!, {{r6, r7, r12, lr}}
        kinglet_v7m_int4_step r6, r7
        kinglet_v7m_int4_step r12, lr
        .endr
        // Two sums out of each word, times their scales.
        ldr     r6, [r0], #4
        ldm     sp, {{r8-r11}}
        sxth    r7, r4
        uxtb    r3, r6
        subs    r4, r4, r7
        mla     r8, r7, r3, r8
        asrs    r4, r4, #16
        uxtb    r3, r6, ror #8
        sxth    r7, r5
        mla     r9, r4, r3, r9
        subs    r5, r5, r7
        uxtb    r3, r6, ror #16
        asrs    r5, r5, #16
        mla     r10, r7, r3, r10
        lsrs    r6, r6, #24
        mla     r11, r5, r6, r11
        stm     sp, {{r8-r11}}
    .endm

    kinglet_function kinglet_v7m_int4
    push    {{r4-r11, lr}}
    sub     sp, #32
    strd    r1, r2, [sp, #16]
    ldr     r4, [sp, #68]
    movs    r5, #132
    mla     r4, r4, r5, r1
    strd    r3, r4, [sp, #24]
    mov     r2, #0x000F000F
1:  movs    r4, #0
    ldr     r1, [sp, #16]
    strd    r4, r4, [sp]
    strd    r4, r4, [sp, #8]
2:  kinglet_v7m_int4_group
    ldr     r3, [sp, #28]
    cmp     r1, r3
    bne     2b
    ldrd    r3, r12, [sp, #20]
    stm     r3!, {{r8-r11}}
    subs    r12, #1
    strd    r3, r12, [sp, #20]
    bne     1b
    add     sp, #32
    pop     {{r4-r11, pc}}
    .size kinglet_v7m_int4, . - kinglet_v7m_int4
"#
);
