//! Why a checkpoint cannot be read, each in one sentence.

use std::io;
use std::path::PathBuf;

/// Why a checkpoint cannot be read or written.
///
/// Each message is one sentence: the file, what is wrong and where, and what
/// to do about it when there is something to do. Text that comes from the file
/// is escaped and cut to a bounded length.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CheckpointError {
    /// The operating system refused to open, read or write the file.
    #[error("{path}: {error}")]
    Io {
        /// The file.
        path: PathBuf,
        /// The operating system's error.
        error: io::Error,
    },
    /// The file has no bytes.
    #[error("{path}: the file is empty: download it again")]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// The first bytes are those of no checkpoint.
    #[error("{path}: is neither a safetensors file nor a PyTorch checkpoint")]
    Unrecognized {
        /// The file.
        path: PathBuf,
    },
    /// The format that PyTorch wrote before version 1.6.
    #[error("{path}: is in the format of PyTorch before 1.6: load it with a current PyTorch and save its state dict again with `torch.save`")]
    Legacy {
        /// The file.
        path: PathBuf,
    },
    /// The file is shorter than its own table says.
    #[error("{path}: the file ends inside {part}; it is truncated: download it again")]
    Truncated {
        /// The file.
        path: PathBuf,
        /// What is cut off.
        part: String,
    },
    /// The table of a safetensors file is not well formed.
    #[error("{path}: the safetensors header {problem}")]
    Header {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// What the file says of one tensor cannot be.
    #[error("{path}: the tensor `{name}` {problem}")]
    Tensor {
        /// The file.
        path: PathBuf,
        /// The tensor.
        name: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A tensor of another type than the float types that can be read.
    #[error("{path}: the tensor `{name}` holds {dtype} values, but only F32, F16 and BF16 can be read: convert or drop it")]
    Dtype {
        /// The file.
        path: PathBuf,
        /// The tensor.
        name: String,
        /// Its type, as the file names it.
        dtype: String,
    },
    /// The zip archive of a PyTorch file is not as PyTorch writes it.
    #[error("{path}: the zip archive {problem}")]
    Archive {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// The pickle of a PyTorch file is not well formed, or no state dict.
    #[error("{path}: `data.pkl` at byte {offset}: {problem}")]
    Pickle {
        /// The file.
        path: PathBuf,
        /// Where in `data.pkl`, in bytes.
        offset: usize,
        /// What is wrong there.
        problem: String,
    },
    /// The pickle of a PyTorch file asks for something that is not on the
    /// allow-list.
    #[error("{path}: `data.pkl` at byte {offset}: refuses to run `{global}`: save the state dict only, as in `torch.save(model.state_dict(), path)`")]
    Global {
        /// The file.
        path: PathBuf,
        /// Where in `data.pkl`, in bytes.
        offset: usize,
        /// The Python name asked for.
        global: String,
    },
    /// There is no tensor of that name.
    #[error("{path}: has no tensor named `{name}`")]
    NotFound {
        /// The file.
        path: PathBuf,
        /// The name asked for.
        name: String,
    },
    /// The values of a tensor do not fit in memory.
    #[error("{path}: not enough memory to load the tensor `{name}`")]
    Memory {
        /// The file.
        path: PathBuf,
        /// The tensor.
        name: String,
    },
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
