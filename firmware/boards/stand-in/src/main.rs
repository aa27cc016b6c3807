//! The boards' application on a machine that QEMU has, for boards that it does
//! not have: the same core, as much memory, another UART.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

#[cfg(target_arch = "arm")]
use cortex_m_rt::entry;
use kinglet_board_common::serve;
use kinglet_machine::Uart;
#[cfg(target_arch = "riscv32")]
use riscv_rt::entry;

#[entry]
fn enter() -> ! {
    kinglet_machine::start();
    serve(&mut Uart, env!("KINGLET_TITLE"), clock())
}

#[cfg(target_arch = "arm")]
fn clock() -> impl Fn() -> u32 {
    let Some(core) = cortex_m::Peripherals::take() else {
        // The start-up code comes here once. It says so without a panic, so that
        // none is linked.
        loop {
            cortex_m::asm::wfi();
        }
    };
    // The core and its timers have one clock.
    let hz = kinglet_machine::MACHINE.timer.hz;
    let clock = kinglet_board_common::SysTickClock::start(core.SYST, hz);
    move || clock.micros()
}

/// The cycles that QEMU counts are nanoseconds.
#[cfg(target_arch = "riscv32")]
fn clock() -> impl Fn() -> u32 {
    || (riscv::register::mcycle::read64() / 1000) as u32
}
