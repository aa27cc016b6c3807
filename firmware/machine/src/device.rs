//! Registers of the machine's devices, and interrupts that end a sleep.

use crate::MACHINE;
use cortex_m::interrupt::{self, InterruptNumber};
use cortex_m::peripheral::NVIC;

/// A device, by its first address in the table of machines.
#[derive(Clone, Copy)]
pub struct Device(u32);

/// The UART.
pub const UART: Device = Device(MACHINE.uart.address);

/// The timer.
pub const TIMER: Device = Device(MACHINE.timer.address);

impl Device {
    /// Reads the register `offset` bytes after the first one.
    pub fn read(self, offset: u32) -> u32 {
        // SAFETY: the table of machines says that a device lies here; reading
        // any of its registers is defined and aligned.
        unsafe { core::ptr::read_volatile((self.0 + offset) as *const u32) }
    }

    /// Writes the register `offset` bytes after the first one.
    pub fn write(self, offset: u32, value: u32) {
        // SAFETY: as for reading; no register of a UART or a timer makes the
        // device reach memory.
        unsafe { core::ptr::write_volatile((self.0 + offset) as *mut u32, value) }
    }
}

#[derive(Clone, Copy)]
struct ReceiveIrq;

// SAFETY: the number is fixed, and the table of machines says that the
// interrupt controller has it.
unsafe impl InterruptNumber for ReceiveIrq {
    fn number(self) -> u16 {
        MACHINE.uart.receive_irq
    }
}

/// Sleeps until the UART's interrupt is pending. The interrupt only ends the
/// sleep: it is disabled again before a handler could run.
pub fn sleep_unless(wanted: impl Fn() -> bool) {
    interrupt::free(|_| {
        // SAFETY: interrupts are masked here, so this breaks no critical
        // section and no handler runs before `mask`.
        unsafe { NVIC::unmask(ReceiveIrq) };
        if !wanted() {
            cortex_m::asm::wfi();
        }
        NVIC::mask(ReceiveIrq);
    });
}

/// Clears the UART's pending interrupt.
pub fn unpend() {
    NVIC::unpend(ReceiveIrq);
}
