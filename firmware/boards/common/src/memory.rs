//! Memory that the linker script of a board names: the model's flash, the RAM
//! between variables and stack, and the stack itself.

use core::slice;
use core::sync::atomic::{AtomicBool, Ordering::Relaxed};
#[cfg(target_arch = "arm")]
use cortex_m_rt::STACK_PAINT_VALUE as PAINT;

/// What the stack is painted with.
#[cfg(target_arch = "riscv32")]
const PAINT: u32 = 0xcccc_cccc;

extern "C" {
    // Defined in every board's memory.x.
    static _model_start: u32;
    static _model_end: u32;
    // Defined by cortex-m-rt, on RISC-V in memory.x: the end of the variables.
    static __sheap: u32;
    // Where the stack may grow to (memory.x), and where it begins.
    static _stack_end: u32;
    static _stack_start: u32;
}

/// The flash after the firmware: begins with a model's image if one has been
/// flashed there, and may hold anything.
pub fn model() -> &'static [u8] {
    let (start, end) = (&raw const _model_start, &raw const _model_end);
    let bytes = end as usize - start as usize;
    // SAFETY: memory.x puts nothing else into this flash, nothing writes to
    // it while the program runs, and any bytes are `u8`s.
    unsafe { slice::from_raw_parts(start.cast(), bytes) }
}

/// The RAM between the variables and the stack, the first time; nothing
/// after.
pub fn arena() -> &'static mut [i32] {
    static TAKEN: AtomicBool = AtomicBool::new(false);
    let first = critical_section::with(|_| {
        let first = !TAKEN.load(Relaxed);
        TAKEN.store(true, Relaxed);
        first
    });
    let (start, end) = (&raw const __sheap, &raw const _stack_end);
    let bytes = (end as usize).saturating_sub(start as usize);
    if !first {
        return &mut [];
    }
    // SAFETY: the linker script aligns both ends to words, no variable lies
    // between them, the stack ends above, `first` is true for one caller, and
    // any bits are an `i32`: what RAM holds at reset is as good as anything.
    unsafe { slice::from_raw_parts_mut(start.cast_mut().cast(), bytes / size_of::<i32>()) }
}

/// Paints the stack below the caller, which the start-up code of ARM does by itself.
#[cfg(target_arch = "riscv32")]
#[inline(never)]
pub fn paint_stack() {
    // SAFETY: memory.x aligns `_stack_end`, all words up to the stack's pointer
    // are RAM that nothing uses, and nothing is called here.
    unsafe {
        core::arch::asm!(
            "1: bgeu {at}, sp, 2f",
            "sw {paint}, 0({at})",
            "addi {at}, {at}, 4",
            "j 1b",
            "2:",
            at = inout(reg) &raw const _stack_end => _,
            paint = in(reg) PAINT,
            options(nostack),
        );
    }
}

/// The most bytes of stack in use since all of it was painted: by the start-up
/// code, on RISC-V when the console begins. What lost its paint has been used.
pub fn stack_bytes() -> u32 {
    let top = &raw const _stack_start as usize;
    let mut at = &raw const _stack_end as usize;
    // SAFETY: memory.x aligns `_stack_end`, all words up to the top are RAM,
    // and no variable lies between.
    while at < top && unsafe { core::ptr::read_volatile(at as *const u32) } == PAINT {
        at += size_of::<u32>();
    }
    (top - at) as u32
}
