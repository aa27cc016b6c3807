//! The float types of checkpoints.

use super::source::Source;
use half::{bf16, f16};
use std::fmt;
use std::io;

/// The type of a tensor's values in a file, always little-endian.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dtype {
    /// IEEE 754 single precision, 4 bytes.
    F32,
    /// IEEE 754 half precision, 2 bytes.
    F16,
    /// The upper half of an F32, 2 bytes.
    BF16,
}

/// Bytes decoded at a time: what a load holds beside the decoded values.
const CHUNK_BYTES: usize = 64 * 1024;

impl Dtype {
    /// Size of one value in bytes.
    pub fn bytes(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F16 | Self::BF16 => 2,
        }
    }

    /// The name that safetensors files use: `F32`, `F16` or `BF16`.
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "F32",
            Self::F16 => "F16",
            Self::BF16 => "BF16",
        }
    }

    /// The type of that name, if it is one of these.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::F32, Self::F16, Self::BF16]
            .into_iter()
            .find(|dtype| dtype.name() == name)
    }

    /// Appends the values in `bytes` to `values`; every value of the three
    /// types is exact in f32. An incomplete value at the end is left out.
    pub(super) fn decode(self, bytes: &[u8], values: &mut Vec<f32>) {
        let wide = bytes.as_chunks().0.iter();
        let narrow = bytes.as_chunks().0.iter();
        match self {
            Self::F32 => values.extend(wide.map(|&word| f32::from_le_bytes(word))),
            Self::F16 => values.extend(narrow.map(|&word| f16::from_le_bytes(word).to_f32())),
            Self::BF16 => values.extend(narrow.map(|&word| bf16::from_le_bytes(word).to_f32())),
        }
    }

    /// Appends the bytes of `values` to `bytes`, rounded to nearest, ties to
    /// even.
    pub(super) fn encode(self, values: &[f32], bytes: &mut Vec<u8>) {
        let values = values.iter().copied();
        match self {
            Self::F32 => bytes.extend(values.flat_map(f32::to_le_bytes)),
            Self::F16 => bytes.extend(values.flat_map(|value| f16::from_f32(value).to_le_bytes())),
            Self::BF16 => {
                bytes.extend(values.flat_map(|value| bf16::from_f32(value).to_le_bytes()));
            }
        }
    }

    /// Reads `count` values from byte `start` of the source on.
    pub(super) fn read(self, source: &mut Source, start: u64, count: u64) -> io::Result<Vec<f32>> {
        let mut left = count
            .checked_mul(self.bytes() as u64)
            .filter(|&len| source.holds(start, len))
            .ok_or(io::ErrorKind::UnexpectedEof)?;
        let mut values = Vec::new();
        let count = usize::try_from(count).map_err(|_| io::ErrorKind::OutOfMemory)?;
        values
            .try_reserve_exact(count)
            .map_err(|_| io::ErrorKind::OutOfMemory)?;
        let mut at = start;
        let mut buffer = Vec::new();
        while left > 0 {
            let len = left.min(CHUNK_BYTES as u64);
            // No truncation: a chunk is far smaller than any usize.
            buffer.resize(len as usize, 0);
            source.read_at(at, &mut buffer)?;
            self.decode(&buffer, &mut values);
            at += len;
            left -= len;
        }
        Ok(values)
    }
}

impl fmt::Display for Dtype {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
