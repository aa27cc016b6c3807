//! The steps beside products, in rounds of four elements: `MULH` is `mulq` by a
//! factor in the upper half of a word. Nothing branches on a number: the larger
//! of two is `a - min(a - b, 0)`.

use super::Riscv;
use crate::arch::shared::assembly::processor;
use crate::arch::shared::rounds::{Rounds, Routines};
use crate::arch::Scaling;
use core::arch::naked_asm;

impl Rounds for Riscv {
    const ROUTINES: Routines = Routines {
        scale_rows,
        scale_blocks,
        sum,
        less,
        squares,
        affine,
        token_shift,
        positive_max,
        relu_squared,
    };
}

// a5 the end   a6 mask of an upper half
#[unsafe(naked)]
unsafe extern "C" fn scale_rows(
    _scales: *const i16,
    _out: *mut i32,
    _rounds: usize,
    _factor: i32,
    _shift: u32,
) {
    naked_asm!(
        processor!(),
        r#"
    slli    a5, a2, 4
    add     a5, a5, a1
    lui     a6, 0xFFFF0
1:  .irp    at, 0, 1, 2, 3
    lh      t0, 2*\at(a0)
    lw      t1, 4*\at(a1)
    mul     t0, t0, a3
    sll     t1, t1, a4
    and     t0, t0, a6
    mulh    t1, t1, t0
    sw      t1, 4*\at(a1)
    .endr
    addi    a0, a0, 8
    addi    a1, a1, 16
    bne     a1, a5, 1b
    ret
"#
    )
}

// a5 the end
#[unsafe(naked)]
unsafe extern "C" fn scale_blocks(
    _places: *const u8,
    _out: *mut i32,
    _blocks: usize,
    _factor: i32,
    _shift: u32,
) {
    naked_asm!(
        processor!(),
        r#"
    slli    a5, a2, 4
    add     a5, a5, a1
1:  lbu     t0, (a0)
    sra     t0, a3, t0
    .irp    at, 0, 4, 8, 12
    lw      t1, \at(a1)
    sll     t1, t1, a4
    mulh    t1, t1, t0
    sw      t1, \at(a1)
    .endr
    addi    a0, a0, 1
    addi    a1, a1, 16
    bne     a1, a5, 1b
    ret
"#
    )
}

// Four elements, of 29 bits, add up in 32.
#[unsafe(naked)]
unsafe extern "C" fn sum(_x: *const i32, _rounds: usize) -> i64 {
    naked_asm!(
        processor!(),
        r#"
    mv      a2, a0
    slli    a3, a1, 4
    add     a3, a3, a2
    li      a0, 0
    li      a1, 0
1:  lw      t0, 0(a2)
    lw      t1, 4(a2)
    lw      t2, 8(a2)
    lw      t3, 12(a2)
    addi    a2, a2, 16
    add     t0, t0, t1
    add     t2, t2, t3
    add     t0, t0, t2
    srai    t1, t0, 31
    add     a0, a0, t0
    sltu    t0, a0, t0
    add     a1, a1, t1
    add     a1, a1, t0
    bne     a2, a3, 1b
    ret
"#
    )
}

// a4 bits   a5 the end
#[unsafe(naked)]
unsafe extern "C" fn less(_x: *const i32, _out: *mut i32, _rounds: usize, _mean: i32) -> u32 {
    naked_asm!(
        processor!(),
        r#"
    slli    a5, a2, 4
    add     a5, a5, a0
    li      a4, 0
1:  .irp    at, 0, 4, 8, 12
    lw      t0, \at(a0)
    sub     t0, t0, a3
    srai    t1, t0, 31
    sw      t0, \at(a1)
    xor     t0, t0, t1
    or      a4, a4, t0
    .endr
    addi    a0, a0, 16
    addi    a1, a1, 16
    bne     a0, a5, 1b
    mv      a0, a4
    ret
"#
    )
}

// Two squares add up in 32 bits.
#[unsafe(naked)]
unsafe extern "C" fn squares(_x: *const i32, _rounds: usize, _left: u32) -> u64 {
    naked_asm!(
        processor!(),
        r#"
    .macro kinglet_rv_squares at
    lw      t0, \at(a3)
    lw      t1, \at+4(a3)
    sll     t0, t0, a2
    sll     t1, t1, a2
    srai    t0, t0, 15
    srai    t1, t1, 15
    mul     t0, t0, t0
    mul     t1, t1, t1
    add     t0, t0, t1
    add     a0, a0, t0
    sltu    t0, a0, t0
    add     a1, a1, t0
    .endm

    mv      a3, a0
    slli    a4, a1, 4
    add     a4, a4, a3
    li      a0, 0
    li      a1, 0
1:  kinglet_rv_squares 0
    kinglet_rv_squares 8
    addi    a3, a3, 16
    bne     a3, a4, 1b
    ret
"#
    )
}

