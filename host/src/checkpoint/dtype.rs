//! The types of values in checkpoints.

use super::source::Source;
use half::{bf16, f16};
use std::fmt;
use std::io;

/// The type of a tensor's values in a file, always little-endian.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dtype {
    /// IEEE 754 double precision, 8 bytes; decoded to the nearest f32.
    F64,
    /// IEEE 754 single precision, 4 bytes.
    F32,
    /// IEEE 754 half precision, 2 bytes.
    F16,
    /// The upper half of an F32, 2 bytes.
    BF16,
    /// Another type: a file may hold such tensors, but none that a model needs.
    Other {
        /// The name that safetensors files use, such as `I64`.
        name: &'static str,
        /// Size of one value in bytes.
        bytes: usize,
    },
}

/// The other types: integers, truth values, complex numbers, floats of a byte.
const OTHERS: [(&str, usize); 14] = [
    ("BOOL", 1),
    ("U8", 1),
    ("I8", 1),
    ("U16", 2),
    ("I16", 2),
    ("U32", 4),
    ("I32", 4),
    ("U64", 8),
    ("I64", 8),
    ("C64", 8),
    ("C128", 16),
    ("F8_E4M3", 1),
    ("F8_E5M2", 1),
    ("F8_E8M0", 1),
];

/// Bytes decoded at a time: what a load holds beside the decoded values.
const CHUNK_BYTES: usize = 64 * 1024;

impl Dtype {
    /// Size of one value in bytes.
    pub fn bytes(self) -> usize {
        match self {
            Self::F64 => 8,
            Self::F32 => 4,
            Self::F16 | Self::BF16 => 2,
            Self::Other { bytes, .. } => bytes,
        }
    }

    /// The name that safetensors files use, such as `F32`.
    pub fn name(self) -> &'static str {
        match self {
            Self::F64 => "F64",
            Self::F32 => "F32",
            Self::F16 => "F16",
            Self::BF16 => "BF16",
            Self::Other { name, .. } => name,
        }
    }

    /// The type of that name, if it is one of these.
    pub fn from_name(name: &str) -> Option<Self> {
        let others = OTHERS.map(|(name, bytes)| Self::Other { name, bytes });
        [Self::F64, Self::F32, Self::F16, Self::BF16]
            .into_iter()
            .chain(others)
            .find(|dtype| dtype.name() == name)
    }

    /// Whether values of the type can be loaded.
    pub fn is_read(self) -> bool {
        !matches!(self, Self::Other { .. })
    }

    /// Whether it is an integer or truth value.
    pub fn is_integer(self) -> bool {
        !self.is_read() && !self.name().starts_with(['C', 'F'])
    }

    /// Appends the values in `bytes` to `values`, exact in f32 but for those of
    /// F64. An incomplete value at the end is left out.
    pub(super) fn decode(self, bytes: &[u8], values: &mut Vec<f32>) {
        let wide = bytes.as_chunks().0.iter();
        let narrow = bytes.as_chunks().0.iter();
        match self {
            Self::F64 => {
                let double = bytes.as_chunks().0.iter();
                values.extend(double.map(|&word| f64::from_le_bytes(word) as f32));
            }
            Self::F32 => values.extend(wide.map(|&word| f32::from_le_bytes(word))),
            Self::F16 => values.extend(narrow.map(|&word| f16::from_le_bytes(word).to_f32())),
            Self::BF16 => values.extend(narrow.map(|&word| bf16::from_le_bytes(word).to_f32())),
            Self::Other { .. } => {}
        }
    }

    /// Appends the bytes of `values` to `bytes`, rounded to nearest, ties to
    /// even.
    pub(super) fn encode(self, values: &[f32], bytes: &mut Vec<u8>) {
        let values = values.iter().copied();
        match self {
            Self::F64 => bytes.extend(values.flat_map(|value| f64::from(value).to_le_bytes())),
            Self::F32 => bytes.extend(values.flat_map(f32::to_le_bytes)),
            Self::F16 => bytes.extend(values.flat_map(|value| f16::from_f32(value).to_le_bytes())),
            Self::BF16 => {
                bytes.extend(values.flat_map(|value| bf16::from_f32(value).to_le_bytes()));
            }
            // Files of such tensors are not written: see `writer`.
            Self::Other { .. } => {}
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
