//! Matrix states of 16 bits: a word holds two key channels of a value channel,
//! and `SMLAD` multiplies both: about 0.9 instructions per element to read, 0.8 of each
//! of two reads, 3.7 to write.

use super::Dsp;
use crate::arch::shared::state::{Both, Routines, States};
use crate::arch::Write;
use core::arch::naked_asm;

impl States for Dsp {
    const ROUND: usize = 16;

    const ROUTINES: Routines = Routines { read, write };
}

impl Both for Dsp {
    const READ_BOTH: unsafe extern "C" fn(*const u32, *const [i16; 2], *mut [i32; 2], usize) =
        read_both;
}

/// Four rows at a time.
///
/// # Registers
/// ```text
/// r0, lr words of two rows each   r2 sums   r3 rounds left   r4, r5 c
/// r6-r9 sums   r1, r10-r12 words
/// Stack, from sp:
///   [0] c  [4] rows left / 4  [8] rounds  [12] sums  [16] bytes of two rows
/// ```
#[unsafe(naked)]
unsafe extern "C" fn read(_mantissas: *const u32, _c: *const i16, _sums: *mut i32, _size: usize) {
    naked_asm!(
        extension!(),
        r#"
    push    {{r4-r11, lr}}
    sub     sp, #20
    lsrs    r4, r3, #2
    strd    r1, r4, [sp]
    lsrs    r4, r3, #4
    strd    r4, r2, [sp, #8]
    lsls    r4, r3, #2
    str     r4, [sp, #16]
    mov     lr, r0
    mov     r12, r2
    movs    r4, #0
    movs    r5, #0
    movs    r6, #0
    movs    r7, #0
0:  .rept 4
    stm     r12!, {{r4-r7}}
    .endr
    subs    r3, #16
    bne     0b
1:  ldrd    r1, r12, [sp, #12]
    mov     r0, lr
    mov     r2, r1
    add     lr, lr, r12
    ldr     r12, [sp]
    ldr     r4, [r12], #4
    ldr     r5, [r12], #4
    ldr     r3, [sp, #8]
    str     r12, [sp]
2:  .rept 4
    ldm     r2, {{r6-r9}}
    ldm     r0!, {{r1, r10-r12}}
    smlad   r6, r1, r4, r6
    smlad   r7, r10, r4, r7
    smlad   r8, r11, r4, r8
    smlad   r9, r12, r4, r9
    ldm     lr!, {{r1, r10-r12}}
    smlad   r6, r1, r5, r6
    smlad   r7, r10, r5, r7
    smlad   r8, r11, r5, r8
    smlad   r9, r12, r5, r9
    stm     r2!, {{r6-r9}}
    .endr
    subs    r3, #1
    bne     2b
    ldr     r4, [sp, #4]
    subs    r4, #1
    str     r4, [sp, #4]
    bne     1b
    add     sp, #20
    pop     {{r4-r11, pc}}
"#
    )
}

/// Four rows at a time.
///
/// # Registers
/// ```text
/// r0, lr words of two rows each   r2 sums   r3 rounds left   r4-r7 both c of two rows each
/// r8-r11 sums   r1, r12 words
/// Stack, from sp:
///   [0] c  [4] rows left / 4  [8] rounds  [12] sums  [16] bytes of two rows
/// ```
#[unsafe(naked)]
unsafe extern "C" fn read_both(
    _mantissas: *const u32,
    _c: *const [i16; 2],
    _sums: *mut [i32; 2],
    _size: usize,
) {
    naked_asm!(
        extension!(),
        r#"
    push    {{r4-r11, lr}}
    sub     sp, #20
    lsrs    r4, r3, #2
    strd    r1, r4, [sp]
    lsrs    r4, r3, #4
    strd    r4, r2, [sp, #8]
    lsls    r4, r3, #2
    str     r4, [sp, #16]
    mov     lr, r0
    lsls    r3, r3, #1
    mov     r12, r2
    movs    r4, #0
    movs    r5, #0
    movs    r6, #0
    movs    r7, #0
0:  .rept 4
    stm     r12!, {{r4-r7}}
    .endr
    subs    r3, #16
    bne     0b
1:  ldr     r1, [sp]
    ldrd    r2, r12, [sp, #12]
    ldm     r1!, {{r8-r11}}
    mov     r0, lr
    add     lr, lr, r12
    pkhbt   r4, r8, r9, lsl #16
    pkhtb   r5, r9, r8, asr #16
    pkhbt   r6, r10, r11, lsl #16
    pkhtb   r7, r11, r10, asr #16
    ldr     r3, [sp, #8]
    str     r1, [sp]
2:  .rept 8
    ldrd    r1, r12, [r0], #8
    ldm     r2, {{r8-r11}}
    smlad   r8, r1, r4, r8
    smlad   r9, r1, r5, r9
    smlad   r10, r12, r4, r10
    smlad   r11, r12, r5, r11
    ldrd    r1, r12, [lr], #8
    smlad   r8, r1, r6, r8
    smlad   r9, r1, r7, r9
    smlad   r10, r12, r6, r10
    smlad   r11, r12, r7, r11
    stm     r2!, {{r8-r11}}
    .endr
    subs    r3, #1
    bne     2b
    ldr     r4, [sp, #4]
    subs    r4, #1
    str     r4, [sp, #4]
    bne     1b
    add     sp, #20
    pop     {{r4-r11, pc}}
"#
    )
}

/// Two rows at a time.
///
/// # Registers
/// ```text
/// r0 words   r1 scratch   r2 values   r3 rounds left   r4 b and k of the first row
/// r5 k and b of the second   r6 w of both   r7 writes   r8-r11 words
/// r12, lr v and sa, then a sum
/// Stack, from sp: [0] values  [4] rounds  [8] the end of the writes
/// ```
#[unsafe(naked)]
unsafe extern "C" fn write(
    _mantissas: *mut u32,
    _writes: *const Write,
    _values: *const [i16; 2],
    _size: usize,
) {
    naked_asm!(
        extension!(),
        r#"
    .macro kinglet_dsp_write word, value
    smuad   r1, r5, \value
    smuadx  \value, r4, \value
    smlatt  r1, \word, r6, r1
    smlabb  \value, \word, r6, \value
    lsls    r1, r1, #2
    pkhtb   \word, r1, \value, asr #14
    .endm

    push    {{r4-r11, lr}}
    sub     sp, #12
    // A row's part has three halves.
    add     r4, r3, r3, lsl #1
    add     r4, r1, r4, lsl #1
    lsrs    r5, r3, #4
    mov     r7, r1
    strd    r2, r5, [sp]
    str     r4, [sp, #8]
1:  ldm     r7!, {{r3-r5}}
    pkhbt   r6, r3, r4
    pkhtb   r4, r3, r4
    ldrd    r2, r3, [sp]
2:  .rept 4
    ldm     r0, {{r8-r11}}
    ldrd    r12, lr, [r2], #8
    kinglet_dsp_write r8, r12
    kinglet_dsp_write r9, lr
    ldrd    r12, lr, [r2], #8
    kinglet_dsp_write r10, r12
    kinglet_dsp_write r11, lr
    stm     r0!, {{r8-r11}}
    .endr
    subs    r3, #1
    bne     2b
    ldr     r4, [sp, #8]
    cmp     r7, r4
    bne     1b
    add     sp, #12
    pop     {{r4-r11, pc}}
"#
    )
}
