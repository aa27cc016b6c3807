//! What the firmware of all boards shares: where the model and its RAM are,
//! a clock, and what happens on a panic.
//!
//! All `unsafe` code of it is in `memory`.
#![no_std]
#![deny(unsafe_code)]

#[cfg(target_arch = "arm")]
mod clock;
#[allow(unsafe_code)]
mod memory;
#[cfg(feature = "usb")]
mod usb;
mod wire;

#[cfg(target_arch = "arm")]
pub use clock::SysTickClock;
#[cfg(feature = "usb")]
pub use usb::{UsbAllocator, UsbSerial};
pub use wire::Wire;

#[cfg(feature = "defmt")]
use defmt_rtt as _;

use core::fmt::{Display, Write as _};
use core::hint::spin_loop;
use core::panic::PanicInfo;
use embedded_io::{Read, ReadReady, Write};
use kinglet_app::{converse, Board, Model, Speed};

/// The board that this program runs on.
struct Here<F> {
    title: &'static str,
    micros: F,
}

impl<F: Fn() -> u32> Board for Here<F> {
    fn title(&self) -> impl Display {
        self.title
    }

    fn clock(&self) -> u32 {
        (self.micros)()
    }

    fn speed(&self, tokens: u32, micros: u64) -> Speed {
        Speed::CentitokensPerSecond(u64::from(tokens) * 100_000_000 / micros.max(1))
    }

    fn stack_bytes(&self) -> u32 {
        memory::stack_bytes()
    }
}

/// Runs the console for ever: after the end of a conversation a new one begins,
/// and without a model every byte typed is an attempt to find one. `title` is
/// the board's name for people, `micros` a clock in microseconds, modulo 2^32.
pub fn serve<P: Read + ReadReady + Write>(
    port: &mut P,
    title: &'static str,
    micros: impl Fn() -> u32,
) -> ! {
    #[cfg(target_arch = "riscv32")]
    memory::paint_stack();
    let mut board = Here { title, micros };
    let (flash, arena) = (memory::model(), memory::arena());
    loop {
        match Model::open(flash, arena) {
            Ok(mut model) => converse(port, &mut board, &mut model),
            Err(error) => {
                #[cfg(feature = "defmt")]
                defmt::error!("{}", error);
                // Errors are the port's: they cannot be reported through it.
                let _ = write!(
                    wire::Text(port),
                    "{error}\r\nFlash an image to {:?} (see `kinglet export`), then type anything.\r\n",
                    flash.as_ptr()
                );
                let _ = port.read(&mut [0]);
            }
        }
    }
}

#[panic_handler]
fn panic(_info: &PanicInfo<'_>) -> ! {
    #[cfg(feature = "defmt")]
    defmt::error!("{}", defmt::Display2Format(_info));
    // Without interrupts.
    critical_section::with(|_| loop {
        spin_loop();
    })
}
