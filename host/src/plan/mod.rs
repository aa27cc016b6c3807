//! Which model fits which board, and how fast it would be there: what an image
//! takes of a board's memory, and a count of a token's instructions from
//! coefficients that `cargo xtask bench --coefficients` measures.

pub mod cost;
mod memory;

pub use cost::{CoreCosts, Costs};
pub use memory::{advice, layout, packed_for, Advice, Fit, Needs, Planned};
