//! The table of a GGUF file of llama.cpp's.
//!
//! After a mark, the version and two counts follow values with keys, then for
//! each tensor its name, its dimensions (the innermost first), its type and the
//! offset of its values, which begin at the next multiple of an alignment.

use super::dtype::Dtype;
use super::error::{excerpt, Problem};
use super::layout::{byte_len, count, Layout};
use super::source::{ReadSeek, Source};
use super::{check_names, Entry, Table, TensorInfo};
use std::collections::BTreeMap;
use std::io::{self, BufReader, Read, Seek, SeekFrom};

const MARK: &[u8; 4] = b"GGUF";

/// Key of the architecture.
pub(crate) const ARCHITECTURE: &str = "general.architecture";
/// Keys that follow the name of the architecture: channels of a head,
pub(crate) const HEAD_SIZE: &str = ".wkv.head_size";
/// the epsilon of layer norms,
pub(crate) const EPSILON: &str = ".attention.layer_norm_epsilon";
/// and the number of layers after which activations are halved.
pub(crate) const RESCALED: &str = ".rescale_every_n_layers";

const ALIGNMENT: &str = "general.alignment";
const PARTS: &str = "split.count";

/// The ends of the keys whose values are kept.
const KEPT: [&str; 6] = [ARCHITECTURE, HEAD_SIZE, EPSILON, RESCALED, ALIGNMENT, PARTS];

/// The architectures that are read.
const ARCHITECTURES: [&str; 2] = ["rwkv6", "rwkv7"];

/// Types of tensors by their numbers. Of those with blocks Q8_0 alone is read.
const TYPES: [(u32, &str); 33] = [
    (0, "F32"),
    (1, "F16"),
    (2, "Q4_0"),
    (3, "Q4_1"),
    (6, "Q5_0"),
    (7, "Q5_1"),
    (8, "Q8_0"),
    (9, "Q8_1"),
    (10, "Q2_K"),
    (11, "Q3_K"),
    (12, "Q4_K"),
    (13, "Q5_K"),
    (14, "Q6_K"),
    (15, "Q8_K"),
    (16, "IQ2_XXS"),
    (17, "IQ2_XS"),
    (18, "IQ3_XXS"),
    (19, "IQ1_S"),
    (20, "IQ4_NL"),
    (21, "IQ3_S"),
    (22, "IQ2_S"),
    (23, "IQ4_XS"),
    (24, "I8"),
    (25, "I16"),
    (26, "I32"),
    (27, "I64"),
    (28, "F64"),
    (29, "IQ1_M"),
    (30, "BF16"),
    (34, "TQ1_0"),
    (35, "TQ2_0"),
    (39, "MXFP4"),
    (40, "NVFP4"),
];

/// The most dimensions of a tensor.
const MAX_DIMENSIONS: u32 = 4;

/// The longest text that is kept, in bytes.
const MAX_TEXT: u64 = 1024;

/// Whether a file of these first bytes is a GGUF file.
pub(super) fn is_gguf(first_bytes: &[u8]) -> bool {
    first_bytes.starts_with(MARK)
}

/// Reads and checks the table of tensors.
pub(super) fn read_table(source: &mut Source) -> Result<Table, Problem> {
    let file_len = source.len();
    let mut header = Header::new(source)?;
    let version = u32::from_le_bytes(header.take()?);
    if !matches!(version, 2 | 3) {
        let convert = "convert the model with a current llama.cpp, on a little-endian machine";
        return Err(problem(format!(
            "has the version {version}, but 2 and 3 are read: {convert}"
        )));
    }
    let [tensors, values] = [header.number()?, header.number()?];
    let metadata = header.metadata(values)?;
    check_model(&metadata)?;
    let alignment = alignment(&metadata)?;
    let mut entries = Vec::new();
    let mut offsets = Vec::new();
    for _ in 0..tensors {
        let (info, offset) = header.tensor()?;
        let len = count(&info.shape).unwrap_or(u64::MAX);
        offsets.push(offset);
        entries.push(Entry {
            info,
            layout: Layout::contiguous(0, len),
            file: 0,
            times: 1.0,
        });
    }
    check_names(entries.iter().map(|entry| &*entry.info.name))?;
    let start = header.at.next_multiple_of(alignment);
    place(&mut entries, &offsets, [start, file_len], alignment)?;
    Ok(Table { entries, metadata })
}

