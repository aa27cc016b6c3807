//! Steps that have the logistic function in them.
//!
//! `USAT` limits a size and its octave, and `SMLABB` goes along a chord: its word is
//! the start, the lower half of it the slope. A gate's sign is `0x7FFF - share` or
//! `share`, without a branch.

use super::Dsp;
use crate::arch::shared::assembly::processor;
use crate::arch::shared::gates::{AverageCall, Fixed, GatedCall, Gates, Routines};
use core::arch::naked_asm;

impl Gates for Dsp {
    const ROUTINES: Routines = Routines {
        shares,
        add_gated,
        average,
    };
}

/// What all routines begin with; they end with [`purge`].
macro_rules! macros {
    () => {
        r#"
    // Places \right to the right and \left to the left, from \left: one is 0.
    .macro kinglet_dsp_places left, right
    rsbs    \right, \left, #0
    usat    \left, #5, \left
    usat    \right, #5, \right
    .endm
    // The word of the table for a size \x, from \table, into \to. \s is scratch, and
    // the table is four octaves lower: saturated, 16 of them are those it has.
    .macro kinglet_dsp_step to, x, table, s
    lsr     \to, \x, #22
    add     \to, \to, #4
    usat    \to, #4, \to
    ubfx    \s, \x, #19, #3
    add     \to, \s, \to, lsl #3
    .endm
    // \x: the size of \d, limited.
    .macro kinglet_dsp_size x, d
    eor     \x, \d, \d, asr #31
    sub     \x, \x, \d, asr #31
    .endm
"#
    };
}

/// Forgets the macros.
macro_rules! purge {
    () => {
        ".purgem kinglet_dsp_places\n.purgem kinglet_dsp_step\n.purgem kinglet_dsp_size"
    };
}

