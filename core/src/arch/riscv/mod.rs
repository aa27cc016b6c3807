//! RISC-V of 32 bits with multiplication: RV32IM, also with A and C.
//!
//! There is no multiply-add: a product and its addition are two instructions.
//! The routines take two blocks, eight rows, at a time, because a word of the
//! prepared vector is loaded for all rows; of an odd number of blocks the last
//! one is computed twice.
//!
//! **int8.** The algebra is that of `armv7m`. A row takes 12 instructions for
//! four products: a load, then a shift, a product and a sum for each column but
//! the first, which needs no shift. With the vector 3.2 per multiply-add.
//!
//! **int4.** The halves of a word are two rows, each with four nibbles
//! `u = n + 8`. With `V = W >> 4`, `m = 0x000F000F` and `x_k` the columns,
//!
//! ```text
//! (W & m) x0 + (V & m) x1 + ((W & 2^8 m) x2 + (V & 2^8 m) x3) / 2^8
//! ```
//!
//! sums to `S_lo + 2^16 S_hi` plus a constant. `MULH`, the upper half of a product,
//! divides by itself: it takes `2^24 x` in place of `x`. So one shift is
//! enough for four columns: 14 instructions for eight products, with vector and scales 2.1
//! per multiply-add. Two sums come apart as on `armv7m`.
//!
//! **int6.** The algebra is that of `armv7m`, a block at a time: 3.1 per multiply-add.

#[cfg(feature = "int6")]
mod int6;
mod prepare;
#[cfg(kinglet_fast)]
mod rows;
mod state;
#[cfg(kinglet_fast)]
mod steps;

use super::shared::assembly::assembly;
#[cfg(kinglet_fast)]
use super::shared::coefficients::{self, coefficients_in_rounds};
use super::shared::pairs::{self, Routines};
#[cfg(kinglet_fast)]
use super::shared::rounds::{self, steps_in_rounds};
use super::shared::state::{self as states, states_in_rounds};
use super::shared::Words;
#[cfg(kinglet_fast)]
use super::Scaling;
use super::{Mantissa, Narrow, Port, Portable, Quantizer, Write};
use crate::shape::{Bits, Layout, Matrix};

/// RV32IM.
#[derive(Debug)]
pub struct Riscv;

impl Port for Riscv {
    type Base = Portable;

    const LAYOUT: Layout = Layout::Pairs;

