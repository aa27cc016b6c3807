//! Kinglet on an emulated Cortex-M machine.
//!
//! The program speaks over a UART: a console for people ([`console`]) and
//! requests for programs ([`batch`]). The model is linked in or lies where
//! QEMU's loader put it ([`model`]). It leaves QEMU by semihosting, with exit
//! code 1 if something is wrong.
#![no_std]
#![no_main]
#![deny(unsafe_code)]

mod batch;
mod console;
mod entry;
mod flash;
mod generate;
mod input;
mod model;
mod work;

use kinglet::{BufferError, ImageError, Session};
use kinglet_machine::{exit, say, MACHINE};
use model::Model;

/// Why there is no model to speak with.
enum BootError {
    /// The bytes are no image.
    Image(ImageError),
    /// The buffers are too small.
    Buffer(BufferError),
    /// Image and buffers need this many bytes of the spare RAM.
    #[cfg_attr(linked_image, allow(dead_code))]
    SpareRam(usize),
}

impl core::fmt::Display for BootError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Image(error) => write!(f, "the image cannot be used: {error}"),
            Self::Buffer(error) => write!(f, "the model cannot start: {error}"),
            Self::SpareRam(bytes) => {
                let spare = MACHINE.spare.bytes;
                write!(
                    f,
                    "image and buffers need {bytes} bytes, the spare RAM has {spare}"
                )
            }
        }
    }
}

impl From<ImageError> for BootError {
    fn from(error: ImageError) -> Self {
        Self::Image(error)
    }
}

impl From<BufferError> for BootError {
    fn from(error: BufferError) -> Self {
        Self::Buffer(error)
    }
}

fn main(state: &'static mut [f32], scratch: &'static mut [f32]) -> ! {
    match boot(state, scratch) {
        Ok(model) => console::converse(model),
        Err(error) => {
            say!("{error}");
            exit(1)
        }
    }
}

fn boot(state: &'static mut [f32], scratch: &'static mut [f32]) -> Result<Model, BootError> {
    let model = model::open(state, scratch)?;
    model.image.verify_checksum()?;
    Session::new(&model.image, model.state, model.scratch)?;
    Ok(model)
}
