//! Learning a small vocabulary for longest match.
//!
//! Pairs of neighbouring tokens that occur most often become tokens (Gage's
//! byte-pair encoding), within words: a token may begin with a space, and
//! never holds one further on. Of the bytes that the text does not have only
//! the printable ones are tokens: pieces of words are worth more.
//! `docs/training.md` has measurements of alternatives.

use crate::tokenizer::Vocabulary;

/// The largest vocabulary that can be learned: pairs are counted in a table.
pub const MOST_ENTRIES: usize = 4096;

/// Text beyond this does not change what the frequent pairs are.
const MOST_BYTES: usize = 8 << 20;

/// Why a text does not support a vocabulary.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unsupported {
    /// The text has too few frequent pairs.
    #[error("the text supports a vocabulary of {0} entries: no other pair of tokens occurs twice; ask for fewer, or give more text")]
    FewPairs(usize),
    /// The bytes alone are more.
    #[error("the text needs a vocabulary of more than {0} entries, for its bytes and those that can be typed; or take `bytes`")]
    ManyBytes(usize),
}

/// Learns a vocabulary of `entries` from a text, with all bytes of it and of
/// `others`, so that both can be written. Ids are in order of length,
/// then of bytes, and that of the byte 0, which ends a text, is 0.
///
/// # Errors
/// [`Unsupported`] says how many entries the text supports.
pub fn learn(text: &[u8], others: &[u8], entries: usize) -> Result<Vocabulary, Unsupported> {
    let mut tokens: Vec<Vec<u8>> = alphabet(text.iter().chain(others))
        .into_iter()
        .map(|byte| vec![byte])
        .collect();
    if entries <= tokens.len() {
        return Err(Unsupported::ManyBytes(tokens.len()));
    }
    let text = &text[..text.len().min(MOST_BYTES)];
    let mut words = Words::new(text, &tokens);
    let mut counts = vec![0u32; entries * entries];
    while tokens.len() < entries {
        let Some([a, b]) = words.most_frequent(&mut counts, entries) else {
            return Err(Unsupported::FewPairs(tokens.len()));
        };
        words.merge([a, b], tokens.len() as u32);
        let both = [&tokens[a as usize][..], &tokens[b as usize]].concat();
        tokens.push(both);
    }
    tokens.sort_by(|a, b| a.len().cmp(&b.len()).then_with(|| a.cmp(b)));
    let ids = (0..).zip(tokens).map(|(id, token)| (token, id));
    Ok(Vocabulary::from_tokens(ids.collect()))
}

/// These bytes, and those that can be typed, in order.
fn alphabet<'b>(bytes: impl Iterator<Item = &'b u8>) -> Vec<u8> {
    let mut is_met = [false; 256];
    bytes.for_each(|&byte| is_met[usize::from(byte)] = true);
    let typed = |byte: u8| matches!(byte, 0 | b'\n' | b' '..=b'~');
    (0..=255)
        .filter(|&byte| typed(byte) || is_met[usize::from(byte)])
        .collect()
}

/// A text as tokens, and which of them begin a word.
struct Words {
    tokens: Vec<u32>,
    begins: Vec<bool>,
}

impl Words {
    /// The bytes of a text, by their places in `alphabet`.
    fn new(text: &[u8], alphabet: &[Vec<u8>]) -> Self {
        let mut places = [0; 256];
        (0..)
            .zip(alphabet)
            .for_each(|(place, byte)| places[usize::from(byte[0])] = place);
        let mut begins = vec![true; text.len()];
        for i in 1..text.len() {
            begins[i] = begins_word(text[i - 1], text[i]);
        }
        Self {
            tokens: text.iter().map(|&byte| places[usize::from(byte)]).collect(),
            begins,
        }
    }

    /// The pair within words that occurs most often, and more than once; the
    /// first in order of tokens among equals.
    fn most_frequent(&self, counts: &mut [u32], entries: usize) -> Option<[u32; 2]> {
        counts.fill(0);
        for (pair, begins) in self.tokens.windows(2).zip(&self.begins[1..]) {
            if !begins {
                counts[pair[0] as usize * entries + pair[1] as usize] += 1;
            }
        }
        let mut best = (1, None);
        for (index, &count) in counts.iter().enumerate() {
            if count > best.0 {
                best = (count, Some(index));
            }
        }
        let index = best.1?;
        Some([(index / entries) as u32, (index % entries) as u32])
    }

    fn merge(&mut self, pair: [u32; 2], new: u32) {
        let (mut from, mut to) = (0, 0);
        while from < self.tokens.len() {
            let next = self.tokens.get(from + 1);
            let merged =
                self.tokens[from] == pair[0] && next == Some(&pair[1]) && !self.begins[from + 1];
            self.begins[to] = self.begins[from];
            self.tokens[to] = if merged { new } else { self.tokens[from] };
            from += if merged { 2 } else { 1 };
            to += 1;
        }
        self.tokens.truncate(to);
        self.begins.truncate(to);
    }
}

/// Whether a word begins at `now`: at spaces, where letters meet something
/// else, and on both sides of a text's end.
fn begins_word(before: u8, now: u8) -> bool {
    let letter = |byte: u8| byte.is_ascii_alphabetic() || byte >= 0x80;
    match (before, now) {
        (0, _) | (_, 0 | b' ') => true,
        (b' ', _) => false,
        _ => letter(before) != letter(now),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Those that can be typed, and the end of a text.
    const TYPED: usize = 95 + 2;

    fn learned(text: &str, entries: usize) -> Vec<Vec<u8>> {
        let vocabulary = learn(text.as_bytes(), &[], entries).unwrap();
        let mut tokens: Vec<_> = vocabulary.tokens().map(|(token, id)| (id, token)).collect();
        tokens.sort_unstable();
        assert!(tokens.iter().zip(0..).all(|((id, _), place)| *id == place));
        tokens
            .into_iter()
            .map(|(_, token)| token.to_vec())
            .collect()
    }

    #[test]
    fn frequent_words_become_tokens() {
        let tokens = learned(&"a cat and the cat of the cat\n".repeat(50), TYPED + 6);
        assert!(
            tokens.contains(&b" cat".to_vec()) && tokens.contains(&b" the".to_vec()),
            "{tokens:?}"
        );
    }

    #[test]
    fn the_end_of_a_text_is_token_0_and_in_no_other() {
        let tokens = learned(&"yes.\0no.\0maybe...\0".repeat(100), TYPED + 6);
        assert_eq!(tokens[0], [0]);
        assert!(tokens[1..].iter().all(|token| !token.contains(&0)));
    }

    #[test]
    fn bytes_that_are_never_met_are_no_tokens() {
        let tokens = learned(&"caf\u{e9} au lait ".repeat(100), TYPED + 2 + 4);
        let is_known = |byte: u8| tokens.contains(&vec![byte]);
        assert!((b' '..=b'~').all(is_known) && is_known(0xc3) && is_known(b'\n'));
        assert!(!is_known(0xc4) && !is_known(7));
        let vocabulary = learn(&b"ab".repeat(50), b"\x07", TYPED + 2).unwrap();
        assert!(vocabulary.tokens().any(|(token, _)| token == b"\x07"));
    }

    #[test]
    fn a_text_says_what_it_supports() {
        let error = |entries| learn(b"ab ab", b"", entries).unwrap_err();
        assert_eq!(error(300), Unsupported::FewPairs(TYPED + 1));
        assert_eq!(error(TYPED), Unsupported::ManyBytes(TYPED));
    }
}
