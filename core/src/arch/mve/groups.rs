//! Products with weights in groups of 32 columns.

use super::super::shared::Words;
use super::super::Port;
use super::Mve;
use crate::arch::shared::assembly::assembly;
use crate::shape::{Bits, Matrix, BLOCK_ROWS, GROUP_COLS};

/// Groups of which 16 times the sum of a row of int4, or four times that of a row of int6,
/// fits in 32 bits: `16 * 16 * (32 * 8 * 127) * 255 < 2^31`.
const SPAN_GROUPS: usize = 16;

/// Sums of `blocks` blocks of rows, span by span; nothing where a slice is too short. The
/// caller has checked `sums`, and that there is a block.
pub(super) fn sums(matrix: &Matrix<'_>, blocks: usize, words: &[u32], sums: &mut [i32]) {
    let routine = match matrix.bits {
        #[cfg(feature = "int6")]
        Bits::Int6 => kinglet_mve_int6,
        _ => kinglet_mve_int4,
    };
    let groups = matrix.cols.div_ceil(GROUP_COLS);
    let stored_words = matrix.bits.group_bytes() / 4;
    let block_words = groups * stored_words;
    let group_words = GROUP_COLS / 4;
    if matrix.weights.len() < blocks * block_words || words.len() < groups * group_words {
        return;
    }
    for first in (0..groups).step_by(SPAN_GROUPS) {
        let span = Span {
            groups: (groups - first).min(SPAN_GROUPS),
            // The first span writes the sums, the others add to them.
            add: (first > 0) as usize,
            block_bytes: block_words * 4,
        };
        let (pairs, last) = (blocks / 2, (blocks - 1) * BLOCK_ROWS);
        // SAFETY: all blocks of this span lie inside `weights` (checked above), the
        // span's words inside `words`, and `sums` holds four words per block. There is
        // a group, and of pairs each call has one. The routine is that of the matrix's
        // bits, and keeps to the C calling convention.
        unsafe {
            let weights = matrix.weights.as_ptr().add(first * stored_words);
            let words = words.as_ptr().add(first * group_words);
            if pairs > 0 {
                routine(weights, words, sums.as_mut_ptr(), pairs, &span);
            }
            if let (1, Some(sums)) = (blocks & 1, sums.get_mut(last..last + BLOCK_ROWS)) {
                // Of an odd number the last is computed twice.
                let mut two = [0; 2 * BLOCK_ROWS];
                Mve::copy(sums, &mut two);
                let weights = weights.add((blocks - 1) * block_words);
                let alone = Span {
                    block_bytes: 0,
                    ..span
                };
                routine(weights, words, two.as_mut_ptr(), 1, &alone);
                Mve::copy(&two, sums);
            }
        }
    }
}

/// A span of groups.
#[repr(C)]
struct Span {
    /// Groups of this span.
    groups: usize,
    /// 1 to add to the sums, 0 to write them.
    add: usize,
    /// From a pair's first block to its second.
    block_bytes: usize,
}

extern "C" {
    /// Writes the sums of pairs of blocks of four rows. Reads `17 groups` words of
    /// weights per block and `8 groups` of the prepared vector.
    fn kinglet_mve_int4(weights: Words, words: Words, sums: *mut i32, pairs: usize, span: &Span);
    /// The same with `25 groups` words of weights per block.
    #[cfg(feature = "int6")]
    fn kinglet_mve_int6(weights: Words, words: Words, sums: *mut i32, pairs: usize, span: &Span);
}

