//! Quantizing an activation vector. Sums and counts are in the upper registers.

use crate::arch::shared::assembly::assembly;
use crate::arch::Quantizer;

extern "C" {
    /// Quantizes and arranges int8 columns: `y_k = x_k - 256 x_(k-1)`.
    pub(super) fn kinglet_v6m_prepare_int8(
        x: *const i32,
        words: *mut u32,
        steps: usize,
        quantizer: &Quantizer,
    ) -> i32;
    /// The same for int4 columns: `y_k = x_k - 16^k x_0`, in the order y1, y2, y3, y0: the
    /// word that meets y0 is needed whole until then.
    pub(super) fn kinglet_v6m_prepare_int4(
        x: *const i32,
        words: *mut u32,
        steps: usize,
        quantizer: &Quantizer,
    ) -> i32;
}

// r0 x   r1 words   r2 left   r3 inverse   r4 2^21   r5-r7 columns   r8 sum
// r12 the end of the words
assembly!(
    r#"
    .macro kinglet_v6m_quantize x
    ldm     r0!, {{\x}}
    lsls    \x, \x, r2
    asrs    \x, \x, #16
    muls    \x, r3, \x
    adds    \x, \x, r4
    asrs    \x, \x, #22
    .endm
    .macro kinglet_v6m_prepare
    push    {{r4-r7, lr}}
    mov     r4, r8
    push    {{r4}}
    lsls    r2, r2, #4
    adds    r2, r2, r1
    mov     r12, r2
    ldm     r3!, {{r2, r4}}
    mov     r3, r4
    movs    r4, #0
    mov     r8, r4
    movs    r4, #32
    lsls    r4, r4, #16
    .endm
    .macro kinglet_v6m_prepared
    mov     r0, r8
    pop     {{r4}}
    mov     r8, r4
    pop     {{r4-r7, pc}}
    .endm

    kinglet_function kinglet_v6m_prepare_int8
    kinglet_v6m_prepare
1:  kinglet_v6m_quantize r5
    stm     r1!, {{r5}}
    add     r8, r5
    kinglet_v6m_quantize r6
    add     r8, r6
    lsls    r5, r5, #8
    subs    r5, r6, r5
    stm     r1!, {{r5}}
    kinglet_v6m_quantize r5
    add     r8, r5
    lsls    r6, r6, #8
    subs    r6, r5, r6
    stm     r1!, {{r6}}
    kinglet_v6m_quantize r6
    lsls    r5, r5, #8
    subs    r6, r6, r5
    stm     r1!, {{r6}}
    cmp     r1, r12
    bne     1b
    kinglet_v6m_prepared
    .size kinglet_v6m_prepare_int8, . - kinglet_v6m_prepare_int8

    kinglet_function kinglet_v6m_prepare_int4
    kinglet_v6m_prepare
1:  kinglet_v6m_quantize r5
    add     r8, r5
    .irp    places, 4, 8, 12
    kinglet_v6m_quantize r6
    add     r8, r6
    lsls    r7, r5, #\places
    subs    r6, r6, r7
    stm     r1!, {{r6}}
    .endr
    stm     r1!, {{r5}}
    cmp     r1, r12
    bne     1b
    kinglet_v6m_prepared
    .size kinglet_v6m_prepare_int4, . - kinglet_v6m_prepare_int4
"#
);
