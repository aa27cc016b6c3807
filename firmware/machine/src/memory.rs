//! The stack in use, and the RAM that the linker script leaves alone.

use crate::arch::PAINT;
use crate::MACHINE;
use core::sync::atomic::{AtomicBool, Ordering::Relaxed};

extern "C" {
    static _stack_start: u32;
    static _stack_end: u32;
}

/// The most bytes of stack in use since the reset. The start-up code painted
/// all memory between the variables and the stack's top; what lost its paint
/// has been used.
pub fn stack_bytes() -> u32 {
    // The linker script defines both: only their addresses mean something.
    let top = &raw const _stack_start as usize;
    let mut at = &raw const _stack_end as usize;
    // SAFETY: the linker script aligns `_stack_end`, all words up to the top
    // are RAM, and no variable lies between.
    while at < top && unsafe { core::ptr::read_volatile(at as *const u32) } == PAINT {
        at += size_of::<u32>();
    }
    (top - at) as u32
}

/// The machine's spare RAM, the first time, if it has any. What lies in it is
/// what QEMU's loader put there, and zeros.
pub fn spare_ram() -> Option<&'static mut [u8]> {
    static TAKEN: AtomicBool = AtomicBool::new(false);
    let first = critical_section::with(|_| {
        let first = !TAKEN.load(Relaxed);
        TAKEN.store(true, Relaxed);
        first
    });
    let (start, bytes) = (
        MACHINE.spare.origin as *mut u8,
        MACHINE.spare.bytes as usize,
    );
    // SAFETY: the linker script does not name this RAM, so nothing else of
    // the program lies in it, and `first` is true for one caller.
    (first && bytes > 0).then(|| unsafe { core::slice::from_raw_parts_mut(start, bytes) })
}
