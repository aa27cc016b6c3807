//! Steps that take the same instructions on all cores with Thumb-2: see
//! [`rounds`](super::rounds).

use crate::arch::{Port, Portable};
use core::arch::naked_asm;

/// Elements of a round.
const ROUND: usize = 4;

/// As [`Port::copy`].
pub fn copy(from: &[i32], to: &mut [i32]) {
    let ((whole, tail), (room, rest)) = (from.as_chunks::<ROUND>(), to.as_chunks_mut::<ROUND>());
    let rounds = whole.len().min(room.len());
    if rounds > 0 {
        // SAFETY: both slices hold the rounds, of which there is one.
        unsafe { copy_rounds(whole.as_ptr(), room.as_mut_ptr(), rounds) }
    }
    Portable::copy(tail, rest);
}

/// As [`Port::dot`].
pub fn dot(a: &[i32], b: &[i32]) -> i64 {
    let ((whole, rest), (others, tail)) = (a.as_chunks::<ROUND>(), b.as_chunks::<ROUND>());
    let rounds = whole.len().min(others.len());
    let sum = match rounds {
        0 => 0,
        // SAFETY: both slices hold the rounds, of which there is one.
        _ => unsafe { dot_rounds(whole.as_ptr(), others.as_ptr(), rounds) },
    };
    sum + Portable::dot(rest, tail)
}

/// As [`Port::add`].
pub fn add(x: &mut [i32], y: &[i32], places: i32, right: u32) -> u32 {
    let ((room, rest), (whole, tail)) = (x.as_chunks_mut::<ROUND>(), y.as_chunks::<ROUND>());
    let rounds = whole.len().min(room.len());
    let bits = match rounds {
        0 => 0,
        // SAFETY: both slices hold the rounds, of which there is one.
        _ => unsafe { add_rounds(room.as_mut_ptr(), whole.as_ptr(), rounds, places, right) },
    };
    bits | Portable::add(rest, tail, places, right)
}

#[unsafe(naked)]
unsafe extern "C" fn copy_rounds(
    _from: *const [i32; ROUND],
    _to: *mut [i32; ROUND],
    _rounds: usize,
) {
    naked_asm!(
        r#"
    push    {{r4-r6, lr}}
1:  ldm     r0!, {{r3-r6}}
    stm     r1!, {{r3-r6}}
    subs    r2, #1
    bne     1b
    pop     {{r4-r6, pc}}
"#
    )
}

// r3 the sum of lower quarters   r12, lr that of upper halves   r4-r7 a, lower halves
// r8-r11 b, upper halves
#[unsafe(naked)]
unsafe extern "C" fn dot_rounds(
    _a: *const [i32; ROUND],
    _b: *const [i32; ROUND],
    _rounds: usize,
) -> i64 {
    naked_asm!(
        r#"
    push    {{r4-r11, lr}}
    movs    r3, #0
    mov     r12, #0
    mov     lr, #0
1:  ldm     r0!, {{r4-r7}}
    ldm     r1!, {{r8-r11}}
    smull   r4, r8, r4, r8
    smull   r5, r9, r5, r9
    smull   r6, r10, r6, r10
    smull   r7, r11, r7, r11
    .irp    lower, r4, r5, r6, r7
    add     r3, r3, \lower, lsr #16
    .endr
    // Four are below 2^30 in magnitude.
    .irp    upper, r9, r10, r11
    add     r8, r8, \upper
    .endr
    adds    r12, r12, r8
    adc     lr, lr, r8, asr #31
    subs    r2, #1
    bne     1b
    lsl     r1, lr, #16
    orr     r1, r1, r12, lsr #16
    adds    r0, r3, r12, lsl #16
    adc     r1, r1, #0
    pop     {{r4-r11, pc}}
"#
    )
}

// r3 and r4 places of x, to the left and to the right   r5 of y   r6 the bits
// r7-r10 x   r11 y, a magnitude
#[unsafe(naked)]
unsafe extern "C" fn add_rounds(
    _x: *mut [i32; ROUND],
    _y: *const [i32; ROUND],
    _rounds: usize,
    _places: i32,
    _right: u32,
) -> u32 {
    naked_asm!(
        r#"
    push    {{r4-r11, lr}}
    ldr     r5, [sp, #36]
    rsbs    r4, r3, #0
    usat    r3, #5, r3
    usat    r4, #5, r4
    movs    r6, #0
1:  ldm     r0, {{r7-r10}}
    .irp    x, r7, r8, r9, r10
    ldr     r11, [r1], #4
    lsl     \x, \x, r3
    asr     \x, \x, r4
    asr     r11, r11, r5
    add     \x, \x, r11
    eor     r11, \x, \x, asr #31
    orr     r6, r6, r11
    .endr
    stm     r0!, {{r7-r10}}
    subs    r2, #1
    bne     1b
    mov     r0, r6
    pop     {{r4-r11, pc}}
"#
    )
}

#[unsafe(naked)]
pub unsafe extern "C" fn sum(_x: *const i32, _rounds: usize) -> i64 {
    naked_asm!(
        r#"
    push    {{r4-r7, lr}}
    mov     r2, r0
    mov     r3, r1
    movs    r0, #0
    movs    r1, #0
    mov     r12, #1
1:  ldm     r2!, {{r4-r7}}
    smlal   r0, r1, r4, r12
    smlal   r0, r1, r5, r12
    smlal   r0, r1, r6, r12
    smlal   r0, r1, r7, r12
    subs    r3, #1
    bne     1b
    pop     {{r4-r7, pc}}
"#
    )
}

#[unsafe(naked)]
pub unsafe extern "C" fn less(_x: *const i32, _out: *mut i32, _rounds: usize, _mean: i32) -> u32 {
    naked_asm!(
        r#"
    push    {{r4-r8, lr}}
    mov     r12, #0
1:  ldm     r0!, {{r4-r7}}
    .irp    x, r4, r5, r6, r7
    subs    \x, \x, r3
    eor     r8, \x, \x, asr #31
    orr     r12, r12, r8
    .endr
    stm     r1!, {{r4-r7}}
    subs    r2, #1
    bne     1b
    mov     r0, r12
    pop     {{r4-r8, pc}}
"#
    )
}

#[unsafe(naked)]
pub unsafe extern "C" fn positive_max(_x: *const i32, _rounds: usize) -> i32 {
    naked_asm!(
        r#"
    push    {{r4-r7, lr}}
    movs    r2, #0
1:  ldm     r0!, {{r4-r7}}
    .irp    x, r4, r5, r6, r7
    cmp     r2, \x
    it      lt
    movlt   r2, \x
    .endr
    subs    r1, #1
    bne     1b
    mov     r0, r2
    pop     {{r4-r7, pc}}
"#
    )
}

/// Defines the steps of [`Port`] that are here whole.
macro_rules! steps_of_thumb2 {
    () => {
        fn copy(from: &[i32], to: &mut [i32]) {
            thumb2::copy(from, to);
        }

        fn dot(a: &[i32], b: &[i32]) -> i64 {
            thumb2::dot(a, b)
        }

        fn add(x: &mut [i32], y: &[i32], places: i32, right: u32) -> u32 {
            thumb2::add(x, y, places, right)
        }
    };
}
pub(crate) use steps_of_thumb2;
