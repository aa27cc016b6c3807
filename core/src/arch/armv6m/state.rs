//! Matrix states: of 16 bits less than four instructions per element to read, ten to
//! write; of 8 bits more than four and fourteen. Sums, counts and what is only added are in
//! the upper registers.

use super::Armv6m;
use crate::arch::shared::assembly::assembly;
use crate::arch::shared::state::{Routines, States};
use crate::arch::Write;

impl States for Armv6m {
    const ROUND: usize = 16;

    const ROUTINES: [Routines; 2] = [
        Routines {
            read: kinglet_v6m_state_read,
            write: kinglet_v6m_state_write,
        },
        Routines {
            read: kinglet_v6m_state_read_8,
            write: kinglet_v6m_state_write_8,
        },
    ];
}

// Those of mantissas of 8 bits have it in their names.
extern "C" {
    /// Four columns at a time.
    fn kinglet_v6m_state_read(mantissas: *const u32, c: *const i32, sums: *mut i32, size: usize);
    fn kinglet_v6m_state_read_8(mantissas: *const u32, c: *const i32, sums: *mut i32, size: usize);
    /// A row at a time: first the first one of two, then the other.
    fn kinglet_v6m_state_write(
        mantissas: *mut u32,
        writes: *const Write,
        values: *const [i32; 2],
        size: usize,
    );
    fn kinglet_v6m_state_write_8(
        mantissas: *mut u32,
        writes: *const Write,
        values: *const [i32; 2],
        size: usize,
    );
}

