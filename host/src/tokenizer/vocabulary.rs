//! The text format of RWKV's World vocabulary: a line per token with its id,
//! a Python literal and the number of its bytes.

use super::literal::{self, LiteralError};
use super::trie;
use kinglet::shape::MAX_VOCAB;
use kinglet::tokenizer::MAX_TOKEN_BYTES;
use std::collections::HashMap;

/// Tokens and their ids.
#[derive(Clone, Debug)]
pub struct Vocabulary {
    /// In order of their bytes.
    tokens: Vec<(Vec<u8>, u32)>,
}

/// Why a text is not a vocabulary.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VocabularyError {
    /// Not UTF-8.
    #[error("neither a vocabulary nor a tokenizer.json: not UTF-8 from byte {0} on")]
    NotText(usize),
    /// No tokens.
    #[error("the vocabulary is empty")]
    Empty,
    /// More entries than the model.
    #[error("the token id {0} is beyond the {1} entries of the model")]
    TooLarge(usize, usize),
    /// Something is wrong with a line.
    #[error("line {line}: {error}")]
    Line {
        /// Counted from 1.
        line: usize,
        /// What it is.
        error: LineError,
    },
}

/// What is wrong with a line of a vocabulary.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LineError {
    /// Not three fields.
    #[error("a line of a vocabulary is an id, a Python literal and its length, with spaces between; for BPE give a tokenizer.json")]
    Fields,
    /// The id.
    #[error("`{0}` is not a token id below {MAX_VOCAB}")]
    Id(String),
    /// The literal.
    #[error(transparent)]
    Literal(#[from] LiteralError),
    /// The length.
    #[error("the token has {found} bytes, but the line says `{said}`")]
    Length {
        /// Bytes of the token.
        found: usize,
        /// The last field.
        said: String,
    },
    /// A token without bytes matches nowhere.
    #[error("the token has no bytes")]
    Empty,
    /// Longer than an encoder holds.
    #[error("the token has {0} bytes, but at most {MAX_TOKEN_BYTES} are possible")]
    TooLong(usize),
    /// The id was given before.
    #[error("line {0} has the same id")]
    SameId(usize),
    /// The bytes were given before.
    #[error("line {0} has the same token")]
    SameToken(usize),
}

impl Vocabulary {
    /// Reads a vocabulary file.
    ///
    /// # Errors
    /// [`VocabularyError`] names the line.
    pub fn parse(bytes: &[u8]) -> Result<Self, VocabularyError> {
        let text = std::str::from_utf8(bytes)
            .map_err(|error| VocabularyError::NotText(error.valid_up_to()))?;
        let (mut ids, mut lines) = (HashMap::new(), HashMap::new());
        let mut tokens = Vec::new();
        for (index, content) in text.lines().enumerate() {
            let line = index + 1;
            let fail = |error| VocabularyError::Line { line, error };
            let (id, token) = entry(content).map_err(fail)?;
            if let Some(before) = ids.insert(id, line) {
                return Err(fail(LineError::SameId(before)));
            }
            if let Some(before) = lines.insert(token.clone(), line) {
                return Err(fail(LineError::SameToken(before)));
            }
            tokens.push((token, id));
        }
        if tokens.is_empty() {
            return Err(VocabularyError::Empty);
        }
        tokens.sort();
        Ok(Self { tokens })
    }

    /// A vocabulary of different tokens with different ids.
    pub(crate) fn from_tokens(mut tokens: Vec<(Vec<u8>, u32)>) -> Self {
        tokens.sort();
        Self { tokens }
    }

    /// The 256 bytes, each being its own id.
    pub fn bytes() -> Self {
        Self::from_tokens(
            (0..=255)
                .map(|byte| (vec![byte], u32::from(byte)))
                .collect(),
        )
    }

