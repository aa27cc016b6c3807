//! Element-wise steps for cores with a single-precision FPU that converts
//! half floats: every Cortex-M that has one.
//!
//! The same IEEE operations in the same order as in `portable`, four elements
//! at a time: a compiler neither uses `VCVTB`/`VCVTT` for half floats nor
//! keeps a maximum in a core register. Tails are left to `portable`.
//!
//! A norm takes about 14 instructions a channel, a row's scale about 5. Loads of
//! several words need aligned slices: floats always are, half floats and scales are
//! looked at, and where they are not aligned `portable` does the work.

mod state;

use crate::arch::portable::{norm, state as portable_state, steps, Portable};
use crate::arch::{Bonus, Cell, Delta, Port};
use crate::number::AbsMax;
use crate::shape::BLOCK_ROWS;
use core::arch::global_asm;
use half::{bf16, f16};

/// Elements of a round.
const ROUND: usize = 4;

/// Whether the slice is aligned to words: instructions that load several words
/// fault otherwise. A vector in an image is aligned, but not each head's part of
/// it where a head has an odd number of channels.
#[inline(always)]
fn has_words<T>(slice: &[T]) -> bool {
    slice.as_ptr().cast::<u32>().is_aligned()
}

/// How many whole rounds fit in all of these slices.
fn rounds<const N: usize>(lengths: [usize; N]) -> usize {
    lengths.into_iter().min().unwrap_or(0) / ROUND
}

/// The base of ports for cores with an FPU.
#[derive(Debug)]
pub struct Fpu;

impl Port for Fpu {
    type Base = Portable;

    fn scale_rows(scales: &[bf16], x_scale: f32, out: &mut [f32]) {
        let blocks = scales.len().min(out.len()) / BLOCK_ROWS;
        if !has_words(scales) {
            scale_misaligned(scales, x_scale, out);
        } else if blocks > 0 {
            // SAFETY: both slices hold `blocks` whole blocks, of whole words.
            unsafe { kinglet_fpu_scale_rows(scales.as_ptr(), out.as_mut_ptr(), blocks, x_scale) };
        }
    }

    fn norm(x: &[f32], eps: f32, weight: &[f16], bias: &[f16], out: &mut [f32]) {
        let moments = norm::moments(x, eps, sum);
        let done = affine(x, moments, [weight, bias], out);
        norm::affine_from(done, x, moments, [weight, bias], out);
    }

    fn token_shift(x: &[f32], previous: &[f32], mix: &[f16], out: &mut [f32]) -> AbsMax {
        let done = token_shift(x, previous, mix, out);
        steps::token_shift_from(done, x, previous, mix, out)
    }

    fn relu_squared(x: &mut [f32]) -> AbsMax {
        let done = relu_squared(x);
        steps::relu_squared_from(done, x)
    }

    unsafe fn bonus<S: Cell>(state: &mut [S], head: &Bonus<'_>, y: &mut [f32]) {
        portable_state::bonus_start(head, y);
        let done = state::bonus(state, head, y);
        portable_state::bonus_from(done, state, head, y);
    }

    unsafe fn delta<S: Cell>(state: &mut [S], head: &Delta<'_>, y: &mut [f32], sa: &mut [f32]) {
        portable_state::delta_start(head, y, sa);
        let done = state::delta_read(state, head, y, sa);
        portable_state::delta_read_from(done, state, head, y, sa);
        let done = state::delta_write(state, head, sa);
        portable_state::delta_write_from(done, state, head, sa);
        portable_state::delta_end(head, y, sa);
    }
}

/// Scales that are not aligned to words, block by block. An image has none.
#[cold]
#[inline(never)]
fn scale_misaligned(scales: &[bf16], x_scale: f32, out: &mut [f32]) {
    let blocks = scales.as_chunks::<BLOCK_ROWS>().0.iter();
    for (&scales, out) in blocks.zip(out.as_chunks_mut::<BLOCK_ROWS>().0) {
        let words: [u32; BLOCK_ROWS / 2] = bytemuck::cast(scales);
        // SAFETY: both arrays hold a block.
        unsafe { kinglet_fpu_scale_rows(words.as_ptr().cast(), out.as_mut_ptr(), 1, x_scale) };
    }
}

/// As `norm::sum`.
fn sum(x: &[f32], shift: f32, squares: bool) -> f32 {
    // SAFETY: the routines read the floats of the slice.
    unsafe {
        if squares {
            kinglet_fpu_sum_squares(x.as_ptr(), x.len(), shift)
        } else {
            kinglet_fpu_sum(x.as_ptr(), x.len())
        }
    }
}

