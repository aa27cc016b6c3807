//! What a matrix state's step does for each row beside reads and writes, four rows in a
//! vector.

use crate::arch::{Mantissa, Port, Portable, Write};
use crate::number::{limited, normal, zeros, POWERS};
use core::arch::global_asm;

/// As [`Port::decay`].
pub(super) fn decay(lam: &mut [i32], bounds: &mut [i32], w: &[i32]) {
    let len = lam.len().min(bounds.len()).min(w.len());
    if len > 0 {
        let (lam, bounds) = (lam.as_mut_ptr(), bounds.as_mut_ptr());
        // SAFETY: all slices are as long, and not empty; the table is that of powers.
        unsafe { kinglet_mve_decay(lam, bounds, w.as_ptr(), table(), len) }
    }
}

/// As [`Port::coefficients`].
pub(super) fn coefficients(
    x: &[i32],
    [lam, bounds]: [&[i32]; 2],
    scaled: &mut [i32],
    out: &mut [i16],
) -> i32 {
    let len = x.len().min(lam.len()).min(bounds.len());
    let len = len.min(scaled.len()).min(out.len());
    if len == 0 || len < lam.len() || len < out.len() {
        return Portable::coefficients(x, [lam, bounds], scaled, out);
    }
    let mut found = Scaled::default();
    let (x, lam, bounds) = (x.as_ptr(), lam.as_ptr(), bounds.as_ptr());
    // SAFETY: all slices are as long, and not empty.
    unsafe { kinglet_mve_coefficients(x, lam, bounds, scaled.as_mut_ptr(), len, &mut found) }
    let Scaled { sum, max, most } = found;
    // See the portable twin.
    let places = limited(normal(sum).1 + 16, 31) as u32;
    let is_over = ((sum >> places) + len as u64 > 65_535) | ((max >> places) + 1 > 32_767);
    let places = places as i32 + i32::from(is_over);
    // SAFETY: both slices are as long, and not empty.
    unsafe { kinglet_mve_round(scaled.as_ptr(), out.as_mut_ptr(), len, -places) }
    most + places + 2
}

/// As [`Port::to_16_bits`].
pub(super) fn to_16_bits(x: &[i32], out: &mut [[i16; 2]], place: usize) -> i32 {
    if x.is_empty() {
        return Portable::to_16_bits(x, out, place);
    }
    // SAFETY: the slice is not empty.
    let max = unsafe { kinglet_mve_max(x.as_ptr(), x.len()) };
    let more = 17 - zeros(max);
    let len = x.len().min(out.len());
    let out = out.as_flattened_mut().get_mut(place..).unwrap_or_default();
    if len > 0 && out.len() + place >= 2 * len {
        // SAFETY: `out` has an element at every second place.
        unsafe { kinglet_mve_halves(x.as_ptr(), out.as_mut_ptr(), len, -more) }
    }
    more
}

/// As [`Port::plan`].
pub(super) fn plan<M: Mantissa>(
    [lam, bounds]: [&mut [i32]; 2],
    [k, b]: [&[i32]; 2],
    exps: [i32; 2],
    writes: &mut [Write],
) {
    // Of no second product nothing is left.
    let (b, has_b) = match b {
        [] => (k, 0),
        _ => (b, 1),
    };
    let lens = [lam.len(), bounds.len(), writes.len()];
    let len = lens.iter().fold(k.len(), |least, &len| least.min(len));
    if len == 0 || lens != [len; 3] || b.len() < len {
        return;
    }
    let call = PlanCall {
        lam: lam.as_mut_ptr(),
        bounds: bounds.as_mut_ptr(),
        k: k.as_ptr(),
        b: b.as_ptr(),
        writes: writes.as_mut_ptr(),
        table: table(),
        exps: exps.map(|exp| exp + 15),
        has_b,
        slack: M::SLACK,
        len,
    };
    // SAFETY: all slices are as long, and not empty; the table is that of powers.
    unsafe { kinglet_mve_plan(&call) }
}

/// A number with the bits of all magnitudes of the first row of two, and one with those
/// of the second. `pairs` has a word for each column, of which there is one.
pub(super) fn bits(pairs: &[u32]) -> [u32; 2] {
    // SAFETY: the slice is not empty.
    let bits = unsafe { kinglet_mve_bits(pairs.as_ptr(), pairs.len()) };
    [bits & 0xffff, bits >> 16]
}

/// As [`Port::add_values`], with a word for both values.
pub(super) fn add_values(y: &mut [i32], values: &[u32], weights: [i32; 2], right: [u32; 3]) {
    let len = y.len().min(values.len());
    if len > 0 {
        let call = ValuesCall {
            weights,
            places: right.map(|right| -(right as i32)),
        };
        // SAFETY: both slices are as long, and not empty.
        unsafe { kinglet_mve_add_values(y.as_mut_ptr(), values.as_ptr(), len, &call) }
    }
}

