//! Kinglet with a heap: the program is built without a model, and runs
//! the images that it finds in the machine's memory, one after the other.
//!
//! Each half of the machine's spare RAM stands for a part of the flash that a
//! model may be written to; QEMU's loader does so. A line on the UART is the
//! number of an image and a prompt: state and scratch are allocated as the
//! image's header says, and freed when the answer is complete.
#![no_std]
#![no_main]
#![deny(unsafe_code)]

extern crate alloc;

mod entry;
mod model;

use heapless::Vec;
use kinglet_machine::{exit, put, read_byte, say, spare_ram, MACHINE};
use kinglet_protocol::END_OF_INPUT;
use model::{Heap, Model};

/// No line is longer.
const LINE_MAX: usize = 256;

fn main() -> ! {
    let spare: &[u8] = spare_ram().unwrap_or_default();
    let (first, second) = spare.split_at(spare.len() / 2);
    let slots = [first, second];
    say!("Kinglet on a {} ({}).", MACHINE.core.title, MACHINE.name);
    for (number, bytes) in slots.iter().enumerate() {
        match Model::open(bytes) {
            Ok(model) => say!("image {number}: {model}"),
            Err(error) => say!("image {number}: {error}"),
        }
    }
    say!("Type the number of an image and a prompt.");
    loop {
        put!("> ");
        let Some(line) = read_line() else {
            say!("");
            exit(0)
        };
        let (&number, prompt) = line.split_first().unwrap_or((&0, &[]));
        let slot = usize::from(number.wrapping_sub(b'0'));
        match slots.get(slot) {
            Some(bytes) => answer(bytes, prompt.strip_prefix(b" ").unwrap_or(prompt)),
            None => say!("a line is the number of an image, 0 or 1, a space, and a prompt"),
        }
    }
}

/// Answers, and says what that took of the heap and what is left in use.
fn answer(bytes: &'static [u8], prompt: &[u8]) {
    let result = Model::open(bytes).and_then(|model| model.answer(prompt));
    let used = entry::heap_used();
    match result {
        Ok(Heap { bytes }) => say!("heap {bytes} bytes, {used} after it"),
        Err(error) => say!("{error}; heap {used} bytes in use"),
    }
}

/// A line without its end, and `None` at the end of the input. What does not
/// fit is left out.
fn read_line() -> Option<Vec<u8, LINE_MAX>> {
    let mut line = Vec::new();
    loop {
        match read_byte() {
            b'\n' | b'\r' => return Some(line),
            END_OF_INPUT if line.is_empty() => return None,
            END_OF_INPUT => return Some(line),
            byte => {
                let _ = line.push(byte);
            }
        }
    }
}
