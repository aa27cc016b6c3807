//! Matrix states of 16 bits. A word holds two key channels of a value channel: a
//! gathering load takes eight of one, which `VMLADAVA` multiplies and adds up: about
//! 0.3 instructions per element to read. `VMULLB` and `VMULLT` multiply them apart to
//! write: 1.5.

use super::Mve;
use crate::arch::shared::state::{Routines, States};
use crate::arch::Write;
use core::arch::naked_asm;

impl States for Mve {
    const ROUND: usize = 16;

    const ROUTINES: Routines = Routines { read, write };
}

/// Sixteen rows at a time.
///
/// # Registers
/// ```text
/// r1 c   r2 sums   r3 bytes of two rows, then of seven times as many   r5 rounds
/// r7 rows left   r4, r6, r8, r10 sums   r12 where in the sums   lr rounds left
/// q0, q1 c   q2, q3 where the columns of eight rows are, less a word   q4, q5 mantissas
/// ```
#[unsafe(naked)]
unsafe extern "C" fn read(_mantissas: *const u32, _c: *const i16, _sums: *mut i32, _size: usize) {
    naked_asm!(
        with_vectors!(),
        r#"
    push    {{r4-r10, lr}}
    vpush   {{d8-d11}}
    mov     r7, r3
    vmov.i32 q0, #0
    mov     r12, r2
    dlstp.32 lr, r3
0:  vstrw.32 q0, [r12], #16
    letp    lr, 0b
    lsrs    r5, r3, #2
    lsls    r3, r3, #2
    movs    r4, #0
    vidup.u32 q2, r4, #1
    vmul.i32 q2, q2, r3
    subs    r0, #4
    vadd.i32 q2, q2, r0
    lsls    r4, r3, #2
    vadd.i32 q3, q2, r4
    rsb     r3, r3, r3, lsl #3
1:  vldrh.u16 q0, [r1], #16
    vldrh.u16 q1, [r1], #16
    mov     r12, r2
    dls     lr, r5
2:  ldm.w   r12, {{r4, r6, r8, r10}}
    .irp    sum, r4, r6, r8, r10
    vldrw.u32 q4, [q2, #4]!
    vmladava.s16 \sum, q4, q0
    vldrw.u32 q5, [q3, #4]!
    vmladava.s16 \sum, q5, q1
    .endr
    stm     r12!, {{r4, r6, r8, r10}}
    le      lr, 2b
    vadd.i32 q2, q2, r3
    vadd.i32 q3, q3, r3
    subs    r7, #16
    bne     1b
    vpop    {{d8-d11}}
    pop     {{r4-r10, pc}}
"#
    )
}

/// Four rows at a time.
///
/// # Registers
/// ```text
/// r0, r12 words of two rows each   r1 writes   r2 values   r4-r11 k and b of the rows
/// q0, q1 sa and v   q2, q3 w of two rows each   q4 words   q5, q6 new mantissas
/// Stack, from sp: [0] values  [4] rows left  [8] bytes of two rows
/// ```
#[unsafe(naked)]
unsafe extern "C" fn write(
    _mantissas: *mut u32,
    _writes: *const Write,
    _values: *const [i16; 2],
    _size: usize,
) {
    naked_asm!(
        with_vectors!(),
        r#"
    .macro kinglet_mve_write words, w, k0, b0, k1, b1
    vldrw.u32 q4, [\words]
    vmullb.s16 q5, q4, \w
    vmullt.s16 q6, q4, \w
    vmla.s32 q5, q1, \k0
    vmla.s32 q6, q1, \k1
    vmla.s32 q5, q0, \b0
    vmla.s32 q6, q0, \b1
    vshrnb.i32 q4, q5, #14
    vshrnt.i32 q4, q6, #14
    vstrw.32 q4, [\words], #16
    .endm
    .macro kinglet_mve_rows w, k0, b0, k1, b1
    ldrsh   \k0, [r1, #2]
    ldrsh   \b0, [r1, #4]
    ldrsh   \k1, [r1, #8]
    ldrsh   \b1, [r1, #10]
    ldrh    r2, [r1], #6
    ldrh    r3, [r1], #6
    orr     r2, r2, r3, lsl #16
    vdup.32 \w, r2
    .endm

    push    {{r4-r11, lr}}
    vpush   {{d8-d13}}
    sub     sp, #12
    lsls    r4, r3, #2
    strd    r2, r3, [sp]
    str     r4, [sp, #8]
1:  kinglet_mve_rows q2, r4, r5, r6, r7
    kinglet_mve_rows q3, r8, r9, r10, r11
    ldr     r12, [sp, #8]
    ldr     r2, [sp]
    lsrs    r3, r12, #4
    add     r12, r12, r0
    dls     lr, r3
2:  vldrh.u16 q0, [r2], #16
    vmovlb.s16 q1, q0
    vmovlt.s16 q0, q0
    kinglet_mve_write r0, q2, r4, r5, r6, r7
    kinglet_mve_write r12, q3, r8, r9, r10, r11
    le      lr, 2b
    mov     r0, r12
    ldr     r4, [sp, #4]
    subs    r4, #4
    str     r4, [sp, #4]
    bne     1b
    add     sp, #12
    vpop    {{d8-d13}}
    pop     {{r4-r11, pc}}
"#
    )
}
