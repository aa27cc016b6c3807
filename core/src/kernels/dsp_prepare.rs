//! Quantizing an activation vector for the kernels in `dsp`, with an FPU.
//!
//! `x * inverse + 1.5 * 2^23` leaves the integer in the low bits of the float;
//! two of them make a word of two lanes, and the differences that the kernels
//! want are one shift, one mask and one `SSUB16` for both lanes.

use super::dsp::{GROUP_WORDS, SPAN_COLS, SPAN_WORDS};
use crate::image::GROUP_COLS;
use core::arch::global_asm;

/// Prepares a span of int8 columns; their number must be a multiple of 8.
pub(super) fn span(x: &[f32], inverse: f32, words: &mut [u32]) {
    let eights = x.len() / 8;
    if eights > 0 && x.len() <= SPAN_COLS && words.len() <= SPAN_WORDS && words.len() > 4 * eights {
        // SAFETY: `x` holds `eights` times eight floats, and `words` the
        // constant and four words for each.
        unsafe { kinglet_dsp_prepare_int8(x.as_ptr(), words.as_mut_ptr(), eights, inverse) };
    }
}

/// Prepares whole groups of int4 columns; returns how many.
pub(super) fn groups(x: &[f32], inverse: f32, words: &mut [u32]) -> usize {
    let groups = (x.len() / GROUP_COLS).min(words.len() / GROUP_WORDS);
    if groups > 0 {
        // SAFETY: both slices hold `groups` whole groups.
        unsafe { kinglet_dsp_prepare_int4(x.as_ptr(), words.as_mut_ptr(), groups, inverse) };
    }
    groups
}

extern "C" {
    fn kinglet_dsp_prepare_int8(x: *const f32, words: *mut u32, eights: usize, inverse: f32);
    fn kinglet_dsp_prepare_int4(x: *const f32, words: *mut u32, groups: usize, inverse: f32);
}

// r0 x  r1 words  r2 eights left  r3 the constant's place  r12 sums of even
// columns; s0 inverse  s1 the magic
global_asm!(
    super::dsp::extension!(),
    r#"
    .fpu    fpv4-sp-d16
    .macro kinglet_dsp_prepare_four x, e, o, a, b
        vmov    r4, r5, \x, \e
        vmov    r6, r7, \o, \a
        pkhbt   r5, r5, r7, lsl #16
        pkhbt   r4, r4, r6, lsl #16
        lsl     r6, r4, #8
        bic     r6, r6, #0x00FF0000
        sadd16  r12, r12, r4
        ssub16  r6, r6, r5
        stm     r1!, {{r5, r6}}
    .endm

    .section .text.kinglet_dsp_prepare_int8,"ax",%progbits
    .balign 4
    .thumb
    .thumb_func
    .global kinglet_dsp_prepare_int8
    .type kinglet_dsp_prepare_int8,%function
kinglet_dsp_prepare_int8:
    push    {{r4-r7, lr}}
    movw    r4, #0
    movt    r4, #0x4B40
    vmov    s1, r4
    mov     r3, r1
    adds    r1, #4
    mov     r12, #0
1:  vldmia  r0!, {{s8-s15}}
    vmul.f32 s8, s8, s0
    vmul.f32 s9, s9, s0
    vmul.f32 s10, s10, s0
    vmul.f32 s11, s11, s0
    vmul.f32 s12, s12, s0
    vmul.f32 s13, s13, s0
    vmul.f32 s14, s14, s0
    vmul.f32 s15, s15, s0
    vadd.f32 s8, s8, s1
    vadd.f32 s9, s9, s1
    vadd.f32 s10, s10, s1
    vadd.f32 s11, s11, s1
    vadd.f32 s12, s12, s1
    vadd.f32 s13, s13, s1
    vadd.f32 s14, s14, s1
    vadd.f32 s15, s15, s1
    kinglet_dsp_prepare_four s8, s9, s10, s11
    kinglet_dsp_prepare_four s12, s13, s14, s15
    subs    r2, #1
    bne     1b
    sxth    r4, r12
    add     r4, r4, r12, asr #16
    rsbs    r4, r4, #0
    lsls    r4, r4, #15
    str     r4, [r3]
    pop     {{r4-r7, pc}}
    .size kinglet_dsp_prepare_int8, . - kinglet_dsp_prepare_int8
"#
);

// r0 x  r1 words  r2 groups left  r3 steps left  r12 sums of the offset
// columns; s0 inverse  s1 the magic
global_asm!(
    super::dsp::extension!(),
    r#"
    .fpu    fpv4-sp-d16
    .section .text.kinglet_dsp_prepare_int4,"ax",%progbits
    .balign 4
    .thumb
    .thumb_func
    .global kinglet_dsp_prepare_int4
    .type kinglet_dsp_prepare_int4,%function
kinglet_dsp_prepare_int4:
    push    {{r4-r11, lr}}
    movw    r4, #0
    movt    r4, #0x4B40
    vmov    s1, r4
1:  adds    r1, #4
    mov     r12, #0
    movs    r3, #4
2:  vldmia  r0!, {{s8-s15}}
    vmul.f32 s8, s8, s0
    vmul.f32 s9, s9, s0
    vmul.f32 s10, s10, s0
    vmul.f32 s11, s11, s0
    vmul.f32 s12, s12, s0
    vmul.f32 s13, s13, s0
    vmul.f32 s14, s14, s0
    vmul.f32 s15, s15, s0
    vadd.f32 s8, s8, s1
    vadd.f32 s9, s9, s1
    vadd.f32 s10, s10, s1
    vadd.f32 s11, s11, s1
    vadd.f32 s12, s12, s1
    vadd.f32 s13, s13, s1
    vadd.f32 s14, s14, s1
    vadd.f32 s15, s15, s1
    vmov    r4, r5, s8, s9
    vmov    r6, r7, s10, s11
    vmov    r8, r9, s12, s13
    vmov    r10, r11, s14, s15
    pkhbt   r4, r4, r8, lsl #16
    pkhbt   r5, r5, r9, lsl #16
    pkhbt   r6, r6, r10, lsl #16
    pkhbt   r7, r7, r11, lsl #16
    lsl     r8, r4, #4
    lsl     r10, r6, #4
    lsl     r11, r5, #8
    bic     r8, r8, #0x000F0000
    bic     r10, r10, #0x000F0000
    bic     r11, r11, #0x00FF0000
    sadd16  r12, r12, r4
    ssub16  r9, r8, r5
    ssub16  r10, r10, r7
    ssub16  r11, r11, r7
    sadd16  r12, r12, r5
    sadd16  r12, r12, r6
    stm     r1!, {{r7, r9, r10, r11}}
    subs    r3, #1
    bne     2b
    sxth    r4, r12
    add     r4, r4, r12, asr #16
    rsbs    r4, r4, #0
    lsls    r4, r4, #15
    str     r4, [r1, #-68]
    subs    r2, #1
    bne     1b
    pop     {{r4-r11, pc}}
    .size kinglet_dsp_prepare_int4, . - kinglet_dsp_prepare_int4
"#
);
