//! Name and origin of a model: a postcard block after the weights. The engine
//! does not need it.

use serde::{Deserialize, Serialize};

/// Where a model comes from; text without control characters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
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

    /// Whether all of it is text to be shown to a person: without control
    /// characters, but the ends of lines between labels.
    pub fn is_text(&self) -> bool {
        let is_text = |field: &str| !field.contains(char::is_control);
        [self.name, self.producer, self.source].map(is_text) == [true; 3]
            && self.labels.split('\n').all(is_text)
    }

    pub(super) fn from_bytes(bytes: &'a [u8]) -> Option<Self> {
        postcard::from_bytes(bytes).ok().filter(Self::is_text)
    }
}

#[cfg(test)]
mod tests {
    use super::Metadata;

    /// A block with these four strings, each shorter than 128 bytes.
    fn block(fields: [&str; 4]) -> std::vec::Vec<u8> {
        let field = |text: &str| [&[text.len() as u8], text.as_bytes()].concat();
        fields.map(field).concat()
    }

    #[test]
    fn metadata_are_text_or_absent() {
        let good = ["naïve 🐦", "kinglet", "a b.pth", "on\noff\n"];
        let bytes = block(good);
        let metadata = Metadata::from_bytes(&bytes).unwrap();
        assert_eq!((metadata.name, metadata.label(1)), (good[0], Some("off")));
        for control in ["\x1b[2J", "a\x05", "\x7f", "\u{9b}m", "\r", "\t"] {
            for field in 0..4 {
                let mut fields = good;
                fields[field] = control;
                assert_eq!(Metadata::from_bytes(&block(fields)), None, "{fields:?}");
            }
        }
        // Only labels have lines.
        assert_eq!(Metadata::from_bytes(&block(["a\nb", "", "", ""])), None);
    }
}
