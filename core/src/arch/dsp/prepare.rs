//! Quantizing an activation vector for `SMLAD`: about five instructions a column.
//!
//! A column is `SMLATT(x << left, inverse, 2^21)`, whose upper ten bits are the
//! quantized number. `PKHTB` puts two of them into a word of lanes, from which
//! a shift, a mask and a subtraction make those that the products take.

use super::groups::INT4_WORDS;
#[cfg(feature = "int6")]
use super::groups::INT6_WORDS;
use super::{SPAN_COLS, SPAN_WORDS, STEP_COLS};
use crate::arch::shared::assembly::processor;
use crate::arch::Quantizer;
use crate::shape::{Bits, GROUP_COLS};
use core::arch::naked_asm;

/// A quantizer in a word: the inverse above the shift.
fn packed(quantizer: Quantizer) -> u32 {
    (quantizer.inverse as u32) << 16 | quantizer.left & 31
}

/// Prepares a vector; nothing where `words` are too few.
// The chunks are not zipped: that would divide by their lengths, and built
// for size the division links a panic.
pub(super) fn prepare(x: &[i32], quantizer: Quantizer, bits: Bits, words: &mut [u32]) {
    match bits {
        Bits::Int8 => {
            let mut words = words.chunks_mut(SPAN_WORDS);
            for x in x.chunks(SPAN_COLS) {
                let words = words.next().unwrap_or_default();
                steps(span_routine, x, packed(quantizer), -32768, words);
            }
        }
        #[cfg(feature = "int6")]
        Bits::Int6 => groups::<INT6_WORDS>(int6_routine, x, quantizer, words),
        Bits::Int4 => groups::<INT4_WORDS>(int4_routine, x, quantizer, words),
    }
}

/// Prepares as many groups, at least one, as both pointers are of.
type Routine<const WORDS: usize> =
    unsafe extern "C" fn(*const [i32; GROUP_COLS], *mut [u32; WORDS], u32, usize);

/// Groups of columns.
fn groups<const WORDS: usize>(
    routine: Routine<WORDS>,
    x: &[i32],
    quantizer: Quantizer,
    words: &mut [u32],
) {
    let (groups, tail) = x.as_chunks::<GROUP_COLS>();
    let (room, _) = words.as_chunks_mut::<WORDS>();
    let len = groups.len().min(room.len());
    if len > 0 {
        // SAFETY: there are as many whole groups in both slices, at
        // least one. The routine keeps to the C calling convention.
        unsafe { routine(groups.as_ptr(), room.as_mut_ptr(), packed(quantizer), len) }
    }
    if let (false, Some(words)) = (tail.is_empty(), room.get_mut(groups.len())) {
        let tail = padded(tail);
        // SAFETY: one group each.
        unsafe { routine(&tail, words, packed(quantizer), 1) }
    }
}

/// Prepares as many steps of int8 columns, at least one, as both pointers are of; returns
/// the sum of the even columns.
type Steps<Q> = unsafe extern "C" fn(*const [i32; STEP_COLS], *mut [u32; 2], Q, usize) -> i32;

/// Int8 columns: a word for what rows start with, `offset` times the even columns' sum, then
/// steps. Nothing where `words` are too few.
#[inline(always)]
pub(super) fn steps<Q: Copy>(
    routine: Steps<Q>,
    x: &[i32],
    quantizer: Q,
    offset: i32,
    words: &mut [u32],
) {
    let Some((constant, steps)) = words.split_first_mut() else {
        return;
    };
    let (whole, tail) = x.as_chunks::<STEP_COLS>();
    let (room, _) = steps.as_chunks_mut::<2>();
    let len = whole.len().min(room.len());
    let mut even = 0;
    if len > 0 {
        // SAFETY: there are as many steps in both slices, at least one. The routine
        // keeps to the C calling convention.
        even += unsafe { routine(whole.as_ptr(), room.as_mut_ptr(), quantizer, len) };
    }
    if let (false, Some(step)) = (tail.is_empty(), room.get_mut(whole.len())) {
        // SAFETY: one step each.
        even += unsafe { routine(padded(tail).as_ptr().cast(), step, quantizer, 1) };
    }
    *constant = even.wrapping_mul(offset) as u32;
}

