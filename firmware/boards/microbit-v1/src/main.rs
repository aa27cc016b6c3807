//! Kinglet on a BBC micro:bit v1: the console is the USB serial port,
//! 115,200 baud.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use cortex_m_rt::entry;
use kinglet_board_common::serve;
use nrf51_hal::gpio::{p0, Level};
use nrf51_hal::pac::Peripherals;
use nrf51_hal::uart::{Baudrate, Parity, Pins, Uart};
use nrf51_hal::{Clocks, Timer};

#[entry]
fn enter() -> ! {
    let Some(chip) = Peripherals::take() else {
        unreachable!("the start-up code comes here once");
    };
    // The UART's rate wants the crystal.
    Clocks::new(chip.CLOCK).enable_ext_hfosc();
    let pins = p0::Parts::new(chip.GPIO);
    let pins = || Pins {
        txd: pins.p0_24.into_push_pull_output(Level::High).degrade(),
        rxd: pins.p0_25.into_floating_input().degrade(),
        cts: None,
        rts: None,
    };
    let (parity, rate) = (Parity::EXCLUDED, Baudrate::BAUD115200);
    let uart = Uart::new(chip.UART0, pins(), parity, rate);
    // The first byte that this crate sends, before the UART is enabled, makes
    // the chip ready for the next; QEMU's UART drops it. When the UART is set up
    // a second time it is enabled, so that chip and QEMU both send.
    let (uart, pins) = uart.free();
    let mut uart = Uart::new(uart, pins, parity, rate);
    let mut timer = Timer::new(chip.TIMER0);
    timer.start(u32::MAX);
    serve(&mut uart, "BBC micro:bit", || timer.read())
}
