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
        let trie = Trie::new(&self.trie, self.entries).expect("built for this size");
        let tokenizer = Tokenizer::trie(trie);
        for line in lines {
            if f64::from(random.symmetric()) >= 2.0 * self.share - 1.0 {
                continue;
            }
            let texts = line.tokens.iter().map(|&token| tokenizer.decode(token));
            let text: Vec<u8> = texts.flat_map(|text| text.to_vec()).collect();
            line.tokens = encode(&tokenizer, &shuffled(&text, random));
        }
    }
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

    fn lines(vocabulary: &Vocabulary, entries: usize) -> Vec<Sequence> {
        let trie = vocabulary.to_trie();
        let tokenizer = Tokenizer::trie(Trie::new(&trie, entries as u32).unwrap());
        let line = Sequence {
            tokens: encode(&tokenizer, TEXT.as_bytes()),
            targets: vec![3],
        };
        vec![line; 1000]
    }

    fn text(vocabulary: &Vocabulary, entries: usize, line: &Sequence) -> String {
        let trie = vocabulary.to_trie();
        let tokenizer = Tokenizer::trie(Trie::new(&trie, entries as u32).unwrap());
        let texts = line.tokens.iter().map(|&token| tokenizer.decode(token));
        String::from_utf8(texts.flat_map(|text| text.to_vec()).collect()).unwrap()
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
            let [first, same, other] = [7, 7, 8].map(|seed| {
                let mut lines = lines(&vocabulary, entries);
                shuffler.shuffle(&mut lines, &mut Random::new(seed));
                lines
            });
            assert!(first == same && first != other);
            let texts: Vec<_> = first
                .iter()
                .map(|line| text(&vocabulary, entries, line))
                .collect();
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
        let bytes = Vocabulary::bytes();
        for (share, few) in [(0.0, 0..1), (1.0, 990..1001)] {
            let mut shuffled = lines(&bytes, 256);
            Shuffler::new(share, &bytes, 256).shuffle(&mut shuffled, &mut Random::new(1));
            let changed = shuffled
                .iter()
                .filter(|line| text(&bytes, 256, line) != TEXT);
            assert!(few.contains(&changed.count()), "{share}");
        }
    }
}
