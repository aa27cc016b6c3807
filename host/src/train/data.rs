//! Tokens to learn from.

use super::gradient::Sequence;
use crate::random::Random;

/// A text as tokens.
#[derive(Clone, Debug, Default)]
pub struct Corpus {
    tokens: Vec<u32>,
    bytes: u64,
}

impl Corpus {
    /// Tokens that stand for `bytes` bytes of text.
    pub fn new(tokens: Vec<u32>, bytes: u64) -> Self {
        Self { tokens, bytes }
    }

    /// How many tokens.
    pub fn len(&self) -> usize {
        self.tokens.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.tokens.is_empty()
    }

    /// Bytes of text that a token stands for, on average.
    pub fn bytes_per_token(&self) -> f64 {
        self.bytes as f64 / self.tokens.len().max(1) as f64
    }

    /// `count` sequences of `len` tokens from random places; shorter ones, if
    /// there are not so many tokens.
    pub fn batch(&self, random: &mut Random, count: usize, len: usize) -> Vec<Sequence> {
        let len = len.min(self.tokens.len() - 1);
        let places = self.tokens.len() - len;
        (0..count)
            .map(|_| sequence(&self.tokens[random.below(places)..][..=len]))
            .collect()
    }

    /// The whole text in sequences of at most `len` tokens, every token but
    /// the first of each being a target.
    pub fn windows(&self, len: usize) -> Vec<Sequence> {
        let whole = self.tokens.chunks(len).filter(|window| window.len() > 1);
        whole.map(sequence).collect()
    }
}

fn sequence(tokens: &[u32]) -> Sequence {
    Sequence {
        tokens: tokens[..tokens.len() - 1].to_vec(),
        targets: tokens[1..].to_vec(),
    }
}
