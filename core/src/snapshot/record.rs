//! The header of a snapshot: a postcard record before the state.

use crate::image::Header;
use serde::{Deserialize, Serialize};

/// The version of the format.
const FORMAT: u16 = 1;

/// Bytes of the record with its padding of zeros, before they are rounded up
/// to what the flash writes at once. The longest record has 33.
pub(super) const RECORD_BYTES: usize = 64;

/// The record. Each snapshot has the next sequence number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Record {
    format: u16,
    /// Checksum and length of the image: what identifies it.
    image_crc32: u32,
    image_bytes: u32,
    /// Bytes of the state, a multiple of 4.
    pub state_bytes: u32,
    /// That of the snapshot before, plus 1.
    pub sequence: u32,
    pub tokens: u64,
}

impl Record {
    pub fn new(header: &Header, sequence: u32, tokens: u64) -> Self {
        Self {
            format: FORMAT,
            image_crc32: header.crc32,
            image_bytes: header.image_bytes,
            state_bytes: header.shape.state_bytes() as u32,
            sequence,
            tokens,
        }
    }

    /// Whether it is one of a session of this image.
    pub fn is_of(&self, header: &Header) -> bool {
        *self == Self::new(header, self.sequence, self.tokens)
    }

    /// Sequence numbers wrap.
    pub fn is_newer_than(&self, other: &Self) -> bool {
        (self.sequence.wrapping_sub(other.sequence) as i32) > 0
    }

    /// Fills `bytes`, [`RECORD_BYTES`] or more.
    pub fn put(&self, bytes: &mut [u8]) {
        bytes.fill(0);
        // There is room for the longest.
        let _ = postcard::to_slice(self, bytes);
    }

    /// From bytes that [`Record::put`] filled, or from any others.
    pub fn get(bytes: &[u8]) -> Option<Self> {
        let (record, _) = postcard::take_from_bytes::<Self>(bytes).ok()?;
        (record.format == FORMAT).then_some(record)
    }
}
