//! Matrix states. A word of mantissas of 16 bits holds two key channels of a value
//! channel, and `SMLAD` multiplies both: about 0.8 instructions per element to read
//! and of each of two reads, 3.5 to write.
//!
//! Of 8 bits it holds those of two value channels. Two words of two rows each become one
//! of a value channel's four, which `SXTB16` takes apart: 1.8 to read, 1.2 of each of two
//! reads. To write, a mask leaves each in the upper half of 16 bits, which is its value,
//! and `SSAT` rounds and limits: 5.

use super::Dsp;
use crate::arch::shared::assembly::processor;
use crate::arch::shared::state::{Both, ReadBoth, Routines, States};
use crate::arch::Write;
use core::arch::naked_asm;

impl States for Dsp {
    const ROUND: usize = 16;

    const ROUTINES: [Routines; 2] = [
        Routines { read, write },
        Routines {
            read: read_of_8_bits,
            write: write_of_8_bits,
        },
    ];
}

impl Both for Dsp {
    const READ_BOTH: [ReadBoth; 2] = [read_both, read_both_of_8_bits];
}

/// Defines a read, four rows at a time: its name, the logarithm of the bytes of two rows by
/// their columns, how `c` are arranged, and four columns.
///
/// # Registers
/// ```text
/// r0, lr words of two rows each   r2 sums   r3 rounds left   r4, r5 c
/// r6-r9 sums   r1, r10-r12 words
/// Stack, from sp: what four rows start with, in one LDM
///   [0] c  [4] sums  [8] rounds  [12] bytes of two rows  [16] the end of the rows
/// ```
macro_rules! read {
    ($name:ident, $bytes:literal, $arrange:literal, $columns:literal) => {
        #[unsafe(naked)]
        unsafe extern "C" fn $name(
            _mantissas: *const u32,
            _c: *const i16,
            _sums: *mut i32,
            _size: usize,
        ) {
            naked_asm!(
                processor!(),
                r#"
    push    {{r4-r11, lr}}
    sub     sp, #20
    strd    r1, r2, [sp]
    lsrs    r4, r3, #4
    lsls    r5, r3, #{bytes}
    strd    r4, r5, [sp, #8]
    lsrs    r4, r3, #1
    mla     r4, r4, r5, r0
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
1:  ldm.w   sp, {{r1-r3, r12}}
    mov     r0, lr
    add     lr, r12
    ldr     r4, [r1], #4
    ldr     r5, [r1], #4
    str     r1, [sp]
"#,
                $arrange,
                r#"
2:  .rept 4
    ldm     r2, {{r6-r9}}
"#,
                $columns,
                r#"
    stm     r2!, {{r6-r9}}
    .endr
    subs    r3, #1
    bne     2b
    ldr     r1, [sp, #16]
    cmp     lr, r1
    bne     1b
    add     sp, #20
    pop     {{r4-r11, pc}}
"#,
                bytes = const $bytes,
            )
        }
    };
}

read!(
    read,
    2,
    "",
    r#"
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
"#
);

// r4, r5 those of the rows 0 and 2, and 1 and 3
read!(
    read_of_8_bits,
    1,
    r#"
    pkhbt   r12, r4, r5, lsl #16
    pkhtb   r5, r5, r4, asr #16
    mov     r4, r12
    .macro kinglet_dsp_read_bytes one, other
    ldr     r1, [r0], #4
    ldr     r10, [lr], #4
    pkhbt   r11, r1, r10, lsl #16
    pkhtb   r12, r10, r1, asr #16
    sxtb16  r1, r11
    sxtb16  r10, r12
    smlad   \one, r1, r4, \one
    smlad   \other, r10, r4, \other
    sxtb16  r11, r11, ror #8
    sxtb16  r12, r12, ror #8
    smlad   \one, r11, r5, \one
    smlad   \other, r12, r5, \other
    .endm
"#,
    r#"
    kinglet_dsp_read_bytes r6, r7
    kinglet_dsp_read_bytes r8, r9
"#
);

/// Defines both reads at once, four rows at a time: the name, the logarithm of the bytes of
/// two rows by their columns, which rows' `c` are multiplied with those of the first, two
/// columns, and where the end of the sums comes from.
///
/// # Registers
/// ```text
/// r0, lr words of two rows each   r2 sums   r3 their end   r4-r7 both c of two rows each
/// r8-r11 sums   r1, r12 words
/// Stack, from sp: what four rows start with, in one LDM
///   [0] c  [4] sums  [8] their end  [12] bytes of two rows  [16] the end of the rows
/// ```
macro_rules! read_both {
    ($name:ident, $bytes:literal, $arrange:literal, $columns:literal, $end:literal) => {
        #[unsafe(naked)]
        unsafe extern "C" fn $name(
            _mantissas: *const u32,
            _c: *const [i16; 2],
            _sums: *mut [i32; 2],
            _size: usize,
        ) {
            naked_asm!(
                processor!(),
                r#"
    push    {{r4-r11, lr}}
    sub     sp, #20
    strd    r1, r2, [sp]
    add     r4, r2, r3, lsl #3
    lsls    r5, r3, #{bytes}
    strd    r4, r5, [sp, #8]
    lsrs    r4, r3, #1
    mla     r4, r4, r5, r0
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
1:  ldm.w   sp, {{r1-r3, r12}}
    mov     r0, lr
    add     lr, r12
    ldm     r1!, {{r8-r11}}
    str     r1, [sp]
"#,
                $arrange,
                r#"
2:  .rept 8
    ldm     r2, {{r8-r11}}
"#,
                $columns,
                r#"
    stm     r2!, {{r8-r11}}
    .endr
"#,
                $end,
                r#"
    cmp     r2, r3
    bne     2b
    ldr     r1, [sp, #16]
    cmp     lr, r1
    bne     1b
    add     sp, #20
    pop     {{r4-r11, pc}}
"#,
                bytes = const $bytes,
            )
        }
    };
}

read_both!(
    read_both,
    2,
    r#"
    pkhbt   r4, r8, r9, lsl #16
    pkhtb   r5, r9, r8, asr #16
    pkhbt   r6, r10, r11, lsl #16
    pkhtb   r7, r11, r10, asr #16
"#,
    r#"
    ldrd    r1, r12, [r0], #8
    smlad   r8, r1, r4, r8
    smlad   r9, r1, r5, r9
    smlad   r10, r12, r4, r10
    smlad   r11, r12, r5, r11
    ldrd    r1, r12, [lr], #8
    smlad   r8, r1, r6, r8
    smlad   r9, r1, r7, r9
    smlad   r10, r12, r6, r10
    smlad   r11, r12, r7, r11
"#,
    ""
);

// r4, r5 both c of the rows 0 and 2, r6, r7 of the rows 1 and 3; r3 is a word, too
read_both!(
    read_both_of_8_bits,
    1,
    r#"
    pkhbt   r4, r8, r10, lsl #16
    pkhtb   r5, r10, r8, asr #16
    pkhbt   r6, r9, r11, lsl #16
    pkhtb   r7, r11, r9, asr #16
"#,
    r#"
    ldr     r1, [r0], #4
    ldr     r12, [lr], #4
    pkhbt   r3, r1, r12, lsl #16
    pkhtb   r12, r12, r1, asr #16
    sxtb16  r1, r3
    sxtb16  r3, r3, ror #8
    smlad   r8, r1, r4, r8
    smlad   r9, r1, r5, r9
    smlad   r8, r3, r6, r8
    smlad   r9, r3, r7, r9
    sxtb16  r1, r12
    sxtb16  r12, r12, ror #8
    smlad   r10, r1, r4, r10
    smlad   r11, r1, r5, r11
    smlad   r10, r12, r6, r10
    smlad   r11, r12, r7, r11
"#,
    "ldr r3, [sp, #8]"
);

/// Two rows at a time.
///
/// # Registers
/// ```text
/// r0 words   r1 scratch   r2 values   r4 b and k of the first row   r5 k and b of the
/// second   r6 w of both   r8-r11 words   r3, r7, r12, lr v and sa, then a sum
/// Stack, from sp: [0] values  [4] their end  [8] writes  [12] their end
/// ```
#[unsafe(naked)]
unsafe extern "C" fn write(
    _mantissas: *mut u32,
    _writes: *const Write,
    _values: *const [i16; 2],
    _size: usize,
) {
    naked_asm!(
        processor!(),
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
    sub     sp, #16
    // A row's part has three halves.
    add     r4, r3, r3, lsl #1
    add     r4, r1, r4, lsl #1
    strd    r1, r4, [sp, #8]
    add     r4, r2, r3, lsl #2
    strd    r2, r4, [sp]
1:  ldm     r1!, {{r3-r5}}
    pkhbt   r6, r3, r4
    pkhtb   r4, r3, r4
    str     r1, [sp, #8]
    ldr     r2, [sp]
2:  .rept 4
    ldm     r0, {{r8-r11}}
    ldm     r2!, {{r3, r7, r12, lr}}
    kinglet_dsp_write r8, r3
    kinglet_dsp_write r9, r7
    kinglet_dsp_write r10, r12
    kinglet_dsp_write r11, lr
    stm     r0!, {{r8-r11}}
    .endr
    ldr     r1, [sp, #4]
    cmp     r2, r1
    bne     2b
    ldrd    r1, r3, [sp, #8]
    cmp     r1, r3
    bne     1b
    add     sp, #16
    pop     {{r4-r11, pc}}
"#
    )
}

/// Two rows at a time, two columns of which are a word.
///
/// # Registers
/// ```text
/// r0 words   r2 values   r3 mask of upper bytes   r4-r6 as in `write`   r7 half a unit
/// r8, r11 words   r1, r9, r10 new mantissas   r12, lr v and sa of two columns
/// Stack, from sp: [0] values  [4] their end  [8] writes  [12] their end
/// ```
#[unsafe(naked)]
unsafe extern "C" fn write_of_8_bits(
    _mantissas: *mut u32,
    _writes: *const Write,
    _values: *const [i16; 2],
    _size: usize,
) {
    naked_asm!(
        processor!(),
        r#"
    .macro kinglet_dsp_write_bytes word
    ldrd    r12, lr, [r2], #8
    and     r1, r3, \word, lsl #8
    ands    \word, r3
    smladx  r9, r4, r12, r7
    smladx  r10, r4, lr, r7
    smlabb  r9, r1, r6, r9
    smlatb  r10, r1, r6, r10
    smlad   r12, r5, r12, r7
    smlad   lr, r5, lr, r7
    smlabt  r12, \word, r6, r12
    smlatt  lr, \word, r6, lr
    ssat    \word, #8, r9, asr #22
    ssat    r10, #8, r10, asr #22
    ssat    r12, #8, r12, asr #22
    ssat    lr, #8, lr, asr #22
    bfi     \word, r12, #8, #8
    bfi     \word, r10, #16, #8
    bfi     \word, lr, #24, #8
    .endm

    push    {{r4-r11, lr}}
    sub     sp, #16
    add     r4, r3, r3, lsl #1
    add     r4, r1, r4, lsl #1
    strd    r1, r4, [sp, #8]
    add     r4, r2, r3, lsl #2
    strd    r2, r4, [sp]
    mov     r7, #0x200000
1:  ldr     r2, [sp, #8]
    ldm     r2!, {{r3-r5}}
    str     r2, [sp, #8]
    pkhbt   r6, r3, r4
    pkhtb   r4, r3, r4
    ldr     r2, [sp]
    mov     r3, #0xFF00FF00
2:  .rept 2
    ldrd    r8, r11, [r0]
    kinglet_dsp_write_bytes r8
    kinglet_dsp_write_bytes r11
    strd    r8, r11, [r0], #8
    .endr
    ldr     r1, [sp, #4]
    cmp     r2, r1
    bne     2b
    ldrd    r1, r2, [sp, #8]
    cmp     r1, r2
    bne     1b
    add     sp, #16
    pop     {{r4-r11, pc}}
"#
    )
}