/// Zeros after the last element.
#[cfg_attr(not(kinglet_fast), inline(never))]
fn padded(x: &[i32]) -> [i32; GROUP_COLS] {
    let mut all = [0; GROUP_COLS];
    for (to, &from) in all.iter_mut().zip(x) {
        *to = from;
    }
    all
}

/// Prepares `groups` groups of int4 columns, at least one: built for size, a quarter
/// after the other.
///
/// # Safety
/// Both pointers must be of as many groups.
///
/// # Registers
/// ```text
/// r0 x   r1 words   r2 quantizer   r3 quarters of groups left   r4 2^21
/// r5, r6 masks   r7 lanes of the sum   r8-r12, lr columns and lanes
/// ```
#[unsafe(naked)]
unsafe extern "C" fn int4_routine(
    x: *const [i32; GROUP_COLS],
    words: *mut [u32; INT4_WORDS],
    quantizer: u32,
    groups: usize,
) {
    naked_asm!(
        processor!(),
        r#"
    // Lanes of two columns, into \a.
    .macro kinglet_dsp_lanes a, b
        lsls    \a, \a, r2
        lsls    \b, \b, r2
        smlatt  \a, \a, r2, r4
        smlatt  \b, \b, r2, r4
        asrs    \b, \b, #6
        pkhtb   \a, \b, \a, asr #22
    .endm

    push    {{r4-r11, lr}}
    mov     r4, #0x00200000
    mvn     r5, #0x000F000F
    mov     r6, #0xFF00FF00
    lsls    r3, r3, #2
1:  movs    r7, #0
2:
    .rept {quarters}
    // Columns 2 and 3 of both halves, then 0 and 1.
    ldrd    r9, r8, [r0, #8]
    ldrd    r11, r10, [r0, #24]
    kinglet_dsp_lanes r8, r10
    kinglet_dsp_lanes r9, r11
    sadd16  r7, r7, r9
    and     r9, r5, r9, lsl #4
    ssub16  r9, r9, r8
    ldrd    r12, lr, [r0, #16]
    ldrd    r10, r11, [r0], #32
    kinglet_dsp_lanes r11, lr
    kinglet_dsp_lanes r10, r12
    sadd16  r7, r7, r11
    sadd16  r7, r7, r10
    and     r12, r6, r11, lsl #8
    and     r10, r5, r10, lsl #4
    ssub16  r12, r12, r8
    ssub16  r10, r10, r11
    strd    r9, r12, [r1, #12]
    strd    r8, r10, [r1, #4]
    adds    r1, #16
    .endr
    .if {quarters} == 1
    subs    r3, #1
    tst     r3, #3
    bne     2b
    .endif
    // The constant: -4096 * 8 times the sum of both lanes.
    sxth    r8, r7
    add     r8, r8, r7, asr #16
    rsbs    r8, r8, #0
    lsls    r8, r8, #15
    str     r8, [r1, #-64]
    adds    r1, #4
    .if {quarters} == 1
    cmp     r3, #0
    .else
    subs    r3, #4
    .endif
    bne     1b
    pop     {{r4-r11, pc}}
"#,
        quarters = const if cfg!(kinglet_fast) { 4 } else { 1 },
    )
}

/// Prepares `groups` groups of int6 columns, at least one.
///
/// # Safety
/// Both pointers must be of as many groups.
///
/// # Registers
/// ```text
/// r0 x   r1 words   r2 quantizer   r3 lanes of the sum   r4 2^21
/// r5-r7 masks   r8-r12, lr columns and lanes   Stack: groups left
/// ```
#[cfg(feature = "int6")]
#[unsafe(naked)]
unsafe extern "C" fn int6_routine(
    x: *const [i32; GROUP_COLS],
    words: *mut [u32; INT6_WORDS],
    quantizer: u32,
    groups: usize,
) {
    naked_asm!(
        processor!(),
        r#"
    // Lanes of two columns, into \a.
    .macro kinglet_dsp_lanes6 a, b
        lsls    \a, \a, r2
        lsls    \b, \b, r2
        smlatt  \a, \a, r2, r4
        smlatt  \b, \b, r2, r4
        asrs    \b, \b, #6
        pkhtb   \a, \b, \a, asr #22
    .endm

    push    {{r3-r11, lr}}
    mov     r4, #0x00200000
    mvn     r5, #0x000F000F
    mov     r6, #0xFF00FF00
    mvn     r7, #0x003F003F
1:  movs    r3, #0
    adds    r1, #4
    .rept 2
    // Columns G and H of both lanes.
    ldrd    r8, r9, [r0, #24]
    ldrd    r10, r11, [r0, #56]
    kinglet_dsp_lanes6 r8, r10
    kinglet_dsp_lanes6 r9, r11
    sadd16  r3, r3, r8
    sadd16  r3, r3, r9
    // A and B.
    ldrd    r10, r11, [r0]
    ldrd    r12, lr, [r0, #32]
    kinglet_dsp_lanes6 r10, r12
    kinglet_dsp_lanes6 r11, lr
    sadd16  r3, r3, r11
    and     r12, r7, r11, lsl #6
    and     lr, r5, r8, lsl #4
    ssub16  r12, r12, r10
    ssub16  lr, lr, r11
    str     r10, [r1], #40
    strd    r12, lr, [r1, #-36]
    // E and F.
    ldrd    r10, r11, [r0, #16]
    ldrd    r12, lr, [r0, #48]
    kinglet_dsp_lanes6 r10, r12
    kinglet_dsp_lanes6 r11, lr
    sadd16  r3, r3, r11
    and     r12, r7, r11, lsl #6
    and     lr, r5, r9, lsl #4
    ssub16  r12, r12, r10
    ssub16  lr, lr, r11
    strd    r10, r12, [r1, #-28]
    str     lr, [r1, #-20]
    // C and D.
    ldrd    r10, r11, [r0, #8]
    ldrd    r12, lr, [r0, #40]
    kinglet_dsp_lanes6 r10, r12
    kinglet_dsp_lanes6 r11, lr
    sadd16  r3, r3, r11
    and     r12, r7, r9, lsl #6
    and     lr, r6, r11, lsl #8
    and     r9, r7, r8, lsl #6
    ssub16  r12, r12, r10
    ssub16  lr, lr, r10
    ssub16  r9, r9, r11
    strd    r10, r12, [r1, #-16]
    strd    lr, r9, [r1, #-8]
    adds    r0, #64
    .endr
    // The constant: -1024 * 32 times the sum of both lanes.
    sxth    r8, r3
    add     r8, r8, r3, asr #16
    rsbs    r8, r8, #0
    lsls    r8, r8, #15
    str     r8, [r1, #-84]
    ldr     r8, [sp]
    subs    r8, #1
    str     r8, [sp]
    bne     1b
    pop     {{r3-r11, pc}}
"#
    )
}

/// Prepares `steps` steps of int8 columns, at least one and at most a span; returns
/// the sum of the even columns.
///
/// # Safety
/// Both pointers must be of as many steps.
///
/// # Registers
/// ```text
/// r0 x   r1 words   r2 quantizer   r3 steps left   r4 2^21
/// r5 mask   r6 lanes of the sum   r8-r11 columns and lanes
/// ```
#[unsafe(naked)]
unsafe extern "C" fn span_routine(
    x: *const [i32; STEP_COLS],
    words: *mut [u32; 2],
    quantizer: u32,
    steps: usize,
) -> i32 {
    naked_asm!(
        processor!(),
        r#"
    push    {{r4-r11, lr}}
    mov     r4, #0x00200000
    mov     r5, #0xFF00FF00
    movs    r6, #0
1:  ldm     r0!, {{r8-r11}}
    .irp    x, r8, r9, r10, r11
    lsls    \x, \x, r2
    smlatt  \x, \x, r2, r4
    .endr
    asrs    r10, r10, #6
    asrs    r11, r11, #6
    pkhtb   r8, r10, r8, asr #22
    pkhtb   r9, r11, r9, asr #22
    sadd16  r6, r6, r8
    and     r8, r5, r8, lsl #8
    ssub16  r8, r8, r9
    strd    r9, r8, [r1], #8
    subs    r3, #1
    bne     1b
    sxth    r0, r6
    add     r0, r0, r6, asr #16
    pop     {{r4-r11, pc}}
"#
    )
}
