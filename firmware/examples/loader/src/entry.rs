//! The program's entry, and all that needs `unsafe` in it: the heap's memory.
#![allow(unsafe_code)]

use core::mem::MaybeUninit;
use embedded_alloc::LlffHeap;
use kinglet_machine::{entry, MACHINE};

/// What `alloc` takes its memory from.
#[global_allocator]
static HEAP: LlffHeap = LlffHeap::empty();

/// Bytes of the heap: room for two models of the demo's size, or half of a
/// small machine's RAM.
const HEAP_BYTES: usize = if MACHINE.ram.bytes < 256 << 10 {
    MACHINE.ram.bytes as usize / 2
} else {
    128 << 10
};

// Words of eight bytes, so that it is aligned for everything.
static mut HEAP_MEMORY: [MaybeUninit<u64>; HEAP_BYTES / 8] =
    [MaybeUninit::uninit(); HEAP_BYTES / 8];

/// Bytes of the heap in use.
pub fn heap_used() -> usize {
    HEAP.used()
}

/// The program's entry, after the start-up code.
#[entry]
fn enter() -> ! {
    kinglet_machine::start();
    let start = &raw mut HEAP_MEMORY;
    // SAFETY: the start-up code alone can call this function, once, before
    // anything is allocated, and nothing else names the memory.
    unsafe { HEAP.init(start as usize, HEAP_BYTES) };
    crate::main()
}
