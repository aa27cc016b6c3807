//! Products with weights in groups of 32 columns, four rows at a time.

use crate::arch::shared::assembly::processor;
use crate::shape::Bits;
use core::arch::naked_asm;

/// The sums of `blocks` blocks of rows of `groups` groups; at least one of
/// each: weights, words, sums, blocks, groups.
pub(super) type Routine = unsafe extern "C" fn(*const u32, *const u32, *mut i32, usize, usize);

/// What a format has of its own.
#[derive(Clone, Copy)]
pub(super) struct Format {
    /// The sums.
    pub routine: Routine,
    /// Words of a stored group of four rows.
    pub stored_words: usize,
    /// Words of a prepared group.
    pub prepared_words: usize,
}

/// A constant, then two words per four columns.
pub(super) const INT4_WORDS: usize = 17;
pub(super) const INT4: Format = Format {
    routine: int4_routine,
    stored_words: Bits::Int4.group_bytes() / 4,
    prepared_words: INT4_WORDS,
};

/// A constant, then ten words per 16 columns.
#[cfg(feature = "int6")]
pub(super) const INT6_WORDS: usize = 21;
#[cfg(feature = "int6")]
pub(super) const INT6: Format = Format {
    routine: int6_routine,
    stored_words: Bits::Int6.group_bytes() / 4,
    prepared_words: INT6_WORDS,
};

