//! A template of sentences: words, alternatives, optional parts, lists.

use anyhow::{bail, ensure, Result};
use kinglet::Pcg32;
use std::collections::BTreeMap;
use std::rc::Rc;

/// Lists by their names.
pub type Lists = BTreeMap<String, Rc<Pattern>>;

/// How deep brackets may be nested: more is a mistake, and the parser calls
/// itself for each.
const MAX_DEPTH: usize = 8;

/// How deep a pattern may be nested: each bracket counts twice, and lists
/// may be made of other lists. Expanding calls itself as often.
const MAX_PATTERN_DEPTH: usize = 64;

/// How much a sentence may go through: thousands of times what a person says.
const MAX_STEPS: usize = 10_000;

/// How many sentences a template may stand for: all are looked at, to find
/// those that have two labels.
const MAX_SENTENCES: u64 = 50_000;

/// What a template stands for.
#[derive(Debug)]
pub struct Pattern {
    /// In how many ways it can be expanded.
    ways: u64,
    /// How deep its parts are nested, lists in lists included.
    depth: usize,
    /// Parts and bytes that one sentence goes through, at most.
    steps: usize,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    /// Some text; a word ends with a space.
    Text(String),
    /// One after the other; without any, nothing.
    All(Vec<Rc<Pattern>>),
    /// One of these.
    Any(Vec<Rc<Pattern>>),
}

impl Pattern {
    /// Reads one template, or the alternatives of a list. Brackets must be
    /// closed, lists known, and no alternative empty.
    pub fn parse(text: &str, lists: &Lists) -> Result<Rc<Self>> {
        let mut parser = Parser { text, lists };
        let pattern = parser.alternatives(Vec::new(), 0)?;
        ensure!(
            parser.text.is_empty(),
            "a bracket is closed that was not opened: remove `{}` or open it",
            &parser.text[..1]
        );
        ensure!(
            pattern.ways <= MAX_SENTENCES,
            "{} sentences are more than {MAX_SENTENCES}: use fewer optional parts or make two templates",
            pattern.ways
        );
        ensure!(
            pattern.depth <= MAX_PATTERN_DEPTH,
            "lists are nested too deep: use their alternatives in place of a list"
        );
        Ok(pattern)
    }

    /// Whether a sentence can be drawn from it with little stack and time,
    /// whatever lists and rules it is made of.
    pub fn check_size(&self) -> Result<()> {
        ensure!(
            self.depth <= MAX_PATTERN_DEPTH && self.steps <= MAX_STEPS,
            "it is nested too deep or its sentences are too long: use shorter lists and rules"
        );
        Ok(())
    }

    /// A text as it is; spaces are made one afterwards.
    pub fn text(text: &str) -> Rc<Self> {
        Rc::new(Self {
            ways: 1,
            depth: 0,
            steps: 1 + text.len(),
            kind: Kind::Text(text.to_owned()),
        })
    }

    /// One after the other, without a space between.
    pub fn all(parts: Vec<Rc<Self>>) -> Rc<Self> {
        let product = |ways: u64, part: &Rc<Self>| ways.saturating_mul(part.ways);
        Rc::new(Self {
            ways: parts.iter().fold(1, product),
            depth: depth(&parts),
            steps: parts
                .iter()
                .fold(1, |steps: usize, part| steps.saturating_add(part.steps)),
            kind: Kind::All(parts),
        })
    }

    /// One of these.
    pub fn any(parts: Vec<Rc<Self>>) -> Rc<Self> {
        let sum = |ways: u64, part: &Rc<Self>| ways.saturating_add(part.ways);
        Rc::new(Self {
            ways: parts.iter().fold(0, sum),
            depth: depth(&parts),
            steps: 1 + parts.iter().map(|part| part.steps).max().unwrap_or(0),
            kind: Kind::Any(parts),
        })
    }

    /// In how many ways it can be expanded; some may give the same sentence.
    pub fn ways(&self) -> u64 {
        self.ways
    }

