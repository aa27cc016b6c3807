//! Makes small checkpoints, good and bad ones, for the tests.

use super::writer::TensorToWrite;
use super::{Checkpoint, CheckpointError, Dtype};
use std::io::{Cursor, Write};
use std::path::PathBuf;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

/// A pickle that is put together opcode by opcode.
#[derive(Clone, Default)]
pub(super) struct Pickle(pub Vec<u8>);

impl Pickle {
    /// Starts a pickle of protocol 2.
    pub fn new() -> Self {
        Self(vec![0x80, 2])
    }

    pub fn raw(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }

    pub fn text(self, text: &str) -> Self {
        let len = u32::try_from(text.len()).unwrap();
        self.raw(b"X").raw(&len.to_le_bytes()).raw(text.as_bytes())
    }

    pub fn global(self, module: &str, name: &str) -> Self {
        self.raw(format!("c{module}\n{name}\n").as_bytes())
    }

    /// The shortest opcode that Python would choose.
    pub fn int(self, value: i64) -> Self {
        if let Ok(value) = u8::try_from(value) {
            self.raw(&[b'K', value])
        } else if let Ok(value) = u16::try_from(value) {
            self.raw(b"M").raw(&value.to_le_bytes())
        } else if let Ok(value) = i32::try_from(value) {
            self.raw(b"J").raw(&value.to_le_bytes())
        } else {
            self.raw(&[0x8a, 8]).raw(&value.to_le_bytes())
        }
    }

    pub fn ints(self, values: &[i64]) -> Self {
        let pickle = values
            .iter()
            .fold(self.raw(b"("), |pickle, &value| pickle.int(value));
        pickle.raw(b"t")
    }

    pub fn ordered_dict(self) -> Self {
        self.global("collections", "OrderedDict").raw(b")R")
    }

    pub fn storage(self, kind: &str, key: &str, count: i64) -> Self {
        let pickle = self.raw(b"(").text("storage").global("torch", kind);
        pickle.text(key).text("cpu").int(count).raw(b"tQ")
    }

    /// A tensor that is the view of a storage.
    pub fn view(self, view: &View<'_>) -> Self {
        let pickle = self.global("torch._utils", "_rebuild_tensor_v2").raw(b"(");
        let pickle = pickle
            .storage(view.kind, view.key, view.count)
            .int(view.offset);
        let pickle = pickle.ints(view.shape).ints(view.strides);
        pickle.raw(&[0x89]).ordered_dict().raw(b"tR")
    }

    pub fn end(self) -> Vec<u8> {
        self.raw(b".").0
    }
}

/// The arguments of a tensor in a pickle.
#[derive(Clone, Copy)]
pub(super) struct View<'a> {
    pub kind: &'a str,
    pub key: &'a str,
    pub count: i64,
    pub offset: i64,
    pub shape: &'a [i64],
    pub strides: &'a [i64],
}

/// Six F32 values under the key `0`, as a matrix of two rows.
pub(super) const MATRIX: View<'static> = View {
    kind: "FloatStorage",
    key: "0",
    count: 6,
    offset: 0,
    shape: &[2, 3],
    strides: &[3, 1],
};

/// The pickle of a dict `{"w": view}`.
pub(super) fn one_view(view: &View<'_>) -> Vec<u8> {
    Pickle::new().raw(b"}").text("w").view(view).raw(b"s").end()
}

