//! Matrix states: a load and an `MLA` per element to read, with a second `MLA` for two
//! reads, six instructions to write. Mantissas of 8 bits take the same instructions to
//! read, and half a one more to be rounded and stored.

use super::Armv7m;
use crate::arch::shared::assembly::assembly;
use crate::arch::shared::state::{Both, ReadBoth, Routines, States};
use crate::arch::Write;

impl States for Armv7m {
    const ROUND: usize = 16;

    const ROUTINES: [Routines; 2] = [
        Routines {
            read: kinglet_v7m_state_read,
            write: kinglet_v7m_state_write,
        },
        Routines {
            read: kinglet_v7m_state_read_8,
            write: kinglet_v7m_state_write_8,
        },
    ];
}

impl Both for Armv7m {
    const READ_BOTH: [ReadBoth; 2] = [kinglet_v7m_state_read_both, kinglet_v7m_state_read_both_8];
}

// Those of mantissas of 8 bits have it in their names.
extern "C" {
    /// Eight columns at a time.
    fn kinglet_v7m_state_read(mantissas: *const u32, c: *const i32, sums: *mut i32, size: usize);
    fn kinglet_v7m_state_read_8(mantissas: *const u32, c: *const i32, sums: *mut i32, size: usize);
    /// Four columns at a time.
    fn kinglet_v7m_state_read_both(
        mantissas: *const u32,
        c: *const [i32; 2],
        sums: *mut [i32; 2],
        size: usize,
    );
    fn kinglet_v7m_state_read_both_8(
        mantissas: *const u32,
        c: *const [i32; 2],
        sums: *mut [i32; 2],
        size: usize,
    );
    /// Two rows at a time.
    fn kinglet_v7m_state_write(
        mantissas: *mut u32,
        writes: *const Write,
        values: *const [i32; 2],
        size: usize,
    );
    fn kinglet_v7m_state_write_8(
        mantissas: *mut u32,
        writes: *const Write,
        values: *const [i32; 2],
        size: usize,
    );
}