/// `out = (x - mean) * rstd * weight + bias`. Returns the elements done.
fn affine(
    x: &[f32],
    [mean, rstd]: [f32; 2],
    [weight, bias]: [&[f16]; 2],
    out: &mut [f32],
) -> usize {
    let mut rounds = rounds([x.len(), weight.len(), bias.len(), out.len()]);
    if !has_words(weight) || !has_words(bias) {
        rounds = 0;
    }
    if rounds > 0 {
        let call = AffineCall {
            weight: weight.as_ptr(),
            bias: bias.as_ptr(),
        };
        // SAFETY: all four slices hold `rounds` times four elements, of whole
        // words.
        unsafe { kinglet_fpu_affine(x.as_ptr(), &call, out.as_mut_ptr(), rounds, mean, rstd) };
    }
    rounds * ROUND
}

/// `out = p + (x - p) * mix`. Returns the elements done, and their largest
/// absolute value.
fn token_shift(x: &[f32], previous: &[f32], mix: &[f16], out: &mut [f32]) -> (usize, AbsMax) {
    let mut rounds = rounds([x.len(), previous.len(), mix.len(), out.len()]);
    if !has_words(mix) {
        rounds = 0;
    }
    let mut max = 0;
    if rounds > 0 {
        let call = ShiftCall {
            mix: mix.as_ptr(),
            rounds,
        };
        // SAFETY: as above.
        max = unsafe {
            kinglet_fpu_token_shift(x.as_ptr(), previous.as_ptr(), &call, out.as_mut_ptr())
        };
    }
    (rounds * ROUND, AbsMax::from_bits(max))
}

/// `x = max(x, 0)^2`. Returns the elements done, and the largest of them
/// before it was squared.
fn relu_squared(x: &mut [f32]) -> (usize, AbsMax) {
    let rounds = rounds([x.len()]);
    let mut max = 0;
    if rounds > 0 {
        // SAFETY: the slice holds `rounds` times four elements.
        max = unsafe { kinglet_fpu_relu_squared(x.as_mut_ptr(), rounds) };
    }
    (rounds * ROUND, AbsMax::from_bits(max))
}

/// The pointers that do not fit in registers.
#[repr(C)]
struct AffineCall {
    weight: *const f16,
    bias: *const f16,
}

/// What does not fit in registers.
#[repr(C)]
struct ShiftCall {
    mix: *const f16,
    rounds: usize,
}

extern "C" {
    /// Replaces `4 blocks` sums by values; at least one block.
    fn kinglet_fpu_scale_rows(scales: *const bf16, out: *mut f32, blocks: usize, x_scale: f32);
    /// In four partial sums, as `norm::sum`; any length.
    fn kinglet_fpu_sum(x: *const f32, len: usize) -> f32;
    /// The same of the squares of `x - shift`.
    fn kinglet_fpu_sum_squares(x: *const f32, len: usize, shift: f32) -> f32;
    /// Writes `4 rounds` elements of a norm; at least one round.
    fn kinglet_fpu_affine(
        x: *const f32,
        call: &AffineCall,
        out: *mut f32,
        rounds: usize,
        mean: f32,
        rstd: f32,
    );
    /// Writes `4 rounds` elements and returns the bits of the largest magnitude.
    fn kinglet_fpu_token_shift(
        x: *const f32,
        previous: *const f32,
        call: &ShiftCall,
        out: *mut f32,
    ) -> u32;
    /// Squares `4 rounds` elements in place and returns the bits of the largest
    /// before it was squared.
    fn kinglet_fpu_relu_squared(x: *mut f32, rounds: usize) -> u32;
}

