//! The steps beside products, four elements in a vector. `DLSTP` and `LETP` make
//! loops whose last vector may be a part of one, so that a round is an element.
//!
//! `VMULH` is `mulq` by a factor in the upper half of a word. The largest magnitude,
//! where that of a negative number is one less, is that of the largest number and of
//! the smallest.

use super::Mve;
use crate::arch::shared::assembly::processor;
use crate::arch::shared::rounds::{Rounds, Routines};
use crate::arch::Scaling;
use core::arch::naked_asm;

impl Rounds for Mve {
    const ROUND: usize = 1;

    const ROUTINES: Routines = Routines {
        scale_rows,
        scale_blocks,
        sum,
        less,
        squares,
        affine,
        token_shift,
        positive_max,
        relu_squared,
    };
}

#[unsafe(naked)]
unsafe extern "C" fn scale_rows(
    _scales: *const i16,
    _out: *mut i32,
    _rounds: usize,
    _factor: i32,
    _shift: u32,
) {
    naked_asm!(
        processor!(),
        r#"
    push    {{r4, lr}}
    ldr     r4, [sp, #8]
    vmvn.i32 q2, #0xFFFF
    dlstp.32 lr, r2
1:  vldrh.s32 q0, [r0], #8
    vldrw.u32 q1, [r1]
    vmul.i32 q0, q0, r3
    vshl.s32 q1, r4
    vand    q0, q0, q2
    vmulh.s32 q1, q1, q0
    vstrw.32 q1, [r1], #16
    letp    lr, 1b
    pop     {{r4, pc}}
"#
    )
}

#[unsafe(naked)]
unsafe extern "C" fn scale_blocks(
    _places: *const u8,
    _out: *mut i32,
    _blocks: usize,
    _factor: i32,
    _shift: u32,
) {
    naked_asm!(
        processor!(),
        r#"
    push    {{r4, lr}}
    ldr     r4, [sp, #8]
    dls     lr, r2
1:  ldrb    r12, [r0], #1
    vldrw.u32 q1, [r1]
    asr     r12, r3, r12
    vdup.32 q0, r12
    vshl.s32 q1, r4
    vmulh.s32 q1, q1, q0
    vstrw.32 q1, [r1], #16
    le      lr, 1b
    pop     {{r4, pc}}
"#
    )
}

#[unsafe(naked)]
unsafe extern "C" fn sum(_x: *const i32, _rounds: usize) -> i64 {
    naked_asm!(
        processor!(),
        r#"
    push    {{r7, lr}}
    mov     r2, r0
    dlstp.32 lr, r1
    movs    r0, #0
    movs    r1, #0
1:  vldrw.u32 q0, [r2], #16
    vaddlva.s32 r0, r1, q0
    letp    lr, 1b
    pop     {{r7, pc}}
"#
    )
}

#[unsafe(naked)]
unsafe extern "C" fn less(_x: *const i32, _out: *mut i32, _rounds: usize, _mean: i32) -> u32 {
    naked_asm!(
        processor!(),
        r#"
    push    {{r7, lr}}
    vmov.i32 q2, #0
    dlstp.32 lr, r2
1:  vldrw.u32 q0, [r0], #16
    vsub.i32 q0, q0, r3
    vstrw.32 q0, [r1], #16
    vshr.s32 q1, q0, #31
    veor    q0, q0, q1
    vorr    q2, q2, q0
    letp    lr, 1b
    vmov    r0, r1, d4
    vmov    r2, r3, d5
    orrs    r0, r1
    orrs    r2, r3
    orrs    r0, r2
    pop     {{r7, pc}}
"#
    )
}

#[unsafe(naked)]
unsafe extern "C" fn squares(_x: *const i32, _rounds: usize, _left: u32) -> u64 {
    naked_asm!(
        processor!(),
        r#"
    push    {{r7, lr}}
    mov     r3, r0
    subs    r2, #15
    dlstp.32 lr, r1
    movs    r0, #0
    movs    r1, #0
1:  vldrw.u32 q0, [r3], #16
    vshl.s32 q0, r2
    vmlaldava.s32 r0, r1, q0, q0
    letp    lr, 1b
    pop     {{r7, pc}}
"#
    )
}

// r4 left   r5 2^15   r6 places of x, then r7 of the bias, to the left
// q3 root   q4 mask of an upper half
#[unsafe(naked)]
unsafe extern "C" fn affine(
    _x: *mut i32,
    _weight: *const i16,
    _bias: *const i16,
    _rounds: usize,
    _scaling: &Scaling,
) {
    naked_asm!(
        processor!(),
        r#"
    push    {{r4-r7, lr}}
    ldr     r4, [sp, #20]
    vpush   {{d8-d9}}
    ldm     r4, {{r4-r7}}
    vdup.32 q3, r5
    mov     r5, #0x8000
    negs    r6, r6
    clz     r7, r7
    rsb     r7, r7, #15
    vmvn.i32 q4, #0xFFFF
    dlstp.32 lr, r3
1:  vldrh.s32 q0, [r1], #8
    vldrw.u32 q1, [r0]
    vmlas.s32 q0, q3, r5
    vshl.s32 q1, r4
    vand    q0, q0, q4
    vldrh.s32 q2, [r2], #8
    vmulh.s32 q1, q1, q0
    vshl.s32 q2, r7
    vshl.s32 q1, r6
    vadd.i32 q1, q1, q2
    vstrw.32 q1, [r0], #16
    letp    lr, 1b
    vpop    {{d8-d9}}
    pop     {{r4-r7, pc}}
"#
    )
}

#[unsafe(naked)]
unsafe extern "C" fn token_shift(
    _x: *const i32,
    _previous: *const i32,
    _mix: *const i16,
    _out: *mut i32,
    _rounds: usize,
    _right: u32,
) -> u32 {
    naked_asm!(
        processor!(),
        r#"
    push    {{r4, r5, r7, lr}}
    ldrd    r4, r5, [sp, #16]
    vpush   {{d8-d9}}
    negs    r5, r5
    vmov.i32 q3, #0
    vmov.i32 q4, #0
    dlstp.32 lr, r4
1:  vldrw.u32 q0, [r0], #16
    vldrw.u32 q1, [r1], #16
    vsub.i32 q0, q0, q1
    vldrh.s32 q2, [r2], #8
    vshl.i32 q2, q2, #16
    vshl.s32 q1, r5
    vmulh.s32 q0, q0, q2
    vshl.i32 q0, q0, #2
    vadd.i32 q0, q0, q1
    vstrw.32 q0, [r3], #16
    vmax.s32 q3, q3, q0
    vmin.s32 q4, q4, q0
    letp    lr, 1b
    movs    r0, #0
    movs    r1, #0
    vmaxv.s32 r0, q3
    vminv.s32 r1, q4
    mvns    r1, r1
    cmp     r0, r1
    it      lt
    movlt   r0, r1
    vpop    {{d8-d9}}
    pop     {{r4, r5, r7, pc}}
"#
    )
}

#[unsafe(naked)]
unsafe extern "C" fn positive_max(_x: *const i32, _rounds: usize) -> i32 {
    naked_asm!(
        processor!(),
        r#"
    push    {{r7, lr}}
    vmov.i32 q1, #0
    dlstp.32 lr, r1
1:  vldrw.u32 q0, [r0], #16
    vmax.s32 q1, q1, q0
    letp    lr, 1b
    movs    r0, #0
    vmaxv.s32 r0, q1
    pop     {{r7, pc}}
"#
    )
}

#[unsafe(naked)]
unsafe extern "C" fn relu_squared(_x: *mut i32, _rounds: usize, _left: u32) {
    naked_asm!(
        processor!(),
        r#"
    push    {{r7, lr}}
    vmov.i32 q1, #0
    subs    r2, #16
    dlstp.32 lr, r1
1:  vldrw.u32 q0, [r0]
    vmax.s32 q0, q0, q1
    vshl.s32 q0, r2
    vmul.i32 q0, q0, q0
    vstrw.32 q0, [r0], #16
    letp    lr, 1b
    pop     {{r7, pc}}
"#
    )
}

/// Quantizes `len` columns; `places` to the left bring the largest magnitude to
/// 15 bits.
#[unsafe(naked)]
pub(super) unsafe extern "C" fn prepare(
    _x: *const i32,
    _columns: *mut i8,
    _len: usize,
    _places: i32,
    _inverse: i32,
) {
    naked_asm!(
        processor!(),
        r#"
    push    {{r4, lr}}
    ldr     r4, [sp, #8]
    lsls    r4, r4, #10
    vdup.32 q1, r4
    dlstp.32 lr, r2
1:  vldrw.u32 q0, [r0], #16
    vshl.s32 q0, r3
    vrmulh.s32 q0, q0, q1
    vstrb.32 q0, [r1], #4
    letp    lr, 1b
    pop     {{r4, pc}}
"#
    )
}

/// Copies `len` words.
#[unsafe(naked)]
pub(super) unsafe extern "C" fn copy(_from: *const i32, _to: *mut i32, _len: usize) {
    naked_asm!(
        processor!(),
        r#"
    push    {{r7, lr}}
    dlstp.32 lr, r2
1:  vldrw.u32 q0, [r0], #16
    vstrw.32 q0, [r1], #16
    letp    lr, 1b
    pop     {{r7, pc}}
"#
    )
}

/// Shifts by `places` to the left, to the right where they are negative, and rounds.
#[unsafe(naked)]
pub(super) unsafe extern "C" fn round_off(_x: *mut i32, _len: usize, _places: i32) {
    naked_asm!(
        processor!(),
        r#"
    push    {{r7, lr}}
    dlstp.32 lr, r1
1:  vldrw.u32 q0, [r0]
    vrshl.s32 q0, r2
    vstrw.32 q0, [r0], #16
    letp    lr, 1b
    pop     {{r7, pc}}
"#
    )
}

/// Both numbers of places are to the left, to the right where they are negative.
#[unsafe(naked)]
pub(super) unsafe extern "C" fn add(
    _x: *mut i32,
    _y: *const i32,
    _len: usize,
    _of_x: i32,
    _of_y: i32,
) -> u32 {
    naked_asm!(
        processor!(),
        r#"
    push    {{r4, lr}}
    ldr     r4, [sp, #8]
    vmov.i32 q2, #0
    dlstp.32 lr, r2
1:  vldrw.u32 q0, [r0]
    vldrw.u32 q1, [r1], #16
    vshl.s32 q0, r3
    vshl.s32 q1, r4
    vadd.i32 q0, q0, q1
    vstrw.32 q0, [r0], #16
    vshr.s32 q1, q0, #31
    veor    q0, q0, q1
    vorr    q2, q2, q0
    letp    lr, 1b
    vmov    r0, r1, d4
    vmov    r2, r3, d5
    orrs    r0, r1
    orrs    r2, r3
    orrs    r0, r2
    pop     {{r4, pc}}
"#
    )
}
