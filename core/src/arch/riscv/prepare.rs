//! Quantizing an activation vector.

use crate::arch::shared::assembly::assembly;
use crate::arch::Quantizer;

extern "C" {
    /// Quantizes and arranges int8 columns: `y_k = x_k - 256 x_(k-1)`.
    pub(super) fn kinglet_rv_prepare_int8(
        x: *const i32,
        words: *mut u32,
        steps: usize,
        quantizer: &Quantizer,
    ) -> i32;
    /// The same for int4 columns, as the products with them are made: x0, x1, 2^24 x2,
    /// 2^24 x3.
    pub(super) fn kinglet_rv_prepare_int4(
        x: *const i32,
        words: *mut u32,
        steps: usize,
        quantizer: &Quantizer,
    ) -> i32;
}

// a0 x   a1 words   a2 their end   a3 left   a4 inverse   a5 2^21   a6 sum
assembly!(
    r#"
    .macro kinglet_rv_quantize x, at
    lw      \x, \at(a0)
    sll     \x, \x, a3
    srai    \x, \x, 16
    mul     \x, \x, a4
    add     \x, \x, a5
    srai    \x, \x, 22
    .endm

    kinglet_function kinglet_rv_prepare_int8
    slli    a2, a2, 4
    add     a2, a2, a1
    lw      a4, 4(a3)
    lw      a3, 0(a3)
    lui     a5, 0x200
    li      a6, 0
1:  kinglet_rv_quantize t0, 0
    kinglet_rv_quantize t1, 4
    kinglet_rv_quantize t2, 8
    kinglet_rv_quantize t3, 12
    sw      t0, 0(a1)
    .irp    at, 4, 8, 12
    add     a6, a6, t0
    slli    t0, t0, 8
    sub     t0, t1, t0
    sw      t0, \at(a1)
    mv      t0, t1
    mv      t1, t2
    mv      t2, t3
    .endr
    addi    a0, a0, 16
    addi    a1, a1, 16
    bne     a1, a2, 1b
    mv      a0, a6
    ret
    .size kinglet_rv_prepare_int8, . - kinglet_rv_prepare_int8

    kinglet_function kinglet_rv_prepare_int4
    slli    a2, a2, 4
    add     a2, a2, a1
    lw      a4, 4(a3)
    lw      a3, 0(a3)
    lui     a5, 0x200
    li      a6, 0
1:  kinglet_rv_quantize t0, 0
    kinglet_rv_quantize t1, 4
    kinglet_rv_quantize t2, 8
    kinglet_rv_quantize t3, 12
    sw      t0, 0(a1)
    sw      t1, 4(a1)
    add     a6, a6, t0
    add     a6, a6, t1
    add     a6, a6, t2
    add     a6, a6, t3
    slli    t2, t2, 24
    slli    t3, t3, 24
    sw      t2, 8(a1)
    sw      t3, 12(a1)
    addi    a0, a0, 16
    addi    a1, a1, 16
    bne     a1, a2, 1b
    mv      a0, a6
    ret
    .size kinglet_rv_prepare_int4, . - kinglet_rv_prepare_int4
"#
);
