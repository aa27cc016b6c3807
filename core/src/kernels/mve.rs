//! ARMv8.1-M with MVE, the vector extension "Helium": Cortex-M55, M85.
//!
//! `VMLADAV.S8` multiplies 16 pairs of bytes and leaves the sum of all products
//! in a core register, `VMLADAVA.S8` adds it to one. A vector of activations
//! is loaded once for four rows of weights.
//!
//! **int8.** One instruction loads 16 weights of a row, one multiplies and
//! adds: nine for 64 products, with the one for the activations. The sum of a
//! row fits: `8192 * 127 * 128 < 2^27`.
//!
//! **int4.** A byte is `16 h + u`, with `h` the weight of column `16 + i` of a
//! group, and `u` the lower four bits of `l`, that of column `i`. Neither is
//! brought to the lower end of its byte:
//!
//! | weights | activations | gives |
//! |---|---|---|
//! | `byte << 4` | `x[i]` | `16 l x[i]` |
//! | `byte & 0xF0` | `x[16 + i]` | `16 h x[16 + i]` |
//!
//! The sum of a group is `16 S`, exactly, with `|16 S| <= 520192`. Those of
//! four rows go to the lanes of a vector, to be multiplied by the four scales
//! `m <= 255`. What four groups give is added, then shifted by 4 bits:
//! `4 * 520192 * 255 < 2^30`, so the shift loses nothing.
//!
//! Both loops are unrolled four times; where the number of rounds is no
//! multiple of four, the first pass begins in their middle.
//!
//! The program must have given access to the vector registers, which are
//! those of the FPU (CP10 and CP11 in CPACR): `cortex-m-rt` does so for
//! hard-float targets.

use super::quantize_one;
use crate::image::{Bits, Matrix, BLOCK_ROWS, GROUP_BYTES, GROUP_COLS};
use core::arch::global_asm;

/// The target's triple says ARMv8-M, so the assembler must be told.
macro_rules! extension {
    () => {
        ".syntax unified\n.cpu cortex-m55"
    };
}

/// Columns of a vector.
const VECTOR_COLS: usize = 16;

/// Columns of a word of a prepared vector.
const WORD_COLS: usize = 4;

/// Quantizes `x` to one byte per column; zeros behind the last, to the end
/// of `words`. The precisions differ in how far that is.
pub fn prepare(x: &[f32], inverse: f32, _: Bits, words: &mut [u32]) {
    let whole = (x.len() / WORD_COLS).min(words.len());
    let (vectors, tail) = x.split_at(whole * WORD_COLS);
    let (done, rest) = words.split_at_mut(whole);
    if whole > 0 {
        // SAFETY: `vectors` holds four floats for each word of `done`. The
        // routine keeps to the C calling convention.
        unsafe {
            kinglet_mve_prepare(vectors.as_ptr(), done.as_mut_ptr(), whole, inverse);
        }
    }
    rest.fill(0);
    if let Some(word) = rest.first_mut() {
        let mut bytes = [0; WORD_COLS];
        for (byte, &x) in bytes.iter_mut().zip(tail) {
            *byte = quantize_one(x, inverse) as u8;
        }
        *word = u32::from_le_bytes(bytes);
    }
}

/// The exact sums `[rows]` of `matrix` with a prepared vector; `sums` must
/// hold whole blocks of rows.
pub fn sums(matrix: &Matrix<'_>, words: &[u32], sums: &mut [i32]) {
    let blocks = matrix.rows.div_ceil(BLOCK_ROWS);
    let (routine, rounds, block_words, round_words): (Routine, _, _, _) = match matrix.bits {
        Bits::Int8 => (
            kinglet_mve_int8,
            matrix.cols.div_ceil(VECTOR_COLS),
            BLOCK_ROWS * VECTOR_COLS / 4,
            VECTOR_COLS / WORD_COLS,
        ),
        Bits::Int4 => (
            kinglet_mve_int4,
            matrix.cols.div_ceil(GROUP_COLS),
            GROUP_BYTES / 4,
            GROUP_COLS / WORD_COLS,
        ),
    };
    if blocks == 0
        || rounds == 0
        || sums.len() < blocks * BLOCK_ROWS
        || matrix.weights.len() < blocks * rounds * block_words
        || words.len() < rounds * round_words
    {
        return;
    }
    // SAFETY: `weights`, `words` and `sums` hold all that the routine reads
    // and writes, and neither count is zero (checked above). The routine
    // keeps to the C calling convention.
    unsafe {
        routine(
            matrix.weights.as_ptr(),
            words.as_ptr(),
            sums.as_mut_ptr(),
            blocks,
            rounds,
        );
    }
}

/// Weights, prepared vector, sums, blocks of rows, steps or groups.
type Routine = unsafe extern "C" fn(*const u32, *const u32, *mut i32, usize, usize);

extern "C" {
    fn kinglet_mve_prepare(x: *const f32, words: *mut u32, count: usize, inverse: f32);
    fn kinglet_mve_int8(
        weights: *const u32,
        words: *const u32,
        sums: *mut i32,
        blocks: usize,
        steps: usize,
    );
    fn kinglet_mve_int4(
        weights: *const u32,
        words: *const u32,
        sums: *mut i32,
        blocks: usize,
        groups: usize,
    );
}

// `x * inverse + 1.5 * 2^23` leaves the integer in the lowest byte of the
// float. Not one fused step: it would round once instead of twice.
//
//   r0 x   r1 words   r2 inverse   r3 the magic; s0 inverse
global_asm!(
    extension!(),
    r#"
    .section .text.kinglet_mve_prepare,"ax",%progbits
    .balign 4
    .thumb
    .thumb_func
    .global kinglet_mve_prepare
    .type kinglet_mve_prepare,%function
kinglet_mve_prepare:
    push    {{r7, lr}}
    dls     lr, r2
    vmov    r2, s0
    movw    r3, #0
    movt    r3, #0x4B40
1:  vldrw.u32 q0, [r0], #16
    vmul.f32 q0, q0, r2
    vadd.f32 q0, q0, r3
    vstrb.32 q0, [r1], #4
    le      lr, 1b
    pop     {{r7, pc}}
    .size kinglet_mve_prepare, . - kinglet_mve_prepare
"#
);

