//! Matrix states of 16 bits: three instructions per element to read, five for two reads,
//! eight and a half to write. Mantissas of 8 bits take the same instructions to be read,
//! and three more to be rounded and limited.

use super::Riscv;
use crate::arch::shared::assembly::assembly;
use crate::arch::shared::state::{Both, ReadBoth, Routines, States};
use crate::arch::Write;

impl States for Riscv {
    const ROUTINES: [Routines; 2] = [
        Routines {
            read: kinglet_rv_state_read,
            write: kinglet_rv_state_write,
        },
        Routines {
            read: kinglet_rv_state_read_8,
            write: kinglet_rv_state_write_8,
        },
    ];
}

impl Both for Riscv {
    const READ_BOTH: [ReadBoth; 2] = [kinglet_rv_state_read_both, kinglet_rv_state_read_both_8];
}

// Those of mantissas of 8 bits have it in their names.
extern "C" {
    /// Eight columns at a time.
    fn kinglet_rv_state_read(mantissas: *const u32, c: *const i32, sums: *mut i32, size: usize);
    fn kinglet_rv_state_read_8(mantissas: *const u32, c: *const i32, sums: *mut i32, size: usize);
    /// Eight columns at a time.
    fn kinglet_rv_state_read_both(
        mantissas: *const u32,
        c: *const [i32; 2],
        sums: *mut [i32; 2],
        size: usize,
    );
    fn kinglet_rv_state_read_both_8(
        mantissas: *const u32,
        c: *const [i32; 2],
        sums: *mut [i32; 2],
        size: usize,
    );
    /// Four rows at a time.
    fn kinglet_rv_state_write(
        mantissas: *mut u32,
        writes: *const Write,
        values: *const [i32; 2],
        size: usize,
    );
    fn kinglet_rv_state_write_8(
        mantissas: *mut u32,
        writes: *const Write,
        values: *const [i32; 2],
        size: usize,
    );
}

