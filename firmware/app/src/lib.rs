//! The application of all boards: a console that reads prompts and commands
//! from a byte stream and streams the model's text back.
//!
//! It knows no hardware: a board gives it a port, the flash where the model
//! lies, RAM for the model to work in, and a clock ([`Board`]).
#![no_std]
#![forbid(unsafe_code)]
#![deny(missing_docs, missing_debug_implementations)]

#[cfg(test)]
extern crate std;

mod answer;
mod console;
mod engine;
mod port;
mod settings;
mod stop;
#[cfg(test)]
mod tests;

pub use console::converse;
pub use engine::BootError;
pub use settings::{origin, Command, Settings, HELP};
pub use stop::{Stop, StopText, STOP_BYTES};

/// What the application needs to know of a board.
pub trait Board {
    /// What people call it.
    fn title(&self) -> &str;

    /// Microseconds since some start, modulo 2^32.
    fn micros(&self) -> u32;

    /// The most bytes of stack in use since the reset.
    fn stack_bytes(&self) -> u32;
}
