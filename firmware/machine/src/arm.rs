//! What is ARM's: interrupts, the stack's paint, faults.

use crate::MACHINE;
use cortex_m::interrupt::{self, InterruptNumber};
use cortex_m::peripheral::NVIC;

#[cfg(feature = "program")]
pub use cortex_m_rt::{entry, STACK_PAINT_VALUE as PAINT};

/// The start-up code has painted the stack.
pub fn paint_stack() {}

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

/// No machine counts by a register of the core.
pub fn cycles() -> u64 {
    0
}

#[cfg(feature = "program")]
mod faults {
    use crate::{exit, say};
    use cortex_m_rt::{exception, ExceptionFrame};

    #[exception]
    unsafe fn HardFault(frame: &ExceptionFrame) -> ! {
        say!("hard fault at {:#010x}", frame.pc());
        exit(1)
    }

    #[exception]
    unsafe fn DefaultHandler(number: i16) -> ! {
        say!("interrupt {number} has no handler");
        exit(1)
    }
}
