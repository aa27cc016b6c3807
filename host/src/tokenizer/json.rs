//! Byte-level BPE from a `tokenizer.json`, as GPT-NeoX has it and with it
//! RWKV-4 models trained on the Pile. It cannot be put into an image.

use anyhow::{anyhow, ensure, Context, Result};
use kinglet::shape::MAX_VOCAB;
use std::collections::HashMap;
use tokenizers::{DecoderWrapper, Tokenizer};

/// A byte-level BPE tokenizer.
#[derive(Debug)]
pub struct Json {
    tokenizer: Tokenizer,
    /// The bytes of each token id.
    texts: Vec<Vec<u8>>,
    /// The token of each single byte.
    bytes: [Option<u32>; 256],
}

impl Json {
    /// Reads a `tokenizer.json`.
    ///
    /// # Errors
    /// It is no `tokenizer.json`, or a tokenizer of another kind.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        let tokenizer = Tokenizer::from_bytes(bytes)
            .map_err(|error| anyhow!("not a tokenizer.json: {error}"))?;
        ensure!(
            matches!(tokenizer.get_decoder(), Some(DecoderWrapper::ByteLevel(_))),
            "not a byte-level BPE: its decoder is another one than `ByteLevel`"
        );
        let alphabet = alphabet();
        let byte_of = HashMap::from_iter(alphabet.into_iter().zip(0..=255));
        let added = tokenizer.get_added_tokens_decoder();
        let mut texts = Vec::new();
        for (token, id) in tokenizer.get_vocab(true) {
            let at = id as usize;
            ensure!(at < MAX_VOCAB, "the token id {id} is too large");
            if texts.len() <= at {
                texts.resize(at + 1, Vec::new());
            }
            // An added token stands for itself, all others are in the
            // alphabet of bytes.
            texts[at] = match added.get(&id) {
                Some(token) => token.content.clone().into_bytes(),
                None => to_bytes(&token, &byte_of),
            };
        }
        let bytes = alphabet.map(|c| tokenizer.token_to_id(c.encode_utf8(&mut [0; 4])));
        Ok(Self {
            tokenizer,
            texts,
            bytes,
        })
    }

    /// The largest token id.
    pub fn max_id(&self) -> u32 {
        self.texts.len().saturating_sub(1) as u32
    }

    /// The tokens of `text`. Where it is not UTF-8, bytes are tokens.
    ///
    /// # Errors
    /// A byte that no token stands for.
    pub fn encode(&self, text: &[u8]) -> Result<Vec<u32>> {
        let mut tokens = Vec::new();
        for chunk in text.utf8_chunks() {
            let encoding = self.tokenizer.encode_fast(chunk.valid(), false);
            let encoding = encoding.map_err(anyhow::Error::from_boxed)?;
            tokens.extend_from_slice(encoding.get_ids());
            for &byte in chunk.invalid() {
                let token = self.bytes[usize::from(byte)];
                tokens.push(
                    token.with_context(|| format!("no token stands for the byte {byte:#04x}"))?,
                );
            }
        }
        Ok(tokens)
    }

    /// The bytes of a token, none for one without text.
    pub fn decode(&self, token: u32) -> &[u8] {
        self.texts.get(token as usize).map_or(&[], Vec::as_slice)
    }
}

/// Byte-level BPE writes bytes as visible characters: those that are visible
/// in Latin-1 as themselves, all others from U+0100 on, in order.
pub(super) fn alphabet() -> [char; 256] {
    let mut others = '\u{100}'..;
    std::array::from_fn(|byte| match byte as u8 {
        byte @ (b'!'..=b'~' | 0xa1..=0xac | 0xae..=0xff) => char::from(byte),
        _ => others.next().unwrap_or_default(),
    })
}

/// The bytes that a token of the alphabet stands for; a character that is
/// not in it keeps its UTF-8.
fn to_bytes(token: &str, byte_of: &HashMap<char, u8>) -> Vec<u8> {
    let mut bytes = Vec::new();
    for c in token.chars() {
        match byte_of.get(&c) {
            Some(&byte) => bytes.push(byte),
            None => bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    bytes
}
