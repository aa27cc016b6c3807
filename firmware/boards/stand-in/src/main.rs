//! The boards' application on a machine that QEMU has, for boards that it does
//! not have: the same core, as much memory, another UART.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use cortex_m::Peripherals;
use cortex_m_rt::entry;
use kinglet_board_common::{serve, SysTickClock};
use kinglet_machine::{Uart, MACHINE};

#[entry]
fn enter() -> ! {
    let Some(core) = Peripherals::take() else {
        // The start-up code comes here once. It says so without a panic, so that
        // none is linked.
        loop {
            cortex_m::asm::wfi();
        }
    };
    kinglet_machine::start();
    // The core and its timers have one clock.
    let clock = SysTickClock::start(core.SYST, MACHINE.timer.hz);
    serve(&mut Uart, env!("KINGLET_TITLE"), || clock.micros())
}
