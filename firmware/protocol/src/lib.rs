//! The protocol between the firmware and the program that drives it.
//!
//! - [`Request`]: what to generate, as a frame of bytes before the prompt.
//! - [`Line`]: what the firmware answers, one line of text for each event.
//! - [`Measure`]: a line of the bench firmware.
//! - [`console`]: the control bytes of the boards' console.
#![no_std]
#![deny(missing_docs)]

pub mod console;
mod line;
mod measure;
mod request;

pub use line::Line;
pub use measure::{Measure, MODEL_SHAPES, MODEL_VOCABS, SHAPES};
pub use request::{Name, Request, BODY_MAX, FRAME_START};

/// The version of requests and answers. The firmware names it in
/// [`Line::Begin`], so that a stale one is noticed.
pub const VERSION: u32 = 3;

/// End of transmission (Ctrl-D). On the console it ends a line; at the
/// beginning of one it ends the program.
pub const END_OF_INPUT: u8 = 0x04;
