//! What texts of assembly begin with.
//!
//! All of them are one text to the assembler. It knows nothing of the target's
//! extensions, and the name of a macro is taken until it is given back.

// Built for size, a port may have naked functions alone.
#![cfg_attr(not(kinglet_fast), allow(unused_imports, unused_macros))]

/// Tells the assembler which instructions there are.
#[cfg(kinglet_mve)]
macro_rules! processor {
    () => {
        ".cpu cortex-m55"
    };
}
/// Tells the assembler which instructions there are: an ARMv8-M core may have the DSP
/// extension, an ARMv7E-M core always has.
#[cfg(all(kinglet_dsp, kinglet_armv8m))]
macro_rules! processor {
    () => {
        ".cpu cortex-m33"
    };
}
/// Tells the assembler which instructions there are.
#[cfg(kinglet_riscv)]
macro_rules! processor {
    () => {
        ".option arch, +m"
    };
}
/// Tells the assembler which instructions there are: those of the target.
#[cfg(not(any(kinglet_mve, all(kinglet_dsp, kinglet_armv8m), kinglet_riscv)))]
macro_rules! processor {
    () => {
        ""
    };
}
pub(crate) use processor;

/// The marks of a function that only ARM's have: it is in the instruction set Thumb.
#[cfg(not(kinglet_riscv))]
macro_rules! thumb {
    () => {
        ".thumb\n.thumb_func"
    };
}
#[cfg(kinglet_riscv)]
macro_rules! thumb {
    () => {
        ""
    };
}
pub(crate) use thumb;

/// Assembles texts, and after a semicolon their operands. `kinglet_function NAME` begins a
/// function, in a section of its own: the linker leaves out those that nothing calls.
macro_rules! assembly {
    ($($text:expr),+ $(,)? $(; $($operands:tt)+)?) => {
        core::arch::global_asm!(
            $crate::arch::shared::assembly::processor!(),
            r#"
    .macro kinglet_function name
    .section .text.\name,"ax",%progbits
    .balign 4
"#,
            $crate::arch::shared::assembly::thumb!(),
            r#"
    .global \name
    .type \name,%function
\name:
    .endm
"#,
            $($text,)+
            ".purgem kinglet_function",
            $($($operands)+)?
        );
    };
}
pub(crate) use assembly;
