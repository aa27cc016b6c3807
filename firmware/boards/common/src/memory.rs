//! Memory that the linker script of a board names: the model's flash, the RAM
//! between variables and stack, and the stack itself.

use core::slice;
use core::sync::atomic::{AtomicBool, Ordering::Relaxed};
use cortex_m::interrupt;
use cortex_m_rt::STACK_PAINT_VALUE;

extern "C" {
    // Defined in every board's memory.x.
    static _model_start: u32;
    static _model_end: u32;
    // Defined by cortex-m-rt: the end of the variables.
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
    let first = interrupt::free(|_| {
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

/// The most bytes of stack in use since the reset. The start-up code painted
/// all of the stack; what lost its paint has been used.
pub fn stack_bytes() -> u32 {
    let top = &raw const _stack_start as usize;
    let mut at = &raw const _stack_end as usize;
    // SAFETY: memory.x aligns `_stack_end`, all words up to the top are RAM,
    // and no variable lies between.
    while at < top && unsafe { core::ptr::read_volatile(at as *const u32) } == STACK_PAINT_VALUE {
        at += size_of::<u32>();
    }
    (top - at) as u32
}
