//! The integer arithmetic of `soft` for ARMv6-M, which multiplies, masks and
//! shifts eight registers only, and has no CLZ.
//!
//! Both routines stop before a value outside of the common range and return the
//! number of values done: general arithmetic takes that one, then they resume.

use crate::arch::shared::soft::{general_quantize_one, general_scaled, Factor};
use core::arch::global_asm;
use core::mem::take;
use half::bf16;

/// Quantizes `x`, a word per column.
/// There are as many words as values; a value that the routine leaves takes
/// [`general_quantize_one`].
pub fn quantize(mut x: &[f32], inverse: f32, mut words: &mut [u32]) {
    let factor = Factor::new(inverse);
    while !x.is_empty() && words.len() >= x.len() {
        // SAFETY: there is a word for each value, and at least one value.
        let done =
            unsafe { kinglet_v6m_quantize(x.as_ptr(), words.as_mut_ptr(), x.len(), &factor) };
        let (Some([first, x_rest @ ..]), Some([word, words_rest @ ..])) =
            (x.get(done..), take(&mut words).get_mut(done..))
        else {
            return;
        };
        *word = i32::from(general_quantize_one(*first, inverse)) as u32;
        (x, words) = (x_rest, words_rest);
    }
}

/// [`Port::scale_rows`](crate::arch::Port::scale_rows), with one sum for each
/// scale.
/// A row that the routine leaves takes [`general_scaled`].
pub fn scale_rows(mut scales: &[bf16], x_scale: f32, mut out: &mut [f32]) {
    let bits = x_scale.to_bits();
    let exponent = bits >> 23;
    // Not for a factor that is negative, zero, subnormal or infinite.
    let ordinary = (1..255).contains(&exponent);
    let call = ScaleCall {
        upper: bits >> 12 & 0x7ff | 0x800,
        lower: bits & 0xfff,
        exponent: exponent as i32 - 105,
    };
    while !scales.is_empty() && out.len() >= scales.len() {
        let mut done = 0;
        if ordinary {
            // SAFETY: there is a sum for each scale, and at least one scale.
            done = unsafe {
                kinglet_v6m_scale_rows(scales.as_ptr(), out.as_mut_ptr(), scales.len(), &call)
            };
        }
        let (Some([scale, scales_rest @ ..]), Some([value, out_rest @ ..])) =
            (scales.get(done..), take(&mut out).get_mut(done..))
        else {
            return;
        };
        *value = general_scaled(value.to_bits() as i32, *scale, x_scale);
        (scales, out) = (scales_rest, out_rest);
    }
}

/// The common factor of all rows, beside their own scales.
#[repr(C)]
struct ScaleCall {
    /// The upper and the lower 12 bits of its significand.
    upper: u32,
    lower: u32,
    /// Added to the sum of the other exponents, it gives the stored exponent of
    /// the product, minus the 1 that the hidden bit adds.
    exponent: i32,
}

extern "C" {
    /// Reads `len` floats, at least one, and writes a word for each until one is
    /// not ordinary. Returns how many it wrote.
    fn kinglet_v6m_quantize(x: *const f32, words: *mut u32, len: usize, factor: &Factor) -> usize;
    /// Replaces `rows` sums, at least one, by values, until one is not ordinary.
    /// Returns how many it replaced. `scales` are aligned to 2 bytes, `out` to 4.
    fn kinglet_v6m_scale_rows(
        scales: *const bf16,
        out: *mut f32,
        rows: usize,
        call: &ScaleCall,
    ) -> usize;
}

