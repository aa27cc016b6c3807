//! What a matrix state's step does for each row beside reads and writes, four rows in a
//! vector.

use crate::arch::shared::assembly::assembly;
use crate::arch::state::coefficient_places;
use crate::arch::{Port, Portable, Write};
use crate::number::{larger, places, positive, zeros, FRACTIONS};

/// As [`Port::decay`].
pub(super) fn decay(lam: &mut [i32], bounds: &mut [i32], w: &[i32]) {
    let len = lam.len().min(bounds.len()).min(w.len());
    if len > 0 {
        let (lam, bounds) = (lam.as_mut_ptr(), bounds.as_mut_ptr());
        // SAFETY: all slices are as long, and not empty; the table is that of fractions.
        unsafe { kinglet_mve_decay(lam, bounds, w.as_ptr(), table(), len) }
    }
}

/// As [`Port::coefficients`].
pub(super) fn coefficients(
    x: &[i32],
    [lam, bounds]: [&[i32]; 2],
    [most, sign]: [i32; 2],
    scaled: &mut [i32],
    (out, step): (&mut [i16], usize),
) -> i32 {
    let len = x.len().min(lam.len()).min(bounds.len());
    let len = len.min(scaled.len());
    if len == 0 || len < x.len() || out.len() < len || step != 1 {
        return Portable::coefficients(x, [lam, bounds], [most, sign], scaled, (out, step));
    }
    let mut found = Scaled {
        most,
        ..Scaled::default()
    };
    let (x, lam, bounds) = (x.as_ptr(), lam.as_ptr(), bounds.as_ptr());
    // SAFETY: all slices are as long, and not empty.
    unsafe { kinglet_mve_coefficients(x, lam, bounds, scaled.as_mut_ptr(), len, &mut found) }
    let places = coefficient_places(found.sum, found.bits, len) as i32;
    // SAFETY: both slices are as long, and not empty.
    unsafe { kinglet_mve_round(scaled.as_ptr(), out.as_mut_ptr(), len, -places, sign) }
    // See the portable twin.
    most + places + 2
}

/// As [`Port::to_16_bits`].
pub(super) fn to_16_bits(x: &[i32], sign: i32, out: &mut [[i16; 2]], place: usize) -> i32 {
    let x = x.get(..out.len()).unwrap_or(x);
    if x.is_empty() {
        return Portable::to_16_bits((x, 1), sign, out, place);
    }
    // SAFETY: the slice is not empty.
    let max = unsafe { kinglet_mve_max(x.as_ptr(), x.len()) };
    let right = positive(18 - zeros(max));
    let len = x.len();
    let out = out.as_flattened_mut().get_mut(place..).unwrap_or_default();
    if len > 0 && out.len() + place >= 2 * len {
        // SAFETY: `out` has an element at every second place.
        unsafe { kinglet_mve_halves(x.as_ptr(), out.as_mut_ptr(), len, -right, sign) }
    }
    right
}

/// As [`Port::plan`].
pub(super) fn plan(
    [lam, bounds]: [&mut [i32]; 2],
    [k, b]: [&[i32]; 2],
    [k_exp, b_exp]: [i32; 2],
    slack: u32,
    writes: &mut [Write],
) {
    // Of no second product nothing is left.
    let (b, b_exp, has_b) = match b {
        [] => (k, k_exp, 0),
        _ => (b, b_exp, 1),
    };
    let exp = larger(k_exp, b_exp);
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
        exp: exp + 15,
        places: [k_exp, b_exp].map(|own| -(places(exp - own) as i32)),
        slack: 2 * slack + 6,
        has_b,
        len,
    };
    // SAFETY: all slices are as long, and not empty; the table is that of fractions.
    unsafe { kinglet_mve_plan(&call) }
}

/// As [`Port::differences`].
pub(super) fn differences(words: &[u32]) -> u32 {
    match words.len() {
        0 => 0,
        // SAFETY: the slice is not empty.
        len => unsafe { kinglet_mve_differences(words.as_ptr(), len) },
    }
}