    /// Every sentence.
    pub fn sentences(&self) -> impl Iterator<Item = String> + '_ {
        (0..self.ways).map(|way| {
            let mut text = String::new();
            self.expand(way, &mut text);
            single_spaces(&text)
        })
    }

    /// Appends way `way`, smaller than `ways`.
    fn expand(&self, mut way: u64, text: &mut String) {
        match &self.kind {
            Kind::Text(part) => text.push_str(part),
            Kind::All(parts) => {
                for part in parts {
                    part.expand(way % part.ways, text);
                    way /= part.ways;
                }
            }
            Kind::Any(parts) => {
                for part in parts {
                    if way < part.ways {
                        return part.expand(way, text);
                    }
                    way -= part.ways;
                }
            }
        }
    }

    /// A random sentence. Alternatives are equally likely, however many
    /// sentences each stands for: "turn on the light" is as frequent as the
    /// light of one of a dozen rooms.
    pub fn draw(&self, random: &mut Pcg32) -> String {
        let mut text = String::new();
        self.draw_text(random, &mut text);
        single_spaces(&text)
    }

    fn draw_text(&self, random: &mut Pcg32, text: &mut String) {
        match &self.kind {
            Kind::Text(part) => text.push_str(part),
            Kind::All(parts) => parts.iter().for_each(|part| part.draw_text(random, text)),
            Kind::Any(parts) => parts[below(parts.len(), random)].draw_text(random, text),
        }
    }
}

fn single_spaces(text: &str) -> String {
    let words: Vec<_> = text.split_whitespace().collect();
    words.join(" ")
}

fn depth(parts: &[Rc<Pattern>]) -> usize {
    1 + parts.iter().map(|part| part.depth).max().unwrap_or(0)
}

/// A number below `end`, which is small: the bias of 2^-32 * `end` is too.
pub fn below(end: usize, random: &mut Pcg32) -> usize {
    ((u64::from(random.next_u32()) * end as u64) >> 32) as usize
}

/// Whether a word, a bracket or a list begins with this character.
fn begins_part(c: char) -> bool {
    is_of_word(c) || "([{".contains(c)
}

fn is_of_word(c: char) -> bool {
    c.is_ascii_lowercase() || c.is_ascii_digit()
}

struct Parser<'a> {
    /// What is not read yet.
    text: &'a str,
    lists: &'a Lists,
}

