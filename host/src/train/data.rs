//! Tokens to learn from.

use super::gradient::Sequence;
use super::prepare::encode;
use crate::labels::labelled_lines;
use crate::random::Random;
use kinglet::Tokenizer;

/// Fewer lines of validation are too few to judge by: among 100, one is a
/// percent.
const FEW_LINES: usize = 100;

/// A text as tokens.
#[derive(Clone, Debug, Default)]
pub struct Corpus {
    tokens: Vec<u32>,
    bytes: u64,
}

impl Corpus {
    /// Adds tokens that stand for `bytes` bytes of text.
    pub fn append(&mut self, tokens: Vec<u32>, bytes: usize) {
        self.tokens.extend(tokens);
        self.bytes += bytes as u64;
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
    /// there are fewer tokens.
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

/// Texts of one length.
#[derive(Clone, Debug)]
pub struct Texts {
    tokens: Vec<u32>,
    len: usize,
}

impl Texts {
    /// Texts of `len` tokens, one after the other; at least one.
    pub fn new(tokens: Vec<u32>, len: usize) -> Self {
        Self { tokens, len }
    }

    /// All tokens.
    pub fn tokens(&self) -> &[u32] {
        &self.tokens
    }

    /// `count` sequences of `len` tokens from random places, none across two texts; shorter
    /// ones, if texts are shorter.
    pub fn batch(&self, random: &mut Random, count: usize, len: usize) -> Vec<Sequence> {
        let len = len.min(self.len - 1);
        let texts = self.tokens.len() / self.len;
        let place = |_| {
            let first = random.below(texts) * self.len + random.below(self.len - len);
            sequence(&self.tokens[first..=first + len])
        };
        (0..count).map(place).collect()
    }

    /// Each text.
    pub fn whole(&self) -> Vec<Sequence> {
        self.tokens.chunks_exact(self.len).map(sequence).collect()
    }
}

/// Lines and their labels.
#[derive(Clone, Debug, Default)]
pub struct Lines {
    lines: Vec<Sequence>,
}

impl Lines {
    /// Reads lines of text, a tab and a label. New labels are added to
    /// `labels`, if they may be.
    ///
    /// # Errors
    /// The number of the line and what is wrong with it.
    pub fn read(
        &mut self,
        text: &[u8],
        tokenizer: &Tokenizer<'_>,
        labels: &mut Vec<String>,
        may_add: bool,
    ) -> Result<(), (usize, String)> {
        for line in labelled_lines(text)? {
            let class = match labels.iter().position(|known| known == line.label) {
                Some(class) => class,
                None if may_add => {
                    labels.push(line.label.to_owned());
                    labels.len() - 1
                }
                None => {
                    let known = "which no line that is learned from has";
                    let problem = format!("has the label `{}`, {known}", line.label);
                    return Err((line.number, problem));
                }
            };
            self.lines.push(Sequence {
                tokens: encode(tokenizer, line.text),
                targets: vec![class as u32],
            });
        }
        Ok(())
    }

    /// Takes every `n`th line away.
    pub fn split_off_every(&mut self, n: usize) -> Self {
        let all = std::mem::take(&mut self.lines).into_iter().enumerate();
        let (taken, kept): (Vec<_>, Vec<_>) = all.partition(|(index, _)| index % n == n - 1);
        self.lines = kept.into_iter().map(|(_, line)| line).collect();
        Self {
            lines: taken.into_iter().map(|(_, line)| line).collect(),
        }
    }

    /// A share of these lines in words; of a few lines, in which a share says
    /// little, also how many they are.
    pub fn right(&self, share: f64) -> String {
        let percent = 100.0 * share;
        match self.lines.len() {
            few if few < FEW_LINES => format!("{percent:.2} % of only {few} validation lines"),
            _ => format!("{percent:.2} % of the validation lines"),
        }
    }

    /// All lines.
    pub fn all(&self) -> &[Sequence] {
        &self.lines
    }

    /// `count` random lines.
    pub fn batch(&self, random: &mut Random, count: usize) -> Vec<Sequence> {
        let line = |_| self.lines[random.below(self.lines.len())].clone();
        (0..count).map(line).collect()
    }
}
