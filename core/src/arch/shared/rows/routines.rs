//! The routines in assembly for the rows of matrix states, of cores with Thumb-2.

use crate::arch::shared::assembly::assembly;

/// What the cores have in different ways: products by the lower and by the upper half of a
/// word, stores of numbers of 16 bits, and products of two values with their weights.
#[cfg(kinglet_dsp)]
macro_rules! core {
    () => {
        r#"
    .macro kinglet_t2_by_lower to, x, factor, scratch
    smulwb  \to, \x, \factor
    .endm
    .macro kinglet_t2_upper factor
    .endm
    .macro kinglet_t2_by_upper to, x, factor, scratch
    smulwt  \to, \x, \factor
    .endm
    .macro kinglet_t2_narrow x, to
    strh    \x, [\to], #4
    .endm
    .macro kinglet_t2_spread to, step, thrice
    strh    r4, [\to]
    strh    r5, [\to, \step]
    strh    r6, [\to, \step, lsl #1]
    strh    r7, [\to, \thrice]
    add     \to, \to, \step, lsl #2
    .endm
    .macro kinglet_t2_values first, second, from, of_first, of_second
    ldr     \first, [\from], #4
    smultb  \second, \first, \of_second
    smulbb  \first, \first, \of_first
    .endm
    .macro kinglet_t2_first_values one, other, from, weight
    ldrd    \one, \other, [\from], #8
    smulbb  \one, \one, \weight
    smulbb  \other, \other, \weight
    .endm
    // What a mantissa is multiplied by: lr keeps it.
    .macro kinglet_t2_shifted_one to, right
    asr     \to, lr, \right
    .endm
"#
    };
}
#[cfg(not(kinglet_dsp))]
macro_rules! core {
    () => {
        r#"
    .macro kinglet_t2_by_lower to, x, factor, scratch
    lsls    \factor, \factor, #16
    smull   \scratch, \to, \x, \factor
    .endm
    .macro kinglet_t2_upper factor
    bfc     \factor, #0, #16
    .endm
    .macro kinglet_t2_by_upper to, x, factor, scratch
    smull   \scratch, \to, \x, \factor
    .endm
    .macro kinglet_t2_narrow x, to
    str     \x, [\to], #8
    .endm
    .macro kinglet_t2_spread to, step, thrice
    str     r4, [\to]
    str     r5, [\to, \step]
    str     r6, [\to, \step, lsl #1]
    str     r7, [\to, \thrice]
    add     \to, \to, \step, lsl #2
    .endm
    .macro kinglet_t2_values first, second, from, of_first, of_second
    ldrd    \first, \second, [\from], #8
    mul     \second, \second, \of_second
    mul     \first, \first, \of_first
    .endm
    .macro kinglet_t2_first_values one, other, from, weight
    ldr     \one, [\from], #8
    ldr     \other, [\from], #8
    mul     \one, \one, \weight
    mul     \other, \other, \weight
    .endm
    // Products need lr.
    .macro kinglet_t2_shifted_one to, right
    ldr     \to, [sp, #20]
    asr     \to, \to, \right
    .endm
"#
    };
}

assembly!(
    core!(),
    r#"
    // 2^-x of the fraction of \x, Q31: \to. \t is scratch, and may be \x.
    .macro kinglet_t2_fraction to, x, t, scratch, table
    ubfx    \to, \x, #16, #6
    ldr     \to, [\table, \to, lsl #2]
    ubfx    \t, \x, #4, #12
    ubfx    \scratch, \to, #0, #13
    mls     \to, \scratch, \t, \to
    .endm

    // The decays of two rows: \lam and \other are their new logarithms. r12, lr scratch.
    .macro kinglet_t2_decay_rows lam, other, w, from
    ldrd    \lam, \other, [\from]
    ldrd    r12, lr, [\w], #8
    add     \lam, \lam, r12
    add     \other, \other, lr
    .irp    new, \lam, \other
    cmp     \new, #0xB5000000
    it      lt
    movlt   \new, #0xB5000000
    .endr
    strd    \lam, \other, [\from], #8
    .endm

    // r6 the end of w
    kinglet_function kinglet_t2_decay
    push    {{r4-r6, lr}}
    ldr     r6, [sp, #16]
    add     r6, r2, r6, lsl #2
    adds    r1, #2
1:  .rept 4
    kinglet_t2_decay_rows r4, r5, r2, r0
    .irp    lam, r4, r5
    mvns    \lam, \lam
    kinglet_t2_fraction r12, \lam, \lam, lr, r3
    lsr     r12, r12, #15
    strh    r12, [r1], #4
    .endr
    .endr
    cmp     r2, r6
    bne     1b
    pop     {{r4-r6, pc}}
    .size kinglet_t2_decay, . - kinglet_t2_decay

    kinglet_function kinglet_t2_most
    push    {{r4-r6, lr}}
1:  .rept 2
    ldm     r0!, {{r3-r6}}
    .irp    x, r3, r4, r5, r6
    cmp     r2, \x
    it      lt
    movlt   r2, \x
    .endr
    .endr
    subs    r1, #1
    bne     1b
    mov     r0, r2
    pop     {{r4-r6, pc}}
    .size kinglet_t2_most, . - kinglet_t2_most

    // Two rows' x, r10 and r11, are stored; r4 scaled   r6 the sum   r7 the bits
    .macro kinglet_t2_scaled
    strd    r10, r11, [r4], #8
    .irp    x, r10, r11
    eor     \x, \x, \x, asr #31
    orr     r7, r7, \x
    add     r6, r6, \x, lsr #8
    .endr
    .endm

    // r8 the table   r9 the power of two   r10, r11 logarithms, places, then x
    // r5, r12, lr scratch
    kinglet_function kinglet_rows_decayed_and_scaled
    push    {{r4-r11, lr}}
    ldr     r12, [sp, #36]
    ldm     r12, {{r4-r9}}
    add     r5, r0, r5, lsl #2
    push    {{r5}}
    adds    r2, #2
1:  .rept 4
    kinglet_t2_decay_rows r10, r11, r3, r1
    .irp    row, r10, r11
    mvn     r12, \row
    kinglet_t2_fraction lr, r12, r12, r5, r8
    lsr     r12, lr, #15
    strh    r12, [r2], #4
    kinglet_t2_upper lr
    sub     \row, r9, \row, asr #22
    usat    \row, #5, \row
    ldr     r12, [r0], #4
    kinglet_t2_by_upper r12, r12, lr, r5
    asr     \row, r12, \row
    .endr
    kinglet_t2_scaled
    .endr
    ldr     r5, [sp]
    cmp     r0, r5
    bne     1b
    ldr     r12, [sp, #40]
    strd    r6, r7, [r12, #8]
    add     sp, #4
    pop     {{r4-r11, pc}}
    .size kinglet_rows_decayed_and_scaled, . - kinglet_rows_decayed_and_scaled

    // r3 the power of two   r5 rows left   r8, r9 factors, then places   r10, r11 x
    kinglet_function kinglet_rows_scaled
    push    {{r4-r11, lr}}
    ldr     r12, [sp, #36]
    ldrd    r4, r5, [r12]
    movs    r6, #0
    movs    r7, #0
1:  .rept 4
    ldrd    r8, r9, [r2], #8
    ldrd    r10, r11, [r0], #8
    lsr     r8, r8, #17
    lsr     r9, r9, #17
    kinglet_t2_by_lower r10, r10, r8, lr
    kinglet_t2_by_lower r11, r11, r9, lr
    ldrd    r8, r9, [r1], #8
    sub     r8, r3, r8, asr #22
    sub     r9, r3, r9, asr #22
    usat    r8, #5, r8
    usat    r9, #5, r9
    asr     r10, r10, r8
    asr     r11, r11, r9
    kinglet_t2_scaled
    .endr
    subs    r5, #8
    bne     1b
    strd    r6, r7, [r12, #8]
    pop     {{r4-r11, pc}}
    .size kinglet_rows_scaled, . - kinglet_rows_scaled

    // r12 the step   r9 three of it   r8 half a unit   r10 the sign
    kinglet_function kinglet_rows_rounded
    push    {{r4-r10, lr}}
    ldrd    r12, r10, [sp, #32]
    add     r9, r12, r12, lsl #1
    movs    r8, #1
    lsl     r8, r8, r3
    lsr     r8, r8, #1
1:  .rept 2
    ldm     r0!, {{r4-r7}}
    .irp    x, r4, r5, r6, r7
    mla     \x, \x, r10, r8
    asrs    \x, \x, r3
    .endr
    kinglet_t2_spread r1, r12, r9
    .endr
    subs    r2, #8
    bne     1b
    pop     {{r4-r10, pc}}
    .size kinglet_rows_rounded, . - kinglet_rows_rounded

    // Four elements: words one after the other, or \step bytes apart, where \thrice is
    // three times as many.
    .macro kinglet_t2_four words, x, step, thrice
    .if \words
    ldm     \x!, {{r4-r7}}
    .else
    ldr     r4, [\x]
    ldr     r5, [\x, \step]
    ldr     r6, [\x, \step, lsl #1]
    ldr     r7, [\x, \thrice]
    add     \x, \x, \step, lsl #2
    .endif
    .endm

    .macro kinglet_t2_bits_of_all words
    push    {{r4-r7, lr}}
    add     r3, r2, r2, lsl #1
    mov     r12, #0
1:  .rept 2
    kinglet_t2_four \words, r0, r2, r3
    .irp    x, r4, r5, r6, r7
    eor     \x, \x, \x, asr #31
    orr     r12, r12, \x
    .endr
    .endr
    subs    r1, #8
    bne     1b
    mov     r0, r12
    pop     {{r4-r7, pc}}
    .endm

    kinglet_function kinglet_t2_bits_of
    kinglet_t2_bits_of_all 0
    .size kinglet_t2_bits_of, . - kinglet_t2_bits_of

    kinglet_function kinglet_t2_bits_of_words
    kinglet_t2_bits_of_all 1
    .size kinglet_t2_bits_of_words, . - kinglet_t2_bits_of_words

    .macro kinglet_t2_all_to_16_bits words
    push    {{r4-r10, lr}}
    ldrd    r8, r10, [sp, #32]
    add     r12, r3, r3, lsl #1
    movs    r9, #1
    lsl     r9, r9, r8
    lsr     r9, r9, #1
1:  .rept 2
    kinglet_t2_four \words, r0, r3, r12
    .irp    x, r4, r5, r6, r7
    mla     \x, \x, r10, r9
    asr     \x, \x, r8
    kinglet_t2_narrow \x, r1
    .endr
    .endr
    subs    r2, #8
    bne     1b
    pop     {{r4-r10, pc}}
    .endm

    kinglet_function kinglet_t2_to_16_bits
    kinglet_t2_all_to_16_bits 0
    .size kinglet_t2_to_16_bits, . - kinglet_t2_to_16_bits

    kinglet_function kinglet_t2_words_to_16_bits
    kinglet_t2_all_to_16_bits 1
    .size kinglet_t2_words_to_16_bits, . - kinglet_t2_words_to_16_bits

    // r4-r6 places   r7, r8 weights   r9 the step   r10 rows left   r3, r11, r12 terms
    // lr the first of two sums
    kinglet_function kinglet_t2_add_values
    push    {{r4-r11, lr}}
    ldm     r3, {{r4-r10}}
1:  .rept 4
    .irp    y, lr, r3
    ldr     r11, [r0]
    kinglet_t2_values r3, r12, r1, r7, r8
    add     r0, r9
    asrs    r11, r11, r4
    asrs    r3, r3, r5
    asr     r12, r12, r6
    add     r3, r11
    add     \y, r3, r12
    .endr
    strd    lr, r3, [r2], #8
    .endr
    subs    r10, #8
    bne     1b
    pop     {{r4-r11, pc}}
    .size kinglet_t2_add_values, . - kinglet_t2_add_values

    // Two sums, each with its value; places and weight as in the routine below.
    .macro kinglet_t2_add_two one, other
    kinglet_t2_first_values r12, lr, r1, r7
    asr     \one, \one, r4
    asr     \other, \other, r4
    asr     r12, r12, r5
    asr     lr, lr, r5
    add     \one, r12
    add     \other, lr
    .endm

    // r4, r5 places   r7 the weight   r10 rows left   r12, lr terms
    kinglet_function kinglet_t2_add_first_values
    push    {{r4-r11, lr}}
    ldm     r3, {{r4-r10}}
1:  .rept 2
    ldm     r0!, {{r3, r6, r8, r9}}
    kinglet_t2_add_two r3, r6
    kinglet_t2_add_two r8, r9
    stm     r2!, {{r3, r6, r8, r9}}
    .endr
    subs    r10, #8
    bne     1b
    pop     {{r4-r11, pc}}
    .size kinglet_t2_add_first_values, . - kinglet_t2_add_first_values

    kinglet_function kinglet_t2_differences
    push    {{r4-r7, lr}}
    mov     r2, r0
    movs    r0, #0
1:  .rept 2
    ldm     r2!, {{r4-r7}}
    .irp    x, r4, r5, r6, r7
    eor     \x, \x, \x, lsl #1
    orrs    r0, r0, \x
    .endr
    .endr
    subs    r1, #1
    bne     1b
    pop     {{r4-r7, pc}}
    .size kinglet_t2_differences, . - kinglet_t2_differences

    // r0 lam   r1 bounds   r2 k   r3 b, or 0   r4 writes   r5 the table   r6 a row's lam
    // r7 the inverse of its scale, then its bound   r8 by how much it is raised
    // r9 scratch   r10 places to the right   r11 a product   r12 another, or the slack
    // Stack: [0] the power of two  [4] of_k  [8] of_b  [12] the slack  [16] the end  [20] one
    .macro kinglet_t2_plan_row both
    ldr     r6, [r0]
    kinglet_t2_fraction r7, r6, r8, r9, r5
    kinglet_t2_upper r7
    ldrd    r8, r9, [sp]
    sub     r8, r8, r6, asr #22
    rsb     r10, r8, #0
    usat    r10, #5, r10
    bic     r8, r8, r8, asr #31
    ldr     r11, [r2], #4
    kinglet_t2_by_upper r11, r11, r7, lr
    .if \both
    asr     r11, r11, r9
    ldr     r12, [r3], #4
    kinglet_t2_by_upper r12, r12, r7, lr
    ldrd    r9, lr, [sp, #8]
    asr     r12, r12, r9
    asr     r12, r12, r10
    .endif
    asr     r11, r11, r10
    eor     r9, r11, r11, asr #31
    .if \both
    eor     r10, r12, r12, asr #31
    add     r9, r10
    .endif
    usat    r10, #5, r8
    ldrh    r7, [r1]
    lsr     r7, r7, r10
    // No carry: it stays clear where a product is not shifted, and rounds it where it is.
    .if \both
    adds    r7, r7, lr
    .else
    adds    r7, r7, r12
    .endif
    add     r9, r7
    // By how many places it has more than 15: r10.
    lsr     r10, r9, #15
    clz     r10, r10
    rsb     r10, r10, #32
    lsr     r9, r9, r10
    strh    r9, [r1], #4
    asrs    r11, r11, r10
    adc     r11, r11, #0
    strh    r11, [r4, #2]
    .if \both
    asrs    r12, r12, r10
    adc     r12, r12, #0
    strh    r12, [r4, #4]
    .else
    strh    r3, [r4, #4]
    .endif
    add     r8, r10
    add     r6, r6, r8, lsl #22
    str     r6, [r0], #4
    usat    r8, #5, r8
    .if \both
    ldr     r9, [sp, #20]
    asr     r9, r9, r8
    .else
    kinglet_t2_shifted_one r9, r8
    .endif
    strh    r9, [r4], #6
    .endm
    .macro kinglet_t2_plan_rows both
    push    {{r4-r11, lr}}
    sub     sp, #28
    add     r1, r0, #24
    ldm     r1, {{r2-r7}}
    stm     sp, {{r2-r7}}
    ldm     r0, {{r0-r5}}
    .if !\both
    movs    r3, #0
    ldr     r12, [sp, #12]
    ldr     lr, [sp, #20]
    .endif
1:  .rept 8 >> \both
    kinglet_t2_plan_row \both
    .endr
    ldr     r7, [sp, #16]
    cmp     r0, r7
    bne     1b
    add     sp, #28
    pop     {{r4-r11, pc}}
    .endm

    kinglet_function kinglet_t2_plan
    kinglet_t2_plan_rows 0
    .size kinglet_t2_plan, . - kinglet_t2_plan

    kinglet_function kinglet_t2_plan_both
    kinglet_t2_plan_rows 1
    .size kinglet_t2_plan_both, . - kinglet_t2_plan_both
"#
);
