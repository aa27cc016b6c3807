//! Tokenizers in files: vocabularies of RWKV's World models, as text or JSON,
//! and byte-level BPE in `tokenizer.json`. Told apart by content.

mod json;
mod literal;
#[cfg(test)]
mod tests;
mod trie;
mod vocabulary;

pub use json::Json;
pub use vocabulary::Vocabulary;

use crate::input;
use anyhow::{anyhow, Result};
use serde_json::{Map, Value};
use std::path::Path;

/// Some editors begin a text with it.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

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
        let bytes = input::read(path, input::MOST_SMALL_BYTES)?;
        let text = bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(&bytes);
        Self::parse(text).map_err(|error| anyhow!("{}: {error}", path.display()))
    }

    /// Reads what a file holds, without a byte order mark.
    ///
    /// # Errors
    /// What is wrong, with the line where there are lines.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        if !bytes.trim_ascii_start().starts_with(b"{") {
            return Ok(Self::Vocabulary(Vocabulary::parse(bytes)?));
        }
        // The library panics at some texts that are no JSON.
        let object: Map<String, Value> = serde_json::from_slice(bytes)
            .map_err(|error| anyhow!("neither a vocabulary nor a tokenizer.json: {error}"))?;
        let is_id = |key: &String| key.bytes().all(|byte| byte.is_ascii_digit());
        match object.keys().next() {
            Some(key) if is_id(key) => Ok(Self::Vocabulary(Vocabulary::from_json(&object)?)),
            _ => Ok(Self::Json(Box::new(Json::parse(bytes)?))),
        }
    }

    /// The largest token id.
    pub fn max_id(&self) -> u32 {
        match self {
            Self::Vocabulary(vocabulary) => vocabulary.max_id(),
            Self::Json(json) => json.max_id(),
        }
    }
}
