//! Tokens to learn from.

use super::gradient::Sequence;
use super::prepare::encode;
use super::word_order::Shuffler;
use crate::labels::labelled_lines;
use crate::random::Random;
use kinglet::Tokenizer;
use num_integer::Integer;

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

    /// The `count` sequences of `len` tokens of a step; shorter ones, if there are
    /// fewer tokens. Step after step they read the whole text, then all of it again in
    /// another order.
    pub fn batch(&self, seed: u64, step: u32, count: usize, len: usize) -> Vec<Sequence> {
        let len = len.min(self.tokens.len() - 1);
        let first = step as usize * count;
        (first..first + count)
            .map(|number| sequence(&self.tokens[self.place(seed, number, len)..][..=len]))
            .collect()
    }

    /// Where sequence `number` of a training begins. A pass cuts the text from another first
    /// token than the passes before, and takes the pieces in steps of a random width
    /// around the text.
    fn place(&self, seed: u64, number: usize, len: usize) -> usize {
        let last = self.tokens.len() - 1;
        let pieces = (last / len).saturating_sub(1).max(1);
        let (pass, number) = (number / pieces, number % pieces);
        let mut random = Random::new(seed ^ pass as u64);
        let first = random.below(last - pieces * len + 1);
        let start = random.below(pieces);
        let width = loop {
            let width = 1 + random.below(pieces);
            if width.gcd(&pieces) == 1 {
                break width;
            }
        };
        first + (start + number * width) % pieces * len
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
    shuffler: Option<Shuffler>,
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
            shuffler: None,
        }
    }

    /// From now on batches have lines with their words in another order.
    pub fn shuffle_words(&mut self, shuffler: Shuffler) {
        self.shuffler = Some(shuffler);
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
        let mut lines: Vec<_> = (0..count).map(line).collect();
        if let Some(shuffler) = &self.shuffler {
            shuffler.shuffle(&mut lines, random);
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_pass_reads_a_text_once_in_another_order() {
        let (len, tokens) = (7, 7 * 40 + 3);
        let mut corpus = Corpus::default();
        corpus.append((0..tokens).collect(), 1);
        let first = |sequence: &Sequence| sequence.tokens[0] as usize;
        let pieces = 39;
        let pass = |number: u32| -> Vec<usize> {
            let batches =
                (number * 13..(number + 1) * 13).map(|step| corpus.batch(5, step, 3, len));
            let sequences: Vec<_> = batches.flatten().collect();
            for Sequence { tokens, targets } in &sequences {
                assert_eq!((tokens.len(), targets.len()), (len, len));
                assert_eq!(tokens[1..], targets[..len - 1]);
            }
            sequences.iter().map(first).collect()
        };
        let passes = [0, 1, 2].map(pass);
        for places in &passes {
            let mut sorted = places.clone();
            sorted.sort_unstable();
            assert!(sorted.windows(2).all(|two| two[1] - two[0] == len));
            assert_ne!(*places, sorted);
            assert_eq!(places.len(), pieces);
        }
        assert!(passes[0] != passes[1] && passes[1] != passes[2]);
    }

    #[test]
    fn a_short_text_is_read_as_a_whole() {
        let mut corpus = Corpus::default();
        corpus.append(vec![1, 2, 3], 3);
        for sequence in corpus.batch(1, 9, 2, 256) {
            assert_eq!(
                (sequence.tokens, sequence.targets),
                (vec![1, 2], vec![2, 3])
            );
        }
    }
}
