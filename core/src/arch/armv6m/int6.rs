//! Products with weights of six bits: the algebra is that of `armv7m`, 2.5 instructions a
//! product and with all around it 3.1.

use crate::arch::shared::assembly::assembly;

// Registers: r0 weights  r1 mask  r2 words  r3 weights of rows 0 and 1
//   r5 of rows 2 and 3  r4, r7 activations  r6 scratch
//   r8, r9 sums of eight columns  r10, r11 sums of a group in rows 1 and 3
//   r12, lr in words of two rows
// Stack: [0] sums of four rows  [16] the middle's mask  [20] words  [24] sums
// [28] blocks left  [32] end of words; saved registers, then the fifth argument.
assembly!(
    r#"
    .macro kinglet_v6m_int6_field y, shift
        lsrs    r6, r3, #\shift
        ands    r6, r1
        muls    r6, \y, r6
        add     r8, r6
        lsrs    r6, r5, #\shift
        ands    r6, r1
        muls    r6, \y, r6
        add     r9, r6
    .endm
    .macro kinglet_v6m_int6_whole y
        muls    r3, \y, r3
        add     r8, r3
        muls    r5, \y, r5
        add     r9, r5
    .endm
    .macro kinglet_v6m_int6_edge
        ldm     r0!, {{r3, r5}}
        ldm     r2!, {{r4, r7}}
        kinglet_v6m_int6_field r4, 4
        kinglet_v6m_int6_field r7, 10
        ldm     r2!, {{r4}}
        kinglet_v6m_int6_whole r4
    .endm
    .macro kinglet_v6m_int6_eight
        ldm     r2!, {{r6}}
        mov     r8, r6
        mov     r9, r6
        kinglet_v6m_int6_edge
        kinglet_v6m_int6_edge
        ldm     r0!, {{r3, r5}}
        ldm     r2!, {{r4, r7}}
        .irp    sum, r8, r9
        ldr     r6, [sp, #16]
        .ifc \sum, r8
        ands    r6, r3
        .else
        ands    r6, r5
        .endif
        muls    r6, r4, r6
        add     \sum, r6
        .endr
        kinglet_v6m_int6_field r7, 4
        ldm     r2!, {{r4, r7}}
        kinglet_v6m_int6_field r4, 10
        kinglet_v6m_int6_whole r7
        mov     r4, r8
        asrs    r4, r4, #16
        mov     r5, r9
        asrs    r5, r5, #16
    .endm
    // The sum of the lower row of a word \words, whose upper one is \upper, into r5, and
    // \upper into r4.
    .macro kinglet_v6m_int6_apart words, upper
        mov     r4, \upper
        // 2^15 for each eight columns is too much.
        adds    r5, r4, #2
        lsls    r5, r5, #16
        mov     r6, \words
        subs    r5, r6, r5
    .endm
    // Adds \sum, times the scale \scale, to that of a row.
    .macro kinglet_v6m_int6_row sum, scale, row
        muls    \sum, \scale, \sum
        ldr     r7, [sp, #\row]
        adds    r7, r7, \sum
        str     r7, [sp, #\row]
    .endm

    kinglet_function kinglet_v6m_int6
    push    {{r4-r7, lr}}
    mov     r4, r8
    mov     r5, r9
    mov     r6, r10
    mov     r7, r11
    push    {{r4-r7}}
    sub     sp, #36
    str     r1, [sp, #20]
    str     r2, [sp, #24]
    str     r3, [sp, #28]
    ldr     r4, [sp, #72]
    movs    r5, #176
    muls    r4, r5, r4
    adds    r4, r4, r1
    str     r4, [sp, #32]
    movs    r1, #12
    lsls    r4, r1, #16
    orrs    r1, r4
    str     r1, [sp, #16]
    movs    r1, #63
    lsls    r4, r1, #16
    orrs    r1, r4
1:  ldr     r2, [sp, #20]
    movs    r4, #0
    str     r4, [sp]
    str     r4, [sp, #4]
    str     r4, [sp, #8]
    str     r4, [sp, #12]
2:  kinglet_v6m_int6_eight
    mov     r10, r4
    mov     r11, r5
    mov     r12, r8
    mov     lr, r9
    .rept 3
    kinglet_v6m_int6_eight
    add     r10, r4
    add     r11, r5
    add     r12, r8
    add     lr, r9
    .endr
    // Two sums out of each word, times their scales.
    ldm     r0!, {{r3}}
    kinglet_v6m_int6_apart r12, r10
    uxtb    r6, r3
    kinglet_v6m_int6_row r5, r6, 0
    lsrs    r3, r3, #8
    uxtb    r6, r3
    kinglet_v6m_int6_row r4, r6, 4
    kinglet_v6m_int6_apart lr, r11
    lsrs    r3, r3, #8
    uxtb    r6, r3
    kinglet_v6m_int6_row r5, r6, 8
    lsrs    r3, r3, #8
    kinglet_v6m_int6_row r4, r3, 12
    ldr     r6, [sp, #32]
    cmp     r2, r6
    beq     3f
    b       2b
3:  ldr     r2, [sp, #24]
    ldr     r4, [sp]
    ldr     r5, [sp, #4]
    ldr     r6, [sp, #8]
    ldr     r7, [sp, #12]
    stm     r2!, {{r4-r7}}
    str     r2, [sp, #24]
    ldr     r3, [sp, #28]
    subs    r3, #1
    str     r3, [sp, #28]
    beq     4f
    b       1b
4:  add     sp, #36
    pop     {{r4-r7}}
    mov     r8, r4
    mov     r9, r5
    mov     r10, r6
    mov     r11, r7
    pop     {{r4-r7, pc}}
    .size kinglet_v6m_int6, . - kinglet_v6m_int6
"#
);
