//! Quantizing an activation vector for `SMLAD`: about five instructions a column.
//!
//! A column is `SMLATT(x << left, inverse, 2^21)`, whose upper ten bits are the
//! quantized number. `PKHTB` puts two of them into a word of lanes, from which
//! a shift, a mask and a subtraction make those that the products take.

use super::groups::INT4_WORDS;
#[cfg(feature = "int6")]
use super::groups::INT6_WORDS;
use super::{SPAN_COLS, SPAN_WORDS, STEP_COLS};
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
                span(x, quantizer, words.next().unwrap_or_default());
            }
        }
        #[cfg(feature = "int6")]
        Bits::Int6 => {
            let mut words = words.as_chunks_mut().0.iter_mut();
            for x in x.chunks(GROUP_COLS) {
                let Some(words) = words.next() else { return };
                six_bits(padded(x), quantizer, words);
            }
        }
        Bits::Int4 => {
            let (groups, tail) = x.as_chunks::<GROUP_COLS>();
            let (room, _) = words.as_chunks_mut::<INT4_WORDS>();
            let len = groups.len().min(room.len());
            if len > 0 {
                // SAFETY: there are as many whole groups in both slices, at
                // least one. The routine keeps to the C calling convention.
                unsafe { group_routine(groups.as_ptr(), room.as_mut_ptr(), packed(quantizer), len) }
            }
            if let (false, Some(words)) = (tail.is_empty(), room.get_mut(groups.len())) {
                let tail: [i32; GROUP_COLS] = padded(tail);
                // SAFETY: one group each.
                unsafe { group_routine(&tail, words, packed(quantizer), 1) }
            }
        }
    }
}

/// A group of int6 columns.
#[cfg(feature = "int6")]
fn six_bits(x: [i32; GROUP_COLS], quantizer: Quantizer, words: &mut [u32; INT6_WORDS]) {
    let [constant, words @ ..] = words;
    let q = x.map(|x| quantizer.of(x));
    let (lanes, _) = q.as_chunks::<8>();
    let mut offset = 0;
    for (words, lanes) in words.chunks_exact_mut(10).zip(lanes.chunks_exact(2)) {
        let lane = |&[a, b, c, d, e, f, g, h]: &[i32; 8]| {
            let edge = [a, 64 * b - a, 16 * g - b];
            let other = [e, 64 * f - e, 16 * h - f];
            let middle = [c, 64 * h - c, 256 * d - c, 64 * g - d];
            (
                edge.into_iter().chain(other).chain(middle),
                b + d + f + g + h,
            )
        };
        let &[low, high] = lanes else { return };
        let ((low, low_sum), (high, high_sum)) = (lane(&low), lane(&high));
        offset += low_sum + high_sum;
        for (word, (low, high)) in words.iter_mut().zip(low.zip(high)) {
            *word = low as u32 & 0xffff | (high as u32) << 16;
        }
    }
    // -1024 * 32 times the sum of the columns whose weights are stored with an offset.
    *constant = (-32768 * offset) as u32;
}

/// A span of int8 columns.
fn span(x: &[i32], quantizer: Quantizer, words: &mut [u32]) {
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
        even += unsafe { span_routine(whole.as_ptr(), room.as_mut_ptr(), packed(quantizer), len) };
    }
    if let (false, Some(step)) = (tail.is_empty(), room.get_mut(whole.len())) {
        let tail: [i32; STEP_COLS] = padded(tail);
        // SAFETY: one step each.
        even += unsafe { span_routine(&tail, step, packed(quantizer), 1) };
    }
    *constant = (-32768 * even) as u32;
}

/// Zeros after the last element.
fn padded<const N: usize>(x: &[i32]) -> [i32; N] {
    let mut all = [0; N];
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
unsafe extern "C" fn group_routine(
    x: *const [i32; GROUP_COLS],
    words: *mut [u32; INT4_WORDS],
    quantizer: u32,
    groups: usize,
) {
    naked_asm!(
        extension!(),
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
        extension!(),
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