    fn prepare(x: &[i32], quantizer: Quantizer, bits: Bits, words: &mut [u32]) {
        // SAFETY: the routines read and write whole steps only, and keep to the C
        // calling convention.
        unsafe {
            pairs::prepare(
                [
                    prepare::kinglet_rv_prepare_int8,
                    prepare::kinglet_rv_prepare_int4,
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

    #[cfg(kinglet_fast)]
    steps_in_rounds!();
    states_in_rounds!(both);
    #[cfg(kinglet_fast)]
    coefficients_in_rounds!();
}

extern "C" {
    /// Writes the sums of `blocks` blocks of four rows. Reads `4 steps` words
    /// of weights per block and `1 + 4 steps` of the prepared vector; a step is
    /// four columns. Both counts are at least 1.
    fn kinglet_rv_int8(weights: Words, words: Words, sums: *mut i32, blocks: usize, steps: usize);
    /// The same with `17 groups` words of weights per block and `33 groups` of the
    /// prepared vector.
    fn kinglet_rv_int4(weights: Words, words: Words, sums: *mut i32, blocks: usize, groups: usize);
    /// The same with `25 groups` words of weights per block and `44 groups` of the
    /// prepared vector.
    #[cfg(feature = "int6")]
    fn kinglet_rv_int6(weights: Words, words: Words, sums: *mut i32, blocks: usize, groups: usize);
}

/// What `pairs::call` calls.
const ROUTINES: Routines = [
    kinglet_rv_int8,
    kinglet_rv_int4,
    #[cfg(feature = "int6")]
    kinglet_rv_int6,
];

// Registers: a0, a5 weights of two blocks  a1 words  a2 sums  a3 blocks left
//   a4 bytes of a block  a6 where in the words, less the constant  a7 its end
//   t6 the end of whole rounds  s0, s1 weights of two rows  t0-t3 activations
//   t4, t5 products  s2-s9 sums of eight rows
assembly!(
    r#"
    .macro kinglet_rv_int8_column x, one, other
        mul     t4, s0, \x
        mul     t5, s1, \x
        add     \one, \one, t4
        add     \other, \other, t5
    .endm
    .macro kinglet_rv_int8_next x, one, other
        srai    s0, s0, 8
        srai    s1, s1, 8
        kinglet_rv_int8_column \x, \one, \other
    .endm
    .macro kinglet_rv_int8_rows block, at, one, other
        lw      s0, \at(\block)
        lw      s1, \at+4(\block)
        kinglet_rv_int8_column t0, \one, \other
        kinglet_rv_int8_next t1, \one, \other
        kinglet_rv_int8_next t2, \one, \other
        kinglet_rv_int8_next t3, \one, \other
    .endm
    .macro kinglet_rv_int8_step at
        lw      t0, \at+4(a6)
        lw      t1, \at+8(a6)
        lw      t2, \at+12(a6)
        lw      t3, \at+16(a6)
        kinglet_rv_int8_rows a0, \at, s2, s3
        kinglet_rv_int8_rows a0, \at+8, s4, s5
        kinglet_rv_int8_rows a5, \at, s6, s7
        kinglet_rv_int8_rows a5, \at+8, s8, s9
    .endm
    .macro kinglet_rv_int8_steps bytes
        addi    a0, a0, \bytes
        addi    a5, a5, \bytes
        addi    a6, a6, \bytes
    .endm

    kinglet_function kinglet_rv_int8
    addi    sp, sp, -48
    sw      s0, 0(sp)
    sw      s1, 4(sp)
    sw      s2, 8(sp)
    sw      s3, 12(sp)
    sw      s4, 16(sp)
    sw      s5, 20(sp)
    sw      s6, 24(sp)
    sw      s7, 28(sp)
    sw      s8, 32(sp)
    sw      s9, 36(sp)
    slli    a4, a4, 4
    add     a7, a1, a4
    andi    t6, a4, -64
    add     t6, a1, t6
    mv      a5, a0
1:  // Two blocks, or the last one twice.
    mv      a0, a5
    addi    a3, a3, -2
    bltz    a3, 2f
    add     a5, a0, a4
2:  lw      s2, 0(a1)
    mv      a6, a1
    mv      s3, s2
    mv      s4, s2
    mv      s5, s2
    mv      s6, s2
    mv      s7, s2
    mv      s8, s2
    mv      s9, s2
    beq     a6, t6, 4f
3:  kinglet_rv_int8_step 0
    kinglet_rv_int8_step 16
    kinglet_rv_int8_step 32
    kinglet_rv_int8_step 48
    kinglet_rv_int8_steps 64
    bne     a6, t6, 3b
    beq     a6, a7, 5f
4:  kinglet_rv_int8_step 0
    kinglet_rv_int8_steps 16
    bne     a6, a7, 4b
5:  sw      s2, 0(a2)
    sw      s3, 4(a2)
    sw      s4, 8(a2)
    sw      s5, 12(a2)
    bltz    a3, 6f
    sw      s6, 16(a2)
    sw      s7, 20(a2)
    sw      s8, 24(a2)
    sw      s9, 28(a2)
    addi    a2, a2, 32
    bnez    a3, 1b
6:  lw      s0, 0(sp)
    lw      s1, 4(sp)
    lw      s2, 8(sp)
    lw      s3, 12(sp)
    lw      s4, 16(sp)
    lw      s5, 20(sp)
    lw      s6, 24(sp)
    lw      s7, 28(sp)
    lw      s8, 32(sp)
    lw      s9, 36(sp)
    addi    sp, sp, 48
    ret
    .size kinglet_rv_int8, . - kinglet_rv_int8
"#
);

// Registers: a0, a5 weights of two blocks  a6 where in the words  a7 its end
//   t6, s10 masks  s0, s1 weights of two rows each  t0-t3 activations
//   t4, t5 products  s11 a group's constant  a1-a4 sums of a group, of two rows each
//   s2-s9 sums of eight rows
// Stack: [0] words  [4] sums  [8] blocks left  [12] bytes of a block, then
// saved registers.
assembly!(
    r#"
    // `from` plus the products of both words' nibbles that `mask` finds.
    .macro kinglet_rv_int4_column multiply, mask, x, one, other, from_one, from_other
        and     t4, s0, \mask
        and     t5, s1, \mask
        \multiply t4, t4, \x
        \multiply t5, t5, \x
        add     \one, \from_one, t4
        add     \other, \from_other, t5
    .endm
    .macro kinglet_rv_int4_rows block, at, one, other, from_one, from_other
        lw      s0, \at(\block)
        lw      s1, \at+4(\block)
        kinglet_rv_int4_column mul, t6, t0, \one, \other, \from_one, \from_other
        kinglet_rv_int4_column mulh, s10, t2, \one, \other, \one, \other
        srli    s0, s0, 4
        srli    s1, s1, 4
        kinglet_rv_int4_column mul, t6, t1, \one, \other, \one, \other
        kinglet_rv_int4_column mulh, s10, t3, \one, \other, \one, \other
    .endm
    .macro kinglet_rv_int4_step at, x, a=a1, b=a2, c=a3, d=a4
        lw      t0, \x(a6)
        lw      t1, \x+4(a6)
        lw      t2, \x+8(a6)
        lw      t3, \x+12(a6)
        kinglet_rv_int4_rows a0, \at, a1, a2, \a, \b
        kinglet_rv_int4_rows a5, \at, a3, a4, \c, \d
    .endm
    // The sums of two rows out of a word, times their scales.
    .macro kinglet_rv_int4_scale block, at, sums, lower, upper
        lbu     s0, \at(\block)
        lbu     s1, \at+1(\block)
        slli    t4, \sums, 16
        srai    t4, t4, 16
        sub     t5, \sums, t4
        srai    t5, t5, 16
        mul     t4, t4, s0
        mul     t5, t5, s1
        add     \lower, \lower, t4
        add     \upper, \upper, t5
    .endm

    kinglet_function kinglet_rv_int4
    addi    sp, sp, -64
    sw      s0, 16(sp)
    sw      s1, 20(sp)
    sw      s2, 24(sp)
    sw      s3, 28(sp)
    sw      s4, 32(sp)
    sw      s5, 36(sp)
    sw      s6, 40(sp)
    sw      s7, 44(sp)
    sw      s8, 48(sp)
    sw      s9, 52(sp)
    sw      s10, 56(sp)
    sw      s11, 60(sp)
    sw      a1, 0(sp)
    sw      a2, 4(sp)
    sw      a3, 8(sp)
    li      t0, 68
    mul     t0, a4, t0
    sw      t0, 12(sp)
    li      t0, 132
    mul     t0, a4, t0
    add     a7, a1, t0
    li      t6, 0x000F000F
    slli    s10, t6, 8
    mv      a5, a0
1:  // Two blocks, or the last one twice.
    mv      a0, a5
    lw      a6, 0(sp)
    lw      t0, 8(sp)
    addi    t0, t0, -2
    sw      t0, 8(sp)
    bltz    t0, 2f
    lw      t0, 12(sp)
    add     a5, a0, t0
2:  li      s2, 0
    li      s3, 0
    li      s4, 0
    li      s5, 0
    li      s6, 0
    li      s7, 0
    li      s8, 0
    li      s9, 0
3:  lw      s11, 0(a6)
    kinglet_rv_int4_step 0, 4, s11, s11, s11, s11
    kinglet_rv_int4_step 8, 20
    kinglet_rv_int4_step 16, 36
    kinglet_rv_int4_step 24, 52
    kinglet_rv_int4_step 32, 68
    kinglet_rv_int4_step 40, 84
    kinglet_rv_int4_step 48, 100
    kinglet_rv_int4_step 56, 116
    kinglet_rv_int4_scale a0, 64, a1, s2, s3
    kinglet_rv_int4_scale a0, 66, a2, s4, s5
    kinglet_rv_int4_scale a5, 64, a3, s6, s7
    kinglet_rv_int4_scale a5, 66, a4, s8, s9
    addi    a0, a0, 68
    addi    a5, a5, 68
    addi    a6, a6, 132
    bne     a6, a7, 3b
    lw      t0, 4(sp)
    lw      t1, 8(sp)
    sw      s2, 0(t0)
    sw      s3, 4(t0)
    sw      s4, 8(t0)
    sw      s5, 12(t0)
    bltz    t1, 4f
    sw      s6, 16(t0)
    sw      s7, 20(t0)
    sw      s8, 24(t0)
    sw      s9, 28(t0)
    addi    t0, t0, 32
    sw      t0, 4(sp)
    bnez    t1, 1b
4:  lw      s0, 16(sp)
    lw      s1, 20(sp)
    lw      s2, 24(sp)
    lw      s3, 28(sp)
    lw      s4, 32(sp)
    lw      s5, 36(sp)
    lw      s6, 40(sp)
    lw      s7, 44(sp)
    lw      s8, 48(sp)
    lw      s9, 52(sp)
    lw      s10, 56(sp)
    lw      s11, 60(sp)
    addi    sp, sp, 64
    ret
    .size kinglet_rv_int4, . - kinglet_rv_int4
"#
);