assembly!(
    r#"
    .macro kinglet_rv_mantissa bytes, to, at, rows
    .if \bytes == 2
    lh      \to, 2*(\at)(\rows)
    .else
    lb      \to, \at(\rows)
    .endif
    .endm

    // a0 mantissas   a1 c   a2 sums   a3 columns left   a4 bytes of two rows   a5 the end of c
    // a6 mantissas of two rows   a7 where in c   t0, t1 c   t2, t3 mantissas
    // t4-t6, s0-s4 sums
    .macro kinglet_rv_read bytes, at, sum
    kinglet_rv_mantissa \bytes, t2, \at, a6
    kinglet_rv_mantissa \bytes, t3, \at+1, a6
    mul     t2, t2, t0
    mul     t3, t3, t1
    add     \sum, \sum, t2
    add     \sum, \sum, t3
    .endm
    .macro kinglet_rv_state_read_of name, bytes
    kinglet_function \name
    addi    sp, sp, -32
    sw      s0, 0(sp)
    sw      s1, 4(sp)
    sw      s2, 8(sp)
    sw      s3, 12(sp)
    sw      s4, 16(sp)
    slli    a4, a3, \bytes
    slli    a5, a3, 2
    add     a5, a5, a1
1:  mv      a6, a0
    mv      a7, a1
    .irp    sum, t4, t5, t6, s0, s1, s2, s3, s4
    li      \sum, 0
    .endr
2:  lw      t0, 0(a7)
    lw      t1, 4(a7)
    kinglet_rv_read \bytes, 0, t4
    kinglet_rv_read \bytes, 2, t5
    kinglet_rv_read \bytes, 4, t6
    kinglet_rv_read \bytes, 6, s0
    kinglet_rv_read \bytes, 8, s1
    kinglet_rv_read \bytes, 10, s2
    kinglet_rv_read \bytes, 12, s3
    kinglet_rv_read \bytes, 14, s4
    add     a6, a6, a4
    addi    a7, a7, 8
    bne     a7, a5, 2b
    sw      t4, 0(a2)
    sw      t5, 4(a2)
    sw      t6, 8(a2)
    sw      s0, 12(a2)
    sw      s1, 16(a2)
    sw      s2, 20(a2)
    sw      s3, 24(a2)
    sw      s4, 28(a2)
    addi    a0, a0, 16*\bytes
    addi    a2, a2, 32
    addi    a3, a3, -8
    bnez    a3, 1b
    lw      s0, 0(sp)
    lw      s1, 4(sp)
    lw      s2, 8(sp)
    lw      s3, 12(sp)
    lw      s4, 16(sp)
    addi    sp, sp, 32
    ret
    .size \name, . - \name
    .endm
    kinglet_rv_state_read_of kinglet_rv_state_read, 2
    kinglet_rv_state_read_of kinglet_rv_state_read_8, 1

    // a0 mantissas   a1 c   a2 sums   a3 columns left   a4 bytes of two rows   a5 the end of c
    // a6 mantissas of two rows   a7 where in c   t0, t1 both c   t2, t3 products
    // t4-t6, s0-s11, ra sums
    .macro kinglet_rv_read_both bytes, at, first, second
    kinglet_rv_mantissa \bytes, t2, \at, a6
    mul     t3, t2, t0
    mul     t2, t2, t1
    add     \first, \first, t3
    add     \second, \second, t2
    .endm
    .macro kinglet_rv_row_of_both bytes, at, c
    lw      t0, \c(a7)
    lw      t1, \c+4(a7)
    kinglet_rv_read_both \bytes, 0+\at, t4, t5
    kinglet_rv_read_both \bytes, 2+\at, t6, s0
    kinglet_rv_read_both \bytes, 4+\at, s1, s2
    kinglet_rv_read_both \bytes, 6+\at, s3, s4
    kinglet_rv_read_both \bytes, 8+\at, s5, s6
    kinglet_rv_read_both \bytes, 10+\at, s7, s8
    kinglet_rv_read_both \bytes, 12+\at, s9, s10
    kinglet_rv_read_both \bytes, 14+\at, s11, ra
    .endm
    .macro kinglet_rv_state_read_both_of name, bytes
    kinglet_function \name
    addi    sp, sp, -64
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
    sw      s10, 40(sp)
    sw      s11, 44(sp)
    sw      ra, 48(sp)
    slli    a4, a3, \bytes
    slli    a5, a3, 3
    add     a5, a5, a1
1:  mv      a6, a0
    mv      a7, a1
    .irp    sum, t4, t5, t6, s0, s1, s2, s3, s4, s5, s6, s7, s8, s9, s10, s11, ra
    li      \sum, 0
    .endr
2:  kinglet_rv_row_of_both \bytes, 0, 0
    kinglet_rv_row_of_both \bytes, 1, 8
    add     a6, a6, a4
    kinglet_rv_row_of_both \bytes, 0, 16
    kinglet_rv_row_of_both \bytes, 1, 24
    add     a6, a6, a4
    addi    a7, a7, 32
    bne     a7, a5, 2b
    sw      t4, 0(a2)
    sw      t5, 4(a2)
    sw      t6, 8(a2)
    sw      s0, 12(a2)
    sw      s1, 16(a2)
    sw      s2, 20(a2)
    sw      s3, 24(a2)
    sw      s4, 28(a2)
    sw      s5, 32(a2)
    sw      s6, 36(a2)
    sw      s7, 40(a2)
    sw      s8, 44(a2)
    sw      s9, 48(a2)
    sw      s10, 52(a2)
    sw      s11, 56(a2)
    sw      ra, 60(a2)
    addi    a0, a0, 16*\bytes
    addi    a2, a2, 64
    addi    a3, a3, -8
    bnez    a3, 1b
    lw      s0, 0(sp)
    lw      s1, 4(sp)
    lw      s2, 8(sp)
    lw      s3, 12(sp)
    lw      s4, 16(sp)
    lw      s5, 20(sp)
    lw      s6, 24(sp)
    lw      s7, 28(sp)
    lw      s8, 32(sp)
    lw      s9, 36(sp)
    lw      s10, 40(sp)
    lw      s11, 44(sp)
    lw      ra, 48(sp)
    addi    sp, sp, 64
    ret
    .size \name, . - \name
    .endm
    kinglet_rv_state_read_both_of kinglet_rv_state_read_both, 2
    kinglet_rv_state_read_both_of kinglet_rv_state_read_both_8, 1

    // a0, a4 mantissas of two rows each   a1 writes   a2 values   a3 rows left
    // a5 bytes of two rows   a6 their end   a7 where in the values   t0, t1 v and sa
    // t2-t4 a mantissa and products   t5 half a unit of 8 bits, less one
    // s0-s11 w, k and b of the rows
    .macro kinglet_rv_write bytes, rows, at, w, k, b
    kinglet_rv_mantissa \bytes, t2, \at, \rows
    mul     t3, t0, \k
    mul     t4, t1, \b
    mul     t2, t2, \w
    add     t2, t2, t4
    add     t2, t2, t3
    .if \bytes == 2
    srai    t2, t2, 14
    sh      t2, 2*(\at)(\rows)
    .else
    // One less than the rounded mantissa, and one more where that is below 127.
    add     t2, t2, t5
    srai    t2, t2, 22
    slti    t3, t2, 127
    add     t2, t2, t3
    sb      t2, \at(\rows)
    .endif
    .endm
    .macro kinglet_rv_column bytes, at
    lw      t0, 8*\at(a7)
    lw      t1, 8*\at+4(a7)
    kinglet_rv_write \bytes, a0, 2*\at, s0, s1, s2
    kinglet_rv_write \bytes, a0, 2*\at+1, s3, s4, s5
    kinglet_rv_write \bytes, a4, 2*\at, s6, s7, s8
    kinglet_rv_write \bytes, a4, 2*\at+1, s9, s10, s11
    .endm
    .macro kinglet_rv_state_write_of name, bytes
    kinglet_function \name
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
    sw      s10, 40(sp)
    sw      s11, 44(sp)
    slli    a5, a3, \bytes
1:  lh      s0, 0(a1)
    lh      s1, 2(a1)
    lh      s2, 4(a1)
    lh      s3, 6(a1)
    lh      s4, 8(a1)
    lh      s5, 10(a1)
    lh      s6, 12(a1)
    lh      s7, 14(a1)
    lh      s8, 16(a1)
    lh      s9, 18(a1)
    lh      s10, 20(a1)
    lh      s11, 22(a1)
    addi    a1, a1, 24
    .if \bytes == 1
    slli    s0, s0, 8
    slli    s3, s3, 8
    slli    s6, s6, 8
    slli    s9, s9, 8
    lui     t5, 0xFFE00
    .endif
    add     a4, a0, a5
    mv      a6, a4
    mv      a7, a2
2:  kinglet_rv_column \bytes, 0
    kinglet_rv_column \bytes, 1
    kinglet_rv_column \bytes, 2
    kinglet_rv_column \bytes, 3
    kinglet_rv_column \bytes, 4
    kinglet_rv_column \bytes, 5
    kinglet_rv_column \bytes, 6
    kinglet_rv_column \bytes, 7
    addi    a0, a0, 16*\bytes
    addi    a4, a4, 16*\bytes
    addi    a7, a7, 64
    bne     a0, a6, 2b
    mv      a0, a4
    addi    a3, a3, -4
    bnez    a3, 1b
    lw      s0, 0(sp)
    lw      s1, 4(sp)
    lw      s2, 8(sp)
    lw      s3, 12(sp)
    lw      s4, 16(sp)
    lw      s5, 20(sp)
    lw      s6, 24(sp)
    lw      s7, 28(sp)
    lw      s8, 32(sp)
    lw      s9, 36(sp)
    lw      s10, 40(sp)
    lw      s11, 44(sp)
    addi    sp, sp, 48
    ret
    .size \name, . - \name
    .endm
    kinglet_rv_state_write_of kinglet_rv_state_write, 2
    kinglet_rv_state_write_of kinglet_rv_state_write_8, 1
"#
);
