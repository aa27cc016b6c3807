//! Name and origin of a model: a postcard block after the weights. The engine
//! does not need it.

use serde::{Deserialize, Serialize};

/// Where a model comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Metadata<'a> {
    /// The name of the model.
    pub name: &'a str,
    /// The program and version that packed the image.
    pub producer: &'a str,
    /// The checkpoint that was packed: its file name, and which tensors were
    /// left out of it.
    pub source: &'a str,
    /// The names of the classes, one in a line; empty for a model of text.
    pub labels: &'a str,
}

impl<'a> Metadata<'a> {
    /// The name of a class.
    pub fn label(&self, class: u32) -> Option<&'a str> {
        // Not `str::lines`: it links a panic.
        let mut names = self.labels.as_bytes().split(|&byte| byte == b'\n');
        let name = names.nth(class as usize)?;
        core::str::from_utf8(name)
            .ok()
            .filter(|name| !name.is_empty())
    }

    pub(super) fn from_bytes(bytes: &'a [u8]) -> Option<Self> {
        postcard::from_bytes(bytes).ok()
    }
}