impl Parser<'_> {
    /// Alternatives up to a closing bracket or the end, after `parts`.
    fn alternatives(&mut self, mut parts: Vec<Rc<Pattern>>, depth: usize) -> Result<Rc<Pattern>> {
        ensure!(
            depth <= MAX_DEPTH,
            "brackets are nested deeper than {MAX_DEPTH}: make two templates"
        );
        loop {
            parts.push(self.sequence(depth)?);
            match self.text.strip_prefix('|') {
                Some(rest) => self.text = rest,
                None if parts.len() == 1 => return Ok(parts.remove(0)),
                None => return Ok(Pattern::any(parts)),
            }
        }
    }

    fn sequence(&mut self, depth: usize) -> Result<Rc<Pattern>> {
        let mut parts = Vec::new();
        let mut after_space = true;
        loop {
            let rest = self.text.trim_start();
            after_space |= rest.len() < self.text.len();
            self.text = rest;
            if rest.is_empty() || rest.starts_with(['|', ')', ']']) {
                ensure!(
                    !parts.is_empty(),
                    "an alternative is empty: write `[a|b]` for one that may be left out"
                );
                return Ok(Pattern::all(parts));
            }
            ensure!(
                after_space || !rest.starts_with(begins_part),
                "a space is missing before `{}`",
                rest.split(' ').next().unwrap_or(rest)
            );
            parts.push(self.part(depth)?);
            after_space = false;
        }
    }

    fn part(&mut self, depth: usize) -> Result<Rc<Pattern>> {
        if let Some(rest) = self.text.strip_prefix('(') {
            self.text = rest;
            return self.bracket(Vec::new(), ')', depth);
        }
        if let Some(rest) = self.text.strip_prefix('[') {
            self.text = rest;
            return self.bracket(vec![Pattern::all(Vec::new())], ']', depth);
        }
        if let Some(rest) = self.text.strip_prefix('{') {
            return self.list(rest);
        }
        self.word()
    }

    fn bracket(&mut self, parts: Vec<Rc<Pattern>>, end: char, depth: usize) -> Result<Rc<Pattern>> {
        let pattern = self.alternatives(parts, depth + 1)?;
        match self.text.strip_prefix(end) {
            Some(rest) => self.text = rest,
            None => bail!("a bracket is not closed: `{end}` is missing"),
        }
        Ok(pattern)
    }

    fn list(&mut self, rest: &str) -> Result<Rc<Pattern>> {
        let Some(end) = rest.find('}') else {
            bail!("a bracket is not closed: `}}` is missing");
        };
        let name = &rest[..end];
        self.text = &self.text[end + 2..];
        match self.lists.get(name) {
            Some(list) => Ok(Rc::clone(list)),
            None => bail!("there is no list {{{name}}}: define it above, below a line `@ {name}`"),
        }
    }

    fn word(&mut self) -> Result<Rc<Pattern>> {
        let length = self
            .text
            .find(|c| !is_of_word(c))
            .unwrap_or(self.text.len());
        let (word, rest) = self.text.split_at(length);
        if word.is_empty() {
            let found = rest.chars().next().unwrap_or_default();
            bail!("{found:?} is not allowed: sentences are of a to z, 0 to 9 and spaces");
        }
        self.text = rest;
        Ok(Pattern::text(&format!("{word} ")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sentences(text: &str) -> Vec<String> {
        let lists = [(
            "room".to_owned(),
            Pattern::parse("hall | [big] kitchen", &Lists::new()).unwrap(),
        )];
        let pattern = Pattern::parse(text, &lists.into()).unwrap();
        pattern.sentences().collect()
    }

    fn error(text: &str) -> String {
        Pattern::parse(text, &Lists::new()).unwrap_err().to_string()
    }

    #[test]
    fn brackets_are_expanded() {
        assert_eq!(sentences("go"), ["go"]);
        assert_eq!(sentences("go  (up|down)"), ["go up", "go down"]);
        assert_eq!(sentences("[please] go"), ["go", "please go"]);
        assert_eq!(sentences("a [b [c]|d]"), ["a", "a b", "a b c", "a d"]);
        assert_eq!(sentences("a|b c"), ["a", "b c"]);
        let rooms = ["in hall", "in kitchen", "in big kitchen"];
        assert_eq!(sentences("in {room}"), rooms);
        assert_eq!(sentences("(a|b) (c|d)"), ["a c", "b c", "a d", "b d"]);
    }

    #[test]
    fn draws_are_sentences_and_alternatives_equally_likely() {
        let text = "[in the {room}]";
        let pattern = sentences(text);
        let lists = [(
            "room".to_owned(),
            Pattern::parse("hall | [big] kitchen", &Lists::new()).unwrap(),
        )];
        let drawn = Pattern::parse(text, &lists.into()).unwrap();
        let mut random = Pcg32::new(1);
        let mut empty = 0;
        for _ in 0..4_000 {
            let sentence = drawn.draw(&mut random);
            assert!(pattern.contains(&sentence), "{sentence}");
            empty += usize::from(sentence.is_empty());
        }
        assert!((1_900..2_100).contains(&empty), "{empty}");
    }

    #[test]
    fn mistakes_are_named() {
        for unclosed in ["a (b", "a [b|c", "(a]", "a {room"] {
            assert!(error(unclosed).contains("is not closed"), "{unclosed}");
        }
        assert!(error("a b) c").contains("that was not opened"));
        for empty in ["", "a ()", "a []", "(a||b)", "(a|)", "|a"] {
            assert!(error(empty).contains("alternative is empty"), "{empty}");
        }
        assert!(error("in the {roon}").contains("no list {roon}"));
        for glued in ["light(s)", "(a|b)c", "[a][b]", "(a)[b]"] {
            assert!(error(glued).contains("space is missing"), "{glued}");
        }
        assert!(error("what's on").contains("'\\''"));
        assert!(error("Turn on").contains("'T'"));
        assert!(error("a } b").contains("'}'"));
        assert!(error(&"(".repeat(100_000)).contains("nested deeper"));
        let mut lists = Lists::new();
        lists.insert("a".to_owned(), Pattern::parse("x", &lists).unwrap());
        let grown = (0..100).find_map(|_| match Pattern::parse("x ({a}|y)", &lists) {
            Ok(pattern) => lists.insert("a".to_owned(), pattern).and(None),
            Err(error) => Some(error.to_string()),
        });
        assert!(grown.is_some_and(|error| error.contains("lists are nested")));
        assert!(error(&"(a|b) ".repeat(80)).contains("more than 50000"));
    }
}
