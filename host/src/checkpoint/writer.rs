//! Writes safetensors files.

use super::dtype::Dtype;
use super::error::{excerpt, CheckpointError};
use super::layout::{byte_len, count};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

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
/// f32. An existing file is replaced.
///
/// # Errors
/// The file cannot be written, two tensors have one name, or a shape does not
/// match its number of values. Never panics.
pub fn write_safetensors(
    path: &Path,
    tensors: &[TensorToWrite<'_>],
    metadata: &BTreeMap<String, String>,
) -> Result<(), CheckpointError> {
    let plan = Plan::new(path, tensors, metadata)?;
    let io = |error| CheckpointError::Io {
        path: path.to_path_buf(),
        error,
    };
    let mut out = BufWriter::new(File::create(path).map_err(io)?);
    plan.write(&mut out).and_then(|()| out.flush()).map_err(io)
}

/// The bytes that [`write_safetensors`] would write.
///
/// # Errors
/// Two tensors have one name, or a shape does not match its number of values.
pub fn safetensors_bytes(
    tensors: &[TensorToWrite<'_>],
    metadata: &BTreeMap<String, String>,
) -> Result<Vec<u8>, CheckpointError> {
    let path = Path::new("<memory>");
    let mut out = Vec::new();
    let plan = Plan::new(path, tensors, metadata)?;
    match plan.write(&mut out) {
        Ok(()) => Ok(out),
        Err(error) => Err(CheckpointError::Io {
            path: path.to_path_buf(),
            error,
        }),
    }
}

/// What goes into the file, in its order.
struct Plan<'a> {
    header: Vec<u8>,
    tensors: Vec<TensorToWrite<'a>>,
}

impl<'a> Plan<'a> {
    fn new(
        path: &Path,
        tensors: &[TensorToWrite<'a>],
        metadata: &BTreeMap<String, String>,
    ) -> Result<Self, CheckpointError> {
        let mut tensors = tensors.to_vec();
        // Wider types first, so that each value is aligned; then by name.
        tensors.sort_by(|a, b| b.2.bytes().cmp(&a.2.bytes()).then_with(|| a.0.cmp(b.0)));
        check(path, &tensors)?;
        let header = header(&tensors, metadata).map_err(|error| CheckpointError::Io {
            path: path.to_path_buf(),
            error: error.into(),
        })?;
        Ok(Self { header, tensors })
    }

    fn write(&self, out: &mut impl Write) -> io::Result<()> {
        out.write_all(&(self.header.len() as u64).to_le_bytes())?;
        out.write_all(&self.header)?;
        let mut bytes = Vec::new();
        for &(_, _, dtype, values) in &self.tensors {
            for chunk in values.chunks(CHUNK_VALUES) {
                bytes.clear();
                dtype.encode(chunk, &mut bytes);
                out.write_all(&bytes)?;
            }
        }
        Ok(())
    }
}

fn check(path: &Path, tensors: &[TensorToWrite<'_>]) -> Result<(), CheckpointError> {
    let error = |name: &str, problem: String| {
        Err(CheckpointError::Tensor {
            path: path.to_path_buf(),
            name: excerpt(name),
            problem,
        })
    };
    let mut names: Vec<&str> = tensors.iter().map(|tensor| tensor.0).collect();
    names.sort_unstable();
    if let Some((name, _)) = names.iter().zip(names.iter().skip(1)).find(|(a, b)| a == b) {
        return error(name, String::from("is given twice"));
    }
    for &(name, shape, dtype, values) in tensors {
        if name == "__metadata__" {
            return error(name, String::from("has the name of the notes"));
        }
        if byte_len(shape, dtype).is_none() || count(shape) != Some(values.len() as u64) {
            let problem = format!("has shape {shape:?}, but {} values", values.len());
            return error(name, problem);
        }
    }
    Ok(())
}

/// The JSON table, padded with spaces.
fn header(
    tensors: &[TensorToWrite<'_>],
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
    for &(name, shape, dtype, values) in tensors {
        let end = begin + values.len() * dtype.bytes();
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