/// How values are added.
#[repr(C)]
struct ValuesCall {
    weights: [i32; 2],
    /// To the left, of the sum and of both products.
    places: [i32; 3],
}

fn table() -> *const u32 {
    POWERS.as_ptr().cast()
}

/// What scaling finds: the sum of the magnitudes, the largest, and the power of two.
#[derive(Default)]
#[repr(C)]
struct Scaled {
    sum: u64,
    max: u32,
    most: i32,
}

/// The arguments of a plan.
#[repr(C)]
struct PlanCall {
    lam: *mut i32,
    bounds: *mut i32,
    k: *const i32,
    b: *const i32,
    writes: *mut Write,
    table: *const u32,
    /// Each 15 more.
    exps: [i32; 2],
    /// 1, or 0 where the second product is none.
    has_b: u32,
    slack: u32,
    len: usize,
}

// Lengths are at least 1, all pointers are of that number of elements, and tables are
// those of powers.
extern "C" {
    fn kinglet_mve_decay(
        lam: *mut i32,
        bounds: *mut i32,
        w: *const i32,
        table: *const u32,
        len: usize,
    );
    fn kinglet_mve_coefficients(
        x: *const i32,
        lam: *const i32,
        bounds: *const i32,
        scaled: *mut i32,
        len: usize,
        found: &mut Scaled,
    );
    /// Shifts by places to the left, rounds and narrows.
    fn kinglet_mve_round(x: *const i32, out: *mut i16, len: usize, places: i32);
    /// The same into every second place, up to 32,767.
    fn kinglet_mve_halves(x: *const i32, out: *mut i16, len: usize, places: i32);
    /// The largest magnitude.
    fn kinglet_mve_max(x: *const i32, len: usize) -> u32;
    /// The bits of the magnitudes in both halves of words.
    fn kinglet_mve_bits(words: *const u32, len: usize) -> u32;
    fn kinglet_mve_add_values(y: *mut i32, values: *const u32, len: usize, call: &ValuesCall);
    fn kinglet_mve_plan(call: &PlanCall);
}

