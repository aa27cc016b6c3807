//! Encodes a text that arrives byte by byte, as from a UART.

use super::{byte_token, Kind, Tokenizer, UnknownByte, CAPACITY};
#[cfg(feature = "trie")]
use super::{trie::Children, Trie};

/// Turns bytes into tokens as they come: exactly those that
/// [`Tokenizer::encode`] finds in the whole text.
///
/// The longest match shows only after its end, so up to
/// [`super::MAX_TOKEN_BYTES`] bytes are held back; [`Encoder::finish`] ends
/// the text.
///
/// ```
/// # let tokenizer = kinglet::Tokenizer::bytes(256);
/// let mut encoder = kinglet::Encoder::new(tokenizer);
/// let mut tokens = Vec::new();
/// for byte in b"a kinglet" {
///     for token in encoder.push(*byte) {
///         tokens.push(token?);
///     }
/// }
/// for token in encoder.finish() {
///     tokens.push(token?);
/// }
/// assert!(tokens.iter().copied().map(Ok).eq(tokenizer.encode(b"a kinglet")));
/// # Ok::<(), kinglet::UnknownByte>(())
/// ```
#[derive(Clone, Debug)]
pub struct Encoder<'i> {
    tokenizer: Tokenizer<'i>,
    /// Bytes that no token has been given for yet.
    held: [u8; CAPACITY],
    len: usize,
    #[cfg(feature = "trie")]
    walk: Walk,
    /// No byte follows.
    ended: bool,
}

/// How far the held bytes have been followed into the trie.
#[cfg(feature = "trie")]
#[derive(Clone, Copy, Debug)]
struct Walk {
    /// Held bytes that were followed.
    bytes: usize,
    /// The place of the next byte; `None` where no token continues.
    children: Option<Children>,
    /// The longest token so far and its bytes.
    found: Option<(u32, usize)>,
}

#[cfg(feature = "trie")]
impl Walk {
    const START: Self = Self {
        bytes: 0,
        children: Some(Trie::ROOT),
        found: None,
    };
}

impl<'i> Encoder<'i> {
    /// At the beginning of a text.
    pub fn new(tokenizer: Tokenizer<'i>) -> Self {
        Self {
            tokenizer,
            held: [0; CAPACITY],
            len: 0,
            #[cfg(feature = "trie")]
            walk: Walk::START,
            ended: false,
        }
    }

    /// The tokenizer.
    pub fn tokenizer(&self) -> &Tokenizer<'i> {
        &self.tokenizer
    }

    /// Takes the next byte and yields the tokens that are certain now.
    /// Those that the caller does not take before the next call are lost.
    ///
    /// Without a vocabulary every byte gives its token at once.
    pub fn push(&mut self, byte: u8) -> Tokens<'_, 'i> {
        while self.next_token().is_some() {}
        self.ended = false;
        if let Some(place) = self.held.get_mut(self.len) {
            *place = byte;
            self.len += 1;
        }
        Tokens { encoder: self }
    }

    /// Ends the text and yields its last tokens. Then a new one may begin.
    pub fn finish(&mut self) -> Tokens<'_, 'i> {
        self.ended = true;
        Tokens { encoder: self }
    }

    /// One more of the tokens that the last [`Self::push`] or
    /// [`Self::finish`] made certain: for callers that cannot hold [`Tokens`].
    pub fn next_token(&mut self) -> Option<Result<u32, UnknownByte>> {
        let first = *self.held.first().filter(|_| self.len > 0)?;
        match self.tokenizer.kind {
            Kind::Bytes(vocab, _) => {
                self.len = 0;
                Some(byte_token(first, vocab))
            }
            #[cfg(feature = "trie")]
            Kind::Trie(trie) => self.next_of(&trie, first),
        }
    }

    /// The next token of a trie: the longest found, where no longer one can come.
    /// Its bytes leave `held`, the others move to the front and are followed anew.
    #[cfg(feature = "trie")]
    fn next_of(&mut self, trie: &Trie<'i>, first: u8) -> Option<Result<u32, UnknownByte>> {
        self.follow(trie);
        if self.walk.children.is_some() && !self.ended {
            return None;
        }
        let (token, bytes) = match self.walk.found {
            Some((rank, bytes)) => (Ok(trie.id(rank)), bytes),
            None => (Err(UnknownByte(first)), 1),
        };
        self.walk = Walk::START;
        self.len = self.len.saturating_sub(bytes);
        for to in 0..self.len {
            let byte = self.held.get(to + bytes).copied().unwrap_or(0);
            if let Some(place) = self.held.get_mut(to) {
                *place = byte;
            }
        }
        Some(token)
    }

    /// Follows the held bytes as far as they lead.
    #[cfg(feature = "trie")]
    fn follow(&mut self, trie: &Trie<'i>) {
        let held = self.held.get(..self.len).unwrap_or(&[]);
        let walk = &mut self.walk;
        while let (Some(children), Some(&byte)) = (walk.children, held.get(walk.bytes)) {
            let step = trie.step(children, byte);
            walk.children = step.as_ref().and_then(|step| step.children);
            walk.bytes += 1;
            if let Some(rank) = step.and_then(|step| step.token) {
                walk.found = Some((rank, walk.bytes));
            }
        }
    }
}

/// Tokens that an [`Encoder`] is certain of.
#[derive(Debug)]
pub struct Tokens<'e, 'i> {
    encoder: &'e mut Encoder<'i>,
}

impl Iterator for Tokens<'_, '_> {
    type Item = Result<u32, UnknownByte>;

    fn next(&mut self) -> Option<Self::Item> {
        self.encoder.next_token()
    }
}
