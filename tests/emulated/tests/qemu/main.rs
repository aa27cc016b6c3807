//! The firmware of emulated machines: it computes what the workstation
//! computes, to the bit, and what documents say of it is true.

mod book;
mod capi;
mod integers;
mod loader;
mod machines;
mod matrix;
mod page;
mod predictions;
mod promises;
mod readme;
mod sensor;
mod sizes;
mod starts;
mod tokenizers;
mod wrong_bits;