// a3 the end   a4 left   a5 root   a6 right   a7 bias   t5 2^15
// t6 mask of an upper half
#[unsafe(naked)]
unsafe extern "C" fn affine(
    _x: *mut i32,
    _weight: *const i16,
    _bias: *const i16,
    _rounds: usize,
    _scaling: &Scaling,
) {
    naked_asm!(
        processor!(),
        r#"
    slli    a3, a3, 4
    add     a3, a3, a0
    lw      a5, 4(a4)
    lw      a6, 8(a4)
    lw      a7, 12(a4)
    lw      a4, 0(a4)
    lui     t5, 8
    lui     t6, 0xFFFF0
1:  .irp    at, 0, 1, 2, 3
    lh      t0, 2*\at(a1)
    lw      t1, 4*\at(a0)
    lh      t2, 2*\at(a2)
    mul     t0, t0, a5
    sll     t1, t1, a4
    slli    t2, t2, 16
    add     t0, t0, t5
    and     t0, t0, t6
    mulh    t2, t2, a7
    mulh    t1, t1, t0
    sra     t1, t1, a6
    add     t1, t1, t2
    sw      t1, 4*\at(a0)
    .endr
    addi    a0, a0, 16
    addi    a1, a1, 8
    addi    a2, a2, 8
    bne     a0, a3, 1b
    ret
"#
    )
}

// a4 the end   a6 the largest magnitude
#[unsafe(naked)]
unsafe extern "C" fn token_shift(
    _x: *const i32,
    _previous: *const i32,
    _mix: *const i16,
    _out: *mut i32,
    _rounds: usize,
    _right: u32,
) -> u32 {
    naked_asm!(
        processor!(),
        r#"
    slli    a4, a4, 4
    add     a4, a4, a0
    li      a6, 0
1:  .irp    at, 0, 1, 2, 3
    lh      t0, 2*\at(a2)
    lw      t1, 4*\at(a0)
    lw      t2, 4*\at(a1)
    slli    t0, t0, 16
    sub     t1, t1, t2
    mulh    t1, t1, t0
    sra     t2, t2, a5
    slli    t1, t1, 2
    add     t1, t1, t2
    srai    t2, t1, 31
    sw      t1, 4*\at(a3)
    xor     t1, t1, t2
    sub     t1, a6, t1
    srai    t2, t1, 31
    and     t1, t1, t2
    sub     a6, a6, t1
    .endr
    addi    a0, a0, 16
    addi    a1, a1, 16
    addi    a2, a2, 8
    addi    a3, a3, 16
    bne     a0, a4, 1b
    mv      a0, a6
    ret
"#
    )
}

#[unsafe(naked)]
unsafe extern "C" fn positive_max(_x: *const i32, _rounds: usize) -> i32 {
    naked_asm!(
        processor!(),
        r#"
    slli    a1, a1, 4
    add     a1, a1, a0
    li      a2, 0
1:  .irp    at, 0, 4, 8, 12
    lw      t0, \at(a0)
    sub     t0, a2, t0
    srai    t1, t0, 31
    and     t0, t0, t1
    sub     a2, a2, t0
    .endr
    addi    a0, a0, 16
    bne     a0, a1, 1b
    mv      a0, a2
    ret
"#
    )
}

// Times 1 where it is positive, and 0 elsewhere.
#[unsafe(naked)]
unsafe extern "C" fn relu_squared(_x: *mut i32, _rounds: usize, _left: u32) {
    naked_asm!(
        processor!(),
        r#"
    slli    a1, a1, 4
    add     a1, a1, a0
1:  .irp    at, 0, 4, 8, 12
    lw      t0, \at(a0)
    slt     t1, zero, t0
    sll     t0, t0, a2
    srai    t0, t0, 16
    mul     t1, t1, t0
    mul     t0, t0, t1
    sw      t0, \at(a0)
    .endr
    addi    a0, a0, 16
    bne     a0, a1, 1b
    ret
"#
    )
}
