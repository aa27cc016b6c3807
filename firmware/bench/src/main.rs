//! Kinglet's kernels on an emulated machine.
//!
//! The program checks them: products ([`check`]), matrix states ([`state`]) and
//! what else a port may define ([`steps`]). It counts the instructions of products
//! ([`count`]), of reads and writes of states, and of choosing a token ([`sample`]),
//! prints a line of `kinglet_protocol::Measure` for each result and leaves QEMU.
#![no_std]
#![no_main]
#![deny(unsafe_code)]

mod check;
mod count;
#[allow(unsafe_code)]
mod entry;
mod random;
mod room;
mod sample;
mod state;
mod steps;

use count::Counter;
use kinglet_machine::{exit, say};
use kinglet_protocol::Measure;
use room::Room;

fn main(room: &'static mut Room) -> ! {
    let right = check::run(room) & steps::check(room) & state::check(room);
    let counter = Counter::new();
    count::run(room, &counter);
    state::count(room, &counter);
    sample::run(room, &counter);
    say!("{}", Measure::Done);
    exit(i32::from(!right))
}
