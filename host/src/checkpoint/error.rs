//! Why a checkpoint cannot be read, each in one sentence.

use std::io;
use std::path::{Path, PathBuf};

/// Why a checkpoint cannot be read or written.
///
/// Each message is one sentence: the file, what is wrong and where, and what
/// to do about it when there is something to do. Text that comes from the file
/// is escaped and cut to a bounded length.
#[derive(Debug, thiserror::Error)]
#[error("{path}: {problem}")]
pub struct CheckpointError {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it.
    pub problem: Problem,
}

impl CheckpointError {
    /// What is wrong with the file at `path`.
    pub fn new(path: &Path, problem: impl Into<Problem>) -> Self {
        Self {
            path: path.to_path_buf(),
            problem: problem.into(),
        }
    }
}

/// What is wrong with a checkpoint.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// The operating system refused to open, read or write the file.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The file has no bytes.
    #[error("the file is empty: download it again")]
    Empty,
    /// What is there cannot be read in any order, as a file can.
    #[error("is no file, but a device or a pipe: give a file")]
    NoFile,
    /// The first bytes are those of no checkpoint.
    #[error("is neither an image nor a safetensors file, a PyTorch checkpoint or a GGUF file")]
    Unrecognized,
    /// The first bytes are those of another kind of file: which, and what to do.
    #[error("{0}")]
    Foreign(&'static str),
    /// A folder, an index or a part that is no whole checkpoint.
    #[error("{0}")]
    Parts(String),
    /// The format that PyTorch wrote before version 1.6.
    #[error("is in the format of PyTorch before 1.6: load it with a current PyTorch and save its state dict again with `torch.save`")]
    Legacy,
    /// The file is shorter than its own table says: what is cut off.
    #[error("the file ends inside {0}; it is truncated: download it again")]
    Truncated(String),
    /// The table of a safetensors file is not well formed.
    #[error("the safetensors header {0}")]
    Header(String),
    /// What the file says of one tensor, by name, cannot be.
    #[error("the tensor `{0}` {1}")]
    Tensor(String, String),
    /// A tensor, by name, of another type than the float types that can be
    /// read, as the file names it.
    #[error("the tensor `{0}` holds {1} values, but weights are read from F64, F32, F16, BF16 and Q8_0: convert it")]
    Dtype(String, String),
    /// A GGUF file is not well formed, or one of those that are not read.
    #[error("the GGUF file {0}")]
    Gguf(String),
    /// The zip archive of a PyTorch file is not as PyTorch writes it.
    #[error("the zip archive {0}")]
    Archive(String),
    /// The pickle of a PyTorch file is not well formed, or no state dict: at
    /// which byte of `data.pkl`, and why.
    #[error("`data.pkl` at byte {0}: {1}")]
    Pickle(usize, String),
    /// The pickle of a PyTorch file asks, at this byte of `data.pkl`, for a
    /// Python name that is not on the allow-list.
    #[error("`data.pkl` at byte {0}: refuses to run `{1}`: save the state dict only, as in `torch.save(model.state_dict(), path)`")]
    Global(usize, String),
    /// There is no tensor of that name.
    #[error("has no tensor named `{0}`")]
    NotFound(String),
    /// The values of this tensor do not fit in memory.
    #[error("not enough memory to load the tensor `{0}`")]
    Memory(String),
}

impl Problem {
    /// What is wrong with the tensor `name`.
    pub(super) fn tensor(name: &str, problem: impl Into<String>) -> Self {
        Self::Tensor(excerpt(name), problem.into())
    }

    /// The file ends inside the tensor `name`.
    pub(super) fn truncated(name: &str) -> Self {
        Self::Truncated(format!("the tensor `{}`", excerpt(name)))
    }
}

/// The most characters of a file's own text that a message repeats.
const EXCERPT_CHARS: usize = 80;

/// Text from a file, fit for a message: on one line, and of bounded length.
pub(crate) fn excerpt(text: &str) -> String {
    let mut out = String::new();
    for (index, c) in text.chars().enumerate() {
        if index == EXCERPT_CHARS {
            out.push_str("...");
            break;
        }
        // Quotes stay as they are; controls and odd spaces are escaped.
        match c {
            '"' | '\'' => out.push(c),
            _ => out.extend(c.escape_debug()),
        }
    }
    out
}
