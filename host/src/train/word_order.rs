//! Words in another order, in lines that a model of labels learns from: it then learns
//! what is said, and not only how the lines say it.

use super::gradient::Sequence;
use super::prepare::encode;
use crate::random::Random;
use crate::tokenizer::Vocabulary;
use kinglet::tokenizer::Trie;
use kinglet::Tokenizer;

/// Puts the words of lines in another order, each time in another one.
#[derive(Clone, Debug)]
pub struct Shuffler {
    share: f64,
    trie: Vec<u32>,
    entries: u32,
}

impl Shuffler {
    /// One that shuffles `share` of the lines, 0 to 1, whose tokens are of a vocabulary
    /// of `entries`.
    pub fn new(share: f64, vocabulary: &Vocabulary, entries: usize) -> Self {
        Self {
            share,
            trie: vocabulary.to_trie(),
            entries: entries as u32,
        }
    }

    /// Shuffles the words of some of `lines`.
    pub fn shuffle(&self, lines: &mut [Sequence], random: &mut Random) {
        let tokenizer = self.tokenizer();
        for line in lines {
            if f64::from(random.symmetric()) >= 2.0 * self.share - 1.0 {
                continue;
            }
            let text = text(&tokenizer, line);
            line.tokens = encode(&tokenizer, &shuffled(&text, random));
        }
    }

    fn tokenizer(&self) -> Tokenizer<'_> {
        Tokenizer::trie(Trie::new(&self.trie, self.entries).expect("built for this size"))
    }
}

fn text(tokenizer: &Tokenizer<'_>, line: &Sequence) -> Vec<u8> {
    let texts = line.tokens.iter().map(|&token| tokenizer.decode(token));
    texts.flat_map(|text| text.to_vec()).collect()
}

/// The words one space apart; a line of one word, or none, as it is.
fn shuffled(text: &[u8], random: &mut Random) -> Vec<u8> {
    let words = text.split(u8::is_ascii_whitespace);
    let mut words: Vec<&[u8]> = words.filter(|word| !word.is_empty()).collect();
    if words.len() < 2 {
        return text.to_vec();
    }
    for end in (1..words.len()).rev() {
        words.swap(end, random.below(end + 1));
    }
    words.join(&b' ')
}

#[cfg(test)]
mod tests {
    use super::super::vocabulary::learn;
    use super::*;
    use std::collections::HashSet;

    const TEXT: &str = "turn on the lamp in the hall";

    /// A thousand times the same line, shuffled.
    fn lines(shuffler: &Shuffler, seed: u64) -> Vec<Sequence> {
        let line = Sequence {
            tokens: encode(&shuffler.tokenizer(), TEXT.as_bytes()),
            targets: vec![3],
        };
        let mut lines = vec![line; 1000];
        shuffler.shuffle(&mut lines, &mut Random::new(seed));
        lines
    }

    fn texts(shuffler: &Shuffler, lines: &[Sequence]) -> Vec<String> {
        let tokenizer = shuffler.tokenizer();
        let text = |line| String::from_utf8(text(&tokenizer, line)).unwrap();
        lines.iter().map(text).collect()
    }

    fn words(text: &str) -> Vec<&str> {
        let mut words: Vec<_> = text.split(' ').collect();
        words.sort_unstable();
        words
    }

    #[test]
    fn a_share_of_the_lines_has_its_words_in_another_order_each_time() {
        let learned = learn(TEXT.repeat(20).as_bytes(), b"", 100).unwrap();
        for (vocabulary, entries) in [(Vocabulary::bytes(), 256), (learned, 100)] {
            let shuffler = Shuffler::new(0.25, &vocabulary, entries);
            let [first, same, other] = [7, 7, 8].map(|seed| lines(&shuffler, seed));
            assert!(first == same && first != other);
            let texts = texts(&shuffler, &first);
            let changed = texts.iter().filter(|text| *text != TEXT).count();
            assert!((200..300).contains(&changed), "{changed}");
            let orders: HashSet<_> = texts.iter().collect();
            assert!(orders.len() > 100, "{} orders", orders.len());
            assert!(texts.iter().all(|text| words(text) == words(TEXT)));
            assert!(first.iter().all(|line| line.targets == [3]));
        }
    }

    #[test]
    fn words_are_one_space_apart_and_others_stay() {
        let mut random = Random::new(1);
        for text in ["", "  ", "lamp", " lamp "] {
            assert_eq!(shuffled(text.as_bytes(), &mut random), text.as_bytes());
        }
        let two = shuffled(b" lamp \t on", &mut random);
        assert!([&b"lamp on"[..], b"on lamp"].contains(&&*two));
    }

    #[test]
    fn all_and_none_are_shares() {
        for (share, few) in [(0.0, 0..1), (1.0, 990..1001)] {
            let shuffler = Shuffler::new(share, &Vocabulary::bytes(), 256);
            let texts = texts(&shuffler, &lines(&shuffler, 1));
            let changed = texts.iter().filter(|text| *text != TEXT);
            assert!(few.contains(&changed.count()), "{share}");
        }
    }
}
