//! Products with weights of six bits.

use crate::arch::shared::assembly::assembly;

// Registers: r0 weights  r1 words  r2 mask  r3 scratch  r4 sums of eight columns in rows
//   0 and 1, r5 in rows 2 and 3  r6, r7 their weights  r8-r11 activations
//   r12, lr sums of a group in rows 1 and 3
// Stack: [0] sums of four rows  [16] words  [20] sums  [24] blocks left
// [28] the vector's end  [32] sums of a group in words of two rows; saved registers,
// then the fifth argument.
assembly!(
    r#"
    .macro kinglet_v7m_int6_field w, sum, places, x
        and     r3, r2, \w, lsr #\places
        mla     \sum, r3, \x, \sum
    .endm
    // What is left of an edge: the first activation is in r8.
    .macro kinglet_v7m_int6_edge
        kinglet_v7m_int6_field r7, r5, 4, r8
        kinglet_v7m_int6_field r6, r4, 10, r9
        kinglet_v7m_int6_field r7, r5, 10, r9
        mla     r4, r6, r10, r4
        mla     r5, r7, r10, r5
    .endm
    .macro kinglet_v7m_int6_eight
        ldm     r0!, {{r6, r7}}
        ldm     r1!, {{r5, r8-r10}}
        and     r3, r2, r6, lsr #4
        mla     r4, r3, r8, r5
        kinglet_v7m_int6_edge
        ldm     r0!, {{r6, r7}}
        ldm     r1!, {{r8-r10}}
        kinglet_v7m_int6_field r6, r4, 4, r8
        kinglet_v7m_int6_edge
        ldm     r0!, {{r6, r7}}
        ldm     r1!, {{r8-r11}}
        and     r3, r6, #0x000C000C
        mla     r4, r3, r8, r4
        and     r3, r7, #0x000C000C
        mla     r5, r3, r8, r5
        kinglet_v7m_int6_field r6, r4, 4, r9
        kinglet_v7m_int6_field r7, r5, 4, r9
        kinglet_v7m_int6_field r6, r4, 10, r10
        kinglet_v7m_int6_field r7, r5, 10, r10
        mla     r4, r6, r11, r4
        mla     r5, r7, r11, r5
    .endm
    // Adds what eight columns gave.
    .macro kinglet_v7m_int6_more
        ldrd    r8, r9, [sp, #32]
        add     r12, r12, r4, asr #16
        add     lr, lr, r5, asr #16
        add     r8, r8, r4
        add     r9, r9, r5
    .endm

    kinglet_function kinglet_v7m_int6
    push    {{r4-r11, lr}}
    sub     sp, #40
    strd    r1, r2, [sp, #16]
    ldr     r4, [sp, #76]
    movs    r5, #176
    mla     r4, r4, r5, r1
    strd    r3, r4, [sp, #24]
    mov     r2, #0x003F003F
1:  movs    r4, #0
    ldr     r1, [sp, #16]
    strd    r4, r4, [sp]
    strd    r4, r4, [sp, #8]
2:  kinglet_v7m_int6_eight
    asr     r12, r4, #16
    asr     lr, r5, #16
    // 2^15 for each eight columns is too much.
    sub     r4, r4, #0x20000
    sub     r5, r5, #0x20000
    strd    r4, r5, [sp, #32]
    .rept 2
    kinglet_v7m_int6_eight
    kinglet_v7m_int6_more
    strd    r8, r9, [sp, #32]
    .endr
    kinglet_v7m_int6_eight
    kinglet_v7m_int6_more
    sub     r8, r8, r12, lsl #16
    sub     r9, r9, lr, lsl #16
    // Times their scales.
    ldr     r6, [r0], #4
    ldm     sp, {{r4, r5, r10, r11}}
    uxtb    r3, r6
    mla     r4, r8, r3, r4
    uxtb    r3, r6, ror #8
    mla     r5, r12, r3, r5
    uxtb    r3, r6, ror #16
    mla     r10, r9, r3, r10
    lsrs    r6, r6, #24
    mla     r11, lr, r6, r11
    stm     sp, {{r4, r5, r10, r11}}
    ldr     r3, [sp, #28]
    cmp     r1, r3
    bne     2b
    ldrd    r3, r12, [sp, #20]
    stm     r3!, {{r4, r5, r10, r11}}
    subs    r12, #1
    strd    r3, r12, [sp, #20]
    bne     1b
    add     sp, #40
    pop     {{r4-r11, pc}}
    .size kinglet_v7m_int6, . - kinglet_v7m_int6
"#
);