fn problem(text: impl Into<String>) -> Problem {
    Problem::Gguf(text.into())
}

/// The file holds a whole model of an architecture that is read.
fn check_model(metadata: &BTreeMap<String, String>) -> Result<(), Problem> {
    let Some(architecture) = metadata.get(ARCHITECTURE) else {
        return Err(problem(format!(
            "does not say which architecture its model has (`{ARCHITECTURE}`): convert it again"
        )));
    };
    if !ARCHITECTURES.contains(&architecture.as_str()) {
        return Err(problem(format!(
            "holds a model of the architecture `{}`, but of GGUF files RWKV-6 and 7 are read (`rwkv6`, `rwkv7`): take a \
             model of these",
            excerpt(architecture)
        )));
    }
    match metadata.get(PARTS).map(|parts| &**parts) {
        None | Some("0" | "1") => Ok(()),
        Some(parts) => Err(problem(format!(
            "is one of {parts} parts of a model: join them with `llama-gguf-split --merge`"
        ))),
    }
}

/// What offsets of values are multiples of, in bytes.
fn alignment(metadata: &BTreeMap<String, String>) -> Result<u64, Problem> {
    let Some(text) = metadata.get(ALIGNMENT) else {
        return Ok(32);
    };
    let alignment = text
        .parse::<u32>()
        .ok()
        .filter(|size| size.is_power_of_two());
    let alignment = alignment.map(u64::from);
    alignment.ok_or_else(|| {
        problem(format!(
            "has an alignment of {text}, which is no power of two"
        ))
    })
}

/// Gives each tensor the place of its values, which lie one after the other from
/// byte `start` on.
fn place(
    entries: &mut [Entry],
    offsets: &[u64],
    [start, file_len]: [u64; 2],
    alignment: u64,
) -> Result<(), Problem> {
    let mut expected = 0u64;
    for (entry, &offset) in entries.iter_mut().zip(offsets) {
        let TensorInfo {
            name, shape, dtype, ..
        } = &entry.info;
        let Some(len) = byte_len(shape, *dtype) else {
            let shape = excerpt(&format!("{shape:?}"));
            let what = format!("has shape {shape}, which {dtype} values do not fill");
            return Err(Problem::tensor(name, what));
        };
        if offset != expected {
            let what = format!("begins at byte {offset} of the values, not at {expected}");
            return Err(Problem::tensor(name, what));
        }
        let begin = start.checked_add(offset);
        let end = begin.and_then(|begin| begin.checked_add(len));
        let (Some(begin), Some(end)) = (begin, end.filter(|&end| end <= file_len)) else {
            return Err(Problem::truncated(name));
        };
        entry.layout.start = begin;
        // Within the file's length, and so far from an overflow.
        expected = (end - start).next_multiple_of(alignment);
    }
    Ok(())
}

/// The bytes before the values, read one after the other.
struct Header<'s> {
    reader: BufReader<&'s mut dyn ReadSeek>,
    /// The byte that comes next.
    at: u64,
    file_len: u64,
}

impl<'s> Header<'s> {
    /// Begins after the mark.
    fn new(source: &'s mut Source) -> Result<Self, Problem> {
        let file_len = source.len();
        let mut reader = BufReader::new(source.reader());
        let at = MARK.len() as u64;
        reader.seek(SeekFrom::Start(at))?;
        Ok(Self {
            reader,
            at,
            file_len,
        })
    }