// A routine, from the assembly of a group of two blocks, the bytes of a stored group, the
// mask in q7, and the places by which sums are too large.
//
// Registers:
//   r0, r7 weights of two blocks   r1 words   r2 sums   r3 pairs left   r5 groups
//   r9 start of the words   r4, r6, r8, r10 sums of a group in four rows
//   r11 whether to add to the sums   r12 bytes from the end of a block's groups to the
//   next but one   lr groups left
//   q0, q1 activations   q2-q4 weights, then scales and sums of a group
//   q5, q6 the sums of the blocks' rows   q7 mask
macro_rules! routine {
    ($name:literal, $bytes:expr, $mask:expr, $places:expr, $macros:literal, $group:literal) => {
        assembly!(
            $macros,
            concat!("kinglet_function ", $name),
            r#"
    push    {{r4-r11, lr}}
    vpush   {{d8-d15}}
    ldr     r4, [sp, #100]
    mov     r9, r1
    ldm.w   r4, {{r5, r11, r12}}
    movs    r4, #{bytes}
    add     r7, r0, r12
    muls    r4, r5, r4
    rsb     r12, r4, r12, lsl #1
    vmov.i8 q7, #{mask}
1:  mov     r1, r9
    vmov.i32 q5, #0
    vmov.i32 q6, #0
    dls     lr, r5
2:
"#,
            $group,
            r#"
    le      lr, 2b
    cmp     r11, #0
    vshr.s32 q5, q5, #{places}
    vshr.s32 q6, q6, #{places}
    bne     4f
3:  vstrw.32 q5, [r2], #16
    vstrw.32 q6, [r2], #16
    add     r0, r12
    add     r7, r12
    subs    r3, #1
    bne     1b
    vpop    {{d8-d15}}
    pop     {{r4-r11, pc}}
4:  vldrw.u32 q2, [r2]
    vldrw.u32 q3, [r2, #16]
    vadd.i32 q5, q5, q2
    vadd.i32 q6, q6, q3
    b       3b
"#,
            concat!(".size ", $name, ", . - ", $name);
            bytes = const $bytes,
            mask = const $mask,
            places = const $places,
        );
    };
}

// Two blocks share the activations.
routine!(
    "kinglet_mve_int4",
    Bits::Int4.group_bytes(),
    0xF0,
    4,
    r#"
    .macro kinglet_mve_int4_row sum, w
        vand    q3, \w, q7
        vmladav.s8 \sum, q1, q3
        vshl.i8 \w, \w, #4
        vmladava.s8 \sum, q0, \w
    .endm
    .macro kinglet_mve_int4_block weights, sums
        vldrw.u32 q2, [\weights], #64
        vldrw.u32 q4, [\weights, #-48]
        kinglet_mve_int4_row r4, q2
        vldrw.u32 q2, [\weights, #-32]
        kinglet_mve_int4_row r6, q4
        vldrw.u32 q4, [\weights, #-16]
        kinglet_mve_int4_row r8, q2
        vldrb.u32 q2, [\weights], #4
        kinglet_mve_int4_row r10, q4
        vmov    q3[2], q3[0], r4, r8
        vmov    q3[3], q3[1], r6, r10
        vmul.i32 q3, q3, q2
        vadd.i32 \sums, \sums, q3
    .endm
"#,
    r#"
    vldrw.u32 q1, [r1, #16]
    vldrw.u32 q0, [r1], #32
    kinglet_mve_int4_block r0, q5
    kinglet_mve_int4_block r7, q6
"#
);

// The fourth row takes the place of the other half's activations.
#[cfg(feature = "int6")]
routine!(
    "kinglet_mve_int6",
    Bits::Int6.group_bytes(),
    0xFC,
    2,
    r#"
    .macro kinglet_mve_int6_half weights, add
        vldrw.u32 q2, [\weights], #48
        vldrw.u32 q3, [\weights, #-32]
        vshl.i8 q1, q2, #2
        vldrw.u32 q4, [\weights, #-16]
        vsli.8  q1, q3, #4
        vand    q2, q2, q7
        vmladav\add\().s8 r4, q0, q2
        vsli.8  q1, q4, #6
        vand    q3, q3, q7
        vmladav\add\().s8 r6, q0, q3
        vand    q4, q4, q7
        vmladav\add\().s8 r8, q0, q4
        vmladav\add\().s8 r10, q0, q1
    .endm
    .macro kinglet_mve_int6_block weights, sums
        kinglet_mve_int6_half \weights
        vldrw.u32 q0, [r1, #16]
        kinglet_mve_int6_half \weights, a
        vldrb.u32 q2, [\weights], #4
        vmov    q3[2], q3[0], r4, r8
        vmov    q3[3], q3[1], r6, r10
        vmul.i32 q3, q3, q2
        vadd.i32 \sums, \sums, q3
    .endm
"#,
    r#"
    vldrw.u32 q0, [r1]
    kinglet_mve_int6_block r0, q5
    vldrw.u32 q0, [r1]
    kinglet_mve_int6_block r7, q6
    adds    r1, #32
"#
);