// r0 scales  r1 out  r2 blocks left; s0 x_scale
global_asm!(
    r#"
    .syntax unified
    .fpu    fpv4-sp-d16
    // Four sums by the four scales in \p and \q.
    .macro kinglet_fpu_scale_four p, q, a, b, c, d
        lsl     r12, \p, #16
        bfc     \p, #0, #16
        vmov    s4, s5, r12, \p
        lsl     r12, \q, #16
        bfc     \q, #0, #16
        vmov    s6, s7, r12, \q
        vcvt.f32.s32 \a, \a
        vcvt.f32.s32 \b, \b
        vcvt.f32.s32 \c, \c
        vcvt.f32.s32 \d, \d
        vmul.f32 \a, \a, s4
        vmul.f32 \b, \b, s5
        vmul.f32 \c, \c, s6
        vmul.f32 \d, \d, s7
        vmul.f32 \a, \a, s0
        vmul.f32 \b, \b, s0
        vmul.f32 \c, \c, s0
        vmul.f32 \d, \d, s0
    .endm

    .section .text.kinglet_fpu_scale_rows,"ax",%progbits
    .balign 4
    .thumb
    .thumb_func
    .global kinglet_fpu_scale_rows
    .type kinglet_fpu_scale_rows,%function
kinglet_fpu_scale_rows:
    push    {{r4, r5, r6, lr}}
    subs    r2, #2
    blo     2f
1:  ldm     r0!, {{r3-r6}}
    vldmia  r1, {{s8-s15}}
    kinglet_fpu_scale_four r3, r4, s8, s9, s10, s11
    kinglet_fpu_scale_four r5, r6, s12, s13, s14, s15
    vstmia  r1!, {{s8-s15}}
    subs    r2, #2
    bhs     1b
2:  lsls    r2, r2, #31
    beq     3f
    ldm     r0, {{r3-r4}}
    vldmia  r1, {{s8-s11}}
    kinglet_fpu_scale_four r3, r4, s8, s9, s10, s11
    vstmia  r1, {{s8-s11}}
3:  pop     {{r4, r5, r6, pc}}
    .size kinglet_fpu_scale_rows, . - kinglet_fpu_scale_rows
"#
);

