//! Matrix states of 16 bits: a load and an `MLA` per element to read, with a second `MLA`
//! for two reads, six and a half instructions to write.

use super::Armv7m;
use crate::arch::shared::state::{Both, Routines, States};
use crate::arch::Write;
use core::arch::naked_asm;

impl States for Armv7m {
    const ROUND: usize = 16;

    const ROUTINES: Routines = Routines { read, write };
}

impl Both for Armv7m {
    const READ_BOTH: unsafe extern "C" fn(*const u32, *const [i32; 2], *mut [i32; 2], usize) =
        read_both;
}

/// Eight columns at a time.
///
/// # Registers
/// ```text
/// r0 mantissas of two rows   r1 c   r2 its end   r3 a mantissa   r4-r11 sums
/// r12 a coefficient   lr bytes of two rows
/// Stack, from sp: [0] mantissas  [4] sums  [8] columns left
/// ```
#[unsafe(naked)]
unsafe extern "C" fn read(_mantissas: *const u32, _c: *const i32, _sums: *mut i32, _size: usize) {
    naked_asm!(
        r#"
    .syntax unified
    .macro kinglet_v7m_read at
    ldr     r12, [r1], #4
    ldrsh   r3, [r0, #\at]
    mla     r4, r3, r12, r4
    ldrsh   r3, [r0, #\at+4]
    mla     r5, r3, r12, r5
    ldrsh   r3, [r0, #\at+8]
    mla     r6, r3, r12, r6
    ldrsh   r3, [r0, #\at+12]
    mla     r7, r3, r12, r7
    ldrsh   r3, [r0, #\at+16]
    mla     r8, r3, r12, r8
    ldrsh   r3, [r0, #\at+20]
    mla     r9, r3, r12, r9
    ldrsh   r3, [r0, #\at+24]
    mla     r10, r3, r12, r10
    ldrsh   r3, [r0, #\at+28]
    mla     r11, r3, r12, r11
    .endm

    push    {{r4-r11, lr}}
    sub     sp, #12
    strd    r0, r2, [sp]
    str     r3, [sp, #8]
    lsl     lr, r3, #2
    add     r2, r1, lr
1:  movs    r4, #0
    movs    r5, #0
    movs    r6, #0
    movs    r7, #0
    mov     r8, #0
    mov     r9, #0
    mov     r10, #0
    mov     r11, #0
2:  kinglet_v7m_read 0
    kinglet_v7m_read 2
    add     r0, lr
    cmp     r1, r2
    bne     2b
    subs    r1, r1, lr
    ldrd    r0, r12, [sp]
    ldr     r3, [sp, #8]
    stm     r12!, {{r4-r11}}
    adds    r0, #32
    subs    r3, #8
    strd    r0, r12, [sp]
    str     r3, [sp, #8]
    bne     1b
    add     sp, #12
    pop     {{r4-r11, pc}}
"#
    )
}

/// Four columns at a time.
///
/// # Registers
/// ```text
/// r0 mantissas of two rows   r1 c   r2, r12 two coefficients   r3 a mantissa
/// r4-r11 sums   lr bytes of two rows
/// Stack, from sp: [0] mantissas  [4] sums  [8] columns left  [12] the end of c
/// ```
#[unsafe(naked)]
unsafe extern "C" fn read_both(
    _mantissas: *const u32,
    _c: *const [i32; 2],
    _sums: *mut [i32; 2],
    _size: usize,
) {
    naked_asm!(
        r#"
    .syntax unified
    .macro kinglet_v7m_read_both at
    ldrd    r2, r12, [r1], #8
    ldrsh   r3, [r0, #\at]
    mla     r4, r3, r2, r4
    mla     r5, r3, r12, r5
    ldrsh   r3, [r0, #\at+4]
    mla     r6, r3, r2, r6
    mla     r7, r3, r12, r7
    ldrsh   r3, [r0, #\at+8]
    mla     r8, r3, r2, r8
    mla     r9, r3, r12, r9
    ldrsh   r3, [r0, #\at+12]
    mla     r10, r3, r2, r10
    mla     r11, r3, r12, r11
    .endm

    push    {{r4-r11, lr}}
    sub     sp, #16
    strd    r0, r2, [sp]
    add     r2, r1, r3, lsl #3
    strd    r3, r2, [sp, #8]
    lsl     lr, r3, #2
1:  movs    r4, #0
    movs    r5, #0
    movs    r6, #0
    movs    r7, #0
    mov     r8, #0
    mov     r9, #0
    mov     r10, #0
    mov     r11, #0
2:  .rept 8
    kinglet_v7m_read_both 0
    kinglet_v7m_read_both 2
    add     r0, lr
    .endr
    ldr     r3, [sp, #12]
    cmp     r1, r3
    bne     2b
    sub     r1, r1, lr, lsl #1
    ldrd    r0, r12, [sp]
    ldr     r3, [sp, #8]
    stm     r12!, {{r4-r11}}
    adds    r0, #16
    subs    r3, #4
    strd    r0, r12, [sp]
    str     r3, [sp, #8]
    bne     1b
    add     sp, #16
    pop     {{r4-r11, pc}}
"#
    )
}

/// Two rows at a time.
///
/// # Registers
/// ```text
/// r0 mantissas   r1, r3 v and sa   r2 values   r4-r6 w, k and b of the first row
/// r7-r9 those of the second   r11, r12 mantissas   lr the end of the row
/// Stack, from sp: [0] values  [4] writes  [8] rows left  [12] bytes of two rows
/// ```
#[unsafe(naked)]
unsafe extern "C" fn write(
    _mantissas: *mut u32,
    _writes: *const Write,
    _values: *const [i32; 2],
    _size: usize,
) {
    naked_asm!(
        r#"
    .syntax unified
    push    {{r4-r11, lr}}
    sub     sp, #16
    lsls    r4, r3, #2
    strd    r2, r1, [sp]
    strd    r3, r4, [sp, #8]
1:  ldr     r1, [sp, #4]
    .irp    to, r4, r5, r6, r7, r8, r9
    ldrsh   \to, [r1], #2
    .endr
    str     r1, [sp, #4]
    ldr     lr, [sp, #12]
    ldr     r2, [sp]
    add     lr, r0
2:  .rept 16
    ldrsh   r11, [r0]
    ldrd    r1, r3, [r2], #8
    ldrsh   r12, [r0, #2]
    mul     r11, r11, r4
    mul     r12, r12, r7
    mla     r11, r1, r5, r11
    mla     r12, r1, r8, r12
    mla     r11, r3, r6, r11
    mla     r12, r3, r9, r12
    asrs    r11, r11, #14
    strh    r11, [r0], #2
    asrs    r12, r12, #14
    strh    r12, [r0], #2
    .endr
    cmp     r0, lr
    bne     2b
    ldr     r3, [sp, #8]
    subs    r3, #2
    str     r3, [sp, #8]
    bne     1b
    add     sp, #16
    pop     {{r4-r11, pc}}
"#
    )
}
