//! What is RISC-V's: interrupts, the stack's paint, faults, the counter of
//! cycles.

use crate::device::Device;
use crate::MACHINE;
use core::arch::asm;
use riscv::register::{mcycle, mie};

#[cfg(feature = "program")]
pub use riscv_rt::entry;

/// What the stack is painted with.
pub const PAINT: u32 = 0xcccc_cccc;

extern "C" {
    static _stack_end: u32;
}

/// Paints the stack below the caller.
#[inline(never)]
pub fn paint_stack() {
    // SAFETY: the linker script aligns `_stack_end`, all words up to the stack's
    // pointer are RAM that nothing uses, and nothing is called here.
    unsafe {
        asm!(
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

/// The interrupt controller of all machines, and where it enables interrupts
/// for the first core.
const PLIC: Device = Device(0x0c00_0000);
const PLIC_ENABLE: u32 = 0x2000;
const PLIC_CLAIM: u32 = 0x20_0004;

/// Sleeps until the UART's interrupt is pending. The interrupt only ends the
/// sleep: the core takes none.
pub fn sleep_unless(wanted: impl Fn() -> bool) {
    let irq = u32::from(MACHINE.uart.receive_irq);
    // Its priority, above the core's threshold of 0.
    PLIC.write(4 * irq, 1);
    PLIC.write(PLIC_ENABLE + irq / 32 * 4, 1 << (irq % 32));
    // SAFETY: the start-up code has disabled interrupts, and nothing enables
    // them: no handler runs.
    unsafe { mie::set_mext() };
    if !wanted() {
        riscv::asm::wfi();
    }
}

/// Clears the UART's pending interrupt.
pub fn unpend() {
    let irq = PLIC.read(PLIC_CLAIM);
    if irq != 0 {
        PLIC.write(PLIC_CLAIM, irq);
    }
}

/// The counter of cycles.
pub fn cycles() -> u64 {
    mcycle::read64()
}

#[cfg(feature = "program")]
mod faults {
    use crate::{exit, say};
    use riscv::register::{mcause, mepc};
    use riscv_rt::TrapFrame;

    #[export_name = "ExceptionHandler"]
    extern "C" fn fault(_: &TrapFrame) -> ! {
        let (cause, at) = (mcause::read().code(), mepc::read());
        say!("exception {cause} at {at:#010x}");
        exit(1)
    }

    #[export_name = "DefaultHandler"]
    extern "C" fn interrupt() -> ! {
        say!("interrupt {} has no handler", mcause::read().code());
        exit(1)
    }
}
