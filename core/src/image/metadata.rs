//! What a person wants to know about an image: a postcard block behind the
//! weights. The engine never needs it.

use serde::{Deserialize, Serialize};

/// Where a model comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Metadata<'a> {
    /// The name of the model.
    pub name: &'a str,
    /// The program and version that packed the image.
    pub producer: &'a str,
    /// The checkpoint that was packed: its file name.
    pub source: &'a str,
}

impl<'a> Metadata<'a> {
    pub(super) fn from_bytes(bytes: &'a [u8]) -> Option<Self> {
        postcard::from_bytes(bytes).ok()
    }
}
