//! Kinglet on an emulated board: the boards' console, and requests of
//! programs ([`request`]).
//!
//! The model is linked in or lies where QEMU's loader put it ([`model`]). The
//! program leaves QEMU by semihosting, with exit code 1 if something is wrong.
#![no_std]
#![no_main]
#![deny(unsafe_code)]

mod entry;
mod flash;
mod model;
mod request;
mod steps;

use core::fmt::{self, Display};
use embedded_io::{Read, ReadReady, Write};
use kinglet_app::{converse, Board, Model, Port, Speed};
use kinglet_machine::{exit, say, stack_bytes, ticks, Uart, MACHINE};
use kinglet_protocol::FRAME_START;

/// The machine, with the RAM that nothing else uses.
struct Here {
    spare: &'static mut [u8],
}

/// The machine's name.
struct Title;

impl Display for Title {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", MACHINE.core.title, MACHINE.name)
    }
}

impl Board for Here {
    const REQUEST: Option<u8> = Some(FRAME_START);

    fn title(&self) -> impl Display {
        Title
    }

    fn clock(&self) -> u32 {
        ticks()
    }

    fn speed(&self, tokens: u32, elapsed: u64) -> Speed {
        Speed::InstructionsPerToken(MACHINE.instructions(elapsed) / u64::from(tokens.max(1)))
    }

    fn stack_bytes(&self) -> u32 {
        stack_bytes()
    }

    fn serve<P>(&mut self, port: &mut Port<'_, P>, model: &mut Model<'_>)
    where
        P: Read + ReadReady + Write,
    {
        request::serve(&mut || port.byte().unwrap_or_default(), model, self.spare);
    }
}

fn main(state: &'static mut [i32], scratch: &'static mut [i32]) -> ! {
    match model::open(state, scratch) {
        Ok((mut model, spare)) => {
            converse(&mut Uart, &mut Here { spare }, &mut model);
            say!("");
            exit(0)
        }
        Err(error) => {
            say!("{error}");
            exit(1)
        }
    }
}
