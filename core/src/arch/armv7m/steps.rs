//! The steps beside products, in rounds of four elements: the upper word of
//! `SMULL` is `mulq` by a factor in the upper half of a word.

use super::Armv7m;
use crate::arch::shared::rounds::{Rounds, Routines};
use crate::arch::shared::thumb2;
use crate::arch::{Quantizer, Scaling};
use core::arch::naked_asm;

impl Rounds for Armv7m {
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
        r#"
    push    {{r4-r9, lr}}
    ldr     r4, [sp, #28]
1:  ldm     r1, {{r5-r8}}
    .irp    x, r5, r6, r7, r8
    ldrsh   r9, [r0], #2
    lsls    \x, \x, r4
    mul     r9, r9, r3
    bfc     r9, #0, #16
    smull   r12, \x, \x, r9
    .endr
    stm     r1!, {{r5-r8}}
    subs    r2, #1
    bne     1b
    pop     {{r4-r9, pc}}
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
        r#"
    push    {{r4-r8, lr}}
    ldr     r4, [sp, #24]
1:  ldrb    r12, [r0], #1
    ldm     r1, {{r5-r8}}
    asr     r12, r3, r12
    .irp    x, r5, r6, r7, r8
    lsl     \x, \x, r4
    smull   lr, \x, \x, r12
    .endr
    stm     r1!, {{r5-r8}}
    subs    r2, #1
    bne     1b
    pop     {{r4-r8, pc}}
"#
    )
}

#[unsafe(naked)]
unsafe extern "C" fn squares(_x: *const i32, _rounds: usize, _left: u32) -> u64 {
    naked_asm!(
        r#"
    push    {{r4-r7, lr}}
    mov     r3, r0
    mov     r12, r1
    movs    r0, #0
    movs    r1, #0
1:  ldm     r3!, {{r4-r7}}
    .irp    x, r4, r5, r6, r7
    lsls    \x, \x, r2
    asrs    \x, \x, #15
    smlal   r0, r1, \x, \x
    .endr
    subs    r12, #1
    bne     1b
    pop     {{r4-r7, pc}}
"#
    )
}

// r3 rounds left, above the places to the right   r4 left   r5 root
// r6 bias   r7 2^15   r8-r11 x   r12 a factor, a bias   lr scratch
#[unsafe(naked)]
unsafe extern "C" fn affine(
    _x: *mut i32,
    _weight: *const i16,
    _bias: *const i16,
    _rounds: usize,
    _scaling: &Scaling,
) {
    naked_asm!(
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
    bfc     r12, #0, #16
    smull   lr, \x, \x, r12
    ldrsh   r12, [r2], #2
    asr     \x, \x, r3
    lsl     r12, r12, #16
    smull   lr, r12, r12, r6
    add     \x, \x, r12
    .endr
    stm     r0!, {{r8-r11}}
    subs    r3, #0x100
    bcs     1b
    pop     {{r4-r11, pc}}
"#
    )
}

// r4 rounds left, above the places to the right   r5 the largest magnitude
// r6-r9 x   r10 two mixes   r11, r12 previous   lr a mix, a magnitude
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
        r#"
    .macro kinglet_v7m_shift x, previous, mix
    subs    \x, \x, \previous
    asr     \previous, \previous, r4
    smull   lr, \x, \x, \mix
    add     \x, \previous, \x, lsl #2
    eor     lr, \x, \x, asr #31
    cmp     r5, lr
    it      lt
    movlt   r5, lr
    .endm
    .macro kinglet_v7m_shift_two x, y
    ldr     r10, [r2], #4
    ldrd    r11, r12, [r1], #8
    lsl     lr, r10, #16
    bfc     r10, #0, #16
    kinglet_v7m_shift \x, r11, lr
    kinglet_v7m_shift \y, r12, r10
    .endm

    push    {{r4-r11, lr}}
    ldrd    r4, r5, [sp, #36]
    subs    r4, #1
    orr     r4, r5, r4, lsl #8
    movs    r5, #0
1:  ldm     r0!, {{r6-r9}}
    kinglet_v7m_shift_two r6, r7
    kinglet_v7m_shift_two r8, r9
    stm     r3!, {{r6-r9}}
    subs    r4, #0x100
    bcs     1b
    mov     r0, r5
    pop     {{r4-r11, pc}}
"#
    )
}

#[unsafe(naked)]
unsafe extern "C" fn relu_squared(_x: *mut i32, _rounds: usize, _left: u32) {
    naked_asm!(
        r#"
    push    {{r4-r7, lr}}
1:  ldm     r0, {{r4-r7}}
    .irp    x, r4, r5, r6, r7
    bic     \x, \x, \x, asr #31
    lsls    \x, \x, r2
    asrs    \x, \x, #16
    muls    \x, \x, \x
    .endr
    stm     r0!, {{r4-r7}}
    subs    r1, #1
    bne     1b
    pop     {{r4-r7, pc}}
"#
    )
}

/// Quantizes and arranges int8 columns: `y_k = x_k - 256 x_(k-1)`.
#[unsafe(naked)]
pub(super) unsafe extern "C" fn prepare_int8(
    _x: *const i32,
    _words: *mut u32,
    _steps: usize,
    _quantizer: &Quantizer,
) -> i32 {
    naked_asm!(
        r#"
    push    {{r4-r10, lr}}
    ldm     r3, {{r3, r4}}
    mov     r5, #0x00200000
    movs    r6, #0
1:  ldm     r0!, {{r7-r10}}
    .irp    x, r7, r8, r9, r10
    lsls    \x, \x, r3
    asrs    \x, \x, #16
    mla     \x, \x, r4, r5
    asrs    \x, \x, #22
    .endr
    add     r6, r7
    add     r6, r8
    add     r6, r9
    sub     r10, r10, r9, lsl #8
    sub     r9, r9, r8, lsl #8
    sub     r8, r8, r7, lsl #8
    stm     r1!, {{r7-r10}}
    subs    r2, #1
    bne     1b
    mov     r0, r6
    pop     {{r4-r10, pc}}
"#
    )
}

/// The same for int4 columns: `y_k = x_k - 16^k x_0`, in the order y1, y2, y3, y0: the
/// word that meets y0 is needed whole until then.
#[unsafe(naked)]
pub(super) unsafe extern "C" fn prepare_int4(
    _x: *const i32,
    _words: *mut u32,
    _steps: usize,
    _quantizer: &Quantizer,
) -> i32 {
    naked_asm!(
        r#"
    push    {{r4-r11, lr}}
    ldm     r3, {{r3, r4}}
    mov     r5, #0x00200000
    movs    r6, #0
1:  ldm     r0!, {{r7-r10}}
    .irp    x, r7, r8, r9, r10
    lsls    \x, \x, r3
    asrs    \x, \x, #16
    mla     \x, \x, r4, r5
    .endr
    asr     r11, r7, #22
    add     r6, r6, r7, asr #22
    .irp    x, r8, r9, r10
    asr     \x, \x, #22
    add     r6, \x
    .endr
    sub     r8, r8, r11, lsl #4
    sub     r9, r9, r11, lsl #8
    sub     r10, r10, r11, lsl #12
    stm     r1!, {{r8-r11}}
    subs    r2, #1
    bne     1b
    mov     r0, r6
    pop     {{r4-r11, pc}}
"#
    )
}
