//! The table of a safetensors file.
//!
//! Eight bytes give the length of a JSON object, little-endian; the object maps
//! each tensor's name to its dtype, shape and byte range; the values follow.
//! As the format wants it, the ranges cover the rest of the file without
//! overlaps and gaps.

use super::dtype::Dtype;
use super::error::{excerpt, Problem};
use super::layout::{byte_len, Layout};
use super::source::Source;
use super::{check_names, Entry, Table, TensorInfo};
use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};
use std::collections::BTreeMap;
use std::fmt;
use std::io;

/// The longest header that the format allows, in bytes.
const MAX_HEADER: u64 = 100_000_000;

/// Bytes of the header's length, at the start of the file.
const PREFIX: u64 = 8;

/// Whether a file of these first bytes can be a safetensors file.
pub(super) fn is_safetensors(first_bytes: &[u8]) -> bool {
    match first_bytes.split_first_chunk::<8>() {
        Some((len, rest)) => u64::from_le_bytes(*len) <= MAX_HEADER && rest.first() == Some(&b'{'),
        None => false,
    }
}

/// Reads and checks the table of tensors.
pub(super) fn read_table(source: &mut Source) -> Result<Table, Problem> {
    let (json, data_start) = read_header(source)?;
    let header: Header = serde_json::from_slice(&json).map_err(|error| {
        Problem::Header(format!("is damaged ({})", excerpt(&error.to_string())))
    })?;
    drop(json);
    let data_len = source.len().saturating_sub(data_start);
    check_names(header.tensors.iter().map(|(name, _)| &**name))?;
    check_cover(&header.tensors, data_len)?;
    let tensors = header.tensors.into_iter();
    Ok(Table {
        entries: tensors
            .map(|(name, raw)| entry(name, raw, data_start))
            .collect::<Result<_, _>>()?,
        metadata: header.metadata,
    })
}

/// The JSON text, and where the values start.
fn read_header(source: &mut Source) -> Result<(Vec<u8>, u64), Problem> {
    let read_error = |error: io::Error| match error.kind() {
        io::ErrorKind::UnexpectedEof => Problem::Truncated("its table of tensors".to_owned()),
        _ => error.into(),
    };
    let mut prefix = [0; PREFIX as usize];
    source.read_at(0, &mut prefix).map_err(read_error)?;
    let len = u64::from_le_bytes(prefix);
    if len > MAX_HEADER {
        return Err(Problem::Header(format!(
            "claims {len} bytes, more than the {MAX_HEADER} that are allowed"
        )));
    }
    let json = source.read_vec(PREFIX, len).map_err(read_error)?;
    Ok((json, PREFIX + len))
}

/// The byte ranges lie one after the other, from the first byte of the values
/// to the last one of the file.
fn check_cover(tensors: &[(String, RawTensor)], data_len: u64) -> Result<(), Problem> {
    let mut sorted: Vec<_> = tensors
        .iter()
        .map(|(name, raw)| (raw.data_offsets, name))
        .collect();
    sorted.sort_unstable();
    let mut covered = 0;
    for ((begin, end), name) in sorted {
        if begin > end {
            let problem = format!("ends at byte {end}, before it begins at byte {begin}");
            return Err(Problem::tensor(name, problem));
        }
        if end > data_len {
            return Err(Problem::truncated(name));
        }
        if begin != covered {
            let what = if begin < covered {
                "overlaps the tensor before it"
            } else {
                "leaves a gap"
            };
            let problem = format!("{what} at byte {begin} of the values");
            return Err(Problem::tensor(name, problem));
        }
        covered = end;
    }
    if covered != data_len {
        return Err(Problem::Header(format!(
            "accounts for {covered} bytes of values, but the file has {data_len}"
        )));
    }
    Ok(())
}

/// A tensor whose range is known to lie in the file.
fn entry(name: String, raw: RawTensor, data_start: u64) -> Result<Entry, Problem> {
    let Some(dtype) = Dtype::from_name(&raw.dtype) else {
        return Err(Problem::Dtype(excerpt(&name), excerpt(&raw.dtype)));
    };
    let (begin, end) = raw.data_offsets;
    let len = end.saturating_sub(begin);
    if byte_len(&raw.shape, dtype) != Some(len) {
        let shape = excerpt(&format!("{:?}", raw.shape));
        let problem = format!("has shape {shape} in {dtype}, which does not take {len} bytes");
        return Err(Problem::tensor(&name, problem));
    }
    let count = len / dtype.bytes() as u64;
    Ok(Entry {
        layout: Layout::contiguous(data_start.saturating_add(begin), count),
        info: TensorInfo {
            name,
            shape: raw.shape,
            dtype,
            alias: None,
        },
        file: 0,
        times: 1.0,
    })
}

/// One tensor, as the JSON gives it.
#[derive(serde::Deserialize)]
struct RawTensor {
    dtype: String,
    shape: Vec<usize>,
    data_offsets: (u64, u64),
}

/// The JSON object: tensors in file order, so that a name which is given twice
/// can be noticed.
struct Header {
    tensors: Vec<(String, RawTensor)>,
    metadata: BTreeMap<String, String>,
}

impl<'de> Deserialize<'de> for Header {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(HeaderVisitor)
    }
}

struct HeaderVisitor;

impl<'de> Visitor<'de> for HeaderVisitor {
    type Value = Header;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object of tensors")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Header, A::Error> {
        let mut tensors = Vec::new();
        let mut metadata = None;
        while let Some(name) = map.next_key::<String>()? {
            if name != "__metadata__" {
                tensors.push((name, map.next_value()?));
            } else if metadata.is_none() {
                let notes: Option<BTreeMap<String, String>> = map.next_value()?;
                metadata = Some(notes.unwrap_or_default());
            } else {
                return Err(A::Error::custom("two `__metadata__` entries"));
            }
        }
        Ok(Header {
            tensors,
            metadata: metadata.unwrap_or_default(),
        })
    }
}
