//! Templates in the syntax of hassil: `[optional]`, `(one|other)`,
//! `(both;in any order)`, `{list}`, `{list:slot}` and `<rule>`.

use super::pattern::Pattern;
use anyhow::{bail, ensure, Context, Result};
use std::collections::BTreeMap;
use std::rc::Rc;

/// How deep brackets and rules may be nested: the parser calls itself.
const MAX_DEPTH: usize = 24;

/// How many parts `(a;b)` may have: all their orders are made.
const MAX_PERMUTED: usize = 4;

/// What templates refer to by name.
pub trait Names {
    /// What may stand for `{name}`.
    fn list(&self, name: &str) -> Result<Vec<String>>;
    /// The text of `<name>`.
    fn rule(&self, name: &str) -> Result<&str>;
}

/// Reads templates; what was read of lists and rules is kept.
pub struct Reader<'a> {
    names: &'a dyn Names,
    lists: BTreeMap<String, Rc<Pattern>>,
    rules: BTreeMap<String, Rc<Pattern>>,
}

impl<'a> Reader<'a> {
    pub fn new(names: &'a dyn Names) -> Self {
        Self {
            names,
            lists: BTreeMap::new(),
            rules: BTreeMap::new(),
        }
    }

    /// Reads a template. Brackets must be closed, lists and rules known.
    pub fn read(&mut self, text: &str) -> Result<Rc<Pattern>> {
        let pattern = self.nested(text, 0)?;
        pattern.check_size()?;
        Ok(pattern)
    }

    fn nested(&mut self, text: &str, depth: usize) -> Result<Rc<Pattern>> {
        let mut parser = Parser { text, reader: self };
        let pattern = parser.alternatives(depth)?;
        ensure!(
            parser.text.is_empty(),
            "a bracket is closed that was not opened: {:?}",
            parser.text
        );
        Ok(pattern)
    }

    fn list(&mut self, name: &str, depth: usize) -> Result<Rc<Pattern>> {
        if let Some(known) = self.lists.get(name) {
            return Ok(Rc::clone(known));
        }
        let values = self.names.list(name)?;
        ensure!(!values.is_empty(), "list {{{name}}} is empty");
        let read = |value: &String| self.nested(value, depth + 1);
        let values: Result<Vec<_>> = values.iter().map(read).collect();
        let pattern = Pattern::any(values.with_context(|| format!("list {{{name}}}"))?);
        self.lists.insert(name.to_owned(), Rc::clone(&pattern));
        Ok(pattern)
    }

    /// A rule that leads to itself ends at the greatest depth.
    fn rule(&mut self, name: &str, depth: usize) -> Result<Rc<Pattern>> {
        if let Some(known) = self.rules.get(name) {
            return Ok(Rc::clone(known));
        }
        let text = self.names.rule(name)?;
        let pattern = self
            .nested(text, depth + 1)
            .with_context(|| format!("rule <{name}>"))?;
        self.rules.insert(name.to_owned(), Rc::clone(&pattern));
        Ok(pattern)
    }
}

struct Parser<'a, 'r, 'n> {
    /// What is not read yet.
    text: &'a str,
    reader: &'r mut Reader<'n>,
}

impl<'a> Parser<'a, '_, '_> {
    /// Up to a closing bracket or the end.
    fn alternatives(&mut self, depth: usize) -> Result<Rc<Pattern>> {
        ensure!(
            depth <= MAX_DEPTH,
            "brackets or rules are nested deeper than {MAX_DEPTH}, or a rule leads to itself"
        );
        let mut parts = vec![self.sequence(depth)?];
        let separator = self.text.chars().next().filter(|c| matches!(c, '|' | ';'));
        let Some(separator) = separator else {
            return Ok(parts.remove(0));
        };
        while let Some(rest) = self.text.strip_prefix(separator) {
            self.text = rest;
            parts.push(self.sequence(depth)?);
        }
        ensure!(
            !self.text.starts_with(['|', ';']),
            "`|` and `;` are in one bracket: use two"
        );
        match separator {
            ';' => permutations(&parts),
            _ => Ok(Pattern::any(parts)),
        }
    }

    fn sequence(&mut self, depth: usize) -> Result<Rc<Pattern>> {
        let mut parts = Vec::new();
        while !(self.text.is_empty() || self.text.starts_with(['|', ';', ')', ']'])) {
            parts.push(self.part(depth)?);
        }
        Ok(Pattern::all(parts))
    }