// `soft::quantize_one` for each value.
// r0 x  r1 words  r2 factor  r3 bits  r4 product  r5 shift  r6 scratch
// r7 hidden bit  r8 end of x  r9 offset  r10 error bound of the product
// r11 start of x
global_asm!(
    r#"
    .syntax unified
    .section .text.kinglet_v6m_quantize,"ax",%progbits
    .balign 4
    .thumb
    .thumb_func
    .global kinglet_v6m_quantize
    .type kinglet_v6m_quantize,%function
kinglet_v6m_quantize:
    push    {{r4-r7, lr}}
    mov     r4, r8
    mov     r5, r9
    mov     r6, r10
    mov     r7, r11
    push    {{r4-r7}}
    lsls    r2, r2, #2
    adds    r2, r2, r0
    mov     r8, r2
    mov     r11, r0
    ldr     r2, [r3]
    ldr     r4, [r3, #4]
    mov     r9, r4
    ldr     r4, =0x10200 + 0xFF
    mov     r10, r4
    movs    r7, #1
    lsls    r7, r7, #15
1:  ldm     r0!, {{r3}}
    lsls    r4, r3, #1
    lsrs    r4, r4, #24
    mov     r5, r9
    subs    r5, r5, r4
    cmp     r5, #30
    bhi     3f
    lsls    r4, r3, #9
    lsrs    r4, r4, #17
    adds    r4, r4, r7
    muls    r4, r2, r4
    lsrs    r4, r4, #1
    subs    r4, #0xFF
    mov     r6, r10
    adds    r6, r6, r4
    lsrs    r4, r5
    lsrs    r6, r5
    adds    r4, #1
    adds    r6, #1
    lsrs    r4, r4, #1
    lsrs    r6, r6, #1
    cmp     r4, r6
    bne     4f
    asrs    r3, r3, #31
    eors    r4, r3
    subs    r4, r4, r3
2:  stm     r1!, {{r4}}
    cmp     r0, r8
    bne     1b
    b       5f
3:  // Below a half, or not ordinary.
    movs    r4, #0
    cmp     r5, #0
    bge     2b
4:  subs    r0, #4
5:  mov     r3, r11
    subs    r0, r0, r3
    lsrs    r0, r0, #2
    pop     {{r4-r7}}
    mov     r8, r4
    mov     r9, r5
    mov     r10, r6
    mov     r11, r7
    pop     {{r4-r7, pc}}
    .pool
    .size kinglet_v6m_quantize, . - kinglet_v6m_quantize
"#
);

// `soft::scaled` for each row.
// r0 scales  r1 out  r2 significand of a scale, upper half of a product
// r3 sum, product  r4 sign  r5 exponent  r6, r7 scratch
// r8, r9 upper and lower half of the factor  r10 its exponent  r11 end of out
// r12 sign  lr start of out
global_asm!(
    r#"
    .syntax unified
    .section .text.kinglet_v6m_scale_rows,"ax",%progbits
    .balign 4
    .thumb
    .thumb_func
    .global kinglet_v6m_scale_rows
    .type kinglet_v6m_scale_rows,%function
kinglet_v6m_scale_rows:
    push    {{r4-r7, lr}}
    mov     r4, r8
    mov     r5, r9
    mov     r6, r10
    mov     r7, r11
    push    {{r4-r7}}
    lsls    r2, r2, #2
    adds    r2, r2, r1
    mov     r11, r2
    mov     lr, r1
    ldm     r3!, {{r4, r5, r6}}
    mov     r8, r4
    mov     r9, r5
    mov     r10, r6
1:  ldr     r3, [r1]
    ldrh    r2, [r0]
    lsls    r5, r2, #16
    asrs    r4, r3, #31
    eors    r3, r4
    subs    r3, r3, r4
    eors    r4, r5
    mov     r12, r4
    // Ordinary exponents of the scale are 1 to 222.
    lsls    r5, r5, #1
    lsrs    r5, r5, #24
    subs    r6, r5, #1
    cmp     r6, #221
    bhi     8f
    add     r5, r10
    lsls    r2, r2, #25
    lsrs    r2, r2, #25
    adds    r2, #0x80
    // The sum as 24 bits.
    lsrs    r6, r3, #24
    bne     9f
    lsrs    r6, r3, #8
    beq     10f
2:  lsrs    r6, r3, #16
    bne     3f
    lsls    r3, r3, #8
    subs    r5, #8
3:  lsrs    r6, r3, #20
    bne     3f
    lsls    r3, r3, #4
    subs    r5, #4
3:  lsrs    r6, r3, #22
    bne     3f
    lsls    r3, r3, #2
    subs    r5, #2
3:  lsrs    r6, r3, #23
    bne     3f
    lsls    r3, r3, #1
    subs    r5, #1
3:  // Times the scale: 31 or 32 bits, rounded to 24. The carry of a shift
    // is the guard bit; a tie rounds to even.
    muls    r3, r2, r3
    bmi     4f
    lsrs    r6, r3, #7
    bcc     6f
    lsls    r3, r3, #26
    b       5f
4:  adds    r5, #1
    lsrs    r6, r3, #8
    bcc     6f
    lsls    r3, r3, #25
5:  bne     5f
    lsrs    r3, r6, #1
    bcc     6f
5:  adds    r6, #1
6:  // Times the factor, in halves of 12 bits: 47 or 48 bits.
    lsrs    r2, r6, #12
    lsls    r3, r6, #20
    lsrs    r3, r3, #20
    mov     r6, r9
    mov     r7, r6
    muls    r7, r3, r7
    muls    r6, r2, r6
    mov     r4, r8
    muls    r3, r4, r3
    muls    r2, r4, r2
    adds    r3, r3, r6
    lsrs    r6, r7, #12
    adds    r3, r3, r6
    lsrs    r6, r3, #12
    adds    r2, r2, r6
    lsrs    r6, r2, #23
    bne     6f
    lsls    r3, r3, #21
    adcs    r2, r2
    lsls    r3, r3, #1
    bcc     7f
    b       5f
6:  adds    r5, #1
    lsls    r3, r3, #21
    bcc     7f
5:  bne     5f
    lsls    r7, r7, #20
    bne     5f
    lsrs    r6, r2, #1
    bcc     7f
5:  adds    r2, #1
7:  // The hidden bit, or the carry of rounding, adds to the exponent.
    cmp     r5, #252
    bhi     8f
    lsls    r5, r5, #23
    adds    r2, r2, r5
    mov     r4, r12
    lsrs    r4, r4, #31
    lsls    r4, r4, #31
    orrs    r2, r4
    stm     r1!, {{r2}}
    adds    r0, #2
    cmp     r1, r11
    bne     1b
8:  mov     r3, lr
    subs    r0, r1, r3
    lsrs    r0, r0, #2
    pop     {{r4-r7}}
    mov     r8, r4
    mov     r9, r5
    mov     r10, r6
    mov     r11, r7
    pop     {{r4-r7, pc}}
9:  // More than 24 bits: the number of those in r6.
    movs    r7, #0
11: adds    r7, #1
    lsrs    r6, r6, #1
    bne     11b
    adds    r5, r5, r7
    mov     r6, r3
    lsrs    r3, r7
    bcc     3b
    movs    r4, #33
    subs    r4, r4, r7
    lsls    r6, r4
    bne     11f
    lsrs    r6, r3, #1
    bcc     3b
11: adds    r3, #1
    b       3b
10: // Fewer than 8 bits, or none.
    lsls    r3, r3, #16
    subs    r5, #16
    cmp     r3, #0
    bne     2b
    b       8b
    .size kinglet_v6m_scale_rows, . - kinglet_v6m_scale_rows
"#
);
