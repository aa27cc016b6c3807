//! Steps that have the logistic function in them, four elements in a vector: the
//! table of shares is looked up by a gathering load.
//!
//! Saturation limits what the definition limits: an argument shifted to the top of
//! its word is one of all ones where it is too large.

use super::Mve;
use crate::arch::shared::assembly::assembly;
use crate::arch::shared::gates::{AverageCall, Fixed, GatedCall, Gates, Routines};

impl Gates for Mve {
    const ROUTINES: Routines = Routines {
        shares: kinglet_mve_shares,
        add_gated: kinglet_mve_add_gated,
        average: kinglet_mve_average,
    };
}

extern "C" {
    fn kinglet_mve_shares(
        gate: *const i32,
        out: *mut i32,
        len: usize,
        fixed: &Fixed,
        table: *const u32,
    );
    fn kinglet_mve_add_gated(x: *mut i32, gate: *const i32, y: *const i32, call: &GatedCall)
        -> u32;
    fn kinglet_mve_average(call: &AverageCall) -> u32;
}

assembly!(
    r#"
    // Of sizes \x the octaves \h, the place in the table \i, and the part of a step
    // \x; \o is scratch, and may be \c, which is 11, the last octave.
    .macro kinglet_mve_place x, h, i, o, c
    vqshl.u32 \x, \x, #5
    vshr.u32 \h, \x, #27
    vshr.u32 \i, \x, #23
    vmin.u32 \o, \h, \c
    vbic.i32 \i, #1
    vsli.32 \i, \o, #4
    vshl.i32 \x, \x, #8
    vshr.u32 \x, \x, #18
    .endm
    // What the chords \c of the table are there, into \to, which may be \i.
    .macro kinglet_mve_along to, table, i, x, c
    vldrw.u32 \c, [\table, \i, uxtw #2]
    vmovlb.s16 \to, \c
    vmul.i32 \to, \to, \x
    vadd.i32 \to, \c, \to
    .endm
    // The share of gates \g, in Q15: \i; r3, q5: how they become arguments;
    // r12 the table, q7 the largest share. \x, \h, \c are scratch.
    .macro kinglet_mve_share g, x, h, i, c
    vabs.s32 \x, \g
    vmin.s32 \x, \x, q5
    vshl.s32 \x, r3
    vmov.i32 \c, #11
    kinglet_mve_place \x, \h, \i, \c, \c
    kinglet_mve_along \i, r12, \i, \x, \c
    vmvn.i32 \x, #16
    vsub.i32 \h, \x, \h
    vshl.u32 \i, \i, \h
    vpt.s32 ge, \g, zr
    veort   \i, \i, q7
    .endm

    kinglet_function kinglet_mve_shares
    push    {{r4, lr}}
    ldr     r12, [sp, #8]
    vpush   {{d8-d15}}
    ldrd    r3, r4, [r3]
    vdup.32 q5, r4
    vmov.i32 q7, #0x7FFF
    dlstp.32 lr, r2
1:  vldrw.u32 q0, [r0], #16
    kinglet_mve_share q0, q1, q2, q3, q4
    vstrw.32 q3, [r1], #16
    letp    lr, 1b
    vpop    {{d8-d15}}
    pop     {{r4, pc}}
    .size kinglet_mve_shares, . - kinglet_mve_shares

    // r0 x   r1 gate   r2 y   r4, r5 places of x and y   lr elements left
    // q6 the bits of the magnitudes
    kinglet_function kinglet_mve_add_gated
    push    {{r4-r7, lr}}
    vpush   {{d8-d15}}
    ldm.w   r3, {{r3-r7, r12}}
    vdup.32 q5, r5
    vmov.i32 q6, #0
    vmov.i32 q7, #0x7FFF
    dlstp.32 lr, r3
    mov     r3, r4
1:  vldrw.u32 q0, [r1], #16
    kinglet_mve_share q0, q1, q2, q3, q4
    vldrw.u32 q1, [r2], #16
    vshl.i32 q3, q3, #16
    vldrw.u32 q0, [r0]
    vqdmulh.s32 q1, q1, q3
    vshl.s32 q0, r6
    vshl.s32 q1, r7
    vadd.i32 q0, q0, q1
    vstrw.32 q0, [r0], #16
    vshr.s32 q1, q0, #31
    veor    q0, q0, q1
    vorr    q6, q6, q0
    letp    lr, 1b
    vmov    r0, r1, d12
    vmov    r2, r3, d13
    orrs    r0, r1
    orrs    r2, r3
    orrs    r0, r2
    vpop    {{d8-d15}}
    pop     {{r4-r7, pc}}
    .size kinglet_mve_add_gated, . - kinglet_mve_add_gated

    // r0 averages   r1 weights   r2 k   r3 v   r4 w   r5 u   r6 out   r7 table
    // r8 that of logarithms   r9, r10 places of k and v   r11, r12 the largest and the
    // smallest result   lr channels left   q7 11
    // Stack: [0] the limit of k, four times  [16] the least k

    // The far part of averages and values by their shares: octaves \h, \i. \d: where
    // it is negative, the average is near. The near part: \v. \a is scratch.
    .macro kinglet_mve_far v, d, a, h, i
    vneg.s32 \h, \h
    vshr.u32 \i, \i, #17
    vshl.i32 \i, \i, #16
    vldrw.u32 \a, [r0]
    vshl.s32 \v, r10
    vptet.s32 lt, \d, zr
    vsubt.i32 \d, \v, \a
    vsube.i32 \d, \a, \v
    vorrt   \v, \a, \a
    vqdmulh.s32 \d, \d, \i
    .endm

    kinglet_function kinglet_mve_average
    push    {{r4-r11, lr}}
    vpush   {{d8-d15}}
    sub     sp, #36
    ldm.w   r0, {{r0-r7, r9-r12}}
    add     r8, r7, #4
    vdup.32 q0, r11
    vneg.s32 q1, q0
    vstrw.32 q0, [sp]
    vstrw.32 q1, [sp, #16]
    vmov.i32 q7, #11
    mov     r11, #0
    dlstp.32 lr, r12
    mov     r12, #0
1:  vldrw.u32 q0, [r2], #16
    vldrw.u32 q1, [sp]
    vmin.s32 q0, q0, q1
    vldrw.u32 q1, [sp, #16]
    vmax.s32 q0, q0, q1
    vldrw.u32 q1, [r5], #16
    vshl.s32 q0, r9
    vldrw.u32 q2, [r1]
    vadd.i32 q1, q1, q0
    vsub.i32 q1, q1, q2
    vabs.s32 q2, q1
    kinglet_mve_place q2, q3, q4, q5, q7
    kinglet_mve_along q4, r7, q4, q2, q5
    vldrw.u32 q2, [r3]
    kinglet_mve_far q2, q1, q5, q3, q4
    vshl.s32 q1, q1, q3
    vldrw.u32 q3, [r6]
    vadd.i32 q2, q2, q1
    vshl.i32 q3, q3, #16
    vldrw.u32 q1, [r4], #16
    vqdmulh.s32 q3, q2, q3
    vldrw.u32 q2, [r1]
    vstrw.32 q3, [r6], #16
    vadd.i32 q2, q2, q1
    vmaxv.s32 r11, q3
    vsub.i32 q1, q0, q2
    vminv.s32 r12, q3
    vmax.s32 q0, q0, q2
    vabs.s32 q2, q1
    kinglet_mve_place q2, q3, q4, q5, q7
    // The share: q5; the logarithm: q6.
    vldrw.u32 q5, [r7, q4, uxtw #2]
    vldrw.u32 q6, [r8, q4, uxtw #2]
    vmovlb.s16 q4, q5
    vmul.i32 q4, q4, q2
    vadd.i32 q5, q5, q4
    vrshr.s32 q4, q4, #1
    vsub.i32 q4, q5, q4
    vshr.u32 q4, q4, #15
    vmul.i32 q4, q4, q2
    vshr.u32 q4, q4, #3
    vsub.i32 q6, q6, q4
    vmvn    q2, q3
    vshr.u32 q6, q6, #8
    vrshl.u32 q6, q6, q2
    vldrw.u32 q2, [r3], #16
    vadd.i32 q0, q0, q6
    vstrw.32 q0, [r1], #16
    kinglet_mve_far q2, q1, q4, q3, q5
    vrshl.s32 q1, q1, q3
    vadd.i32 q2, q2, q1
    vstrw.32 q2, [r0], #16
    letp    lr, 1b
    mvn     r12, r12
    cmp     r11, r12
    ite     lt
    movlt   r0, r12
    movge   r0, r11
    add     sp, #36
    vpop    {{d8-d15}}
    pop     {{r4-r11, pc}}
    .size kinglet_mve_average, . - kinglet_mve_average
"#
);
