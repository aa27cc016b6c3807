//! What all programs for emulated machines share: the machine they were built
//! for, its console, its timer, and with the feature `program` its memory and
//! what happens on a fault.
//!
//! All `unsafe` code of it is in [`device`], [`memory`] and [`arch`], which has a
//! file for each architecture.
#![no_std]
#![deny(unsafe_code)]

#[cfg_attr(target_arch = "arm", path = "arm.rs")]
#[cfg_attr(target_arch = "riscv32", path = "riscv.rs")]
#[allow(unsafe_code)]
mod arch;
#[allow(unsafe_code)]
mod device;
#[cfg(feature = "program")]
#[allow(unsafe_code)]
mod memory;
#[cfg(feature = "program")]
mod panic;
mod stream;
mod timer;
mod uart;

/// The attribute of a program's entry, which the start-up code calls once.
#[cfg(feature = "program")]
pub use arch::entry;
#[cfg(feature = "program")]
pub use memory::{spare_ram, stack_bytes};
pub use stream::Uart;
pub use timer::{since, ticks};
pub use uart::{has_byte, read_byte, write_byte};

use kinglet_targets::Machine;

/// The machine that this program was built for.
pub const MACHINE: &Machine = match Machine::named(env!("KINGLET_MACHINE")) {
    Some(machine) => machine,
    None => panic!("the build script chooses machines of the table only"),
};

/// Makes UART and timer ready, and the stack, whose use is measured.
pub fn start() {
    arch::paint_stack();
    uart::start();
    timer::start();
}

/// Leaves QEMU; 0 is success.
#[cfg(feature = "program")]
pub fn exit(code: i32) -> ! {
    semihosting::process::exit(code)
}
