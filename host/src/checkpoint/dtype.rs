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
    /// Blocks of 32 values in GGUF files: a factor in F16, then a signed byte for
    /// each value, 34 bytes.
    Q8_0,
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

/// Blocks decoded at a time: what a load holds beside the decoded values.
const CHUNK_BLOCKS: u64 = 16 * 1024;

/// Values of a block of [`Dtype::Q8_0`], and its bytes.
const Q8_0_BLOCK: [usize; 2] = [32, 34];

impl Dtype {
    /// Size of one value in bytes, without the factor of its block.
    pub fn bytes(self) -> usize {
        match self {
            Self::F64 => 8,
            Self::F32 => 4,
            Self::F16 | Self::BF16 => 2,
            Self::Q8_0 => 1,
            Self::Other { bytes, .. } => bytes,
        }
    }

    /// How many values can only be read together, and their size in bytes.
    fn block(self) -> [u64; 2] {
        match self {
            Self::Q8_0 => Q8_0_BLOCK.map(|size| size as u64),
            _ => [1, self.bytes() as u64],
        }
    }

    /// How many bytes `count` values take; `None` when that overflows, or when
    /// they end inside a block.
    pub(super) fn byte_len(self, count: u64) -> Option<u64> {
        let [values, bytes] = self.block();
        let blocks = count.is_multiple_of(values).then_some(count / values)?;
        blocks.checked_mul(bytes)
    }

    /// The name that files use, such as `F32`.
    pub fn name(self) -> &'static str {
        match self {
            Self::F64 => "F64",
            Self::F32 => "F32",
            Self::F16 => "F16",
            Self::BF16 => "BF16",
            Self::Q8_0 => "Q8_0",
            Self::Other { name, .. } => name,
        }
    }

    /// The type of that name, if safetensors files have it.
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
            Self::Q8_0 => {
                let blocks = bytes.as_chunks::<{ Q8_0_BLOCK[1] }>().0.iter();
                values.extend(blocks.flat_map(|[a, b, integers @ ..]| {
                    let factor = f16::from_le_bytes([*a, *b]).to_f32();
                    let value = move |&byte: &u8| f32::from(byte.cast_signed()) * factor;
                    integers.iter().map(value)
                }));
            }
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
            Self::Q8_0 | Self::Other { .. } => {}
        }
    }

    /// Reads `count` values, from value `first` on, of those that begin at byte
    /// `start` of the source.
    pub(super) fn read(
        self,
        source: &mut Source,
        start: u64,
        first: u64,
        count: u64,
    ) -> io::Result<Vec<f32>> {
        let [values, bytes] = self.block();
        let skipped = first % values;
        let end = skipped.checked_add(count).filter(|_| count > 0);
        let mut left = end.map_or(0, |end| end.div_ceil(values));
        let begin = (first / values).checked_mul(bytes);
        let begin = begin.and_then(|begin| start.checked_add(begin));
        let len = left.checked_mul(bytes);
        let (Some(mut at), Some(len)) = (begin, len) else {
            return Err(io::ErrorKind::UnexpectedEof.into());
        };
        if !source.holds(at, len) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let mut out = Vec::new();
        let all = usize::try_from(left * values).map_err(|_| io::ErrorKind::OutOfMemory)?;
        out.try_reserve_exact(all)
            .map_err(|_| io::ErrorKind::OutOfMemory)?;
        let mut buffer = Vec::new();
        while left > 0 {
            let blocks = left.min(CHUNK_BLOCKS);
            // No truncation, here and below: a chunk is far smaller than any usize.
            buffer.resize((blocks * bytes) as usize, 0);
            source.read_at(at, &mut buffer)?;
            self.decode(&buffer, &mut out);
            at += blocks * bytes;
            left -= blocks;
        }
        out.drain(..out.len().min(skipped as usize));
        out.truncate(count as usize);
        Ok(out)
    }
}

impl fmt::Display for Dtype {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
