//! The application of all boards, emulated ones included: a console that reads
//! prompts and commands from a byte stream and streams the model's text back.
//!
//! It knows no hardware: a board gives it a port, the flash where the model
//! lies, RAM for the model to work in, and a clock ([`Board`]).
#![no_std]
#![forbid(unsafe_code)]
#![deny(missing_docs, missing_debug_implementations)]

#[cfg(test)]
extern crate std;

mod console;
mod model;
mod port;
mod settings;
#[cfg(test)]
mod tests;

pub use console::converse;
pub use kinglet_protocol::console::Speed;
pub use model::{BootError, Model};
pub use port::Port;
pub use settings::{Command, Frames, Settings, HELP};

use core::fmt;
use embedded_io::{Read, ReadReady, Write};

// A workstation has the speed to spare.
const _: () = assert!(
    kinglet::OPTIMIZED_FOR_SPEED || cfg!(not(target_os = "none")),
    "Cargo.toml of the firmware's workspace needs opt-level = 3 in [profile.release.package.kinglet]"
);

/// The application's view of a board.
pub trait Board {
    /// The byte that begins a program's request in place of a line, on boards
    /// that take requests.
    const REQUEST: Option<u8> = None;

    /// Its name for people.
    fn title(&self) -> impl fmt::Display;

    /// The time of its clock, in the clock's unit, modulo 2^32.
    fn clock(&self) -> u32;

    /// The rate of tokens generated in the time `elapsed`, in the clock's unit.
    fn speed(&self, tokens: u32, elapsed: u64) -> Speed;

    /// The most bytes of stack in use since the reset.
    fn stack_bytes(&self) -> u32;

    /// Carries out a request, after its first byte.
    fn serve<P>(&mut self, _port: &mut Port<'_, P>, _model: &mut Model<'_>)
    where
        P: Read + ReadReady + Write,
    {
    }
}
