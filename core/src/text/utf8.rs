//! Streams text from tokens that may split characters.

/// Turns bytes that arrive one by one into whole characters.
///
/// A token may end in the middle of a character; printing it at once would
/// show junk. Bytes that are not UTF-8 become U+FFFD, as everywhere.
///
/// A sequence that cannot become a character is replaced by one U+FFFD; its
/// first wrong byte is read again as the start of the next.
///
/// # Example
/// ```
/// let mut stream = kinglet::Utf8Stream::new();
/// assert_eq!(&*stream.push(0xc3), "");
/// assert_eq!(&*stream.push(0xa9), "é");
/// assert_eq!(&*stream.push(0xff), "\u{fffd}");
/// ```
#[derive(Clone, Debug, Default)]
pub struct Utf8Stream {
    /// The first bytes of a character, whose end has not come.
    pending: [u8; 4],
    /// How many they are, 0 to 3 between two calls.
    len: usize,
}

/// Text that has become complete: at most two characters.
/// It derefs to `str`. Two characters appear where a byte shows that those before
/// it are none: U+FFFD, and its own.
#[derive(Clone, Debug, Default)]
pub struct Utf8Chunk(heapless::String<8>);

impl core::ops::Deref for Utf8Chunk {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl core::fmt::Display for Utf8Chunk {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(&self.0)
    }
}

impl Utf8Stream {
    /// Starts with nothing pending.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes a byte and gives the text that it completes, often none.
    pub fn push(&mut self, byte: u8) -> Utf8Chunk {
        let mut chunk = Utf8Chunk::default();
        if let Some(slot) = self.pending.get_mut(self.len) {
            *slot = byte;
            self.len += 1;
        }
        if !self.emit(&mut chunk) {
            // The bytes before this one can never become a character.
            let _ = chunk.0.push(char::REPLACEMENT_CHARACTER);
            let alone = self.len == 1;
            self.len = 0;
            if !alone {
                self.pending[0] = byte;
                self.len = 1;
                if !self.emit(&mut chunk) {
                    let _ = chunk.0.push(char::REPLACEMENT_CHARACTER);
                    self.len = 0;
                }
            }
        }
        chunk
    }

    /// Ends the text: an unfinished character becomes U+FFFD.
    /// The stream is then as new.
    pub fn finish(&mut self) -> Utf8Chunk {
        let mut chunk = Utf8Chunk::default();
        if self.len > 0 {
            let _ = chunk.0.push(char::REPLACEMENT_CHARACTER);
            self.len = 0;
        }
        chunk
    }

    /// Moves the pending bytes out if they are a character. False if they
    /// are not the beginning of one either.
    fn emit(&mut self, chunk: &mut Utf8Chunk) -> bool {
        let pending = self.pending.get(..self.len).unwrap_or(&[]);
        match core::str::from_utf8(pending) {
            Ok(text) => {
                let _ = chunk.0.push_str(text);
                self.len = 0;
                true
            }
            Err(error) => error.error_len().is_none(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::string::String;
    use std::vec::Vec;

    fn stream(bytes: &[u8]) -> String {
        let mut utf8 = Utf8Stream::new();
        let mut text: String = bytes
            .iter()
            .map(|&b| String::from(&*utf8.push(b)))
            .collect();
        text.push_str(&utf8.finish());
        text
    }

    #[test]
    fn characters_come_out_whole() {
        let mut utf8 = Utf8Stream::new();
        let out: Vec<String> = "é😀a"
            .bytes()
            .map(|b| String::from(&*utf8.push(b)))
            .collect();
        assert_eq!(out, ["", "é", "", "", "", "😀", "a"]);
        assert_eq!(&*utf8.finish(), "");
    }

    proptest! {
        #[test]
        fn equals_the_lossy_conversion_of_the_standard_library(
            bytes in proptest::collection::vec(prop_oneof![
                any::<u8>(), 0x80u8..0xc0, 0xc0u8..=0xff, Just(b'a')
            ], 0..64)
        ) {
            prop_assert_eq!(stream(&bytes), String::from_utf8_lossy(&bytes));
        }

        #[test]
        fn whole_text_is_unchanged(text in ".*") {
            prop_assert_eq!(stream(text.as_bytes()), text);
        }
    }
}
