//! Steps that take the same instructions on all cores with Thumb-2: see
//! [`rounds`](super::rounds).

use core::arch::naked_asm;

#[unsafe(naked)]
pub unsafe extern "C" fn sum(_x: *const i32, _rounds: usize) -> i64 {
    naked_asm!(
        r#"
    .syntax unified
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
    .syntax unified
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
    .syntax unified
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