// Registers of a read: r0 words of two rows   r1 c   r2, r3 two coefficients
//   r4, r5 words   r6 scratch   r8-r11 sums   r12 the end of c
//   lr from the end of a round to the next two rows
// Stack: [0] mantissas  [4] sums  [8] columns left; saved registers.
assembly!(
    r#"
    .macro kinglet_v6m_state_column word, sum
    sxth    r6, \word
    muls    r6, r2, r6
    add     \sum, r6
    asrs    \word, \word, #16
    muls    \word, r3, \word
    add     \sum, \word
    .endm

    // Of two columns.
    .macro kinglet_v6m_state_byte word, left, c, sum
    lsls    r6, \word, #\left
    asrs    r6, r6, #24
    muls    r6, \c, r6
    add     \sum, r6
    .endm
    .macro kinglet_v6m_state_columns word, sum, next
    sxtb    r6, \word
    muls    r6, r2, r6
    add     \sum, r6
    kinglet_v6m_state_byte \word, 16, r3, \sum
    kinglet_v6m_state_byte \word, 8, r2, \next
    asrs    \word, \word, #24
    muls    \word, r3, \word
    add     \next, \word
    .endm

    .macro kinglet_v6m_state_read_of name, bytes
    kinglet_function \name
    push    {{r4-r7, lr}}
    mov     r4, r8
    mov     r5, r9
    mov     r6, r10
    mov     r7, r11
    push    {{r4-r7}}
    sub     sp, #12
    str     r0, [sp]
    str     r2, [sp, #4]
    str     r3, [sp, #8]
    lsls    r4, r3, #2
    adds    r4, r4, r1
    mov     r12, r4
    lsls    r4, r3, #\bytes
    subs    r4, #8*\bytes
    mov     lr, r4
1:  movs    r4, #0
    mov     r8, r4
    mov     r9, r4
    mov     r10, r4
    mov     r11, r4
2:  .rept 2
    ldm     r1!, {{r2, r3}}
    ldm     r0!, {{r4, r5}}
    .if \bytes == 2
    kinglet_v6m_state_column r4, r8
    kinglet_v6m_state_column r5, r9
    ldm     r0!, {{r4, r5}}
    kinglet_v6m_state_column r4, r10
    kinglet_v6m_state_column r5, r11
    .else
    kinglet_v6m_state_columns r4, r8, r9
    kinglet_v6m_state_columns r5, r10, r11
    .endif
    add     r0, lr
    .endr
    cmp     r1, r12
    bne     2b
    ldr     r2, [sp, #4]
    mov     r4, r8
    mov     r5, r9
    mov     r6, r10
    mov     r7, r11
    stm     r2!, {{r4-r7}}
    str     r2, [sp, #4]
    mov     r4, lr
    adds    r4, #8*\bytes
    .if \bytes == 1
    lsls    r4, r4, #1
    .endif
    subs    r1, r1, r4
    ldr     r0, [sp]
    adds    r0, #8*\bytes
    str     r0, [sp]
    ldr     r3, [sp, #8]
    subs    r3, #4
    str     r3, [sp, #8]
    bne     1b
    add     sp, #12
    pop     {{r4-r7}}
    mov     r8, r4
    mov     r9, r5
    mov     r10, r6
    mov     r11, r7
    pop     {{r4-r7, pc}}
    .size \name, . - \name
    .endm
    kinglet_v6m_state_read_of kinglet_v6m_state_read, 2
    kinglet_v6m_state_read_of kinglet_v6m_state_read_8, 1

    // Registers of a write: r0 mantissas of a row   r1 values   r2-r4 w, k and b
    //   r5 a mantissa   r6, r7 v and sa   r8 half a unit of 8 bits, and 128 units
    //   r9 the end of the values   r10 values   r11 writes   r12 their end
    //   lr bytes of two rows, less those of one element; and of one element
    // Stack: [0] bytes of two rows; saved registers.
    .macro kinglet_v6m_state_write_column bytes, at
    .if \bytes == 2
    ldrh    r5, [r0, #4*\at]
    .else
    ldrb    r5, [r0, #2*\at]
    .endif
    ldm     r1!, {{r6, r7}}
    .if \bytes == 2
    sxth    r5, r5
    .else
    sxtb    r5, r5
    .endif
    muls    r5, r2, r5
    muls    r6, r3, r6
    muls    r7, r4, r7
    adds    r5, r5, r6
    adds    r5, r5, r7
    .if \bytes == 2
    asrs    r5, r5, #14
    strh    r5, [r0, #4*\at]
    .else
    // From 0 to 256, of which the last is limited.
    add     r5, r8
    lsrs    r5, r5, #22
    lsrs    r6, r5, #8
    subs    r5, r5, r6
    subs    r5, #128
    strb    r5, [r0, #2*\at]
    .endif
    .endm

    .macro kinglet_v6m_state_write_of name, bytes
    kinglet_function \name
    push    {{r4-r7, lr}}
    mov     r4, r8
    mov     r5, r9
    mov     r6, r10
    mov     r7, r11
    push    {{r4-r7}}
    sub     sp, #4
    mov     r10, r2
    mov     r11, r1
    lsls    r4, r3, #1
    adds    r4, r4, r3
    lsls    r4, r4, #1
    adds    r4, r4, r1
    mov     r12, r4
    lsls    r5, r3, #3
    adds    r5, r5, r2
    mov     r9, r5
    lsls    r4, r3, #\bytes
    str     r4, [sp]
    subs    r4, #\bytes
    mov     lr, r4
    .if \bytes == 1
    movs    r4, #128
    adds    r4, #129
    lsls    r4, r4, #21
    mov     r8, r4
    .endif
1:  mov     r7, r11
    movs    r5, #0
    ldrsh   r2, [r7, r5]
    movs    r5, #2
    ldrsh   r3, [r7, r5]
    movs    r5, #4
    ldrsh   r4, [r7, r5]
    adds    r7, #6
    mov     r11, r7
    mov     r1, r10
    .if \bytes == 1
    lsls    r2, r2, #8
    .endif
2:
    .irp    at, 0, 1, 2, 3, 4, 5, 6, 7
    kinglet_v6m_state_write_column \bytes, \at
    .endr
    .if \bytes == 2
    .irp    at, 8, 9, 10, 11, 12, 13, 14, 15
    kinglet_v6m_state_write_column \bytes, \at
    .endr
    .endif
    adds    r0, #16*\bytes*\bytes
    cmp     r1, r9
    beq     3f
    b       2b
    // An element after the row's begin, and at that of the next two rows, in turn.
3:  mov     r4, lr
    subs    r0, r0, r4
    ldr     r5, [sp]
    subs    r5, r5, r4
    mov     lr, r5
    cmp     r11, r12
    beq     4f
    b       1b
4:  add     sp, #4
    pop     {{r4-r7}}
    mov     r8, r4
    mov     r9, r5
    mov     r10, r6
    mov     r11, r7
    pop     {{r4-r7, pc}}
    .size \name, . - \name
    .endm
    kinglet_v6m_state_write_of kinglet_v6m_state_write, 2
    kinglet_v6m_state_write_of kinglet_v6m_state_write_8, 1
"#
);
