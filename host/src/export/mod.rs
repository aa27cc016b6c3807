//! An image, and a firmware beside it, in the formats that flash tools and
//! compilers read.
//!
//! No function looks into an image's bytes.

mod bin;
mod firmware;
mod hex;
mod source;
mod uf2;

pub use bin::write_bin;
pub use firmware::read_firmware;
pub use hex::write_hex;
pub use source::{write_c, write_rust};
pub use uf2::{write_uf2, PAGE_BYTES};

use std::borrow::Cow;

/// Bytes of flash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part<'b> {
    /// Where the first one goes.
    pub address: u32,
    /// All of them.
    pub bytes: Cow<'b, [u8]>,
}
