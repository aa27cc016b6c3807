//! Which model fits which board, and how fast it would be there: facts about
//! boards, and a count of a token's instructions from coefficients that
//! `cargo xtask bench --coefficients` measures.
//!
//! A crate of its own, because `kinglet` and `cargo xtask` both need it.
#![forbid(unsafe_code)]
#![deny(missing_docs, missing_debug_implementations)]

mod board;
pub mod cost;
mod memory;

pub use board::{Board, Boards, BoardsError, Core, Region};
pub use cost::Costs;
pub use memory::{advice, packed_for, Advice, Fit, Needs};
