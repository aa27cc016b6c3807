//! Writes safetensors files.

use super::dtype::Dtype;
use super::error::{excerpt, CheckpointError, Problem};
use super::layout::{byte_len, count};
use crate::output;
use std::collections::{BTreeMap, HashSet};
use std::io::{self, Cursor, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// A tensor to write: name, shape (`[rows, cols]`), type in the file, and the
/// values, row-major.
pub type TensorToWrite<'a> = (&'a str, &'a [usize], Dtype, &'a [f32]);

/// Values encoded at a time.
const CHUNK_VALUES: usize = 16 * 1024;

/// The header's length is a multiple of this, so that values are aligned.
const HEADER_ALIGN: usize = 8;

/// Writes `tensors` to a safetensors file, with `metadata` as its notes. The
/// same arguments give the same bytes.
///
/// Values are rounded to nearest (ties to even) where `dtype` is narrower than
/// f32. An existing file is replaced, as by [`output::write`].
///
/// # Errors
/// The file cannot be written, two tensors have one name, or a shape does not
/// match its number of values. Never panics.
pub fn write_safetensors(
    path: &Path,
    tensors: &[TensorToWrite<'_>],
    metadata: &BTreeMap<String, String>,
) -> Result<(), CheckpointError> {
    let failed = |error| CheckpointError::new(path, error);
    output::write(path, failed, |out| {
        write_all(path, || Ok(out), tensors, metadata).map(drop)
    })
}

/// A safetensors file whose tensors are written piece by piece, in any order,
/// for tensors that need not be in memory.
#[derive(Debug)]
pub struct SafetensorsFile<W> {
    path: PathBuf,
    out: W,
    /// The first byte of each tensor, and its type.
    places: BTreeMap<String, (u64, Dtype)>,
}

impl<W: Write + Seek> SafetensorsFile<W> {
    /// Writes the table to `out`: names, shapes, types, and notes. `path`
    /// is what errors name.
    ///
    /// # Errors
    /// As [`write_safetensors`].
    pub fn new(
        path: &Path,
        out: W,
        tensors: &[(&str, &[usize], Dtype)],
        metadata: &BTreeMap<String, String>,
    ) -> Result<Self, CheckpointError> {
        Self::begin(path, || Ok(out), tensors, metadata)
    }

    /// Writes the table to what `create` makes, once it is known to be right.
    fn begin(
        path: &Path,
        create: impl FnOnce() -> io::Result<W>,
        tensors: &[Described<'_>],
        metadata: &BTreeMap<String, String>,
    ) -> Result<Self, CheckpointError> {
        let mut tensors = tensors.to_vec();
        // Wider types first, so that each value is aligned; then by name.
        tensors.sort_by(|a, b| b.2.bytes().cmp(&a.2.bytes()).then_with(|| a.0.cmp(b.0)));
        let begin = || -> Result<_, Problem> {
            check(&tensors)?;
            let header = header(&tensors, metadata).map_err(io::Error::from)?;
            let mut begin = 8 + header.len() as u64;
            let mut places = BTreeMap::new();
            for &(name, shape, dtype) in &tensors {
                places.insert(name.to_owned(), (begin, dtype));
                begin += byte_len(shape, dtype).unwrap_or_default();
            }
            let mut out = create()?;
            out.write_all(&(header.len() as u64).to_le_bytes())?;
            out.write_all(&header)?;
            Ok((out, places))
        };
        let (out, places) = begin().map_err(|problem| CheckpointError::new(path, problem))?;
        let path = path.to_path_buf();
        Ok(Self { path, out, places })
    }

    /// Writes values of a tensor, from its value `first` on.
    ///
    /// # Errors
    /// There is no such tensor, or the file cannot be written.
    pub fn write(&mut self, name: &str, first: u64, values: &[f32]) -> Result<(), CheckpointError> {
        let Some(&(start, dtype)) = self.places.get(name) else {
            let problem = Problem::NotFound(excerpt(name));
            return Err(CheckpointError::new(&self.path, problem));
        };
        let at = start + first * dtype.bytes() as u64;
        let seek = self.out.seek(SeekFrom::Start(at));
        let written = seek.and_then(|_| write_values(&mut self.out, dtype, values));
        written.map_err(|error| CheckpointError::new(&self.path, error))
    }

    /// Ends the file, all of whose values were written; returns what it was
    /// written to.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn finish(mut self) -> Result<W, CheckpointError> {
        match self.out.flush() {
            Ok(()) => Ok(self.out),
            Err(error) => Err(CheckpointError::new(&self.path, error)),
        }
    }
}

fn write_values(out: &mut impl Write, dtype: Dtype, values: &[f32]) -> io::Result<()> {
    let mut bytes = Vec::new();
    for chunk in values.chunks(CHUNK_VALUES) {
        bytes.clear();
        dtype.encode(chunk, &mut bytes);
        out.write_all(&bytes)?;
    }
    Ok(())
}

/// Name, shape and type of a tensor.
type Described<'a> = (&'a str, &'a [usize], Dtype);

/// The bytes that [`write_safetensors`] would write.
///
/// # Errors
/// Two tensors have one name, or a shape does not match its number of values.
pub fn safetensors_bytes(
    tensors: &[TensorToWrite<'_>],
    metadata: &BTreeMap<String, String>,
) -> Result<Vec<u8>, CheckpointError> {
    let create = || Ok(Cursor::new(Vec::new()));
    Ok(write_all(Path::new("<memory>"), create, tensors, metadata)?.into_inner())
}

fn write_all<W: Write + Seek>(
    path: &Path,
    create: impl FnOnce() -> io::Result<W>,
    tensors: &[TensorToWrite<'_>],
    metadata: &BTreeMap<String, String>,
) -> Result<W, CheckpointError> {
    for &(name, shape, _, values) in tensors {
        if count(shape) != Some(values.len() as u64) {
            let problem = format!("has shape {shape:?}, but {} values", values.len());
            return Err(CheckpointError::new(path, Problem::tensor(name, problem)));
        }
    }
    let described: Vec<_> = tensors.iter().map(|t| (t.0, t.1, t.2)).collect();
    let mut file = SafetensorsFile::begin(path, create, &described, metadata)?;
    for &(name, _, _, values) in tensors {
        file.write(name, 0, values)?;
    }
    file.finish()
}

/// Names are unique and no key of the table, and sizes can be counted.
fn check(tensors: &[Described<'_>]) -> Result<(), Problem> {
    let mut names = HashSet::from(["__metadata__"]);
    let mut sum = 0u64;
    for &(name, shape, dtype) in tensors {
        if !names.insert(name) {
            let problem = match name {
                "__metadata__" => "has the name of the notes",
                _ => "is given twice",
            };
            return Err(Problem::tensor(name, problem));
        }
        if !dtype.is_read() || dtype == Dtype::Q8_0 {
            return Err(Problem::Dtype(excerpt(name), dtype.name().to_owned()));
        }
        let more = byte_len(shape, dtype).and_then(|bytes| sum.checked_add(bytes));
        sum = more.ok_or_else(|| Problem::tensor(name, format!("has shape {shape:?}")))?;
    }
    Ok(())
}

/// The JSON table, padded with spaces.
fn header(
    tensors: &[Described<'_>],
    metadata: &BTreeMap<String, String>,
) -> serde_json::Result<Vec<u8>> {
    let mut fields = Vec::new();
    if !metadata.is_empty() {
        fields.push(format!(
            "\"__metadata__\":{}",
            serde_json::to_string(metadata)?
        ));
    }
    let mut begin = 0;
    for &(name, shape, dtype) in tensors {
        let end = begin + byte_len(shape, dtype).unwrap_or_default();
        let name = serde_json::to_string(name)?;
        let shape = serde_json::to_string(shape)?;
        fields.push(format!(
            "{name}:{{\"dtype\":\"{dtype}\",\"shape\":{shape},\"data_offsets\":[{begin},{end}]}}"
        ));
        begin = end;
    }
    let mut header = format!("{{{}}}", fields.join(",")).into_bytes();
    header.resize(header.len().next_multiple_of(HEADER_ALIGN), b' ');
    Ok(header)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_in_pieces_is_the_file_at_once() {
        let (a, b) = ([1.0, -2.0, 3.0, 0.5], [0.25f32; 6]);
        let tensors: [TensorToWrite<'_>; 2] = [
            ("half", &[2, 2], Dtype::F16, &a),
            ("single", &[6], Dtype::F32, &b),
        ];
        let expected = safetensors_bytes(&tensors, &BTreeMap::new()).unwrap();
        let described = tensors.map(|(name, shape, dtype, _)| (name, shape, dtype));
        let path = Path::new("pieces");
        let mut out = Cursor::new(Vec::new());
        let mut file = SafetensorsFile::new(path, &mut out, &described, &BTreeMap::new()).unwrap();
        file.write("half", 1, &a[1..]).unwrap();
        file.write("single", 0, &b).unwrap();
        file.write("half", 0, &a[..1]).unwrap();
        assert!(file.write("other", 0, &a).is_err());
        file.finish().unwrap();
        assert_eq!(out.get_ref(), &expected);
        let twice = [described[0], described[0]];
        assert!(SafetensorsFile::new(path, &mut out, &twice, &BTreeMap::new()).is_err());
    }
}
