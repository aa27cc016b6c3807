//! Tokenizers in files: vocabularies in the text format of RWKV's World
//! models, and byte-level BPE in `tokenizer.json`. Told apart by content.

mod json;
mod literal;
#[cfg(test)]
mod tests;
mod trie;
mod vocabulary;

pub use json::{Json, JsonEncodeError, JsonError};
pub use vocabulary::{Vocabulary, VocabularyError};

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// The largest file that is read; RWKV's World vocabulary takes 1.2 MB.
const MOST_BYTES: u64 = 64 << 20;

/// What a file holds.
#[derive(Debug)]
pub enum TokenizerFile {
    /// A vocabulary for longest match: an image can contain it.
    Vocabulary(Vocabulary),
    /// Byte-level BPE: for the workstation alone.
    Json(Box<Json>),
}

/// Why a file is not a tokenizer.
#[derive(Debug, thiserror::Error)]
#[error("{path}: {kind}")]
pub struct TokenizerError {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it.
    pub kind: TokenizerErrorKind,
}

/// See [`TokenizerError`].
#[derive(Debug, thiserror::Error)]
pub enum TokenizerErrorKind {
    /// The file cannot be read.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The file is too large.
    #[error("more than {} MB are not a tokenizer", MOST_BYTES >> 20)]
    TooLarge,
    /// A vocabulary with a flaw.
    #[error(transparent)]
    Vocabulary(#[from] VocabularyError),
    /// A `tokenizer.json` with a flaw.
    #[error(transparent)]
    Json(#[from] JsonError),
}

impl TokenizerFile {
    /// Reads a file.
    ///
    /// # Errors
    /// [`TokenizerError`] names the file, and the line where there are lines.
    pub fn open(path: &Path) -> Result<Self, TokenizerError> {
        Self::read(path).map_err(|kind| TokenizerError {
            path: path.to_path_buf(),
            kind,
        })
    }

    fn read(path: &Path) -> Result<Self, TokenizerErrorKind> {
        let mut bytes = Vec::new();
        let file = File::open(path)?;
        file.take(MOST_BYTES + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > MOST_BYTES {
            return Err(TokenizerErrorKind::TooLarge);
        }
        Ok(if bytes.trim_ascii_start().starts_with(b"{") {
            Self::Json(Box::new(Json::parse(&bytes)?))
        } else {
            Self::Vocabulary(Vocabulary::parse(&bytes)?)
        })
    }

    /// The largest token id.
    pub fn max_id(&self) -> u32 {
        match self {
            Self::Vocabulary(vocabulary) => vocabulary.max_id(),
            Self::Json(json) => json.max_id(),
        }
    }
}
