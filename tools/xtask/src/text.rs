//! Text out of bytes that arrive in pieces.

use std::str;

/// Holds back the beginning of a character until the rest of it is there.
/// Bytes that are not UTF-8 become U+FFFD.
#[derive(Debug, Default)]
pub struct TextStream {
    pending: Vec<u8>,
}

impl TextStream {
    /// Takes bytes and gives the text that they complete.
    pub fn push(&mut self, bytes: &[u8]) -> String {
        self.pending.extend_from_slice(bytes);
        let mut text = String::new();
        while let Err(error) = str::from_utf8(&self.pending) {
            let valid = self.pending.drain(..error.valid_up_to()).collect();
            text.push_str(&String::from_utf8(valid).unwrap_or_default());
            let Some(junk) = error.error_len() else {
                return text;
            };
            self.pending.drain(..junk);
            text.push(char::REPLACEMENT_CHARACTER);
        }
        text + &String::from_utf8(std::mem::take(&mut self.pending)).unwrap_or_default()
    }

    /// Ends the text: an unfinished character becomes U+FFFD.
    pub fn finish(&mut self) -> &'static str {
        let unfinished = !std::mem::take(&mut self.pending).is_empty();
        if unfinished {
            "\u{fffd}"
        } else {
            ""
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream(bytes: &[u8]) -> String {
        let mut stream = TextStream::default();
        let text: String = bytes.iter().map(|&byte| stream.push(&[byte])).collect();
        text + stream.finish()
    }

    #[test]
    fn characters_come_out_whole() {
        let mut stream = TextStream::default();
        assert_eq!(stream.push("é".as_bytes().split_at(1).0), "");
        assert_eq!(stream.push(&[0xa9, b'a', 0xf0]), "éa");
        assert_eq!(stream.finish(), "\u{fffd}");
        assert_eq!(stream.finish(), "");
    }

    #[test]
    fn equals_the_lossy_conversion() {
        for bytes in [
            &b"a\xffb"[..],
            b"\xf0\x9f\x98\x80",
            b"\xe2\x28\xa1",
            b"\xf0\x9f\x98",
            b"\x80",
        ] {
            assert_eq!(stream(bytes), String::from_utf8_lossy(bytes), "{bytes:x?}");
        }
    }
}