global_asm!(
    r#"
    .syntax unified
    .cpu    cortex-m55
    // 2^-x in Q30 for \x in Q22, at most 1: \p; \table, \next are where the powers are
    // and a word later. \x, \c, \q are scratch.
    .macro kinglet_mve_power p, x, c, q, table, next
    vshr.u32 \c, \x, #16
    vbic.i32 \c, #0x41
    vldrw.u32 \p, [\table, \c, uxtw #2]
    vldrw.u32 \q, [\next, \c, uxtw #2]
    vshl.i32 \x, \x, #15
    vmullt.u16 \c, \q, \x
    vshr.u32 \c, \c, #16
    vmovlb.u16 \q, \q
    vsub.i32 \q, \q, \c
    vshr.u32 \x, \x, #16
    vmul.i32 \q, \q, \x
    vshr.u32 \q, \q, #7
    vsub.i32 \p, \p, \q
    .endm
    .macro kinglet_mve_function name
    .section .text.\name,"ax",%progbits
    .balign 4
    .thumb
    .thumb_func
    .global \name
    .type \name,%function
\name:
    .endm

    kinglet_mve_function kinglet_mve_decay
    push    {{r7, lr}}
    ldr     r12, [sp, #8]
    vpush   {{d8-d15}}
    vmov.i32 q5, #0xB5000000
    vmov.i32 q6, #0x400000
    vmov.i8 q7, #0xFF
    vshr.u32 q7, q7, #10
    dlstp.32 lr, r12
    add     r12, r3, #4
1:  vldrw.u32 q0, [r0]
    vldrw.u32 q1, [r2], #16
    vadd.i32 q0, q0, q1
    vmax.s32 q0, q0, q5
    vstrw.32 q0, [r0], #16
    vand    q0, q0, q7
    vsub.i32 q0, q6, q0
    vshr.u32 q4, q0, #22
    kinglet_mve_power q2, q0, q1, q3, r3, r12
    vneg.s32 q4, q4
    vshl.u32 q2, q2, q4
    vshr.u32 q2, q2, #15
    vmov.i32 q1, #0x7FFF
    vmin.u32 q2, q2, q1
    vldrw.u32 q1, [r1]
    vshl.i32 q2, q2, #1
    vsli.32 q1, q2, #16
    vstrw.32 q1, [r1], #16
    letp    lr, 1b
    vpop    {{d8-d15}}
    pop     {{r7, pc}}
    .size kinglet_mve_decay, . - kinglet_mve_decay

    kinglet_mve_function kinglet_mve_coefficients
    push    {{r4-r7, lr}}
    ldrd    r4, r5, [sp, #20]
    mov     r6, #0xB5000000
    vdup.32 q1, r6
    mov     r12, r1
    dlstp.32 lr, r4
1:  vldrw.u32 q0, [r12], #16
    vmax.s32 q1, q1, q0
    letp    lr, 1b
    vmaxv.s32 r6, q1
    asrs    r12, r6, #22
    str     r12, [r5, #12]
    movs    r6, #0
    movs    r7, #0
    vmov.i32 q2, #0
    vmvn.i32 q3, #30
    dlstp.32 lr, r4
2:  vldrw.u32 q1, [r2], #16
    vldrw.u32 q0, [r0], #16
    vshr.u32 q1, q1, #17
    vshl.i32 q1, q1, #16
    vmulh.s32 q0, q0, q1
    vldrw.u32 q1, [r1], #16
    vshr.s32 q1, q1, #22
    vsub.i32 q1, q1, r12
    vmax.s32 q1, q1, q3
    vshl.s32 q0, q0, q1
    vstrw.32 q0, [r3], #16
    vshr.s32 q1, q0, #31
    veor    q0, q0, q1
    vmax.s32 q2, q2, q0
    vaddlva.u32 r6, r7, q0
    letp    lr, 2b
    movs    r0, #0
    vmaxv.s32 r0, q2
    strd    r6, r7, [r5]
    str     r0, [r5, #8]
    pop     {{r4-r7, pc}}
    .size kinglet_mve_coefficients, . - kinglet_mve_coefficients

    kinglet_mve_function kinglet_mve_round
    push    {{r7, lr}}
    dlstp.32 lr, r2
1:  vldrw.u32 q0, [r0], #16
    vrshl.s32 q0, r3
    vstrh.32 q0, [r1], #8
    letp    lr, 1b
    pop     {{r7, pc}}
    .size kinglet_mve_round, . - kinglet_mve_round

    kinglet_mve_function kinglet_mve_halves
    push    {{r7, lr}}
    vmov.i32 q2, #0x7FFF
    mov     r12, #0
    dlstp.32 lr, r2
1:  vldrw.u32 q0, [r0], #16
    vrshl.s32 q0, r3
    vidup.u32 q1, r12, #2
    vmin.s32 q0, q0, q2
    vstrh.32 q0, [r1, q1, uxtw #1]
    letp    lr, 1b
    pop     {{r7, pc}}
    .size kinglet_mve_halves, . - kinglet_mve_halves

    kinglet_mve_function kinglet_mve_max
    push    {{r7, lr}}
    vmov.i32 q1, #0
    vmov.i32 q2, #0
    dlstp.32 lr, r1
1:  vldrw.u32 q0, [r0], #16
    vmax.s32 q1, q1, q0
    vmin.s32 q2, q2, q0
    letp    lr, 1b
    movs    r0, #0
    movs    r1, #0
    vmaxv.s32 r0, q1
    vminv.s32 r1, q2
    mvns    r1, r1
    cmp     r0, r1
    it      lt
    movlt   r0, r1
    pop     {{r7, pc}}
    .size kinglet_mve_max, . - kinglet_mve_max

    kinglet_mve_function kinglet_mve_bits
    push    {{r7, lr}}
    vmov.i32 q2, #0
    dlstp.32 lr, r1
1:  vldrw.u32 q0, [r0], #16
    vshr.s16 q1, q0, #15
    veor    q0, q0, q1
    vorr    q2, q2, q0
    letp    lr, 1b
    vmov    r0, r1, d4
    vmov    r2, r3, d5
    orrs    r0, r1
    orrs    r2, r3
    orrs    r0, r2
    pop     {{r7, pc}}
    .size kinglet_mve_bits, . - kinglet_mve_bits

    kinglet_mve_function kinglet_mve_add_values
    push    {{r4-r6, lr}}
    ldm.w   r3, {{r3-r6, r12}}
    dlstp.32 lr, r2
1:  vldrw.u32 q0, [r1], #16
    vmovlt.s16 q1, q0
    vmovlb.s16 q0, q0
    vmul.i32 q1, q1, r4
    vmul.i32 q0, q0, r3
    vldrw.u32 q2, [r0]
    vshl.s32 q1, r12
    vshl.s32 q0, r6
    vshl.s32 q2, r5
    vadd.i32 q0, q0, q1
    vadd.i32 q0, q0, q2
    vstrw.32 q0, [r0], #16
    letp    lr, 1b
    pop     {{r4-r6, pc}}
    .size kinglet_mve_add_values, . - kinglet_mve_add_values

    // A product \m of a row with 28 bits, and its power of two \e, very low where it is
    // nothing; q0 the scale's, r12 4. q4 is scratch.
    .macro kinglet_mve_term m, e, exp
    vshr.s32 q4, \m, #31
    veor    q4, q4, \m
    vclz.i32 q4, q4
    vsub.i32 q4, q4, r12
    vadd.i32 \e, q4, q0
    vneg.s32 \e, \e
    vadd.i32 \e, \e, \exp
    vpt.i32 eq, \m, zr
    vmovt.i32 \e, #0xF0000000
    vshl.s32 \m, \m, q4
    .endm

    // r0 lam   r1 bounds   r2 k   r3 b   r4 writes   r5, r10 powers and a word later
    // r6, r7 exps   r8 whether b is there   r9 the slack   lr rows left
    // Stack: [0] the mask of a fraction, four times  [16] 0, 3, 6, 9
    kinglet_mve_function kinglet_mve_plan
    push    {{r4-r10, lr}}
    vpush   {{d8-d15}}
    sub     sp, #32
    ldm.w   r0, {{r0-r10}}
    vmov.i8 q0, #0xFF
    vshr.u32 q0, q0, #10
    mov     r12, #0
    vidup.u32 q1, r12, #1
    mov     r12, #3
    vmul.i32 q1, q1, r12
    vstrw.32 q0, [sp]
    vstrw.32 q1, [sp, #16]
    mov     r12, #4
    dlstp.32 lr, r10
    add     r10, r5, #4
1:  vldrw.u32 q0, [r0]
    vldrw.u32 q1, [sp]
    vand    q1, q1, q0
    kinglet_mve_power q3, q1, q2, q4, r5, r10
    vshr.u32 q3, q3, #15
    vmov.i32 q1, #0x7FFF
    vmin.u32 q3, q3, q1
    vldrw.u32 q1, [r2], #16
    vshl.i32 q3, q3, #16
    vshr.s32 q0, q0, #22
    vmulh.s32 q1, q1, q3
    vldrw.u32 q2, [r3], #16
    kinglet_mve_term q1, q5, r6
    vmulh.s32 q2, q2, q3
    vmul.i32 q2, q2, r8
    kinglet_mve_term q2, q6, r7
    // The larger power of two is q3, 0 at least: both go to it.
    vmov.i32 q3, #0
    vmvn.i32 q4, #30
    vmax.s32 q3, q3, q5
    vmax.s32 q3, q3, q6
    vsub.i32 q5, q5, q3
    vsub.i32 q6, q6, q3
    vmax.s32 q5, q5, q4
    vmax.s32 q6, q6, q4
    vshl.s32 q1, q1, q5
    vshl.s32 q2, q2, q6
    // The bound of what is written: q5.
    vshr.s32 q5, q1, #31
    vshr.s32 q6, q2, #31
    veor    q5, q5, q1
    veor    q6, q6, q2
    vldrw.u32 q0, [r1]
    vadd.i32 q5, q5, q6
    vneg.s32 q7, q3
    vmovlb.u16 q6, q0
    vmax.s32 q7, q7, q4
    vshl.i32 q5, q5, #1
    vshl.u32 q6, q6, q7
    vmov.i32 q7, #6
    vadd.i32 q5, q5, q6
    vadd.i32 q5, q5, r9
    vadd.i32 q5, q5, q7
    // By how many places more it must go to the right: less q6.
    vclz.i32 q6, q5
    vmov.i32 q7, #17
    vsub.i32 q6, q6, q7
    vmov.i32 q7, #0
    vmin.s32 q6, q6, q7
    vrshl.s32 q1, q1, q6
    vrshl.s32 q2, q2, q6
    vshl.u32 q5, q5, q6
    vmov.i32 q7, #0x7FFF
    vadd.i32 q5, q5, r9
    vshr.u32 q0, q0, #16
    vmin.u32 q5, q5, q7
    vsli.32 q5, q0, #16
    vstrw.32 q5, [r1], #16
    vsub.i32 q3, q3, q6
    vldrw.u32 q0, [r0]
    vshl.i32 q5, q3, #22
    vadd.i32 q0, q0, q5
    vstrw.32 q0, [r0], #16
    vneg.s32 q3, q3
    vmov.i32 q5, #0x4000
    vmax.s32 q3, q3, q4
    vldrw.u32 q0, [sp, #16]
    vshl.s32 q5, q5, q3
    vstrh.32 q5, [r4, q0, uxtw #1]
    adds    r4, #2
    vstrh.32 q1, [r4, q0, uxtw #1]
    adds    r4, #2
    vstrh.32 q2, [r4, q0, uxtw #1]
    adds    r4, #20
    letp    lr, 1b
    add     sp, #32
    vpop    {{d8-d15}}
    pop     {{r4-r10, pc}}
    .size kinglet_mve_plan, . - kinglet_mve_plan
"#
);
