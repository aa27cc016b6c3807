//! Tokenizers in files: vocabularies in the text format of RWKV's World
//! models, and byte-level BPE in `tokenizer.json`. Told apart by content.

mod json;
mod literal;
#[cfg(test)]
mod tests;
mod trie;
mod vocabulary;

pub use json::Json;
pub use vocabulary::Vocabulary;

use anyhow::{anyhow, ensure, Result};
use std::fs::File;
use std::io::Read;
use std::path::Path;

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

impl TokenizerFile {
    /// Reads a file.
    ///
    /// # Errors
    /// A sentence that names the file, and the line where there are lines.
    pub fn open(path: &Path) -> Result<Self> {
        Self::read(path).map_err(|error| anyhow!("{}: {error}", path.display()))
    }

    fn read(path: &Path) -> Result<Self> {
        let mut bytes = Vec::new();
        let file = File::open(path)?;
        file.take(MOST_BYTES + 1).read_to_end(&mut bytes)?;
        ensure!(
            bytes.len() as u64 <= MOST_BYTES,
            "more than {} MB are not a tokenizer",
            MOST_BYTES >> 20
        );
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
