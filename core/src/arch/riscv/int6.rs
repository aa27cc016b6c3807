//! Products with weights of six bits.

use crate::arch::shared::assembly::assembly;

// Registers: a0 weights  a1 where in the words  a2 sums  a3 blocks left  a4 words
//   a5 their end  a6 the end of a group's  a7, t6 masks  t0-t3 activations
//   t4, t5 products  s0, s1 weights of two rows each  s2, s3 sums of eight columns in
//   these  s4, s5 of a group, in words of two rows  s6, s7 in their upper rows
//   s8-s11 sums of four rows
assembly!(
    r#"
    .macro kinglet_rv_int6_add x, from=s3
        mul     t4, t4, \x
        mul     t5, t5, \x
        add     s3, \from, t5
        add     s2, s2, t4
    .endm
    .macro kinglet_rv_int6_field places, x, from=s3
        srli    t4, s0, \places
        srli    t5, s1, \places
        and     t4, t4, a7
        and     t5, t5, a7
        kinglet_rv_int6_add \x, \from
    .endm
    .macro kinglet_rv_int6_whole x
        mul     s0, s0, \x
        mul     s1, s1, \x
        add     s2, s2, s0
        add     s3, s3, s1
    .endm
    .macro kinglet_rv_int6_edge at, x, from=s3
        lw      s0, \at(a0)
        lw      s1, \at+4(a0)
        lw      t0, \x(a1)
        lw      t1, \x+4(a1)
        lw      t2, \x+8(a1)
        kinglet_rv_int6_field 4, t0, \from
        kinglet_rv_int6_field 10, t1
        kinglet_rv_int6_whole t2
    .endm
    // The sums of two rows, one in a word with the other, times their scales.
    .macro kinglet_rv_int6_scale at, both, upper, one, other
        lbu     s0, \at(a0)
        lbu     s1, \at+1(a0)
        slli    t4, \upper, 16
        sub     t4, \both, t4
        mul     t4, t4, s0
        mul     t5, \upper, s1
        add     \one, \one, t4
        add     \other, \other, t5
    .endm

    kinglet_function kinglet_rv_int6
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
    li      a5, 176
    mul     a5, a4, a5
    add     a5, a5, a1
    mv      a4, a1
    li      a7, 0x003F003F
    li      t6, 0x000C000C
1:  mv      a1, a4
    li      s8, 0
    li      s9, 0
    li      s10, 0
    li      s11, 0
2:  addi    a6, a1, 176
    // 2^15 for each eight columns is too much.
    li      s4, -0x20000
    li      s5, -0x20000
    li      s6, 0
    li      s7, 0
3:  lw      s2, 0(a1)
    kinglet_rv_int6_edge 0, 4, s2
    kinglet_rv_int6_edge 8, 16
    lw      s0, 16(a0)
    lw      s1, 20(a0)
    lw      t0, 28(a1)
    lw      t1, 32(a1)
    lw      t2, 36(a1)
    lw      t3, 40(a1)
    and     t4, s0, t6
    and     t5, s1, t6
    kinglet_rv_int6_add t0
    kinglet_rv_int6_field 4, t1
    kinglet_rv_int6_field 10, t2
    kinglet_rv_int6_whole t3
    add     s4, s4, s2
    add     s5, s5, s3
    srai    s2, s2, 16
    srai    s3, s3, 16
    add     s6, s6, s2
    add     s7, s7, s3
    addi    a0, a0, 24
    addi    a1, a1, 44
    bne     a1, a6, 3b
    kinglet_rv_int6_scale 0, s4, s6, s8, s9
    kinglet_rv_int6_scale 2, s5, s7, s10, s11
    addi    a0, a0, 4
    bne     a1, a5, 2b
    sw      s8, 0(a2)
    sw      s9, 4(a2)
    sw      s10, 8(a2)
    sw      s11, 12(a2)
    addi    a2, a2, 16
    addi    a3, a3, -1
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
    .size kinglet_rv_int6, . - kinglet_rv_int6
"#
);