/// A zip archive of uncompressed files.
pub(super) fn zip_bytes(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    for (name, bytes) in files {
        writer.start_file(*name, options).unwrap();
        writer.write_all(bytes).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

/// A PyTorch file of the given pickle and the values 1 to 6 under the key `0`.
pub(super) fn pth_of_pickle(pickle: &[u8]) -> Vec<u8> {
    let values = encoded(Dtype::F32, &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    zip_bytes(&[
        ("m/data.pkl", pickle),
        ("m/data/0", &values),
        ("m/version", b"3\n"),
    ])
}

/// A PyTorch file as `torch.save(state_dict, ...)` lays it out.
pub(super) fn pth_bytes(tensors: &[TensorToWrite<'_>]) -> Vec<u8> {
    let mut pickle = Pickle::new().raw(b"}q\0(");
    let mut files = Vec::new();
    for (index, &(name, shape, dtype, values)) in tensors.iter().enumerate() {
        let shape: Vec<i64> = shape.iter().map(|&size| size as i64).collect();
        let view = View {
            kind: storage_name(dtype),
            key: &index.to_string(),
            count: values.len() as i64,
            offset: 0,
            shape: &shape,
            strides: &row_major(&shape),
        };
        pickle = pickle.text(name).view(&view);
        files.push((format!("m/data/{index}"), encoded(dtype, values)));
    }
    let pickle = pickle.raw(b"u").end();
    let mut all: Vec<(&str, &[u8])> = vec![("m/data.pkl", &pickle), ("m/byteorder", b"little")];
    all.extend(
        files
            .iter()
            .map(|(name, bytes)| (name.as_str(), bytes.as_slice())),
    );
    zip_bytes(&all)
}

fn storage_name(dtype: Dtype) -> &'static str {
    match dtype {
        Dtype::F64 => "DoubleStorage",
        Dtype::F32 => "FloatStorage",
        Dtype::F16 => "HalfStorage",
        Dtype::BF16 => "BFloat16Storage",
        Dtype::Q8_0 | Dtype::Other { .. } => panic!("no test writes {dtype}"),
    }
}

fn row_major(shape: &[i64]) -> Vec<i64> {
    let mut strides = vec![1; shape.len()];
    for dim in (1..shape.len()).rev() {
        strides[dim - 1] = strides[dim] * shape[dim].max(1);
    }
    strides
}

fn encoded(dtype: Dtype, values: &[f32]) -> Vec<u8> {
    let mut bytes = Vec::new();
    dtype.encode(values, &mut bytes);
    bytes
}

/// A safetensors file of the given JSON and bytes of values.
pub(super) fn safetensors_of_json(json: &str, values: &[u8]) -> Vec<u8> {
    let mut bytes = (json.len() as u64).to_le_bytes().to_vec();
    bytes.extend_from_slice(json.as_bytes());
    bytes.extend_from_slice(values);
    bytes
}

/// The message that opening these bytes ends with.
pub(super) fn refusal(bytes: Vec<u8>) -> String {
    let error = Checkpoint::from_bytes(bytes).expect_err("the checkpoint should be refused");
    check_message(&error)
}

/// A message is one line of bounded length that names the file.
pub(super) fn check_message(error: &CheckpointError) -> String {
    let message = error.to_string();
    assert!(message.starts_with("<memory>: "), "{message}");
    assert!(
        message.len() < 800 && !message.contains(char::is_control),
        "{message}"
    );
    message
}

/// Opens the bytes and loads every tensor; nothing may panic, and what loads
/// has the shape it claims. Returns whether all of it was good.
pub(super) fn exercise(bytes: Vec<u8>) -> bool {
    let checkpoint = match Checkpoint::from_bytes(bytes) {
        Ok(checkpoint) => checkpoint,
        Err(error) => {
            check_message(&error);
            return false;
        }
    };
    let mut good = true;
    for info in checkpoint.tensors() {
        match checkpoint.load(&info.name) {
            Ok(tensor) => {
                assert_eq!(tensor.shape, info.shape);
                assert_eq!(tensor.data.len(), info.shape.iter().product::<usize>());
            }
            Err(error) => {
                check_message(&error);
                good = false;
            }
        }
    }
    good
}

/// The folder of third-party checkpoints, or `None` with a note.
pub(super) fn golden() -> Option<PathBuf> {
    // Cargo runs tests in the folder of their package.
    let beside = || PathBuf::from("../../shared/golden");
    let folder = std::env::var_os("KINGLET_GOLDEN").map_or_else(beside, PathBuf::from);
    if folder.join("models").is_dir() {
        return Some(folder);
    }
    eprintln!(
        "skipped: no golden checkpoints at {} (set KINGLET_GOLDEN)",
        folder.display()
    );
    None
}