// Registers of the int8 routine:
//   r0 weights   r1 words   r2 sums   r3 blocks left   r4, r6, r8, r10 sums of
//   four rows (VMLADAV has even registers only)   r5 passes   r7 words of the
//   first step   r9 where the first pass begins   lr passes left
//   q0 activations   q1-q3 weights
// Behind 36 bytes of saved registers lies the fifth argument.
global_asm!(
    extension!(),
    r#"
    .macro kinglet_mve_int8_step
        vldrb.u8 q0, [r1], #16
        vldrb.u8 q1, [r0], #64
        vldrb.u8 q2, [r0, #-48]
        vmladava.s8 r4, q1, q0
        vldrb.u8 q3, [r0, #-32]
        vmladava.s8 r6, q2, q0
        vldrb.u8 q1, [r0, #-16]
        vmladava.s8 r8, q3, q0
        vmladava.s8 r10, q1, q0
    .endm
    // Bytes of a step: no vector instruction has a short form.
    .equ kinglet_mve_int8_bytes, 36

    .section .text.kinglet_mve_int8,"ax",%progbits
    .balign 4
    .thumb
    .thumb_func
    .global kinglet_mve_int8
    .type kinglet_mve_int8,%function
kinglet_mve_int8:
    push    {{r4-r11, lr}}
    ldr     r5, [sp, #36]
    rsbs    r4, r5, #0
    and     r4, r4, #3
    adds    r5, #3
    lsrs    r5, r5, #2
    mov     r7, r1
    movs    r6, #kinglet_mve_int8_bytes
    adr     r9, 2f
    mla     r9, r4, r6, r9
    orr     r9, r9, #1
1:  mov     r1, r7
    clrm    {{r4, r6, r8, r10}}
    dls     lr, r5
    bx      r9
    .balign 4
2:
    .rept 4
    kinglet_mve_int8_step
    .endr
    le      lr, 2b
    stm     r2!, {{r4, r6, r8, r10}}
    subs    r3, #1
    bne     1b
    pop     {{r4-r11, pc}}
    .size kinglet_mve_int8, . - kinglet_mve_int8
"#
);

// Registers of the int4 routine: as above, but
//   r4, r6, r8, r10 16 S of four rows
//   q0, q1 activations   q2, q3, q7 weights, then 16 S and scales   q4 0xF0
//   q5 sum of up to four groups   q6 sums of four rows
// Behind 64 + 36 bytes of saved registers lies the fifth argument.
global_asm!(
    extension!(),
    r#"
    .macro kinglet_mve_int4_group
        vldrb.u8 q2, [r0], #68
        vldrb.u8 q0, [r1], #32
        vshl.i8 q3, q2, #4
        vldrb.u8 q1, [r1, #-16]
        vmladav.s8 r4, q3, q0
        vand    q2, q2, q4
        vldrb.u8 q7, [r0, #-52]
        vmladava.s8 r4, q2, q1
        vshl.i8 q3, q7, #4
        vldrb.u8 q2, [r0, #-36]
        vmladav.s8 r6, q3, q0
        vand    q7, q7, q4
        vmladava.s8 r6, q7, q1
        vshl.i8 q3, q2, #4
        vldrb.u8 q7, [r0, #-20]
        vmladav.s8 r8, q3, q0
        vand    q2, q2, q4
        vmladava.s8 r8, q2, q1
        vshl.i8 q3, q7, #4
        vand    q7, q7, q4
        vmladav.s8 r10, q3, q0
        vldrb.u32 q3, [r0, #-4]
        vmladava.s8 r10, q7, q1
        vmov    q2[2], q2[0], r4, r8
        vmov    q2[3], q2[1], r6, r10
    .endm
    // Bytes of a group but for the first, which has one instruction less.
    .equ kinglet_mve_int4_bytes, 108

    .section .text.kinglet_mve_int4,"ax",%progbits
    .balign 4
    .thumb
    .thumb_func
    .global kinglet_mve_int4
    .type kinglet_mve_int4,%function
kinglet_mve_int4:
    push    {{r4-r11, lr}}
    vpush   {{d8-d15}}
    ldr     r5, [sp, #100]
    movs    r6, #kinglet_mve_int4_bytes
    rsbs    r4, r5, #0
    adr     r9, 2f
    ands    r4, r4, #3
    mla     r9, r4, r6, r9
    it      ne
    subne   r9, #4
    adds    r5, #3
    orr     r9, r9, #1
    lsrs    r5, r5, #2
    mov     r7, r1
    vmov.i8 q4, #0xF0
1:  mov     r1, r7
    dls     lr, r5
    vmov.i32 q6, #0
    vmov.i32 q5, #0
    bx      r9
    .balign 4
2:  kinglet_mve_int4_group
    vmul.i32 q5, q2, q3
    .rept 3
    kinglet_mve_int4_group
    vmul.i32 q2, q2, q3
    vadd.i32 q5, q5, q2
    .endr
    vshr.s32 q5, q5, #4
    vadd.i32 q6, q6, q5
    le      lr, 2b
    vstrw.32 q6, [r2], #16
    subs    r3, #1
    bne     1b
    vpop    {{d8-d15}}
    pop     {{r4-r11, pc}}
    .size kinglet_mve_int4, . - kinglet_mve_int4
"#
);
