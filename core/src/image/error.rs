//! Why bytes are not an image.

use super::header::FORMAT_VERSION;
use crate::shape::ALIGN;

/// Why bytes are not an image that this crate can run.
///
/// [`Header::parse`](super::Header::parse) returns those from `NotAnImage` to
/// `Size` but `Misaligned`, and `TokenizerKind`;
/// [`Image::new`](super::Image::new) all but `Checksum`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum ImageError {
    /// The bytes do not begin with the magic: not an image at all.
    NotAnImage,
    /// A format version that this crate does not read.
    FormatVersion(u16),
    /// Fewer bytes than the header says.
    Truncated {
        /// Bytes that the header promises.
        expected: u64,
        /// Bytes that are there.
        found: u64,
    },
    /// The address is not a multiple of [`ALIGN`]: see `include_image!`.
    Misaligned,
    /// An RWKV version that this crate does not run.
    RwkvVersion(u8),
    /// A weight layout that this build does not have: it is unknown, or for
    /// another family of cores (see the feature `all-layouts`).
    Layout(u8),
    /// A header field is out of range; the number is its byte offset. 80 is
    /// that of named states, which need the feature `states`.
    Field(u8),
    /// The lengths of the sections disagree with the dimensions.
    Size,
    /// A number of the part that begins at this byte of the image is out of its
    /// range: see [`EXPS`](crate::shape::EXPS). Or the part is cut off, or has a format
    /// that the header does not name.
    Range(u32),
    /// A tokenizer of this kind needs another build: 2 is the feature `trie`.
    TokenizerKind(u8),
    /// The vocabulary is damaged, as this byte shows.
    /// Counted from the start of the image, as for states.
    Tokenizer(u32),
    /// A named state is damaged, as this byte shows.
    States(u32),
    /// The CRC-32 does not match: bytes changed after packing.
    Checksum,
}

impl ImageError {
    /// What a compile error says: see [`Header::expect`](super::Header::expect).
    pub(super) const fn advice(self) -> &'static str {
        match self {
            Self::NotAnImage => "the file is not a Kinglet image: `kinglet quantize` makes one of a checkpoint",
            Self::FormatVersion(_) => "the image was made by another version of Kinglet: quantize the checkpoint with this one",
            Self::Truncated { .. } => "the image is cut off: copy the whole file",
            Self::RwkvVersion(4) => "an image of RWKV-4 needs the feature `v4` of the crate kinglet",
            Self::RwkvVersion(5) => "an image of RWKV-5 needs the feature `v5` of the crate kinglet",
            Self::RwkvVersion(6) => "an image of RWKV-6 needs the feature `v6` of the crate kinglet",
            Self::RwkvVersion(7) => "an image of RWKV-7 needs the feature `v7` of the crate kinglet",
            Self::Layout(0) => "the image is packed for Cortex-M4, M7 and M33: `kinglet quantize --target` packs one for this core",
            Self::Layout(1) => "the image is packed for Cortex-M0, M3 and RISC-V: `kinglet quantize --target` packs one for this core",
            Self::Layout(2) => "the image is packed for Cortex-M55: `kinglet quantize --target` packs one for this core; a Cortex-M55 needs the feature `m55` of the crate kinglet",
            Self::TokenizerKind(_) => "the image has a vocabulary, which needs the feature `trie` of the crate kinglet",
            Self::Field(23) => "the image has weights of six bits or vectors of 16, which need the features `int6` and `fine` of the crate kinglet",
            Self::Field(80..88) => "the image has named states, which need the feature `states` of the crate kinglet",
            _ => "the image is damaged: quantize the checkpoint again",
        }
    }
}

impl core::fmt::Display for ImageError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::NotAnImage => f.write_str("not a Kinglet image"),
            Self::FormatVersion(found) => write!(
                f,
                "image format version {found}, but this build reads version {FORMAT_VERSION}"
            ),
            Self::Truncated { expected, found } => {
                write!(
                    f,
                    "the header promises {expected} bytes, but there are {found}"
                )
            }
            Self::Misaligned => write!(f, "the image is not aligned to {ALIGN} bytes"),
            Self::RwkvVersion(found) => write!(f, "RWKV version {found} is not supported"),
            Self::Layout(found) => write!(f, "weight layout {found} is not one that this build runs: pack the image for this core"),
            Self::Field(at) => write!(f, "the header field at byte {at} is out of range"),
            Self::Size => f.write_str("the sections do not have the size their dimensions need"),
            Self::Range(at) => write!(f, "the part at byte {at} has a number that is out of its range, or is not what its dimensions make it"),
            Self::TokenizerKind(found) => write!(
                f,
                "tokenizer kind {found} is not one that this build has: 2 needs the feature `trie`"
            ),
            Self::Tokenizer(at) => write!(f, "the tokenizer is damaged at byte {at}"),
            Self::States(at) => write!(f, "the named states are damaged at byte {at}"),
            Self::Checksum => f.write_str("the checksum does not match: the bytes were changed"),
        }
    }
}

impl core::error::Error for ImageError {}