// r0 x  r1 weight  r2 out  r3 rounds left  r12 bias; s0 mean  s1 rstd
global_asm!(
    r#"
    .syntax unified
    .fpu    fpv4-sp-d16
    .section .text.kinglet_fpu_affine,"ax",%progbits
    .balign 4
    .thumb
    .thumb_func
    .global kinglet_fpu_affine
    .type kinglet_fpu_affine,%function
kinglet_fpu_affine:
    ldr     r12, [r1, #4]
    ldr     r1, [r1]
1:  vldmia  r0!, {{s4-s7}}
    vldmia  r1!, {{s2-s3}}
    vsub.f32 s4, s4, s0
    vsub.f32 s5, s5, s0
    vsub.f32 s6, s6, s0
    vsub.f32 s7, s7, s0
    vcvtb.f32.f16 s8, s2
    vcvtt.f32.f16 s9, s2
    vcvtb.f32.f16 s10, s3
    vcvtt.f32.f16 s11, s3
    vmul.f32 s4, s4, s1
    vmul.f32 s5, s5, s1
    vmul.f32 s6, s6, s1
    vmul.f32 s7, s7, s1
    vldmia  r12!, {{s2-s3}}
    vmul.f32 s4, s4, s8
    vmul.f32 s5, s5, s9
    vmul.f32 s6, s6, s10
    vmul.f32 s7, s7, s11
    vcvtb.f32.f16 s8, s2
    vcvtt.f32.f16 s9, s2
    vcvtb.f32.f16 s10, s3
    vcvtt.f32.f16 s11, s3
    vadd.f32 s4, s4, s8
    vadd.f32 s5, s5, s9
    vadd.f32 s6, s6, s10
    vadd.f32 s7, s7, s11
    vstmia  r2!, {{s4-s7}}
    subs    r3, #1
    bne     1b
    bx      lr
    .size kinglet_fpu_affine, . - kinglet_fpu_affine
"#
);

// r0 x  r1 previous  r2 mix  r3 out  r12 rounds left  lr largest, shifted
// left by one: without its sign
global_asm!(
    r#"
    .syntax unified
    .fpu    fpv4-sp-d16
    .section .text.kinglet_fpu_token_shift,"ax",%progbits
    .balign 4
    .thumb
    .thumb_func
    .global kinglet_fpu_token_shift
    .type kinglet_fpu_token_shift,%function
kinglet_fpu_token_shift:
    push    {{r4-r7, lr}}
    ldr     r12, [r2, #4]
    ldr     r2, [r2]
    mov     lr, #0
1:  vldmia  r0!, {{s4-s7}}
    vldmia  r1!, {{s8-s11}}
    vldmia  r2!, {{s12-s13}}
    vsub.f32 s4, s4, s8
    vsub.f32 s5, s5, s9
    vsub.f32 s6, s6, s10
    vsub.f32 s7, s7, s11
    vcvtb.f32.f16 s0, s12
    vcvtt.f32.f16 s1, s12
    vcvtb.f32.f16 s2, s13
    vcvtt.f32.f16 s3, s13
    vmul.f32 s4, s4, s0
    vmul.f32 s5, s5, s1
    vmul.f32 s6, s6, s2
    vmul.f32 s7, s7, s3
    vadd.f32 s4, s8, s4
    vadd.f32 s5, s9, s5
    vadd.f32 s6, s10, s6
    vadd.f32 s7, s11, s7
    vmov    r4, r5, s4, s5
    vmov    r6, r7, s6, s7
    vstmia  r3!, {{s4-s7}}
    cmp     lr, r4, lsl #1
    it      lo
    lsllo   lr, r4, #1
    cmp     lr, r5, lsl #1
    it      lo
    lsllo   lr, r5, #1
    cmp     lr, r6, lsl #1
    it      lo
    lsllo   lr, r6, #1
    cmp     lr, r7, lsl #1
    it      lo
    lsllo   lr, r7, #1
    subs    r12, #1
    bne     1b
    lsr     r0, lr, #1
    pop     {{r4-r7, pc}}
    .size kinglet_fpu_token_shift, . - kinglet_fpu_token_shift
"#
);

// r0 x  r1 rounds left  r2 largest
global_asm!(
    r#"
    .syntax unified
    .fpu    fpv4-sp-d16
    .section .text.kinglet_fpu_relu_squared,"ax",%progbits
    .balign 4
    .thumb
    .thumb_func
    .global kinglet_fpu_relu_squared
    .type kinglet_fpu_relu_squared,%function
kinglet_fpu_relu_squared:
    push    {{r4-r7, lr}}
    movs    r2, #0
1:  ldm     r0, {{r4-r7}}
    bic     r4, r4, r4, asr #31
    bic     r5, r5, r5, asr #31
    bic     r6, r6, r6, asr #31
    bic     r7, r7, r7, asr #31
    vmov    s4, s5, r4, r5
    vmov    s6, s7, r6, r7
    cmp     r2, r4
    it      lo
    movlo   r2, r4
    cmp     r2, r5
    it      lo
    movlo   r2, r5
    cmp     r2, r6
    it      lo
    movlo   r2, r6
    cmp     r2, r7
    it      lo
    movlo   r2, r7
    vmul.f32 s4, s4, s4
    vmul.f32 s5, s5, s5
    vmul.f32 s6, s6, s6
    vmul.f32 s7, s7, s7
    vstmia  r0!, {{s4-s7}}
    subs    r1, #1
    bne     1b
    mov     r0, r2
    pop     {{r4-r7, pc}}
    .size kinglet_fpu_relu_squared, . - kinglet_fpu_relu_squared
"#
);

// r0 x  r1 elements left; s0 shift  s4-s7 partial sums  s8-s11 elements
global_asm!(
    r#"
    .syntax unified
    .fpu    fpv4-sp-d16
    .macro kinglet_fpu_summing name, step
    .section .text.\name,"ax",%progbits
    .balign 4
    .thumb
    .thumb_func
    .global \name
    .type \name,%function
\name:
    movs    r2, #0
    vmov    s4, s5, r2, r2
    vmov    s6, s7, r2, r2
    subs    r1, #4
    blo     2f
1:  vldmia  r0!, {{s8-s11}}
    \step   s4, s8
    \step   s5, s9
    \step   s6, s10
    \step   s7, s11
    subs    r1, #4
    bhs     1b
2:  adds    r1, #4
    beq     3f
    vldmia  r0!, {{s8}}
    \step   s4, s8
    subs    r1, #1
    beq     3f
    vldmia  r0!, {{s8}}
    \step   s5, s8
    subs    r1, #1
    beq     3f
    vldmia  r0!, {{s8}}
    \step   s6, s8
3:  vadd.f32 s4, s4, s5
    vadd.f32 s6, s6, s7
    vadd.f32 s0, s4, s6
    bx      lr
    .size \name, . - \name
    .endm
    .macro kinglet_fpu_plain sum, x
    vadd.f32 \sum, \sum, \x
    .endm
    .macro kinglet_fpu_square sum, x
    vsub.f32 \x, \x, s0
    vmul.f32 \x, \x, \x
    vadd.f32 \sum, \sum, \x
    .endm
    kinglet_fpu_summing kinglet_fpu_sum, kinglet_fpu_plain
    kinglet_fpu_summing kinglet_fpu_sum_squares, kinglet_fpu_square
"#
);
