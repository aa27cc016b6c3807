//! Text to tokens and back. The tokenizer travels in the image, so that a
//! model cannot meet one that it was not trained with.

/// The tokenizer of an image.
#[derive(Clone, Copy, Debug)]
pub struct Tokenizer {
    vocab: u32,
}

/// A byte that no token of the vocabulary stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct UnknownByte(pub u8);

impl core::fmt::Display for UnknownByte {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "no token stands for the byte 0x{:02x}", self.0)
    }
}

impl core::error::Error for UnknownByte {}

/// The text of each byte token.
static BYTES: [u8; 256] = {
    let mut bytes = [0; 256];
    let mut i = 0;
    while i < 256 {
        bytes[i] = i as u8;
        i += 1;
    }
    bytes
};

impl Tokenizer {
    /// A tokenizer whose token ids are the byte values below `vocab`.
    pub fn bytes(vocab: u32) -> Self {
        Self { vocab }
    }

    /// The tokens of `text`, one after the other.
    ///
    /// # Errors
    /// An item is [`UnknownByte`] where the vocabulary cannot express it;
    /// the next item goes on behind it.
    pub fn encode<'t>(
        &self,
        text: &'t [u8],
    ) -> impl Iterator<Item = Result<u32, UnknownByte>> + 't {
        let vocab = self.vocab;
        text.iter().map(move |&byte| {
            let token = u32::from(byte);
            if token < vocab {
                Ok(token)
            } else {
                Err(UnknownByte(byte))
            }
        })
    }

    /// The bytes that `token` stands for; empty for one without text. A
    /// token may be a part of a character: see [`crate::Utf8Stream`].
    pub fn decode(&self, token: u32) -> &'static [u8] {
        let at = token as usize;
        BYTES.get(at..at + 1).unwrap_or(&[])
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
            .flat_map(|&t| tokenizer.decode(t))
            .copied()
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
        assert_eq!(Tokenizer::bytes(300).decode(256), b"");
        assert_eq!(Tokenizer::bytes(300).decode(u32::MAX), b"");
    }
}
