//! Quantizing an activation vector for `SMLAD`, with an FPU.
//!
//! `x * inverse + 1.5 * 2^23` leaves the integer in the low bits of the float;
//! two of them make a word of two lanes, and the differences for the routines
//! take one shift, one mask and one `SSUB16` for both lanes.
//!
//! ```text
//! span   constant, then per four columns (x1, x3), (256 x0 - x1, 256 x2 - x3)
//! group  constant, then per eight columns (x3, x7), (16 x0 - x1, 16 x4 - x5),
//!        (16 x2 - x3, 16 x6 - x7), (256 x1 - x3, 256 x5 - x7)
//! ```
//!
//! with the low lane first. The constants are -32768 times the sum of the
//! columns whose weights are stored with an offset. A column takes about 5
//! instructions.

use super::GROUP_WORDS;
use crate::shape::GROUP_COLS;
use core::arch::naked_asm;

/// Columns that the int8 routine takes at a time.
const ROUND_COLS: usize = 8;

/// Prepares a span of int8 columns; zeros after the last.
pub(super) fn span(x: &[f32], inverse: f32, words: &mut [u32]) {
    let (whole, tail) = x.split_at(x.len() / ROUND_COLS * ROUND_COLS);
    let needed = 1 + whole.len() / 2;
    if words.len() < needed {
        return;
    }
    // SAFETY: `words` holds the constant and half a word for each float of
    // `whole` (just checked); no round at all writes the constant alone.
    unsafe {
        let rounds = whole.len() / ROUND_COLS;
        int8(whole.as_ptr(), words.as_mut_ptr(), rounds, inverse);
    }
    if !tail.is_empty() {
        append(tail, inverse, words, needed);
    }
}

/// Prepares the last columns of a span, after the words before them.
fn append(tail: &[f32], inverse: f32, words: &mut [u32], at: usize) {
    let padded = padded::<ROUND_COLS>(tail);
    let mut last = [0; 1 + ROUND_COLS / 2];
    // SAFETY: both arrays hold what one round reads and writes.
    unsafe { int8(padded.as_ptr(), last.as_mut_ptr(), 1, inverse) };
    let [constant, last @ ..] = last;
    for (to, from) in words.iter_mut().skip(at).zip(last) {
        *to = from;
    }
    if let Some(sum) = words.first_mut() {
        *sum = sum.wrapping_add(constant);
    }
}

/// Prepares a group of int4 columns; zeros after the last.
pub(super) fn group(x: &[f32], inverse: f32, words: &mut [u32]) {
    let padded = if x.len() < GROUP_COLS {
        Some(padded::<GROUP_COLS>(x))
    } else {
        None
    };
    let x = padded.as_ref().map_or(x, |padded| padded);
    if words.len() >= GROUP_WORDS && x.len() >= GROUP_COLS {
        // SAFETY: both slices hold a whole group.
        unsafe { int4(x.as_ptr(), words.as_mut_ptr(), 1, inverse) };
    }
}

/// The first `N` values, zeros after the last.
fn padded<const N: usize>(x: &[f32]) -> [f32; N] {
    let mut padded = [0.0; N];
    for (to, &from) in padded.iter_mut().zip(x) {
        *to = from;
    }
    padded
}

/// Loads eight floats into s8-s15 and quantizes them. s0 inverse  s1 the magic
macro_rules! quantize_eight {
    () => {
        r#"
        vldmia  r0!, {{s8-s15}}
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
"#
    };
}

/// The constant of a span and two words per four columns.
///
/// # Safety
/// There must be `8 * eights` floats and their words.
///
/// # Registers
/// r0 x, r1 words, r2 eights left, r3 the constant's place, r12 sums of even
/// columns; s0 inverse, s1 `1.5 * 2^23`.
#[unsafe(naked)]
unsafe extern "C" fn int8(x: *const f32, words: *mut u32, eights: usize, inverse: f32) {
    naked_asm!(
        super::extension!(),
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

    push    {{r4-r7, lr}}
    movw    r4, #0
    movt    r4, #0x4B40
    vmov    s1, r4
    mov     r3, r1
    adds    r1, #4
    mov     r12, #0
    cmp     r2, #0
    beq     2f
1:
"#,
        quantize_eight!(),
        r#"
    kinglet_dsp_prepare_four s8, s9, s10, s11
    kinglet_dsp_prepare_four s12, s13, s14, s15
    subs    r2, #1
    bne     1b
2:  sxth    r4, r12
    add     r4, r4, r12, asr #16
    rsbs    r4, r4, #0
    lsls    r4, r4, #15
    str     r4, [r3]
    pop     {{r4-r7, pc}}
"#,
    )
}

/// The constants and the words of `groups` groups; at least one.
///
/// # Safety
/// There must be as many groups of floats and their words.
///
/// # Registers
/// r0 x, r1 words, r2 groups left, r3 steps left, r12 sums of the offset
/// columns; s0 inverse, s1 `1.5 * 2^23`.
#[unsafe(naked)]
unsafe extern "C" fn int4(x: *const f32, words: *mut u32, groups: usize, inverse: f32) {
    naked_asm!(
        super::extension!(),
        r#"
    .fpu    fpv4-sp-d16
    push    {{r4-r11, lr}}
    movw    r4, #0
    movt    r4, #0x4B40
    vmov    s1, r4
1:  adds    r1, #4
    mov     r12, #0
    movs    r3, #4
2:
"#,
        quantize_eight!(),
        r#"
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
"#,
    )
}
