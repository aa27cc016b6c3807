//! Kinglet's kernels on an emulated Cortex-M board.
//!
//! The program checks them ([`check`]), counts their instructions
//! ([`count`]), prints a line of `kinglet_protocol::Measure` for each result
//! and leaves QEMU.
#![no_std]
#![no_main]
#![deny(unsafe_code)]

mod check;
mod count;
#[allow(unsafe_code)]
mod entry;
mod random;
mod room;

use kinglet_board::{exit, say};
use kinglet_protocol::Measure;
use room::Room;

fn main(room: &'static mut Room) -> ! {
    let right = check::run(room);
    count::run(room);
    say!("{}", Measure::Done);
    exit(i32::from(!right))
}
