//! The boards' application on a machine that QEMU has, for boards that it does
//! not have: the same core, as much memory, another UART.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use cortex_m::Peripherals;
use cortex_m_rt::entry;
use kinglet_board_common::{serve, SysTickClock, Wire};
use kinglet_machine::{has_byte, read_byte, write_byte, MACHINE};

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
    let mut port = Wire::new(
        || has_byte().then(read_byte),
        |bytes| bytes.iter().copied().for_each(write_byte),
    );
    // The core and its timers have one clock.
    let clock = SysTickClock::start(core.SYST, MACHINE.timer.hz);
    serve(&mut port, env!("KINGLET_TITLE"), || clock.micros())
}
