//! ARMv6-M: Cortex-M0 and M0+. The algebra is that of `armv7m`. Only eight
//! registers can be multiplied and masked, and a product overwrites one of its
//! factors; the other registers hold sums, which one instruction adds to.
//!
//! A row takes 12 instructions for four int8 products: a load, then a shift, a
//! product and a sum for each column but the first, which needs no shift. Two
//! rows take 4 instructions for two int4 products, and 2 for those of the first
//! column, whose word is multiplied whole. With loads and loops: about 3.1 and
//! 2.2 instructions per multiply-add.

#[cfg(feature = "int6")]
mod int6;
mod prepare;
mod state;

use super::shared::assembly::assembly;
use super::shared::pairs::{self, Routines};
use super::shared::state::{self as states, states_in_rounds};
use super::shared::Words;
use super::{Mantissa, Narrow, Port, Portable, Quantizer, Write};
use crate::number::{larger, mulq};
use crate::shape::{Bits, Layout, Matrix, BLOCK_ROWS};

/// Cortex-M0 and M0+.
#[derive(Debug)]
pub struct Armv6m;

impl Port for Armv6m {
    type Base = Portable;

    const LAYOUT: Layout = Layout::Pairs;

    fn prepare(x: &[i32], quantizer: Quantizer, bits: Bits, words: &mut [u32]) {
        // SAFETY: the routines read and write whole steps only, and keep to the C
        // calling convention.
        unsafe {
            pairs::prepare(
                [
                    prepare::kinglet_v6m_prepare_int8,
                    prepare::kinglet_v6m_prepare_int4,
                ],
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

    // Products of 32 by 16 bits, of which an upper half is a few instructions.
    fn scale_blocks(places: &[u8], factor: i32, shift: u32, out: &mut [i32]) {
        let (blocks, _) = out.as_chunks_mut::<BLOCK_ROWS>();
        for (block, &places) in blocks.iter_mut().zip(places) {
            // What 16 places leave takes them from the factor.
            let more = larger(i32::from(places) - 16, 0);
            let factor = factor.wrapping_shr(more as u32);
            for out in block {
                *out = mulq(*out << shift, factor).wrapping_shr(u32::from(places) - more as u32);
            }
        }
    }

    states_in_rounds!();
}

extern "C" {
    /// Writes the sums of `blocks` blocks of four rows. Reads `4 steps` words
    /// of weights per block and `1 + 4 steps` of the prepared vector; a step is
    /// four columns. Both counts are at least 1.
    fn kinglet_v6m_int8(weights: Words, words: Words, sums: *mut i32, blocks: usize, steps: usize);
    /// The same with `17 groups` words of weights per block and `33 groups` of the
    /// prepared vector.
    fn kinglet_v6m_int4(weights: Words, words: Words, sums: *mut i32, blocks: usize, groups: usize);
    /// The same with `25 groups` words of weights per block and `44 groups` of the
    /// prepared vector.
    #[cfg(feature = "int6")]
    fn kinglet_v6m_int6(weights: Words, words: Words, sums: *mut i32, blocks: usize, groups: usize);
}

/// What `pairs::call` calls.
const ROUTINES: Routines = [
    kinglet_v6m_int8,
    kinglet_v6m_int4,
    #[cfg(feature = "int6")]
    kinglet_v6m_int6,
];

// Registers: r0 weights  r1 words  r2 scratch  r3 a weight word
//   r4-r7 activations  r8-r11 sums of four rows  r12 end of a loop
// Stack: [0] words  [4] sums  [8] blocks left  [12] end of whole rounds
// [16] end of words; 36 bytes of saved registers, then the fifth
// argument.
assembly!(
    r#"
    .macro kinglet_v6m_int8_row sum
        ldm     r0!, {{r3}}
        asrs    r2, r3, #8
        muls    r2, r5, r2
        add     \sum, r2
        asrs    r2, r3, #16
        muls    r2, r6, r2
        add     \sum, r2
        asrs    r2, r3, #24
        muls    r2, r7, r2
        add     \sum, r2
        muls    r3, r4, r3
        add     \sum, r3
    .endm
    .macro kinglet_v6m_int8_step
        ldm     r1!, {{r4-r7}}
        kinglet_v6m_int8_row r8
        kinglet_v6m_int8_row r9
        kinglet_v6m_int8_row r10
        kinglet_v6m_int8_row r11
    .endm
    .macro kinglet_v6m_save
        push    {{r4-r7, lr}}
        mov     r4, r8
        mov     r5, r9
        mov     r6, r10
        mov     r7, r11
        push    {{r4-r7}}
        sub     sp, #20
    .endm
    .macro kinglet_v6m_restore
        add     sp, #20
        pop     {{r4-r7}}
        mov     r8, r4
        mov     r9, r5
        mov     r10, r6
        mov     r11, r7
        pop     {{r4-r7, pc}}
    .endm

    kinglet_function kinglet_v6m_int8
    kinglet_v6m_save
    str     r1, [sp]
    str     r2, [sp, #4]
    str     r3, [sp, #8]
    ldr     r4, [sp, #56]
    adds    r1, #4
    lsrs    r5, r4, #3
    lsls    r5, r5, #7
    adds    r5, r5, r1
    str     r5, [sp, #12]
    lsls    r4, r4, #4
    adds    r4, r4, r1
    str     r4, [sp, #16]
1:  ldr     r1, [sp]
    ldr     r4, [sp, #12]
    ldm     r1!, {{r2}}
    mov     r12, r4
    mov     r8, r2
    mov     r9, r2
    mov     r10, r2
    mov     r11, r2
    .if {fast}
    cmp     r1, r12
    bne     2f
    b       3f
2:
    .rept 8
    kinglet_v6m_int8_step
    .endr
    cmp     r1, r12
    beq     3f
    b       2b
    .endif
3:  ldr     r4, [sp, #16]
    mov     r12, r4
4:  cmp     r1, r12
    beq     5f
    kinglet_v6m_int8_step
    b       4b
5:  ldr     r2, [sp, #4]
    mov     r4, r8
    mov     r5, r9
    mov     r6, r10
    mov     r7, r11
    stm     r2!, {{r4-r7}}
    str     r2, [sp, #4]
    ldr     r3, [sp, #8]
    subs    r3, #1
    str     r3, [sp, #8]
    beq     6f
    b       1b
6:  kinglet_v6m_restore
    .size kinglet_v6m_int8, . - kinglet_v6m_int8

    // Registers: r0 weights  r1 mask  r2 words  r3 weights of rows 0 and 1
    //   r5 of rows 2 and 3  r4, r7 activations  r6 scratch
    //   r8, r9 sums of a group  r10-r12, lr sums of four rows
    // Stack: [0] words  [4] sums  [8] blocks left  [12] end of words  [16] of a group
    .macro kinglet_v6m_int4_nibble y, shift
        lsrs    r6, r3, #\shift
        ands    r6, r1
        muls    r6, \y, r6
        add     r8, r6
        lsrs    r6, r5, #\shift
        ands    r6, r1
        muls    r6, \y, r6
        add     r9, r6
    .endm
    .macro kinglet_v6m_int4_step
        ldm     r0!, {{r3, r5}}
        ldm     r2!, {{r4, r7}}
        kinglet_v6m_int4_nibble r4, 4
        kinglet_v6m_int4_nibble r7, 8
        ldm     r2!, {{r4, r7}}
        kinglet_v6m_int4_nibble r4, 12
        muls    r3, r7, r3
        add     r8, r3
        muls    r5, r7, r5
        add     r9, r5
    .endm

    kinglet_function kinglet_v6m_int4
    kinglet_v6m_save
    str     r1, [sp]
    str     r2, [sp, #4]
    str     r3, [sp, #8]
    ldr     r4, [sp, #56]
    movs    r5, #132
    muls    r4, r5, r4
    adds    r4, r4, r1
    str     r4, [sp, #12]
    movs    r1, #15
    lsls    r4, r1, #16
    orrs    r1, r4
1:  ldr     r2, [sp]
    movs    r4, #0
    mov     r10, r4
    mov     r11, r4
    mov     r12, r4
    mov     lr, r4
2:  ldm     r2!, {{r6}}
    mov     r8, r6
    mov     r9, r6
    .if {fast}
    .rept 8
    kinglet_v6m_int4_step
    .endr
    .else
    mov     r6, r2
    adds    r6, #128
    str     r6, [sp, #16]
5:  kinglet_v6m_int4_step
    ldr     r6, [sp, #16]
    cmp     r2, r6
    bne     5b
    .endif
    // Two sums out of each word, times their scales.
    ldm     r0!, {{r3}}
    mov     r4, r8
    sxth    r5, r4
    subs    r4, r4, r5
    asrs    r4, r4, #16
    uxtb    r6, r3
    muls    r5, r6, r5
    add     r10, r5
    lsrs    r3, r3, #8
    uxtb    r6, r3
    muls    r4, r6, r4
    add     r11, r4
    mov     r4, r9
    sxth    r5, r4
    subs    r4, r4, r5
    asrs    r4, r4, #16
    lsrs    r3, r3, #8
    uxtb    r6, r3
    muls    r5, r6, r5
    add     r12, r5
    lsrs    r3, r3, #8
    muls    r4, r3, r4
    add     lr, r4
    ldr     r6, [sp, #12]
    cmp     r2, r6
    beq     3f
    b       2b
3:  ldr     r2, [sp, #4]
    mov     r4, r10
    mov     r5, r11
    mov     r6, r12
    mov     r7, lr
    stm     r2!, {{r4-r7}}
    str     r2, [sp, #4]
    ldr     r3, [sp, #8]
    subs    r3, #1
    str     r3, [sp, #8]
    beq     4f
    b       1b
4:  kinglet_v6m_restore
    .size kinglet_v6m_int4, . - kinglet_v6m_int4
"#;
    // Built for size, they have a step once.
    fast = const cfg!(kinglet_fast) as u8,
);
