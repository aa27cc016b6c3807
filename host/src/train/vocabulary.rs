//! Learning a small vocabulary for longest match.
//!
//! Pairs of neighbouring tokens that occur most often become tokens (Gage's
//! byte-pair encoding), within words: a token may begin with a space, and
//! never holds one further on. All 256 bytes stay tokens, with their value
//! as id: every text can be written.

use crate::tokenizer::Vocabulary;

/// The largest vocabulary that can be learned: pairs are counted in a table.
pub const MOST_ENTRIES: usize = 4096;

/// Text beyond this does not change what the frequent pairs are.
const MOST_BYTES: usize = 8 << 20;

/// The text has too few frequent pairs for the vocabulary asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the text supports a vocabulary of {0} entries: no other pair of tokens occurs twice; ask for fewer, or give more text")]
pub struct TooFewPairs(pub usize);

/// Learns a vocabulary of `entries` from a text.
///
/// # Errors
/// [`TooFewPairs`] says how many entries the text supports.
pub fn learn(text: &[u8], entries: usize) -> Result<Vocabulary, TooFewPairs> {
    let text = &text[..text.len().min(MOST_BYTES)];
    let mut words = Words::new(text);
    let mut tokens: Vec<Vec<u8>> = (0..=255).map(|byte| vec![byte]).collect();
    let mut counts = vec![0u32; entries * entries];
    while tokens.len() < entries {
        let Some([a, b]) = words.most_frequent(&mut counts, entries) else {
            return Err(TooFewPairs(tokens.len()));
        };
        words.merge([a, b], tokens.len() as u32);
        let both = [&tokens[a as usize][..], &tokens[b as usize]].concat();
        tokens.push(both);
    }
    let ids = (0..).zip(tokens).map(|(id, token)| (token, id));
    Ok(Vocabulary::from_tokens(ids.collect()))
}

/// A text as tokens, and which of them begin a word.
struct Words {
    tokens: Vec<u32>,
    begins: Vec<bool>,
}

impl Words {
    fn new(text: &[u8]) -> Self {
        let mut begins = vec![true; text.len()];
        for i in 1..text.len() {
            begins[i] = begins_word(text[i - 1], text[i]);
        }
        Self {
            tokens: text.iter().map(|&byte| u32::from(byte)).collect(),
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

/// Whether a word begins at `now`: at spaces, and where letters meet
/// something else.
fn begins_word(before: u8, now: u8) -> bool {
    let letter = |byte: u8| byte.is_ascii_alphabetic() || byte >= 0x80;
    match (before, now) {
        (_, b' ') => true,
        (b' ', _) => false,
        _ => letter(before) != letter(now),
    }
}