/// As [`Port::add_values`], with a word for both values.
pub(super) fn add_values(
    sums: &[i32],
    values: &[u32],
    weights: [i32; 2],
    right: [u32; 3],
    y: &mut [i32],
) {
    let len = y.len().min(values.len()).min(sums.len());
    if len > 0 {
        let call = ValuesCall {
            sums: sums.as_ptr(),
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
    sums: *const i32,
    weights: [i32; 2],
    /// To the left, of the sum and of both products.
    places: [i32; 3],
}

fn table() -> *const u32 {
    FRACTIONS.as_ptr().cast()
}

/// What scaling finds: the sum of the magnitudes, in units of 256, and the bits of all; it is told the
/// power of two.
#[derive(Default)]
#[repr(C)]
struct Scaled {
    sum: u32,
    bits: u32,
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
    /// That of both products, and 15 more.
    exp: i32,
    /// To the left, of both products.
    places: [i32; 2],
    /// Twice that of the mantissas, and 6 more.
    slack: u32,
    /// 1, or 0 where the second product is none.
    has_b: u32,
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
    /// Multiplies by a sign, shifts by places to the left, rounds and narrows.
    fn kinglet_mve_round(x: *const i32, out: *mut i16, len: usize, places: i32, sign: i32);
    /// The same into every second place.
    fn kinglet_mve_halves(x: *const i32, out: *mut i16, len: usize, places: i32, sign: i32);
    /// The largest magnitude.
    fn kinglet_mve_max(x: *const i32, len: usize) -> u32;
    /// Where bits differ from the one before, in both halves of words.
    fn kinglet_mve_differences(words: *const u32, len: usize) -> u32;
    fn kinglet_mve_add_values(y: *mut i32, values: *const u32, len: usize, call: &ValuesCall);
    fn kinglet_mve_plan(call: &PlanCall);
}

assembly!(
    r#"
    // 2^-x in Q31 for a fraction \x in Q22: \p. \x, \c are scratch.
    .macro kinglet_mve_power p, x, c, table
    vshr.u32 \c, \x, #16
    vldrw.u32 \p, [\table, \c, uxtw #2]
    vshl.i32 \x, \x, #16
    vshl.i32 \c, \p, #19
    vshr.u32 \x, \x, #20
    vshr.u32 \c, \c, #19
    vmul.i32 \c, \c, \x
    vsub.i32 \p, \p, \c
    .endm

    kinglet_function kinglet_mve_decay
    push    {{r7, lr}}
    ldr     r12, [sp, #8]
    vpush   {{d8-d11}}
    vmov.i32 q4, #0xB5000000
    vmov.i8 q5, #0xFF
    vshr.u32 q5, q5, #10
    dlstp.32 lr, r12
1:  vldrw.u32 q0, [r0]
    vldrw.u32 q1, [r2], #16
    vadd.i32 q0, q0, q1
    vmax.s32 q0, q0, q4
    vstrw.32 q0, [r0], #16
    vbic    q0, q5, q0
    kinglet_mve_power q2, q0, q3, r3
    vldrw.u32 q1, [r1]
    vshr.u32 q2, q2, #15
    vsli.32 q1, q2, #16
    vstrw.32 q1, [r1], #16
    letp    lr, 1b
    vpop    {{d8-d11}}
    pop     {{r7, pc}}
    .size kinglet_mve_decay, . - kinglet_mve_decay

    // The bits of all of q2.
    .macro kinglet_mve_or to, a, b, c
    vmov    \to, \a, d4
    vmov    \b, \c, d5
    orrs    \to, \a
    orrs    \b, \c
    orrs    \to, \b
    .endm

    kinglet_function kinglet_mve_coefficients
    push    {{r4-r7, lr}}
    ldrd    r4, r5, [sp, #20]
    ldr     r12, [r5, #8]
    movs    r6, #0
    vmov.i32 q2, #0
    vmvn.i32 q3, #30
    dlstp.32 lr, r4
1:  vldrw.u32 q1, [r2], #16
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
    vorr    q2, q2, q0
    vshr.u32 q0, q0, #8
    vaddva.u32 r6, q0
    letp    lr, 1b
    kinglet_mve_or r0, r1, r2, r3
    strd    r6, r0, [r5]
    pop     {{r4-r7, pc}}
    .size kinglet_mve_coefficients, . - kinglet_mve_coefficients

    kinglet_function kinglet_mve_round
    push    {{r7, lr}}
    ldr     r12, [sp, #8]
    dlstp.32 lr, r2
1:  vldrw.u32 q0, [r0], #16
    vmul.i32 q0, q0, r12
    vrshl.s32 q0, r3
    vstrh.32 q0, [r1], #8
    letp    lr, 1b
    pop     {{r7, pc}}
    .size kinglet_mve_round, . - kinglet_mve_round

    kinglet_function kinglet_mve_halves
    push    {{r4, lr}}
    ldr     r4, [sp, #8]
    mov     r12, #0
    dlstp.32 lr, r2
1:  vldrw.u32 q0, [r0], #16
    vmul.i32 q0, q0, r4
    vrshl.s32 q0, r3
    vidup.u32 q1, r12, #2
    vstrh.32 q0, [r1, q1, uxtw #1]
    letp    lr, 1b
    pop     {{r4, pc}}
    .size kinglet_mve_halves, . - kinglet_mve_halves

    kinglet_function kinglet_mve_max
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

    kinglet_function kinglet_mve_differences
    push    {{r7, lr}}
    vmov.i32 q2, #0
    dlstp.32 lr, r1
1:  vldrw.u32 q0, [r0], #16
    vshl.i32 q1, q0, #1
    veor    q0, q0, q1
    vorr    q2, q2, q0
    letp    lr, 1b
    kinglet_mve_or r0, r1, r2, r3
    pop     {{r7, pc}}
    .size kinglet_mve_differences, . - kinglet_mve_differences

    kinglet_function kinglet_mve_add_values
    push    {{r4-r8, lr}}
    ldm.w   r3, {{r3-r7, r12}}
    dlstp.32 lr, r2
1:  vldrw.u32 q0, [r1], #16
    vmovlt.s16 q1, q0
    vmovlb.s16 q0, q0
    vmul.i32 q1, q1, r5
    vmul.i32 q0, q0, r4
    vldrw.u32 q2, [r3], #16
    vshl.s32 q1, r12
    vshl.s32 q0, r7
    vshl.s32 q2, r6
    vadd.i32 q0, q0, q1
    vadd.i32 q0, q0, q2
    vstrw.32 q0, [r0], #16
    letp    lr, 1b
    pop     {{r4-r8, pc}}
    .size kinglet_mve_add_values, . - kinglet_mve_add_values

    // r0 lam   r1 bounds   r2 k   r3 b   r4 writes   r5 the table   r6 the power of two
    // r7, r8 places of both   r9 the slack   r10 whether b is there   r11 rows left
    // Stack: [0] the mask of a fraction, four times  [16] 0, 3, 6, 9
    kinglet_function kinglet_mve_plan
    push    {{r4-r11, lr}}
    vpush   {{d8-d15}}
    sub     sp, #36
    ldm.w   r0, {{r0-r11}}
    vmov.i8 q0, #0xFF
    vshr.u32 q0, q0, #10
    mov     r12, #0
    vidup.u32 q1, r12, #1
    mov     r12, #3
    vmul.i32 q1, q1, r12
    vstrw.32 q0, [sp]
    vstrw.32 q1, [sp, #16]
    dlstp.32 lr, r11
1:  vldrw.u32 q0, [r0]
    vldrw.u32 q1, [sp]
    vand    q1, q1, q0
    kinglet_mve_power q3, q1, q2, r5
    vshr.u32 q3, q3, #16
    vshl.i32 q3, q3, #16
    vshr.s32 q0, q0, #22
    vsub.i32 q0, q0, r6
    vldrw.u32 q1, [r2], #16
    vmulh.s32 q1, q1, q3
    vshl.s32 q1, r7
    vldrw.u32 q2, [r3], #16
    vmulh.s32 q2, q2, q3
    vmul.i32 q2, q2, r10
    vshl.s32 q2, r8
    // Places to the right, and by how many a row is raised: q3, q4.
    vmov.i32 q4, #0
    vmax.s32 q3, q4, q0
    vsub.i32 q4, q3, q0
    vmvn.i32 q5, #30
    vneg.s32 q3, q3
    vmax.s32 q3, q3, q5
    vshl.s32 q1, q1, q3
    vshl.s32 q2, q2, q3
    // The bound of what is written: q0.
    vshr.s32 q0, q1, #31
    vshr.s32 q3, q2, #31
    veor    q0, q0, q1
    veor    q3, q3, q2
    vldrw.u32 q7, [r1]
    vadd.i32 q0, q0, q3
    vneg.s32 q3, q4
    vmovlb.u16 q6, q7
    vmax.s32 q3, q3, q5
    vshl.u32 q6, q6, q3
    vadd.i32 q0, q0, r9
    vadd.i32 q0, q0, q6
    // By how many places more it must go to the right: less q3.
    vshr.u32 q3, q0, #15
    vmov.i32 q6, #32
    vclz.i32 q3, q3
    vsub.i32 q3, q3, q6
    vrshl.s32 q1, q1, q3
    vrshl.s32 q2, q2, q3
    vshl.u32 q0, q0, q3
    vshr.u32 q7, q7, #16
    vsli.32 q0, q7, #16
    vstrw.32 q0, [r1], #16
    vsub.i32 q4, q4, q3
    vldrw.u32 q6, [r0]
    vshl.i32 q0, q4, #22
    vadd.i32 q6, q6, q0
    vstrw.32 q6, [r0], #16
    vneg.s32 q4, q4
    vmov.i32 q0, #0x4000
    vmax.s32 q4, q4, q5
    vneg.s32 q0, q0
    vldrw.u32 q6, [sp, #16]
    vshl.s32 q0, q0, q4
    vstrh.32 q0, [r4, q6, uxtw #1]
    adds    r4, #2
    vstrh.32 q1, [r4, q6, uxtw #1]
    adds    r4, #2
    vstrh.32 q2, [r4, q6, uxtw #1]
    adds    r4, #20
    letp    lr, 1b
    add     sp, #36
    vpop    {{d8-d15}}
    pop     {{r4-r11, pc}}
    .size kinglet_mve_plan, . - kinglet_mve_plan
"#
);