    /// Goes on by `len` bytes, if the file has them.
    fn pass(&mut self, len: u64) -> Result<(), Problem> {
        let end = self.at.checked_add(len).filter(|&end| end <= self.file_len);
        self.at = end.ok_or_else(|| Problem::Truncated("its table of tensors".to_owned()))?;
        Ok(())
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N], Problem> {
        self.pass(N as u64)?;
        let mut bytes = [0; N];
        self.reader.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    fn skip(&mut self, len: u64) -> Result<(), Problem> {
        self.pass(len)?;
        let len = i64::try_from(len).map_err(io::Error::other)?;
        Ok(self.reader.seek_relative(len)?)
    }

    fn word(&mut self) -> Result<u32, Problem> {
        Ok(u32::from_le_bytes(self.take()?))
    }

    fn number(&mut self) -> Result<u64, Problem> {
        Ok(u64::from_le_bytes(self.take()?))
    }

    /// A text; `None` where it is longer than any that is needed.
    fn text(&mut self) -> Result<Option<String>, Problem> {
        let len = self.number()?;
        if len > MAX_TEXT {
            return self.skip(len).map(|()| None);
        }
        self.pass(len)?;
        let mut bytes = vec![0; len as usize];
        self.reader.read_exact(&mut bytes)?;
        Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
    }

    /// The values that are needed, by key.
    fn metadata(&mut self, values: u64) -> Result<BTreeMap<String, String>, Problem> {
        let mut metadata = BTreeMap::new();
        for _ in 0..values {
            let key = self.text()?.unwrap_or_default();
            let kind = self.word()?;
            let value = self.value(kind)?;
            let is_kept = KEPT.iter().any(|end| key.ends_with(end));
            if let Some(value) = value.filter(|_| is_kept) {
                if metadata.insert(key.clone(), value).is_some() {
                    return Err(problem(format!("has two values of `{}`", excerpt(&key))));
                }
            }
        }
        Ok(metadata)
    }

    /// A value, if it is of a kind that is needed.
    fn value(&mut self, kind: u32) -> Result<Option<String>, Problem> {
        match kind {
            2 => Ok(Some(u16::from_le_bytes(self.take()?).to_string())),
            4 => Ok(Some(self.word()?.to_string())),
            6 => Ok(Some(f32::from_le_bytes(self.take()?).to_string())),
            8 => self.text(),
            9 => self.skip_array().map(|()| None),
            _ => self.skip(size_of_kind(kind)?).map(|()| None),
        }
    }

    fn skip_array(&mut self) -> Result<(), Problem> {
        let (kind, len) = (self.word()?, self.number()?);
        if kind == 8 {
            // Each has bytes of its own, so that the file's length bounds the time.
            return (0..len).try_for_each(|_| {
                let len = self.number()?;
                self.skip(len)
            });
        }
        self.skip(len.saturating_mul(size_of_kind(kind)?))
    }

    /// A tensor without the place of its values, and their offset.
    fn tensor(&mut self) -> Result<(TensorInfo, u64), Problem> {
        let Some(name) = self.text()? else {
            return Err(problem(format!(
                "has a tensor with a name of more than {MAX_TEXT} bytes"
            )));
        };
        let dimensions = self.word()?;
        if dimensions > MAX_DIMENSIONS {
            return Err(Problem::tensor(
                &name,
                format!("has {dimensions} dimensions"),
            ));
        }
        let mut shape = Vec::new();
        for _ in 0..dimensions {
            shape.push(usize::try_from(self.number()?).unwrap_or(usize::MAX));
        }
        shape.reverse();
        let dtype = dtype(&name, self.word()?)?;
        let info = TensorInfo {
            name,
            shape,
            dtype,
            alias: None,
        };
        Ok((info, self.number()?))
    }
}

/// Bytes of a value of this kind, where all have as many.
fn size_of_kind(kind: u32) -> Result<u64, Problem> {
    match kind {
        0 | 1 | 7 => Ok(1),
        2 | 3 => Ok(2),
        4..=6 => Ok(4),
        10..=12 => Ok(8),
        _ => Err(problem(format!(
            "is damaged: no value is of the kind {kind} here; download it again"
        ))),
    }
}

/// The type of this number.
fn dtype(tensor: &str, number: u32) -> Result<Dtype, Problem> {
    let name = TYPES.iter().find(|(known, _)| *known == number);
    let name = name.map(|(_, name)| *name);
    let dtype = match name {
        Some("Q8_0") => Some(Dtype::Q8_0),
        name => name.and_then(Dtype::from_name),
    };
    dtype.ok_or_else(|| {
        let name = name.map_or_else(|| format!("type {number}"), str::to_owned);
        problem(format!(
            "holds the tensor `{}` in {name}, but F32, F16, BF16 and Q8_0 are read: take a file of these, or the checkpoint that it \
             was made from",
            excerpt(tensor)
        ))
    })
}