    /// The text that [`Vocabulary::parse`] reads.
    pub fn to_text(&self) -> String {
        let mut lines: Vec<_> = self.tokens.iter().collect();
        lines.sort_by_key(|(_, id)| *id);
        let line = |(token, id): &(Vec<u8>, u32)| {
            let bytes: String = token.iter().map(|byte| format!("\\x{byte:02x}")).collect();
            format!("{id} b'{bytes}' {}\n", token.len())
        };
        lines.into_iter().map(line).collect()
    }

    /// Tokens and their ids, in order of the tokens' bytes.
    pub fn tokens(&self) -> impl Iterator<Item = (&[u8], u32)> {
        self.tokens.iter().map(|(token, id)| (&token[..], *id))
    }

    /// The largest token id.
    pub fn max_id(&self) -> u32 {
        self.tokens.iter().map(|&(_, id)| id).max().unwrap_or(0)
    }

    /// The words of the trie that an image holds.
    pub fn to_trie(&self) -> Vec<u32> {
        trie::build(&self.tokens)
    }
}

fn entry(line: &str) -> Result<(u32, Vec<u8>), LineError> {
    let (id, rest) = line.split_once(' ').ok_or(LineError::Fields)?;
    let (literal, said) = rest.rsplit_once(' ').ok_or(LineError::Fields)?;
    let number = |text: &str| -> Option<u32> {
        let digits = text.bytes().all(|b| b.is_ascii_digit());
        text.parse().ok().filter(|_| digits)
    };
    let id = number(id)
        .filter(|&id| (id as usize) < MAX_VOCAB)
        .ok_or_else(|| LineError::Id(id.chars().take(20).collect()))?;
    let token = literal::parse(literal)?;
    if number(said) != u32::try_from(token.len()).ok() {
        return Err(LineError::Length {
            found: token.len(),
            said: said.chars().take(20).collect(),
        });
    }
    match token.len() {
        0 => Err(LineError::Empty),
        1..=MAX_TOKEN_BYTES => Ok((id, token)),
        more => Err(LineError::TooLong(more)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn error(text: &str) -> String {
        Vocabulary::parse(text.as_bytes()).unwrap_err().to_string()
    }

    #[test]
    fn tokens_keep_their_ids() {
        let text = "7 'b' 1\r\n3 b'\\xff' 1\n1000 ' a' 2\n";
        let vocabulary = Vocabulary::parse(text.as_bytes()).unwrap();
        let tokens: Vec<_> = vocabulary.tokens().collect();
        assert_eq!(
            tokens,
            [(&b" a"[..], 1000), (&b"b"[..], 7), (&b"\xff"[..], 3)]
        );
        assert_eq!(vocabulary.max_id(), 1000);
    }

    #[test]
    fn errors_name_the_line() {
        assert!(error("1 'a' 1\n2 'a' 1").contains("line 2: line 1 has the same token"));
        assert!(error("1 'a' 1\n1 'b' 1").contains("line 2: line 1 has the same id"));
        assert!(error("1 'é' 1").contains("line 1: the token has 2 bytes"));
        assert!(error("1 'a' one").contains("says `one`"));
        assert!(error("1 'a' +1").contains("says `+1`"));
        assert!(error("1 '' 0").contains("no bytes"));
        assert!(error("-1 'a' 1").contains("`-1` is not a token id"));
        assert!(error("1048576 'a' 1").contains("not a token id"));
        assert!(error("1 'a").contains("Python literal"));
        assert!(error("1 'a' 1\n\n").contains("line 2"));
        assert!(error("").contains("empty"));
        let long = format!("1 '{}' 129", "x".repeat(129));
        assert!(error(&long).contains("at most 128"));
        assert!(Vocabulary::parse(b"1 '\xff' 1").is_err());
    }

    proptest! {
        #[test]
        fn any_text_is_a_vocabulary_or_an_error(text in "[0-9 '\"b\\\\xuU\n\u{0}-\u{ff}]{0,60}") {
            let _ = Vocabulary::parse(text.as_bytes());
        }
    }
}
