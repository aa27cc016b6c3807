//! Kinglet on an STM32H743 Nucleo-144, 400 MHz: the console is the USB serial
//! port of its debugger (USART3 on PD8 and PD9), 115,200 baud.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use core::cell::RefCell;
use cortex_m_rt::entry;
use embassy_stm32::rcc::{
    AHBPrescaler, APBPrescaler, HSIPrescaler, Pll, PllDiv, PllMul, PllPreDiv, PllSource, Sysclk,
    VoltageScale,
};
use embassy_stm32::usart::{self, Uart};
use embassy_stm32::Config;
use embedded_hal_nb::serial::Read;
use kinglet_board_common::{serve, SysTickClock, Wire};

/// Clock of the core.
const CLOCK_HZ: u32 = 400_000_000;

/// 400 MHz from the chip's own oscillator of 64 MHz, buses at 200 and 100 MHz.
fn clocks() -> Config {
    let mut config = Config::default();
    let rcc = &mut config.rcc;
    rcc.hsi = Some(HSIPrescaler::DIV1);
    rcc.pll1 = Some(Pll {
        source: PllSource::HSI,
        prediv: PllPreDiv::DIV4,
        mul: PllMul::MUL50,
        fracn: None,
        divp: Some(PllDiv::DIV2),
        divq: None,
        divr: None,
    });
    rcc.sys = Sysclk::PLL1_P;
    rcc.ahb_pre = AHBPrescaler::DIV2;
    rcc.apb1_pre = APBPrescaler::DIV2;
    rcc.apb2_pre = APBPrescaler::DIV2;
    rcc.apb3_pre = APBPrescaler::DIV2;
    rcc.apb4_pre = APBPrescaler::DIV2;
    rcc.voltage_scale = VoltageScale::Scale1;
    config
}

#[entry]
fn enter() -> ! {
    let Some(mut core) = cortex_m::Peripherals::take() else {
        unreachable!("the start-up code comes here once");
    };
    // The flash is slow, and no DMA is in use that a cache could hide from.
    core.SCB.enable_icache();
    core.SCB.enable_dcache(&mut core.CPUID);
    let chip = embassy_stm32::init(clocks());
    let uart = Uart::new_blocking(chip.USART3, chip.PD9, chip.PD8, usart::Config::default());
    let Ok(uart) = uart else {
        unreachable!("the clocks above allow this rate");
    };
    let uart = RefCell::new(uart);
    let mut port = Wire::new(
        || Read::read(&mut *uart.borrow_mut()).ok(),
        |bytes| {
            // Without flow control sending cannot fail.
            let _ = uart.borrow_mut().blocking_write(bytes);
        },
    );
    let clock = SysTickClock::start(core.SYST, CLOCK_HZ);
    serve(&mut port, "STM32H743 Nucleo", || clock.micros())
}