// r0 gates   r1 out   r2 left   r3 limit   r4 table   r5, r6 places   r7-r9, lr
// scratch   r10 the largest share
#[unsafe(naked)]
unsafe extern "C" fn shares(
    _gate: *const i32,
    _out: *mut i32,
    _len: usize,
    _fixed: &Fixed,
    _table: *const u32,
) {
    naked_asm!(
        processor!(),
        macros!(),
        r#"
    push    {{r4-r10, lr}}
    ldr     r4, [sp, #32]
    sub     r4, #256
    ldrd    r5, r3, [r3]
    kinglet_dsp_places r5, r6
    movw    r10, #0x7FFF
1:  ldr     r7, [r0], #4
    kinglet_dsp_size r8, r7
    cmp     r8, r3
    it      gt
    movgt   r8, r3
    lsl     r8, r8, r5
    asr     r8, r8, r6
    usat    r8, #27, r8
    kinglet_dsp_step r9, r8, r4, lr
    ldr     r9, [r4, r9, lsl #3]
    ubfx    lr, r8, #5, #14
    lsr     r8, r8, #22
    smlabb  r9, r9, lr, r9
    bic     r7, r10, r7, asr #31
    lsr     r9, r9, #17
    lsr     r9, r9, r8
    eor     r9, r9, r7
    str     r9, [r1], #4
    subs    r2, #1
    bne     1b
    pop     {{r4-r10, pc}}
"#,
        purge!(),
    )
}

// r0 x   r1 gates   r2 y   r3 table   r4 the bits   r5 limit   r6, r7 places of gates
// r8, r9 of x   r10 elements left, above the places of y   r11, r12, lr scratch
#[unsafe(naked)]
unsafe extern "C" fn add_gated(
    _x: *mut i32,
    _gate: *const i32,
    _y: *const i32,
    _call: &GatedCall,
) -> u32 {
    naked_asm!(
        processor!(),
        macros!(),
        r#"
    push    {{r4-r11, lr}}
    ldm     r3, {{r4, r6, r7, r8, r9, r12}}
    mov     r5, r7
    rsb     r10, r9, #0
    subs    r4, #1
    orr     r10, r10, r4, lsl #8
    kinglet_dsp_places r6, r7
    kinglet_dsp_places r8, r9
    sub     r3, r12, #256
    movs    r4, #0
1:  ldr     r11, [r1], #4
    kinglet_dsp_size r12, r11
    cmp     r12, r5
    it      gt
    movgt   r12, r5
    lsl     r12, r12, r6
    asr     r12, r12, r7
    usat    r12, #27, r12
    kinglet_dsp_step r11, r12, r3, lr
    ldr     r11, [r3, r11, lsl #3]
    ubfx    lr, r12, #5, #14
    lsr     r12, r12, #22
    smlabb  r11, r11, lr, r11
    ldr     lr, [r1, #-4]
    lsr     r11, r11, #17
    lsr     r11, r11, r12
    mvn     lr, lr, asr #31
    ldr     r12, [r2], #4
    eor     r11, r11, lr
    lsl     r12, r12, #1
    ubfx    r11, r11, #0, #15
    ldr     lr, [r0]
    smulwb  r12, r12, r11
    lsl     lr, lr, r8
    asr     r12, r12, r10
    asr     lr, lr, r9
    add     r11, lr, r12
    str     r11, [r0], #4
    eor     r11, r11, r11, asr #31
    orr     r4, r4, r11
    subs    r10, #0x100
    bcs     1b
    mov     r0, r4
    pop     {{r4-r11, pc}}
"#,
        purge!(),
    )
}

// r0 averages   r1 weights   r2 k   r3 v   r4 w   r5 u   r6 out   r7 table   r8 k, the
// larger logarithm   r9 v   r10-r12, lr scratch, in r12 octaves
// Stack: [0] the limit of k  [4] its places  [12] those of v, to the right
// [16] the largest result  [20] the end of the averages
#[unsafe(naked)]
unsafe extern "C" fn average(_call: &AverageCall) -> u32 {
    naked_asm!(
        processor!(),
        macros!(),
        r#"
    // From \a towards \v, where the flags are not those of a negative difference, or
    // the other way: \a is the nearer, \f the share \s of the distance.
    .macro kinglet_dsp_far a, v, f, s
    sub     \f, \v, \a
    itt     pl
    movpl   \a, \v
    rsbpl   \f, \f, #0
    lsl     \f, \f, #1
    smulwt  \f, \f, \s
    .endm

    push    {{r4-r11, lr}}
    ldm     r0, {{r0-r7, r9-r12}}
    sub     sp, #24
    kinglet_dsp_places r9, r8
    str     r11, [sp]
    strd    r9, r8, [sp, #4]
    rsbs    r10, r10, #0
    str     r10, [sp, #12]
    mov     r8, #0
    add     r12, r0, r12, lsl #2
    strd    r8, r12, [sp, #16]
    sub     r7, #256
1:  ldr     r8, [r2], #4
    ldm.w   sp, {{r10, r11, r12}}
    cmp     r8, r10
    it      gt
    movgt   r8, r10
    cmn     r8, r10
    it      lt
    rsblt   r8, r10, #0
    lsl     r8, r8, r11
    asr     r8, r8, r12
    ldr     r9, [r3], #4
    ldr     r10, [sp, #12]
    asr     r9, r9, r10
    ldr     r10, [r5], #4
    ldr     r11, [r1]
    add     r10, r10, r8
    subs    r10, r10, r11
    kinglet_dsp_size r11, r10
    usat    r11, #27, r11
    lsr     r12, r11, #22
    kinglet_dsp_step r10, r11, r7, lr
    ldr     r10, [r7, r10, lsl #3]
    ubfx    r11, r11, #5, #14
    smlabb  r10, r10, r11, r10
    ldr     r11, [r0]
    lsr     r10, r10, #1
    kinglet_dsp_far r11, r9, lr, r10
    asr     lr, lr, r12
    add     r11, r11, lr
    ldr     r10, [r6]
    lsl     r11, r11, #1
    smulwb  r10, r11, r10
    ldr     r11, [sp, #16]
    str     r10, [r6], #4
    eor     r10, r10, r10, asr #31
    cmp     r11, r10
    it      lt
    strlt   r10, [sp, #16]

    ldr     r10, [r4], #4
    ldr     r11, [r1]
    add     r11, r11, r10
    subs    r10, r8, r11
    it      mi
    movmi   r8, r11
    kinglet_dsp_size r11, r10
    usat    r11, #27, r11
    lsr     r12, r11, #22
    str     r8, [r1]
    kinglet_dsp_step r10, r11, r7, lr
    add     r10, r7, r10, lsl #3
    ubfx    r11, r11, #5, #14
    ldrd    r10, lr, [r10]
    smlabb  r8, r10, r11, r10
    // The mean along the way.
    sub     r10, r10, r8
    add     r10, r8, r10, lsr #1
    lsr     r10, r10, #15
    mul     r10, r10, r11
    sub     lr, lr, r10, lsr #3
    lsr     lr, lr, #8
    ldr     r10, [r1]
    lsr     lr, lr, r12
    add     lr, lr, #1
    add     r10, r10, lr, lsr #1
    str     r10, [r1], #4
    ldr     r11, [r0]
    lsr     r8, r8, #1
    kinglet_dsp_far r11, r9, lr, r8
    // The carry is the half that is rounded up.
    adds    lr, lr, #0
    asrs    lr, lr, r12
    adc     r11, r11, lr
    str     r11, [r0], #4
    ldr     r10, [sp, #20]
    cmp     r0, r10
    bne     1b
    ldr     r0, [sp, #16]
    add     sp, #24
    pop     {{r4-r11, pc}}
"#,
        purge!(),
    )
}
