//! Kinglet on a Nordic nRF52840-DK, 64 MHz: the console is the USB serial
//! port of its debugger, 115,200 baud.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use core::cell::RefCell;
use cortex_m_rt::entry;
use embassy_nrf::config::{Config, HfclkSource};
use embassy_nrf::uarte::{self, Baudrate, Uarte};
use embassy_nrf::{bind_interrupts, peripherals};
use kinglet_app::Board;
use kinglet_board_common::{serve, stack_bytes, SysTickClock, Wire};

bind_interrupts!(struct Irqs {
    UARTE0 => uarte::InterruptHandler<peripherals::UARTE0>;
});

/// Clock of the core.
const CLOCK_HZ: u32 = 64_000_000;

struct Nrf52840Dk {
    clock: SysTickClock,
}

impl Board for Nrf52840Dk {
    const TITLE: &'static str = "nRF52840-DK";

    fn micros(&self) -> u32 {
        self.clock.micros()
    }

    fn stack_bytes(&self) -> u32 {
        stack_bytes()
    }
}

#[entry]
fn enter() -> ! {
    let Some(core) = cortex_m::Peripherals::take() else {
        unreachable!("the start-up code comes here once");
    };
    let mut config = Config::default();
    // The UART's rate wants the crystal.
    config.hfclk_source = HfclkSource::ExternalXtal;
    let chip = embassy_nrf::init(config);
    let mut config = uarte::Config::default();
    config.baudrate = Baudrate::Baud115200;
    let uart = Uarte::new(chip.UARTE0, chip.P0_08, chip.P0_06, Irqs, config);
    let uart = RefCell::new(uart);
    let mut port = Wire {
        read: || {
            let mut byte = [0];
            while uart.borrow_mut().blocking_read(&mut byte).is_err() {}
            byte[0]
        },
        write: |bytes: &[u8]| {
            // It fails for no bytes only.
            let _ = uart.borrow_mut().blocking_write(bytes);
        },
    };
    let clock = SysTickClock::start(core.SYST, CLOCK_HZ);
    serve(&mut port, &Nrf52840Dk { clock })
}
