//! Coefficients of a matrix state's reads, four rows at a time: see
//! [`coefficients`](crate::arch::shared::coefficients). Nothing branches on a number: one
//! that is above 31 shifts by as many as all ones do.

use crate::arch::shared::assembly::assembly;

assembly!(
    r#"
    // A product in t1 with a row's fraction goes to the right by `most`, \most, less the
    // scale's power, t2, and is stored. t3 scratch   a5 scaled   t4 the sum   t5 the bits
    // \limit 31
    .macro kinglet_rv_scaled at, most, limit
    srai    t2, t2, 22
    sub     t2, \most, t2
    sub     t3, \limit, t2
    srai    t3, t3, 31
    or      t2, t2, t3
    sra     t1, t1, t2
    srai    t3, t1, 31
    sw      t1, \at(a5)
    xor     t1, t1, t3
    or      t5, t5, t1
    srli    t1, t1, 8
    add     t4, t4, t1
    .endm

    // a0 x   a1 lam   a2 bounds   a3 w   a4 what is told and found   a5 scaled
    // a6 the end of x   a7 the table   t6 the least logarithm   s0 mask of 13 bits
    // s1 mask of an upper half   s2 31   s3 the power of two
    kinglet_function kinglet_rows_decayed_and_scaled
    addi    sp, sp, -16
    sw      s0, 0(sp)
    sw      s1, 4(sp)
    sw      s2, 8(sp)
    sw      s3, 12(sp)
    lw      a5, 0(a4)
    lw      a6, 4(a4)
    lw      a7, 16(a4)
    lw      s3, 20(a4)
    slli    a6, a6, 2
    add     a6, a6, a0
    lui     t6, 0xB5000
    lui     s0, 2
    addi    s0, s0, -1
    lui     s1, 0xFFFF0
    li      s2, 31
    li      t4, 0
    li      t5, 0
1:  .irp    at, 0, 4, 8, 12
    lw      t2, \at(a1)
    lw      t0, \at(a3)
    add     t2, t2, t0
    sub     t0, t2, t6
    srai    t1, t0, 31
    and     t0, t0, t1
    sub     t2, t2, t0
    sw      t2, \at(a1)
    not     t0, t2
    srli    t1, t0, 14
    andi    t1, t1, 252
    add     t1, t1, a7
    lw      t1, 0(t1)
    slli    t0, t0, 16
    srli    t0, t0, 20
    and     t3, t1, s0
    mul     t0, t0, t3
    sub     t0, t1, t0
    lw      t1, \at(a0)
    srli    t3, t0, 15
    sh      t3, \at+2(a2)
    and     t0, t0, s1
    mulh    t1, t1, t0
    kinglet_rv_scaled \at, s3, s2
    .endr
    addi    a0, a0, 16
    addi    a1, a1, 16
    addi    a2, a2, 16
    addi    a3, a3, 16
    addi    a5, a5, 16
    bne     a0, a6, 1b
    sw      t4, 8(a4)
    sw      t5, 12(a4)
    lw      s0, 0(sp)
    lw      s1, 4(sp)
    lw      s2, 8(sp)
    lw      s3, 12(sp)
    addi    sp, sp, 16
    ret
    .size kinglet_rows_decayed_and_scaled, . - kinglet_rows_decayed_and_scaled

    // a3 the power of two   a7 31   t6 mask of 15 bits in the upper half
    kinglet_function kinglet_rows_scaled
    lw      a5, 0(a4)
    lw      a6, 4(a4)
    slli    a6, a6, 2
    add     a6, a6, a0
    li      a7, 31
    lui     t6, 0x7FFF0
    li      t4, 0
    li      t5, 0
1:  .irp    at, 0, 4, 8, 12
    lw      t0, \at(a2)
    lw      t1, \at(a0)
    lw      t2, \at(a1)
    srli    t0, t0, 1
    and     t0, t0, t6
    mulh    t1, t1, t0
    kinglet_rv_scaled \at, a3, a7
    .endr
    addi    a0, a0, 16
    addi    a1, a1, 16
    addi    a2, a2, 16
    addi    a5, a5, 16
    bne     a0, a6, 1b
    sw      t4, 8(a4)
    sw      t5, 12(a4)
    ret
    .size kinglet_rows_scaled, . - kinglet_rows_scaled

    // a0 scaled   a1 out   a2 the end   a3 places   a4 the step   a5 the sign   a6 half a unit
    kinglet_function kinglet_rows_rounded
    slli    a2, a2, 2
    add     a2, a2, a0
    li      a6, 1
    sll     a6, a6, a3
    srli    a6, a6, 1
1:  .irp    at, 0, 4, 8, 12
    lw      t0, \at(a0)
    mul     t0, t0, a5
    add     t0, t0, a6
    sra     t0, t0, a3
    sw      t0, 0(a1)
    add     a1, a1, a4
    .endr
    addi    a0, a0, 16
    bne     a0, a2, 1b
    ret
    .size kinglet_rows_rounded, . - kinglet_rows_rounded
"#
);
