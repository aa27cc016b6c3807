//! Kinglet on an STM32F405, 168 MHz: the console is USART1 on PA9 (out) and
//! PA10 (in), 115,200 baud.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use cortex_m_rt::entry;
use kinglet_board_common::{serve, SysTickClock, Wire};
use stm32f4xx_hal::hal_02::serial::{Read, Write};
use stm32f4xx_hal::pac::{CorePeripherals, Peripherals, RCC};
use stm32f4xx_hal::prelude::*;
use stm32f4xx_hal::rcc::Config;
use stm32f4xx_hal::serial;

/// All that the chip can do, from its own oscillator, so that it does not
/// matter which crystal a board has. QEMU has no clock controller: its
/// registers read as zero, where a chip's oscillator is on since the reset.
fn clocks(rcc: &RCC) -> Config {
    if rcc.cr().read().bits() == 0 {
        Config::hsi()
    } else {
        Config::hsi().sysclk(168.MHz())
    }
}

#[entry]
fn enter() -> ! {
    let (Some(chip), Some(core)) = (Peripherals::take(), CorePeripherals::take()) else {
        unreachable!("the start-up code comes here once");
    };
    let clocks = clocks(&chip.RCC);
    let mut rcc = chip.RCC.freeze(clocks);
    let hz = rcc.clocks.sysclk().raw();
    let pins = chip.GPIOA.split(&mut rcc);
    let config = serial::Config::default().baudrate(115_200.bps());
    let Ok(uart) = chip
        .USART1
        .serial::<u8>((pins.pa9, pins.pa10), config, &mut rcc)
    else {
        unreachable!("all clocks above allow this rate");
    };
    let (mut out, mut input) = uart.split();
    let mut port = Wire::new(
        || Read::read(&mut input).ok(),
        |bytes| {
            for &byte in bytes {
                while Write::write(&mut out, byte).is_err() {}
            }
        },
    );
    let clock = SysTickClock::start(core.SYST, hz);
    serve(&mut port, "STM32F405", || clock.micros())
}
