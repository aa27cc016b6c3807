//! Text to tokens and back. The tokenizer is part of the image, so that a
//! model cannot be run with one that it was not trained with.
//!
//! Two kinds: a token is a byte, or a text is cut greedily into the longest
//! entries of a vocabulary, which lies in the image as a `Trie`.
//!
//! A token is a `u32`, its id: a row of the embedding and of the head. Text is
//! bytes: nothing here depends on UTF-8, and a token need not be a whole
//! character.
//!
//! ```
//! let tokenizer = kinglet::Tokenizer::bytes(256);
//! let tokens: Result<Vec<u32>, _> = tokenizer.encode(b"hi").collect();
//! assert_eq!(tokens, Ok(vec![104, 105]));
//! assert_eq!(&*tokenizer.decode(104), b"h");
//! ```

#[cfg(feature = "trie")]
mod check;
mod encoder;
mod text;
#[cfg(feature = "trie")]
mod trie;

pub use encoder::{Encoder, Tokens};
pub use text::TokenText;
#[cfg(feature = "trie")]
pub use trie::TrieFault;
// For the program that writes tries, and its tests.
#[cfg(feature = "trie")]
#[doc(hidden)]
pub use trie::{Trie, BLOCK_NODES, BLOCK_WORDS, HEAD_WORDS};

/// The most bytes that a token may have: an [`Encoder`] holds as many back.
/// The longest of RWKV's World vocabulary has 128.
pub const MAX_TOKEN_BYTES: usize = 128;

/// Bytes of the longest token in an image that this build reads.
const CAPACITY: usize = if cfg!(feature = "trie") {
    MAX_TOKEN_BYTES
} else {
    1
};

/// The tokenizer of an image.
/// It is a few words that can be copied; the vocabulary stays in the image.
#[derive(Clone, Copy, Debug)]
pub struct Tokenizer<'i> {
    kind: Kind<'i>,
}

#[derive(Clone, Copy, Debug)]
enum Kind<'i> {
    /// Token ids are the byte values below this number.
    Bytes(u32, core::marker::PhantomData<&'i ()>),
    /// Longest match.
    #[cfg(feature = "trie")]
    Trie(Trie<'i>),
}

/// A byte that no token of the vocabulary stands for.
/// A vocabulary that has all 256 bytes as entries never gives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct UnknownByte(pub u8);

impl core::fmt::Display for UnknownByte {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "no token stands for the byte 0x{:02x}", self.0)
    }
}

impl core::error::Error for UnknownByte {}

impl<'i> Tokenizer<'i> {
    /// A tokenizer whose token ids are the byte values below `vocab`.
    /// With 256 or more every byte is a token.
    pub fn bytes(vocab: u32) -> Self {
        Self {
            kind: Kind::Bytes(vocab, core::marker::PhantomData),
        }
    }

    /// A tokenizer that takes the longest entry of `trie` at every point.
    /// The published World models of RWKV are trained with such a tokenizer.
    #[cfg(feature = "trie")]
    #[doc(hidden)]
    pub fn trie(trie: Trie<'i>) -> Self {
        Self {
            kind: Kind::Trie(trie),
        }
    }

    /// The vocabulary, unless tokens are bytes.
    #[cfg(feature = "trie")]
    #[doc(hidden)]
    pub fn as_trie(&self) -> Option<&Trie<'i>> {
        match &self.kind {
            Kind::Trie(trie) => Some(trie),
            Kind::Bytes(..) => None,
        }
    }

    /// The tokens of `text`, one after the other. For a text that arrives
    /// byte by byte there is [`Encoder`].
    ///
    /// The iterator is lazy. Every token takes a walk down the trie, from the
    /// root to where no entry continues.
    ///
    /// # Errors
    /// An item is [`UnknownByte`] where the vocabulary cannot express it;
    /// the next item continues after it.
    pub fn encode<'t>(&self, text: &'t [u8]) -> Encode<'i, 't> {
        Encode {
            tokenizer: *self,
            rest: text,
        }
    }

    /// The bytes that `token` stands for; empty for one without text. A token
    /// may be a part of a character: see [`crate::Utf8Stream`]. An id outside
    /// of the vocabulary has no text. The text of a token of a trie is found
    /// from its last byte to its first, without a table.
    pub fn decode(&self, token: u32) -> TokenText {
        match self.kind {
            Kind::Bytes(..) => match u8::try_from(token) {
                Ok(byte) => TokenText::of_byte(byte),
                Err(_) => TokenText::default(),
            },
            #[cfg(feature = "trie")]
            Kind::Trie(trie) => trie.text(token),
        }
    }
}

/// The tokens of a text: see [`Tokenizer::encode`].
#[derive(Clone, Debug)]
pub struct Encode<'i, 't> {
    tokenizer: Tokenizer<'i>,
    rest: &'t [u8],
}

impl Iterator for Encode<'_, '_> {
    type Item = Result<u32, UnknownByte>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let (&first, behind_first) = self.rest.split_first()?;
        let (token, rest) = match self.tokenizer.kind {
            Kind::Bytes(vocab, _) => (byte_token(first, vocab), behind_first),
            #[cfg(feature = "trie")]
            Kind::Trie(trie) => match trie.longest(self.rest) {
                Some((token, len)) => (Ok(token), self.rest.get(len..).unwrap_or(&[])),
                None => (Err(UnknownByte(first)), behind_first),
            },
        };
        self.rest = rest;
        Some(token)
    }
}

/// The token of a byte where ids are byte values below `vocab`.
fn byte_token(byte: u8, vocab: u32) -> Result<u32, UnknownByte> {
    let token = u32::from(byte);
    if token < vocab {
        Ok(token)
    } else {
        Err(UnknownByte(byte))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    #[test]
    fn bytes_come_back() {
        let tokenizer = Tokenizer::bytes(256);
        let all: Vec<u8> = (0..=255).collect();
        let tokens: Result<Vec<u32>, _> = tokenizer.encode(&all).collect();
        let tokens = tokens.unwrap();
        let back: Vec<u8> = tokens
            .iter()
            .flat_map(|&t| tokenizer.decode(t).to_vec())
            .collect();
        assert_eq!(back, all);
    }

    #[test]
    fn bytes_beyond_the_vocabulary_are_errors() {
        let tokenizer = Tokenizer::bytes(128);
        let tokens: Vec<_> = tokenizer.encode(b"a\xffb").collect();
        assert_eq!(tokens, [Ok(97), Err(UnknownByte(0xff)), Ok(98)]);
    }

    #[test]
    fn tokens_without_text_decode_to_nothing() {
        assert_eq!(&*Tokenizer::bytes(300).decode(256), b"");
        assert_eq!(&*Tokenizer::bytes(300).decode(u32::MAX), b"");
    }
}
