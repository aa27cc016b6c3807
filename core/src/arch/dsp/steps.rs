//! The steps beside products, in rounds of four elements.
//!
//! `SMULWB` and `SMULWT` are `mulq` by a factor in either half of a word, and
//! `SMLAWB`, `SMLAWT` add it; `SMULTT` and `SMLALTT` square upper halves. A shift takes
//! its places from the lowest byte of a register, so that the rounds left are
//! above them in the same one where registers are short.

use super::Dsp;
use crate::arch::shared::assembly::processor;
use crate::arch::shared::rounds::{Rounds, Routines};
use crate::arch::shared::thumb2;
use crate::arch::Scaling;
use core::arch::naked_asm;

impl Rounds for Dsp {
    const ROUTINES: Routines = Routines {
        scale_rows,
        scale_blocks,
        sum: thumb2::sum,
        less: thumb2::less,
        squares,
        affine,
        token_shift,
        positive_max: thumb2::positive_max,
        relu_squared,
    };
}

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
    push    {{r4-r10, lr}}
    ldr     r4, [sp, #32]
1:  ldr     r9, [r0], #4
    ldr     r10, [r0], #4
    ldm     r1, {{r5-r8}}
    lsls    r5, r5, r4
    lsls    r6, r6, r4
    lsls    r7, r7, r4
    lsl     r8, r8, r4
    smulwb  r12, r3, r9
    smulwt  r9, r3, r9
    smulwb  lr, r3, r10
    smulwt  r10, r3, r10
    smulwb  r5, r5, r12
    smulwb  r6, r6, r9
    smulwb  r7, r7, lr
    smulwb  r8, r8, r10
    stm     r1!, {{r5-r8}}
    subs    r2, #1
    bne     1b
    pop     {{r4-r10, pc}}
"#
    )
}

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
    push    {{r4-r8, lr}}
    ldr     r4, [sp, #24]
1:  ldrb    r12, [r0], #1
    ldm     r1, {{r5-r8}}
    asr     r12, r3, r12
    .irp    x, r5, r6, r7, r8
    lsl     \x, \x, r4
    smmul   \x, \x, r12
    .endr
    stm     r1!, {{r5-r8}}
    subs    r2, #1
    bne     1b
    pop     {{r4-r8, pc}}
"#
    )
}

// `x << left >> 15` is the upper half of `x << (left + 1)`.
#[unsafe(naked)]
unsafe extern "C" fn squares(_x: *const i32, _rounds: usize, _left: u32) -> u64 {
    naked_asm!(
        processor!(),
        r#"
    push    {{r4-r7, lr}}
    mov     r3, r0
    mov     r12, r1
    adds    r2, #1
    movs    r0, #0
    movs    r1, #0
1:  ldm     r3!, {{r4-r7}}
    .irp    x, r4, r5, r6, r7
    lsls    \x, \x, r2
    smlaltt r0, r1, \x, \x
    .endr
    subs    r12, #1
    bne     1b
    pop     {{r4-r7, pc}}
"#
    )
}

// r3 rounds left, above the places to the right   r4 left   r5 root
// r6 bias   r7 2^15   r8-r11 x   r12 a factor   lr two biases
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
    push    {{r4-r11, lr}}
    ldr     r7, [sp, #36]
    ldm     r7, {{r4-r7}}
    subs    r3, #1
    orr     r3, r6, r3, lsl #8
    mov     r6, r7
    mov     r7, #0x8000
1:  ldm     r0, {{r8-r11}}
    .irp    x, r8, r9, r10, r11
    ldrsh   r12, [r1], #2
    lsls    \x, \x, r4
    mla     r12, r12, r5, r7
    smulwt  \x, \x, r12
    asr     \x, \x, r3
    .endr
    ldr     r12, [r2], #4
    ldr     lr, [r2], #4
    smlawb  r8, r6, r12, r8
    smlawt  r9, r6, r12, r9
    smlawb  r10, r6, lr, r10
    smlawt  r11, r6, lr, r11
    stm     r0!, {{r8-r11}}
    subs    r3, #0x100
    bcs     1b
    pop     {{r4-r11, pc}}
"#
    )
}

// Most mixes need no place to the right, which is the same for all tokens.
// r4 rounds left, above the places to the right   r5 the largest magnitude
// r6-r9 x   r10 two mixes   r11, r12 previous   lr a magnitude
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
    .macro kinglet_dsp_shift x, previous, half, mix, right
    subs    \x, \x, \previous
    .if \right
    asr     \previous, \previous, r4
    .endif
    smulw\half  \x, \x, \mix
    add     \x, \previous, \x, lsl #2
    eor     \previous, \x, \x, asr #31
    cmp     r5, \previous
    it      lt
    movlt   r5, \previous
    .endm

    .macro kinglet_dsp_shifts right
    ldm     r0!, {{r6-r9}}
    ldrd    r10, lr, [r2], #8
    ldrd    r11, r12, [r1], #8
    kinglet_dsp_shift r6, r11, b, r10, \right
    kinglet_dsp_shift r7, r12, t, r10, \right
    ldrd    r11, r12, [r1], #8
    kinglet_dsp_shift r8, r11, b, lr, \right
    kinglet_dsp_shift r9, r12, t, lr, \right
    stm     r3!, {{r6-r9}}
    .endm

    push    {{r4-r11, lr}}
    ldrd    r4, r6, [sp, #36]
    subs    r4, #1
    movs    r5, #0
    cmp     r6, #0
    beq     2f
    orr     r4, r6, r4, lsl #8
1:  kinglet_dsp_shifts 1
    subs    r4, #0x100
    bcs     1b
    b       4f
    // Two rounds at a time; of an odd number the first alone.
2:  lsrs    r4, r4, #1
    bcc     3f
5:  kinglet_dsp_shifts 0
3:  kinglet_dsp_shifts 0
    subs    r4, #1
    bcs     5b
4:  mov     r0, r5
    pop     {{r4-r11, pc}}
"#
    )
}

#[unsafe(naked)]
unsafe extern "C" fn relu_squared(_x: *mut i32, _rounds: usize, _left: u32) {
    naked_asm!(
        processor!(),
        r#"
    push    {{r4-r7, lr}}
1:  ldm     r0, {{r4-r7}}
    .irp    x, r4, r5, r6, r7
    usat    \x, #31, \x
    lsls    \x, \x, r2
    smultt  \x, \x, \x
    .endr
    stm     r0!, {{r4-r7}}
    subs    r1, #1
    bne     1b
    pop     {{r4-r7, pc}}
"#
    )
}