/// A [`Routine`], from the assembly of a group and of what it wants in r2 and r3, and
/// the words of a prepared group, and the groups of a round, a power of two.
///
/// # Safety
/// The weights of all blocks, the `words` of all groups and four `sums` per
/// block must be there.
///
/// # Registers
/// ```text
/// r0 weights   r1 words   r2 mask   r3 mask or scratch   r4-r7 sums of a group
/// r8-r11 weights of four rows   r12, lr activations, or scratch
/// Stack, from sp:
///   [0] sums of four rows  [16] sums  [20] blocks left  [24] words
///   [28] entry, or what a group counts  [32] end of the words
/// ```
/// A round is `$round` groups; the first enters it so that the last ends with it, if a
/// round has more than one.
macro_rules! routine {
    ($name:ident, $words:expr, $round:expr, $group:literal, $setup:literal, [$($macros:literal),*]) => {
        #[unsafe(naked)]
        unsafe extern "C" fn $name(
            weights: *const u32,
            words: *const u32,
            sums: *mut i32,
            blocks: usize,
            groups: usize,
        ) {
            naked_asm!(
                processor!(),
                $($macros,)*
                r#"
    push    {{r4-r11, lr}}
    ldr     r4, [sp, #36]
    sub     sp, #36
    strd    r2, r3, [sp, #16]
    movs    r5, #4 * {words}
    mla     r5, r4, r5, r1
    str     r5, [sp, #32]
    str     r1, [sp, #24]
    .if {groups} > 1
    subs    r4, #1
    and     r4, r4, #{groups} - 1
    adds    r4, #1
    adr.w   r6, 3f
    adr.w   r7, 2f
    adr.w   r8, 4f
    subs    r7, r8, r7
    mls     r6, r4, r7, r6
    orr     r6, r6, #1
    str     r6, [sp, #28]
    .endif
"#,
                $setup,
                r#"
1:  movs    r4, #0
    ldr     r1, [sp, #24]
    strd    r4, r4, [sp]
    strd    r4, r4, [sp, #8]
    .if {groups} > 1
    ldr     pc, [sp, #28]
    .balign 4
    .endif
2:
"#,
                $group,
                r#"
4:
    .rept {groups} - 1
"#,
                $group,
                r#"
    .endr
3:  ldr     r12, [sp, #32]
    cmp     r1, r12
    bne     2b
    ldm.w   sp, {{r4-r7, r12, lr}}
    stm     r12!, {{r4-r7}}
    subs    lr, #1
    strd    r12, lr, [sp, #16]
    bne     1b
    add     sp, #36
    pop     {{r4-r11, pc}}
"#,
                words = const $words,
                groups = const $round,
            )
        }
    };
}

// Another instruction separates a shifted AND from the SMLAD that needs it: a
// Cortex-M33 would stall.
routine!(
    int4_routine,
    INT4_WORDS,
    if cfg!(kinglet_fast) { 4 } else { 1 },
    "kinglet_dsp_int4_group",
    "mov r2, #0x0F000F00",
    [r#"
    .macro kinglet_dsp_int4_rest
        and     r3, r2, r8, lsl #8
        and     r12, r2, r9, lsl #8
        smlad   r4, r3, lr, r4
        and     r3, r2, r10, lsl #8
        smlad   r5, r12, lr, r5
        and     r12, r2, r11, lsl #8
        smlad   r6, r3, lr, r6
        and     r3, r8, #0x0F000F00
        smlad   r7, r12, lr, r7
        ldrd    r12, lr, [r1], #8
        uxtb16  r8, r8
        smlad   r4, r3, r12, r4
        and     r3, r9, #0x0F000F00
        uxtb16  r9, r9
        smlad   r5, r3, r12, r5
        and     r3, r10, #0x0F000F00
        uxtb16  r10, r10
        smlad   r6, r3, r12, r6
        and     r3, r11, #0x0F000F00
        uxtb16  r11, r11
        smlad   r7, r3, r12, r7
        smlad   r4, r8, lr, r4
        smlad   r5, r9, lr, r5
        smlad   r6, r10, lr, r6
        smlad   r7, r11, lr, r7
    .endm
    .macro kinglet_dsp_int4_next
        ldm     r0!, {{r8-r11}}
        ldrd    r12, lr, [r1], #8
        smlad   r4, r8, r12, r4
        smlad   r5, r9, r12, r5
        smlad   r6, r10, r12, r6
        smlad   r7, r11, r12, r7
        kinglet_dsp_int4_rest
    .endm
    .macro kinglet_dsp_int4_group
        .if {groups} > 1
        ldm     r0!, {{r8-r11}}
        ldm     r1!, {{r3, r12, lr}}
        smlad   r4, r8, r12, r3
        smlad   r5, r9, r12, r3
        smlad   r6, r10, r12, r3
        smlad   r7, r11, r12, r3
        kinglet_dsp_int4_rest
        .rept 3
        kinglet_dsp_int4_next
        .endr
        .else
        ldr     r4, [r1], #4
        mov     r5, r4
        mov     r6, r4
        mov     r7, r4
        movs    r3, #4
    5:  str     r3, [sp, #28]
        kinglet_dsp_int4_next
        ldr     r3, [sp, #28]
        subs    r3, #1
        bne     5b
        .endif
        // 16 m of rows 0 and 2 into r10, of rows 1 and 3 into r9.
        ldr     r8, [r0], #4
        orr     r9, r2, r2, lsr #4
        and     r10, r9, r8, lsl #4
        and     r9, r9, r8, lsr #4
        ldm.w   sp, {{r3, r8, r11, r12}}
        smlawb  r3, r4, r10, r3
        smlawb  r8, r5, r9, r8
        smlawt  r11, r6, r10, r11
        smlawt  r12, r7, r9, r12
        stm.w   sp, {{r3, r8, r11, r12}}
    .endm
"#]
);

#[cfg(feature = "int6")]
routine!(
    int6_routine,
    INT6_WORDS,
    if cfg!(kinglet_fast) { 2 } else { 1 },
    "kinglet_dsp_int6_group",
    "movw r2, #0x03FF\nmovt r2, #0x03FF\nmovw r3, #0x03C0\nmovt r3, #0x03C0",
    [r#"
    .macro kinglet_dsp_int6_products x
        smlad   r4, r8, \x, r4
        smlad   r5, r9, \x, r5
        smlad   r6, r10, \x, r6
        smlad   r7, r11, \x, r7
    .endm
    // What is left of an edge, whose second activation is in lr.
    .macro kinglet_dsp_int6_edge
        .irp    w, r8, r9, r10, r11
        and     \w, \w, r2
        .endr
        kinglet_dsp_int6_products lr
        ldr     r12, [r1], #4
        .irp    w, r8, r9, r10, r11
        and     \w, r3, \w, lsl #6
        .endr
        kinglet_dsp_int6_products r12
    .endm
    .macro kinglet_dsp_int6_rest
        kinglet_dsp_int6_edge
        ldm     r0!, {{r8-r11}}
        ldrd    r12, lr, [r1], #8
        kinglet_dsp_int6_products r12
        kinglet_dsp_int6_edge
        ldm     r0!, {{r8-r11}}
        ldrd    r12, lr, [r1], #8
        kinglet_dsp_int6_products r12
        and     r12, r8, #0x03000300
        uxtb16  r8, r8
        smlad   r4, r12, lr, r4
        and     r12, r9, #0x03000300
        uxtb16  r9, r9
        smlad   r5, r12, lr, r5
        and     r12, r10, #0x03000300
        uxtb16  r10, r10
        smlad   r6, r12, lr, r6
        and     r12, r11, #0x03000300
        uxtb16  r11, r11
        smlad   r7, r12, lr, r7
        ldrd    r12, lr, [r1], #8
        kinglet_dsp_int6_products r12
        .irp    w, r8, r9, r10, r11
        and     \w, r3, \w, lsl #8
        .endr
        kinglet_dsp_int6_products lr
    .endm
    .macro kinglet_dsp_int6_group
        ldm     r0!, {{r8-r11}}
        ldm     r1!, {{r4, r12, lr}}
        smlad   r5, r9, r12, r4
        smlad   r6, r10, r12, r4
        smlad   r7, r11, r12, r4
        smlad   r4, r8, r12, r4
        kinglet_dsp_int6_rest
        ldm     r0!, {{r8-r11}}
        ldrd    r12, lr, [r1], #8
        kinglet_dsp_int6_products r12
        kinglet_dsp_int6_rest
        // 64 m of rows 0 and 2 into r10, of rows 1 and 3 into r9.
        ldr     r8, [r0], #4
        uxtb16  r10, r8
        uxtb16  r9, r8, ror #8
        lsls    r10, r10, #6
        lsls    r9, r9, #6
        ldm.w   sp, {{r8, r11, r12, lr}}
        smlawb  r8, r4, r10, r8
        smlawb  r11, r5, r9, r11
        smlawt  r12, r6, r10, r12
        smlawt  lr, r7, r9, lr
        stm.w   sp, {{r8, r11, r12, lr}}
    .endm
"#]
);
