//! What the programs of this repository share: `cargo xtask`, the examples and
//! the tests find its files, build its firmware and run it in QEMU with this.
#![deny(missing_docs)]

pub mod elf;
pub mod emulator;
pub mod firmware;
pub mod prompt;
pub mod setup;
pub mod table;
pub mod workspace;