    fn part(&mut self, depth: usize) -> Result<Rc<Pattern>> {
        if let Some(rest) = self.text.strip_prefix('(') {
            return self.bracket(rest, ')', depth);
        }
        if let Some(rest) = self.text.strip_prefix('[') {
            let optional = self.bracket(rest, ']', depth)?;
            return Ok(Pattern::any(vec![Pattern::text(""), optional]));
        }
        if let Some(rest) = self.text.strip_prefix('{') {
            let name = self.name(rest, '}')?;
            // The slot it fills is no matter of the sentence.
            let list = name.split(':').next().unwrap_or(name);
            return self.reader.list(list.trim(), depth);
        }
        if let Some(rest) = self.text.strip_prefix('<') {
            let name = self.name(rest, '>')?;
            return self.reader.rule(name.trim(), depth);
        }
        let end = self.text.find(|c| "()[]{}<>|;".contains(c));
        let (text, rest) = self.text.split_at(end.unwrap_or(self.text.len()));
        ensure!(
            !text.is_empty(),
            "a bracket is closed that was not opened: {rest:?}"
        );
        self.text = rest;
        Ok(Pattern::text(&spoken(text)))
    }

    fn bracket(&mut self, rest: &'a str, end: char, depth: usize) -> Result<Rc<Pattern>> {
        self.text = rest;
        let pattern = self.alternatives(depth + 1)?;
        match self.text.strip_prefix(end) {
            Some(rest) => self.text = rest,
            None => bail!("a bracket is not closed: `{end}` is missing"),
        }
        Ok(pattern)
    }

    fn name(&mut self, rest: &'a str, end: char) -> Result<&'a str> {
        let Some((name, rest)) = rest.split_once(end) else {
            bail!("a bracket is not closed: `{end}` is missing");
        };
        self.text = rest;
        Ok(name)
    }
}

/// Small letters, and no marks that are not said.
fn spoken(text: &str) -> String {
    let text = text.to_lowercase().replace('\u{2019}', "'");
    text.replace(['?', '!', '.', ','], "")
}

/// All orders of the parts, with spaces between.
fn permutations(parts: &[Rc<Pattern>]) -> Result<Rc<Pattern>> {
    ensure!(
        parts.len() <= MAX_PERMUTED,
        "more than {MAX_PERMUTED} parts in any order: use fewer"
    );
    let mut orders: Vec<Vec<Rc<Pattern>>> = vec![Vec::new()];
    for part in parts {
        let insert = |order: &Vec<Rc<Pattern>>| {
            let at = |place| {
                let mut order = order.clone();
                order.insert(place, Rc::clone(part));
                order
            };
            (0..=order.len()).map(at).collect::<Vec<_>>()
        };
        orders = orders.iter().flat_map(insert).collect();
    }
    let space = Pattern::text(" ");
    let spaced = |order: Vec<Rc<Pattern>>| {
        let parts = order.into_iter().flat_map(|part| [part, Rc::clone(&space)]);
        Pattern::all(parts.collect())
    };
    Ok(Pattern::any(orders.into_iter().map(spaced).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Few;

    impl Names for Few {
        fn list(&self, name: &str) -> Result<Vec<String>> {
            match name {
                "room" => Ok(vec!["Hall".to_owned(), "[big ]kitchen".to_owned()]),
                _ => bail!("there is no list {{{name}}}"),
            }
        }

        fn rule(&self, name: &str) -> Result<&str> {
            match name {
                "the" => Ok("(the|my)"),
                "in" => Ok("in <the>"),
                "round" => Ok("a [<round>]"),
                "twice" => Ok("<the> <the>"),
                _ => bail!("there is no rule <{name}>"),
            }
        }
    }

    fn sentences(text: &str) -> Vec<String> {
        let pattern = Reader::new(&Few).read(text).unwrap();
        pattern.sentences().collect()
    }

    fn error(text: &str) -> String {
        format!("{:#}", Reader::new(&Few).read(text).unwrap_err())
    }

    #[test]
    fn syntax_is_expanded() {
        assert_eq!(sentences("light[s] on"), ["light on", "lights on"]);
        assert_eq!(sentences("5( |-)hour"), ["5 hour", "5-hour"]);
        assert_eq!(sentences("What's [it ]on?"), ["what's on", "what's it on"]);
        assert_eq!(sentences("a|b"), ["a", "b"]);
        assert_eq!(sentences("<in> x"), ["in the x", "in my x"]);
        let rooms = ["go hall", "go kitchen", "go big kitchen"];
        assert_eq!(sentences("go {room:area}"), rooms);
        assert_eq!(sentences("(a;b) c"), ["b a c", "a b c"]);
        assert_eq!(sentences("(a;b;c)").len(), 6);
    }

    #[test]
    fn mistakes_are_errors() {
        for unclosed in ["(a", "[a|b", "(a]", "{room", "<the"] {
            assert!(error(unclosed).contains("is not closed"), "{unclosed}");
        }
        for unopened in ["a)", "a]", "a}", "a>"] {
            assert!(error(unopened).contains("not opened"), "{unopened}");
        }
        assert!(error("{roon}").contains("no list {roon}"));
        assert!(error("<thy>").contains("no rule <thy>"));
        assert!(error("<round>").contains("leads to itself"));
        assert!(error(&"[".repeat(100_000)).contains("nested deeper"));
        assert!(error("(a;b;c;d;e)").contains("in any order"));
        assert!(error("(a;b|c)").contains("in one bracket"));
        assert!(error(&"<twice>".repeat(2_000)).contains("too long"));
    }
}
