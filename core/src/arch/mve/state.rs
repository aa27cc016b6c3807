//! Matrix states. A word of mantissas of 16 bits holds two key channels of a value channel: a
//! gathering load takes eight of one, which `VMLADAVA` multiplies and adds up: about
//! 0.3 instructions per element to read. `VMULLB` and `VMULLT` multiply them apart to
//! write: 1.5. Of 8 bits they are taken apart before: 0.5 and 1.8.

use super::Mve;
use crate::arch::shared::assembly::assembly;
use crate::arch::shared::state::{Routines, States};
use crate::arch::Write;

impl States for Mve {
    const ROUND: usize = 16;

    const ROUTINES: [Routines; 2] = [
        Routines {
            read: kinglet_mve_state_read,
            write: kinglet_mve_state_write,
        },
        Routines {
            read: kinglet_mve_state_read_8,
            write: kinglet_mve_state_write_8,
        },
    ];
}

// Those of mantissas of 8 bits have it in their names.
extern "C" {
    /// Sixteen rows at a time.
    fn kinglet_mve_state_read(mantissas: *const u32, c: *const i16, sums: *mut i32, size: usize);
    fn kinglet_mve_state_read_8(mantissas: *const u32, c: *const i16, sums: *mut i32, size: usize);
    /// Four rows at a time.
    fn kinglet_mve_state_write(
        mantissas: *mut u32,
        writes: *const Write,
        values: *const [i16; 2],
        size: usize,
    );
    fn kinglet_mve_state_write_8(
        mantissas: *mut u32,
        writes: *const Write,
        values: *const [i16; 2],
        size: usize,
    );
}

assembly!(
    r#"
    // r0 mantissas of 8 bits   r1 c   r2 sums   r3 bytes of seven times two rows   r5 rounds
    // r7 rows left   r4, r6, r8, r10 sums   r12 where in the sums   lr rounds left
    // q0, q1 c   q4, q5 mantissas
    // q2, q3 where the columns of eight rows are, less a word; of 8 bits those of 16 rows,
    // in halves of a word: q2
    .macro kinglet_mve_state_read_of name, bytes
    kinglet_function \name
    push    {{r4-r10, lr}}
    vpush   {{d8-d11}}
    mov     r7, r3
    vmov.i32 q0, #0
    mov     r12, r2
    dlstp.32 lr, r3
0:  vstrw.32 q0, [r12], #16
    letp    lr, 0b
    lsrs    r5, r3, #2
    movs    r4, #0
    .if \bytes == 2
    lsls    r3, r3, #2
    vidup.u32 q2, r4, #1
    vmul.i32 q2, q2, r3
    subs    r0, #4
    vadd.i32 q2, q2, r0
    lsls    r4, r3, #2
    vadd.i32 q3, q2, r4
    .else
    vidup.u16 q2, r4, #1
    vmul.i16 q2, q2, r3
    lsls    r3, r3, #1
    .endif
    rsb     r3, r3, r3, lsl #3
1:
    .if \bytes == 2
    vldrh.u16 q0, [r1], #16
    vldrh.u16 q1, [r1], #16
    .else
    vld20.16 {{q0, q1}}, [r1]
    vld21.16 {{q0, q1}}, [r1]!
    .endif
    mov     r12, r2
    dls     lr, r5
2:  ldm.w   r12, {{r4, r6, r8, r10}}
    .irp    sum, r4, r6, r8, r10
    .if \bytes == 2
    vldrw.u32 q4, [q2, #4]!
    vmladava.s16 \sum, q4, q0
    vldrw.u32 q5, [q3, #4]!
    .else
    vldrh.u16 q5, [r0, q2, uxtw #1]
    adds    r0, #2
    vmovlb.s8 q4, q5
    vmladava.s16 \sum, q4, q0
    vmovlt.s8 q5, q5
    .endif
    vmladava.s16 \sum, q5, q1
    .endr
    stm     r12!, {{r4, r6, r8, r10}}
    le      lr, 2b
    .if \bytes == 2
    vadd.i32 q2, q2, r3
    vadd.i32 q3, q3, r3
    .else
    add     r0, r3
    .endif
    subs    r7, #16
    bne     1b
    vpop    {{d8-d11}}
    pop     {{r4-r10, pc}}
    .size \name, . - \name
    .endm
    kinglet_mve_state_read_of kinglet_mve_state_read, 2
    kinglet_mve_state_read_of kinglet_mve_state_read_8, 1

    // r0, r2 words of two rows each   r1 writes   r12 values   r4-r11 k and b of the rows
    // q0, q1 sa and v   q2, q3 w of two rows each   q4 words   q5, q6 new mantissas
    // Stack: [0] values  [4] rows left  [8] bytes of two rows
    .macro kinglet_mve_write bytes, words, w, k0, b0, k1, b1
    .if \bytes == 2
    vldrw.u32 q4, [\words]
    .else
    vldrb.s16 q4, [\words]
    vshl.i16 q4, q4, #8
    .endif
    vmullb.s16 q5, q4, \w
    vmullt.s16 q6, q4, \w
    vmla.s32 q5, q1, \k0
    vmla.s32 q6, q1, \k1
    vmla.s32 q5, q0, \b0
    vmla.s32 q6, q0, \b1
    vshrnb.i32 q4, q5, #14
    vshrnt.i32 q4, q6, #14
    .if \bytes == 2
    vstrw.32 q4, [\words], #16
    .else
    vqrshrnb.s16 q4, q4, #8
    vstrb.16 q4, [\words], #8
    .endif
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

    .macro kinglet_mve_state_write_of name, bytes
    kinglet_function \name
    push    {{r4-r11, lr}}
    vpush   {{d8-d13}}
    sub     sp, #12
    lsls    r4, r3, #\bytes
    strd    r2, r3, [sp]
    str     r4, [sp, #8]
1:  kinglet_mve_rows q2, r4, r5, r6, r7
    kinglet_mve_rows q3, r8, r9, r10, r11
    ldr     r2, [sp, #8]
    ldr     r12, [sp]
    lsrs    r3, r2, #2+\bytes
    add     r2, r0
    dls     lr, r3
2:  vldrh.u16 q0, [r12], #16
    vmovlb.s16 q1, q0
    vmovlt.s16 q0, q0
    kinglet_mve_write \bytes, r0, q2, r4, r5, r6, r7
    kinglet_mve_write \bytes, r2, q3, r8, r9, r10, r11
    le      lr, 2b
    mov     r0, r2
    ldr     r4, [sp, #4]
    subs    r4, #4
    str     r4, [sp, #4]
    bne     1b
    add     sp, #12
    vpop    {{d8-d13}}
    pop     {{r4-r11, pc}}
    .size \name, . - \name
    .endm
    kinglet_mve_state_write_of kinglet_mve_state_write, 2
    kinglet_mve_state_write_of kinglet_mve_state_write_8, 1
"#
);
