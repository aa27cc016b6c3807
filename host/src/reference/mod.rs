//! The float forward pass, in recurrent mode: what a quantized image is
//! measured against.

mod ops;
mod v4;

pub(crate) use v4::{decay, folded_embedding};
pub use v4::{Reference, ReferenceState};
