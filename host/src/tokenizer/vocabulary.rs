//! The text format of RWKV's World vocabulary: a line per token with its id,
//! a Python literal and the number of its bytes.

use super::{literal, trie};
use anyhow::{anyhow, bail, ensure, Context, Result};
use kinglet::shape::MAX_VOCAB;
use kinglet::tokenizer::MAX_TOKEN_BYTES;
use std::collections::HashMap;

/// Tokens and their ids.
#[derive(Clone, Debug)]
pub struct Vocabulary {
    /// In order of their bytes.
    tokens: Vec<(Vec<u8>, u32)>,
}

impl Vocabulary {
    /// Reads a vocabulary file.
    ///
    /// # Errors
    /// A sentence that names the line.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        let text = std::str::from_utf8(bytes).map_err(|error| {
            let at = error.valid_up_to();
            anyhow!("neither a vocabulary nor a tokenizer.json: not UTF-8 from byte {at} on")
        })?;
        let (mut ids, mut lines) = (HashMap::new(), HashMap::new());
        let mut tokens = Vec::new();
        for (index, content) in text.lines().enumerate() {
            let line = index + 1;
            let (id, token) = entry(content).map_err(|error| anyhow!("line {line}: {error}"))?;
            if let Some(before) = ids.insert(id, line) {
                bail!("line {line}: line {before} has the same id");
            }
            if let Some(before) = lines.insert(token.clone(), line) {
                bail!("line {line}: line {before} has the same token");
            }
            tokens.push((token, id));
        }
        ensure!(!tokens.is_empty(), "the vocabulary is empty");
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
        let tokens = (0..=255).map(|byte| (vec![byte], u32::from(byte)));
        Self::from_tokens(tokens.collect())
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

fn entry(line: &str) -> Result<(u32, Vec<u8>)> {
    let fields =
        "a line of a vocabulary is an id, a Python literal and its length, with spaces between; \
                  for BPE give a tokenizer.json";
    let (id, rest) = line.split_once(' ').context(fields)?;
    let (literal, said) = rest.rsplit_once(' ').context(fields)?;
    let number = |text: &str| -> Option<u32> {
        let digits = text.bytes().all(|b| b.is_ascii_digit());
        text.parse().ok().filter(|_| digits)
    };
    let start = |text: &str| -> String { text.chars().take(20).collect() };
    let known = number(id).filter(|&id| (id as usize) < MAX_VOCAB);
    let id =
        known.with_context(|| format!("`{}` is not a token id below {MAX_VOCAB}", start(id)))?;
    let token = literal::parse(literal)?;
    ensure!(
        number(said) == u32::try_from(token.len()).ok(),
        "the token has {} bytes, but the line says `{}`",
        token.len(),
        start(said)
    );
    match token.len() {
        0 => bail!("the token has no bytes"),
        1..=MAX_TOKEN_BYTES => Ok((id, token)),
        more => bail!("the token has {more} bytes, but at most {MAX_TOKEN_BYTES} are possible"),
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
