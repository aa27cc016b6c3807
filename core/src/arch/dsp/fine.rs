//! Products of int8 matrices with vectors of 16 bits.

use super::prepare::steps;
use super::{rows_of_int8, Int8Call, ROUND, STEP_COLS};
use crate::arch::shared::assembly::processor;
use crate::arch::FineQuantizer;
use crate::shape::{Matrix, BLOCK_ROWS};
use core::arch::naked_asm;

/// Sums of `blocks` blocks of rows; nothing where a slice is too short. The caller has
/// checked `sums`.
pub(super) fn sums(matrix: &Matrix<'_>, blocks: usize, words: &[u32], sums: &mut [i32]) {
    let steps = matrix.cols.div_ceil(STEP_COLS);
    let weights = blocks * steps * BLOCK_ROWS;
    if blocks * steps == 0 || matrix.weights.len() < weights || words.len() < 1 + 2 * steps {
        return;
    }
    let call = Int8Call {
        steps,
        skip_bytes: 0,
        add: 0,
    };
    // SAFETY: `weights`, `words` and `sums` hold all that the routine reads and writes
    // (checked above and by the caller), and there is a block and a step. The routine
    // keeps to the C calling convention.
    unsafe {
        fine_routine(
            matrix.weights.as_ptr(),
            words.as_ptr(),
            sums.as_mut_ptr(),
            blocks,
            &call,
        );
    }
}

rows_of_int8!(
    fine_routine,
    r#"
    ldm     r0!, {{r8-r11}}
    ldrd    r12, lr, [r1], #8
    uxtb16  r3, r8
    smlad   r4, r3, r12, r4
    sxtb16  r8, r8, ror #8
    smlad   r4, r8, lr, r4
    uxtb16  r3, r9
    smlad   r5, r3, r12, r5
    sxtb16  r9, r9, ror #8
    smlad   r5, r9, lr, r5
    uxtb16  r3, r10
    smlad   r6, r3, r12, r6
    sxtb16  r10, r10, ror #8
    smlad   r6, r10, lr, r6
    uxtb16  r3, r11
    smlad   r7, r3, r12, r7
    sxtb16  r11, r11, ror #8
    smlad   r7, r11, lr, r7
"#,
    right 0
);

/// Prepares a vector; nothing where `words` are too few.
pub(super) fn prepare(x: &[i32], quantizer: FineQuantizer, words: &mut [u32]) {
    steps(prepare_routine, x, &quantizer, -128, words);
}

/// Prepares `steps` steps of columns, at least one; returns the sum of the even columns.
///
/// # Safety
/// Both pointers must be of as many steps.
///
/// # Registers
/// ```text
/// r0 x   r1 words   r2 the end of x   r3 the sum   r4 2^21   r5 inverse, left
/// r6 a step of the high part   r7 inverse of the low part, 126   r8-r11 columns
/// r12, lr parts
/// ```
#[unsafe(naked)]
unsafe extern "C" fn prepare_routine(
    x: *const [i32; STEP_COLS],
    words: *mut [u32; 2],
    quantizer: &FineQuantizer,
    steps: usize,
) -> i32 {
    naked_asm!(
        processor!(),
        r#"
    push    {{r4-r11, lr}}
    mov     r4, #0x00200000
    ldm     r2, {{r5, r6, r7, r8, r9}}
    orr     r5, r5, r6, lsl #16
    mov     r7, #126
    orr     r7, r7, r8, lsl #16
    mov     r6, r9
    add     r2, r0, r3, lsl #4
    movs    r3, #0
1:  ldm     r0!, {{r8-r11}}
    .irp    x, r8, r9, r10, r11
    lsls    \x, \x, r5
    smlatt  r12, \x, r5, r4
    asrs    r12, r12, #22
    smultb  \x, \x, r7
    mls     \x, r12, r6, \x
    smlabt  \x, \x, r7, r4
    asrs    lr, \x, #22
    add     \x, lr, r12, lsl #7
    .endr
    add     r3, r3, r8
    add     r3, r3, r10
    pkhbt   r8, r8, r10, lsl #16
    pkhbt   r9, r9, r11, lsl #16
    strd    r8, r9, [r1], #8
    cmp     r0, r2
    bne     1b
    mov     r0, r3
    pop     {{r4-r11, pc}}
"#
    )
}
