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

use core::fmt::{Arguments, Display, Write as _};
use core::hint::{black_box, spin_loop};
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
    let flash = memory::model();
    let advice = format_args!(
        "Flash an image to {:?} (see `kinglet export`)",
        flash.as_ptr()
    );
    serve_from(port, title, micros, flash, advice)
}

/// As [`serve`], with a model that is part of the program: none where it has no bytes.
pub fn serve_image<P: Read + ReadReady + Write>(
    port: &mut P,
    title: &'static str,
    micros: impl Fn() -> u32,
    image: &'static Aligned<[u8]>,
) -> ! {
    let advice = format_args!("Build the firmware with an image (KINGLET_IMAGE)");
    // The program is the same with any model.
    let image = black_box(image);
    serve_from(port, title, micros, &image.0, advice)
}

/// Bytes that begin where an image may.
#[derive(Debug)]
#[repr(C, align(16))]
pub struct Aligned<B: ?Sized>(pub B);

fn serve_from<P: Read + ReadReady + Write>(
    port: &mut P,
    title: &'static str,
    micros: impl Fn() -> u32,
    flash: &'static [u8],
    advice: Arguments<'_>,
) -> ! {
    #[cfg(target_arch = "riscv32")]
    memory::paint_stack();
    let mut board = Here { title, micros };
    let arena = memory::arena();
    loop {
        match Model::open(flash, arena) {
            Ok(mut model) => converse(port, &mut board, &mut model),
            Err(error) => {
                #[cfg(feature = "defmt")]
                defmt::error!("{}", error);
                // Errors are the port's: they cannot be reported through it.
                let _ = write!(
                    wire::Text(port),
                    "{error}\r\n{advice}, then type anything.\r\n"
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
