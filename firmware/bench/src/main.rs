//! Kinglet's kernels on an emulated machine.
//!
//! The program checks them ([`check`], [`floats`]), counts their instructions
//! ([`count`]), of the steps of matrix states ([`state`]) and of what else a
//! token takes ([`steps`]), prints a line of `kinglet_protocol::Measure` for
//! each result and leaves QEMU.
#![no_std]
#![no_main]
#![deny(unsafe_code)]

mod check;
mod count;
#[allow(unsafe_code)]
mod entry;
mod floats;
mod random;
mod room;
mod state;
mod steps;

use count::Counter;
use kinglet_machine::{exit, say};
use kinglet_protocol::Measure;
use room::Room;

fn main(room: &'static mut Room) -> ! {
    let right = check::run(room) & floats::check(room) & state::check(room);
    let counter = Counter::new();
    count::run(room, &counter);
    state::count(room, &counter);
    steps::run(room, &counter);
    say!("{}", Measure::Done);
    exit(i32::from(!right))
}
