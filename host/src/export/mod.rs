//! An image in the formats that flash tools and compilers read.
//!
//! Each function writes the bytes of a whole image; none looks into them.

mod hex;
mod source;
mod uf2;

pub use hex::write_hex;
pub use source::{write_c, write_rust};
pub use uf2::{write_uf2, Uf2Target, PAGE_BYTES};