assembly!(
    r#"
    .macro kinglet_v7m_mantissa bytes, to, at
    .if \bytes == 2
    ldrsh   \to, [r0, #2 * (\at)]
    .else
    ldrsb   \to, [r0, #\at]
    .endif
    .endm

    // r0 mantissas of two rows   r1 c   r2 its end   r3 a mantissa   r4-r11 sums
    // r12 a coefficient   lr bytes of two rows
    // Stack: [0] mantissas  [4] sums  [8] columns left
    .macro kinglet_v7m_read bytes, at
    ldr     r12, [r1], #4
    kinglet_v7m_mantissa \bytes, r3, \at
    mla     r4, r3, r12, r4
    kinglet_v7m_mantissa \bytes, r3, \at+2
    mla     r5, r3, r12, r5
    kinglet_v7m_mantissa \bytes, r3, \at+4
    mla     r6, r3, r12, r6
    kinglet_v7m_mantissa \bytes, r3, \at+6
    mla     r7, r3, r12, r7
    kinglet_v7m_mantissa \bytes, r3, \at+8
    mla     r8, r3, r12, r8
    kinglet_v7m_mantissa \bytes, r3, \at+10
    mla     r9, r3, r12, r9
    kinglet_v7m_mantissa \bytes, r3, \at+12
    mla     r10, r3, r12, r10
    kinglet_v7m_mantissa \bytes, r3, \at+14
    mla     r11, r3, r12, r11
    .endm
    .macro kinglet_v7m_state_read_of name, bytes
    kinglet_function \name
    push    {{r4-r11, lr}}
    sub     sp, #12
    strd    r0, r2, [sp]
    str     r3, [sp, #8]
    lsl     lr, r3, #\bytes
    add     r2, r1, r3, lsl #2
1:  movs    r4, #0
    movs    r5, #0
    movs    r6, #0
    movs    r7, #0
    mov     r8, #0
    mov     r9, #0
    mov     r10, #0
    mov     r11, #0
2:  kinglet_v7m_read \bytes, 0
    kinglet_v7m_read \bytes, 1
    add     r0, lr
    cmp     r1, r2
    bne     2b
    sub     r1, r1, lr, lsl #2 - \bytes
    ldrd    r0, r12, [sp]
    ldr     r3, [sp, #8]
    stm     r12!, {{r4-r11}}
    adds    r0, #16 * \bytes
    subs    r3, #8
    strd    r0, r12, [sp]
    str     r3, [sp, #8]
    bne     1b
    add     sp, #12
    pop     {{r4-r11, pc}}
    .size \name, . - \name
    .endm
    kinglet_v7m_state_read_of kinglet_v7m_state_read, 2
    kinglet_v7m_state_read_of kinglet_v7m_state_read_8, 1

    // r0 mantissas of two rows   r1 c   r2, r12 two coefficients   r3 a mantissa
    // r4-r11 sums   lr bytes of two rows
    // Stack: [0] mantissas  [4] sums  [8] columns left  [12] the end of c
    .macro kinglet_v7m_read_both bytes, at
    ldrd    r2, r12, [r1], #8
    kinglet_v7m_mantissa \bytes, r3, \at
    mla     r4, r3, r2, r4
    mla     r5, r3, r12, r5
    kinglet_v7m_mantissa \bytes, r3, \at+2
    mla     r6, r3, r2, r6
    mla     r7, r3, r12, r7
    kinglet_v7m_mantissa \bytes, r3, \at+4
    mla     r8, r3, r2, r8
    mla     r9, r3, r12, r9
    kinglet_v7m_mantissa \bytes, r3, \at+6
    mla     r10, r3, r2, r10
    mla     r11, r3, r12, r11
    .endm
    .macro kinglet_v7m_state_read_both_of name, bytes
    kinglet_function \name
    push    {{r4-r11, lr}}
    sub     sp, #16
    strd    r0, r2, [sp]
    add     r2, r1, r3, lsl #3
    strd    r3, r2, [sp, #8]
    lsl     lr, r3, #\bytes
1:  movs    r4, #0
    movs    r5, #0
    movs    r6, #0
    movs    r7, #0
    mov     r8, #0
    mov     r9, #0
    mov     r10, #0
    mov     r11, #0
2:  .rept 8
    kinglet_v7m_read_both \bytes, 0
    kinglet_v7m_read_both \bytes, 1
    add     r0, lr
    .endr
    ldr     r3, [sp, #12]
    cmp     r1, r3
    bne     2b
    sub     r1, r1, lr, lsl #3 - \bytes
    ldrd    r0, r12, [sp]
    ldr     r3, [sp, #8]
    stm     r12!, {{r4-r11}}
    adds    r0, #8 * \bytes
    subs    r3, #4
    strd    r0, r12, [sp]
    str     r3, [sp, #8]
    bne     1b
    add     sp, #16
    pop     {{r4-r11, pc}}
    .size \name, . - \name
    .endm
    kinglet_v7m_state_read_both_of kinglet_v7m_state_read_both, 2
    kinglet_v7m_state_read_both_of kinglet_v7m_state_read_both_8, 1

    // r0 mantissas   r1, r3 v and sa   r2 values   r4-r6 w, k and b of the first row
    // r7-r9 those of the second   r10 half a unit of 8 bits   r11, r12 mantissas
    // lr the end of the row
    // Stack: [0] values  [4] writes  [8] rows left  [12] bytes of two rows
    .macro kinglet_v7m_decayed bytes, x, w
    .if \bytes == 2
    mul     \x, \x, \w
    .else
    mla     \x, \x, \w, r10
    .endif
    .endm
    .macro kinglet_v7m_store bytes
    .if \bytes == 2
    asrs    r11, r11, #14
    bfi     r12, r11, #0, #16
    str     r12, [r0], #4
    .else
    .irp    x, r11, r12
    ssat    \x, #8, \x, asr #22
    strb    \x, [r0], #1
    .endr
    .endif
    .endm
    .macro kinglet_v7m_state_write_of name, bytes
    kinglet_function \name
    push    {{r4-r11, lr}}
    sub     sp, #16
    lsls    r4, r3, #\bytes
    strd    r2, r1, [sp]
    strd    r3, r4, [sp, #8]
1:  ldr     r1, [sp, #4]
    .irp    to, r4, r5, r6, r7, r8, r9
    ldrsh   \to, [r1], #2
    .endr
    str     r1, [sp, #4]
    .if \bytes == 2
    // Four times the second row: its mantissas are the upper halves of sums.
    .irp    x, r7, r8, r9
    lsl     \x, \x, #2
    .endr
    .else
    lsls    r4, r4, #8
    lsls    r7, r7, #8
    mov     r10, #0x200000
    .endif
    ldr     lr, [sp, #12]
    ldr     r2, [sp]
    add     lr, r0
2:  .rept 16
    kinglet_v7m_mantissa \bytes, r11, 0
    ldrd    r1, r3, [r2], #8
    kinglet_v7m_mantissa \bytes, r12, 1
    kinglet_v7m_decayed \bytes, r11, r4
    kinglet_v7m_decayed \bytes, r12, r7
    mla     r11, r1, r5, r11
    mla     r12, r1, r8, r12
    mla     r11, r3, r6, r11
    mla     r12, r3, r9, r12
    kinglet_v7m_store \bytes
    .endr
    cmp     r0, lr
    bne     2b
    ldr     r3, [sp, #8]
    subs    r3, #2
    str     r3, [sp, #8]
    bne     1b
    add     sp, #16
    pop     {{r4-r11, pc}}
    .size \name, . - \name
    .endm
    kinglet_v7m_state_write_of kinglet_v7m_state_write, 2
    kinglet_v7m_state_write_of kinglet_v7m_state_write_8, 1
"#
);
