//! The one table of the cores, emulated machines and boards that Kinglet runs
//! on.
//!
//! - [`Core`]: an instruction set, what to compile for it, and the arrangement
//!   of weights that its kernels read.
//! - [`Machine`]: a machine that QEMU emulates: core, memory, devices.
//! - [`Board`]: a real board; with the feature `boards`, because boards are
//!   read from TOML, as those of users are.
//!
//! The command line, the plan, the firmware and the tests read these tables.
//! Only the build script of `kinglet` repeats what it needs of the cores,
//! because that crate is published alone: a test compares the two.
#![cfg_attr(not(feature = "boards"), no_std)]
#![forbid(unsafe_code)]
#![deny(missing_docs, missing_debug_implementations)]

#[cfg(feature = "boards")]
mod boards;
mod cores;
mod machines;

#[cfg(feature = "boards")]
pub use boards::{located, Board, Boards, BoardsError};
pub use cores::{Core, CORES};
pub use machines::{
    Machine, Region, Timer, TimerKind, Uart, UartKind, DEFAULT_MACHINE, ICOUNT_SHIFT, MACHINES,
    NANOS_PER_INSTRUCTION,
};

/// `==` of strings in a `const fn`.
const fn equal(a: &str, b: &str) -> bool {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    let mut i = 0;
    while i < a.len() && i < b.len() && a[i] == b[i] {
        i += 1;
    }
    i == a.len() && i == b.len()
}
