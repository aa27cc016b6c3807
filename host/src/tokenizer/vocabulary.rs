//! RWKV's World vocabulary: as text, a line per token with its id, a Python
//! literal and the number of its bytes; or as JSON, an object of ids and tokens.

use super::{literal, trie};
use anyhow::{anyhow, bail, ensure, Context, Result};
use kinglet::shape::MAX_VOCAB;
use kinglet::tokenizer::MAX_TOKEN_BYTES;
use serde_json::{Map, Value};
use std::collections::HashMap;
use std::fmt::Display;

/// Tokens and their ids.
#[derive(Clone, Debug)]
pub struct Vocabulary {
    /// In order of their bytes.
    tokens: Vec<(Vec<u8>, u32)>,
}

impl Vocabulary {
    /// Reads the text format. Empty lines are skipped.
    ///
    /// # Errors
    /// A sentence that names the line.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        let text = std::str::from_utf8(bytes).map_err(|error| {
            let at = error.valid_up_to();
            anyhow!("neither a vocabulary nor a tokenizer.json: not UTF-8 from byte {at} on")
        })?;
        let lines = text.lines().zip(1..);
        let full = lines.filter(|(line, _)| !line.is_empty());
        Self::collect(full.map(|(line, number)| (format!("line {number}"), entry(line))))
    }

    /// Reads the JSON format: `{"1": "a", "2": [195]}`. A token is a string, or
    /// an array of bytes.
    ///
    /// # Errors
    /// A sentence that names the id.
    pub fn from_json(entries: &Map<String, Value>) -> Result<Self> {
        let token = |value: &Value| match value {
            Value::String(text) => Ok(text.clone().into_bytes()),
            _ => serde_json::from_value(value.clone())
                .context("a token is a string or an array of bytes"),
        };
        Self::collect(entries.iter().map(|(key, value)| {
            let entry = id(key).and_then(|id| Ok((id, checked(token(value)?)?)));
            (format!("the entry \"{}\"", start(key)), entry)
        }))
    }

    /// Takes entries, each with its place in the file.
    fn collect<P>(entries: impl Iterator<Item = (P, Result<(u32, Vec<u8>)>)>) -> Result<Self>
    where
        P: Display + Clone,
    {
        let (mut ids, mut places) = (HashMap::new(), HashMap::new());
        let mut tokens = Vec::new();
        for (place, entry) in entries {
            let (id, token) = entry.map_err(|error| anyhow!("{place}: {error}"))?;
            if let Some(before) = ids.insert(id, place.clone()) {
                bail!("{place}: {before} has the same id");
            }
            if let Some(before) = places.insert(token.clone(), place.clone()) {
                bail!("{place}: {before} has the same token");
            }
            tokens.push((token, id));
        }
        ensure!(!tokens.is_empty(), "the vocabulary is empty");
        Ok(Self::from_tokens(tokens))
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

/// The first characters of something wrong.
fn start(text: &str) -> String {
    text.chars().take(20).collect()
}

fn number(text: &str) -> Option<u32> {
    let digits = text.bytes().all(|b| b.is_ascii_digit());
    text.parse().ok().filter(|_| digits)
}

fn id(text: &str) -> Result<u32> {
    let known = number(text).filter(|&id| (id as usize) < MAX_VOCAB);
    known.with_context(|| format!("`{}` is not a token id below {MAX_VOCAB}", start(text)))
}

/// A token of as many bytes as a token may have.
fn checked(token: Vec<u8>) -> Result<Vec<u8>> {
    match token.len() {
        0 => bail!("the token has no bytes"),
        1..=MAX_TOKEN_BYTES => Ok(token),
        more => bail!("the token has {more} bytes, but at most {MAX_TOKEN_BYTES} are possible"),
    }
}

fn entry(line: &str) -> Result<(u32, Vec<u8>)> {
    let fields =
        "a line of a vocabulary is an id, a Python literal and its length, with spaces between; \
                  for BPE give a tokenizer.json";
    let (first, rest) = line.split_once(' ').context(fields)?;
    let (literal, said) = rest.rsplit_once(' ').context(fields)?;
    let id = id(first)?;
    let token = literal::parse(literal)?;
    ensure!(
        number(said) == u32::try_from(token.len()).ok(),
        "the token has {} bytes, but the line says `{}`",
        token.len(),
        start(said)
    );
    Ok((id, checked(token)?))
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
        let text = "7 'b' 1\r\n3 b'\\xff' 1\n1000 ' a' 2\n\r\n";
        let json = serde_json::json!({"7": "b", "3": [255], "1000": " a"});
        for vocabulary in [
            Vocabulary::parse(text.as_bytes()),
            Vocabulary::from_json(json.as_object().unwrap()),
        ] {
            let vocabulary = vocabulary.unwrap();
            let tokens: Vec<_> = vocabulary.tokens().collect();
            assert_eq!(
                tokens,
                [(&b" a"[..], 1000), (&b"b"[..], 7), (&b"\xff"[..], 3)]
            );
            assert_eq!(vocabulary.max_id(), 1000);
        }
    }

    #[test]
    fn errors_in_json_name_the_entry() {
        let cases = [
            (r#"{"a": "x"}"#, "the entry \"a\": `a` is not a token id"),
            (r#"{"1": ""}"#, "the entry \"1\": the token has no bytes"),
            (r#"{"1": [256]}"#, "a string or an array of bytes"),
            (r#"{"1": null}"#, "a string or an array of bytes"),
            (r#"{"1": "a", "01": "b"}"#, "has the same id"),
            (r#"{"1": "a", "2": [97]}"#, "has the same token"),
            ("{}", "the vocabulary is empty"),
        ];
        for (text, expected) in cases {
            let entries = serde_json::from_str(text).unwrap();
            let error = Vocabulary::from_json(&entries).unwrap_err().to_string();
            assert!(error.contains(expected), "{text}: {error}");
        }
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
        assert!(error("1 'a' 1\n\nb").contains("line 3"));
        assert!(error("1 'a' 1\n \n").contains("line 2"));
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
