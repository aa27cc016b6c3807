//! The text of a token, by value: a trie yields it from its end.

use super::CAPACITY;

/// The bytes that a token stands for; derefs to a slice.
///
/// It has at most [`MAX_TOKEN_BYTES`](super::MAX_TOKEN_BYTES), or one where the
/// build has no tries, and lies on the stack.
#[derive(Clone)]
pub struct TokenText {
    bytes: [u8; CAPACITY],
    /// The text is what stands from here on.
    start: usize,
}

impl TokenText {
    pub(super) fn of_byte(byte: u8) -> Self {
        let mut text = Self::default();
        text.push_front(byte);
        text
    }

    /// Puts a byte in front; false where there is no room left.
    pub(super) fn push_front(&mut self, byte: u8) -> bool {
        let at = self.start.wrapping_sub(1);
        match self.bytes.get_mut(at) {
            Some(place) => {
                *place = byte;
                self.start = at;
                true
            }
            None => false,
        }
    }
}

impl Default for TokenText {
    fn default() -> Self {
        Self {
            bytes: [0; CAPACITY],
            start: CAPACITY,
        }
    }
}

impl core::ops::Deref for TokenText {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.bytes.get(self.start..).unwrap_or(&[])
    }
}

impl core::fmt::Debug for TokenText {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "TokenText(\"{}\")", self.escape_ascii())
    }
}
