//! Kinglet on a Nordic nRF52840-DK, 64 MHz: the console is the USB serial
//! port of its debugger, 115,200 baud.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use core::future::Future;
use core::pin::pin;
use core::task::{Context, Poll, Waker};
use cortex_m_rt::entry;
use embassy_nrf::buffered_uarte::{self, BufferedUarte};
use embassy_nrf::config::{Config, HfclkSource};
use embassy_nrf::uarte::{self, Baudrate};
use embassy_nrf::{bind_interrupts, peripherals};
use kinglet_board_common::{serve, SysTickClock, Wire};

bind_interrupts!(struct Irqs {
    UARTE0 => buffered_uarte::InterruptHandler<peripherals::UARTE0>;
});

/// Bytes that can come while the model is at work: interrupts fetch them.
const RECEIVE_BYTES: usize = 128;

/// Bytes on their way out.
const SEND_BYTES: usize = 32;

/// Clock of the core.
const CLOCK_HZ: u32 = 64_000_000;

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
    let (mut receive, mut send) = ([0; RECEIVE_BYTES], [0; SEND_BYTES]);
    let mut uart = BufferedUarte::new(
        chip.UARTE0,
        chip.TIMER0,
        chip.PPI_CH0,
        chip.PPI_CH1,
        chip.PPI_GROUP0,
        chip.P0_08,
        chip.P0_06,
        Irqs,
        config,
        &mut receive,
        &mut send,
    );
    let (input, out) = uart.split_by_ref();
    let mut port = Wire::new(
        || {
            let mut byte = [0];
            // The caller polls again, so it needs no waker.
            let mut context = Context::from_waker(Waker::noop());
            let read = pin!(input.read(&mut byte)).poll(&mut context);
            matches!(read, Poll::Ready(Ok(1))).then_some(byte[0])
        },
        |bytes| {
            let mut rest = bytes;
            while !rest.is_empty() {
                // It has no room for more now and then.
                let sent = out.try_write(rest).unwrap_or(0);
                rest = rest.get(sent..).unwrap_or_default();
            }
        },
    );
    let clock = SysTickClock::start(core.SYST, CLOCK_HZ);
    serve(&mut port, "nRF52840-DK", || clock.micros())
}
