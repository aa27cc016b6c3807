//! Ends an answer where a text appears in it.

/// No stop text is longer, in bytes.
pub const STOP_BYTES: usize = 32;

/// A text that ends an answer; none if it is empty.
pub type StopText = heapless::Vec<u8, STOP_BYTES>;

/// Holds back what may become the stop text until that is decided.
#[derive(Debug)]
pub struct Stop<'s> {
    text: &'s [u8],
    /// So many bytes at the end of what was pushed are the beginning of `text`.
    held: usize,
}

impl<'s> Stop<'s> {
    /// Nothing has been pushed.
    pub fn new(text: &'s [u8]) -> Self {
        Self { text, held: 0 }
    }

    /// Takes the next byte and shows those to `put` that are no part of the
    /// stop text. Returns whether the stop text is complete.
    pub fn push(&mut self, byte: u8, mut put: impl FnMut(u8)) -> bool {
        let text = self.text;
        let held = text.get(..self.held).unwrap_or_default();
        // The longest end of what is held back, and this byte, that the text
        // begins with. It is short: looking for it anew is cheap.
        let next = |len: usize| {
            let tail = held.get(held.len().wrapping_sub(len)..)?;
            (text.get(..len)? == tail && text.get(len) == Some(&byte)).then_some(len)
        };
        let kept = (0..=held.len()).rev().find_map(next);
        let free = held.len() - kept.unwrap_or(held.len()).min(held.len());
        held.iter().take(free).for_each(|&byte| put(byte));
        self.held = match kept {
            Some(len) => len + 1,
            None => {
                held.iter().skip(free).for_each(|&byte| put(byte));
                put(byte);
                0
            }
        };
        self.held > 0 && self.held == text.len()
    }

    /// Shows what is still held back: the answer ends without the stop text.
    pub fn finish(&mut self, put: impl FnMut(u8)) {
        let held = self.text.get(..self.held).unwrap_or_default();
        held.iter().copied().for_each(put);
        self.held = 0;
    }
}

/// A stop text as it is typed: `\n`, `\t` and `\\` stand for one byte.
pub fn unescape(typed: &str) -> Option<StopText> {
    let mut text = StopText::new();
    let mut bytes = typed.bytes();
    while let Some(byte) = bytes.next() {
        let byte = match byte {
            b'\\' => match bytes.next()? {
                b'n' => b'\n',
                b't' => b'\t',
                b'\\' => b'\\',
                _ => return None,
            },
            byte => byte,
        };
        text.push(byte).ok()?;
    }
    Some(text)
}

/// A stop text as it can be typed.
pub fn escape(text: &[u8], mut put: impl FnMut(&[u8])) {
    for &byte in text {
        match byte {
            b'\n' => put(b"\\n"),
            b'\t' => put(b"\\t"),
            b'\\' => put(b"\\\\"),
            byte => put(&[byte]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::String;
    use std::vec::Vec;

    /// What is shown of `answer`, and whether it was stopped.
    fn shown(stop: &str, answer: &str) -> (String, bool) {
        let mut out = Vec::new();
        let mut watch = Stop::new(stop.as_bytes());
        for byte in answer.bytes() {
            if watch.push(byte, |byte| out.push(byte)) {
                return (String::from_utf8(out).unwrap(), true);
            }
        }
        watch.finish(|byte| out.push(byte));
        (String::from_utf8(out).unwrap(), false)
    }

    #[test]
    fn what_is_shown_is_what_str_find_leaves() {
        let stops = ["", "a", "aab", "abab", "ab\n", "é", "aaaa", "b a"];
        let answers = [
            "",
            "aaab",
            "ababab",
            "aaaaaaab",
            "abaabab\n",
            "caféé",
            "ab ab a ab\n",
        ];
        for stop in stops {
            for answer in answers {
                let found = answer.find(stop).filter(|_| !stop.is_empty());
                let expected = (
                    answer[..found.unwrap_or(answer.len())].into(),
                    found.is_some(),
                );
                assert_eq!(shown(stop, answer), expected, "{stop:?} in {answer:?}");
            }
        }
    }

    #[test]
    fn typed_and_shown_stop_texts_are_the_same() {
        let text = unescape("a\\n\\t\\\\b").unwrap();
        assert_eq!(&text[..], b"a\n\t\\b");
        let mut typed = Vec::new();
        escape(&text, |bytes| typed.extend_from_slice(bytes));
        assert_eq!(typed, b"a\\n\\t\\\\b");
        assert_eq!(unescape("\\x"), None);
        assert_eq!(unescape("\\"), None);
        assert_eq!(unescape(&"a".repeat(33)), None);
    }
}
