//! Lines of text, tab and label, and how many of them a model of labels gets
//! right.

use crate::checkpoint::excerpt;
use crate::engine::Engine;
use crate::eval::{argmax, log_softmax, too_short};
use crate::text::Unknown;
use anyhow::{anyhow, Result};
use kinglet::START_TOKEN;
use rayon::prelude::*;
use serde::Serialize;
use std::cmp::Reverse;
use std::collections::BTreeMap;

/// A line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Labelled<'t> {
    /// Counted from 1.
    pub number: usize,
    /// The text before the last tab.
    pub text: &'t [u8],
    /// The label after it.
    pub label: &'t str,
}

/// What the column of labels is called where a file begins with a header.
const COLUMNS: [&str; 7] = [
    "label", "labels", "class", "category", "intent", "target", "y",
];

/// The lines of `text` that are not empty.
///
/// # Errors
/// The number of a line without text, tab or label, or of a header, and what
/// is wrong.
pub fn labelled_lines(text: &[u8]) -> Result<Vec<Labelled<'_>>, (usize, String)> {
    let lines = text.split(|&byte| byte == b'\n').zip(1..);
    let full = lines.filter(|(line, _)| !line.trim_ascii().is_empty());
    let lines: Vec<_> = full
        .map(|(line, number)| labelled(line, number))
        .collect::<Result<_, _>>()?;
    if let [first, others @ ..] = &lines[..] {
        let label = first.label;
        let is_column = COLUMNS.contains(&label.to_lowercase().as_str());
        if is_column && others.iter().all(|other| other.label != label) {
            let problem = format!("is a header: no other line has the label `{label}`");
            return Err((first.number, problem));
        }
    }
    Ok(lines)
}

fn labelled(line: &[u8], number: usize) -> Result<Labelled<'_>, (usize, String)> {
    let fail = |problem: &str| (number, problem.to_owned());
    let tab = line.iter().rposition(|&byte| byte == b'\t');
    let (text, label) = line.split_at(tab.ok_or_else(|| fail("has no tab"))?);
    let label = std::str::from_utf8(label)
        .map_err(|_| fail("has a label that is not UTF-8"))?
        .trim();
    match (text, label) {
        ([], _) => Err(fail("has no text")),
        (_, "") => Err(fail("has no label")),
        _ => Ok(Labelled {
            number,
            text,
            label,
        }),
    }
}

/// How many lines of text, tab and label a model of labels gets right.
#[derive(Clone, Debug, Serialize)]
pub struct Rights {
    /// Lines.
    pub lines: usize,
    /// Lines whose label is the likeliest.
    pub right: usize,
    /// Mean of `-ln p(label)`.
    pub nats: f64,
    /// The probability that 99 % of the right answers have, at least: what is less likely
    /// may be taken for no label of the model's.
    pub threshold: f64,
    /// Each label of the model that lines have, in the model's order.
    pub labels: Vec<OfLabel>,
    /// Characters of the text that the vocabulary lacks: left out or replaced.
    pub unknown: usize,
}

/// The lines of one label.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct OfLabel {
    /// Its name.
    pub label: String,
    /// Lines.
    pub lines: usize,
    /// Lines that are answered with it.
    pub right: usize,
    /// The other answers and how many lines have each, the most frequent first.
    pub taken_for: Vec<(String, usize)>,
}

/// The share of right answers that may be below the threshold.
const BELOW_THRESHOLD: f64 = 0.01;

/// A line's answer.
struct Scored {
    class: usize,
    /// The likeliest, and its probability.
    answer: usize,
    probability: f64,
    /// `-ln p(label)`.
    nats: f64,
    unknown: usize,
}

impl Scored {
    fn is_right(&self) -> bool {
        self.answer == self.class
    }
}

/// Asks a model of labels for those of `text`'s lines.
///
/// # Errors
/// A sentence that names the line.
pub fn evaluate_labels(engine: &Engine, text: &[u8], unknown: Unknown) -> Result<Rights> {
    let lines = labelled_lines(text).map_err(|(line, problem)| bad_line(line, &problem))?;
    let scored: Vec<Scored> = lines
        .par_iter()
        .map(|line| score_label(engine, line, unknown))
        .collect::<Result<_, _>>()?;
    if scored.is_empty() {
        return Err(too_short(0));
    }
    Ok(Rights {
        lines: scored.len(),
        right: scored.iter().filter(|line| line.is_right()).count(),
        threshold: threshold(&scored),
        labels: of_labels(engine.labels(), &scored),
        nats: scored.iter().map(|line| line.nats).sum::<f64>() / scored.len() as f64,
        unknown: scored.iter().map(|line| line.unknown).sum(),
    })
}

/// How the lines of each label are answered, in the order of the names.
fn of_labels(names: &[String], scored: &[Scored]) -> Vec<OfLabel> {
    let mut counts: BTreeMap<usize, BTreeMap<usize, usize>> = BTreeMap::new();
    for line in scored {
        let answers = counts.entry(line.class).or_default();
        *answers.entry(line.answer).or_default() += 1;
    }
    let of_label = |(class, mut answers): (usize, BTreeMap<usize, usize>)| {
        let lines = answers.values().sum();
        let right = answers.remove(&class).unwrap_or(0);
        let others = answers.into_iter();
        let others = others.map(|(answer, lines)| (names[answer].clone(), lines));
        let mut taken_for: Vec<_> = others.collect();
        taken_for.sort_by_key(|(_, lines)| Reverse(*lines));
        OfLabel {
            label: names[class].clone(),
            lines,
            right,
            taken_for,
        }
    };
    counts.into_iter().map(of_label).collect()
}

/// See [`Rights::threshold`]; 0 without a right answer.
fn threshold(scored: &[Scored]) -> f64 {
    let right = scored.iter().filter(|line| line.is_right());
    let mut right: Vec<f64> = right.map(|line| line.probability).collect();
    right.sort_by(f64::total_cmp);
    let below = (BELOW_THRESHOLD * right.len() as f64) as usize;
    right.get(below).copied().unwrap_or(0.0)
}

fn bad_line(line: usize, problem: &str) -> anyhow::Error {
    anyhow!("line {line} {problem}; each line is a text, a tab and one of the model's labels")
}

fn score_label(engine: &Engine, line: &Labelled<'_>, unknown: Unknown) -> Result<Scored> {
    let class = engine.labels().iter().position(|l| *l == line.label);
    let class = class.ok_or_else(|| {
        let problem = format!(
            "has the label `{}`, which the model does not know",
            excerpt(line.label)
        );
        bad_line(line.number, &problem)
    })?;
    let (tokens, unknown) = engine.encode(line.text, unknown)?;
    let mut runner = engine.runner();
    let (last, before) = tokens.split_last().unwrap_or((&START_TOKEN, &[]));
    let known = "the tokenizer knows the vocabulary";
    runner.feed(before).expect(known);
    let logits = runner.step(*last).expect(known);
    let (answer, log_p) = (argmax(logits), log_softmax(logits));
    Ok(Scored {
        class,
        answer,
        probability: log_p[answer].exp(),
        nats: -log_p[class],
        unknown,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_split_at_the_last_tab() {
        let lines = labelled_lines(b"a\tb\tc\r\n\n x \ty").unwrap();
        assert_eq!((lines[0].text, lines[0].label), (&b"a\tb"[..], "c"));
        assert_eq!((lines[1].number, lines[1].text), (3, &b" x "[..]));
        assert_eq!(labelled_lines(b"a\tb\nc").unwrap_err().0, 2);
        assert!(labelled_lines(b"\tb").unwrap_err().1.contains("no text"));
        assert!(labelled_lines(b"a\t ").unwrap_err().1.contains("no label"));
        assert!(labelled_lines(b"a\t\xff").unwrap_err().1.contains("UTF-8"));
        let header = labelled_lines(b"text\tLabel\na\tx\n").unwrap_err();
        assert_eq!((header.0, header.1.contains("header")), (1, true));
        assert!(labelled_lines(b"a\tlabel\nb\tlabel\n").is_ok());
    }

    #[test]
    fn answers_are_counted_by_label() {
        let line = |class, answer, percent: u32| Scored {
            class,
            answer,
            probability: f64::from(percent) / 100.0,
            nats: 0.0,
            unknown: 0,
        };
        let mut scored: Vec<_> = (1..=100).map(|percent| line(0, 0, percent)).collect();
        scored.extend([line(2, 1, 90), line(2, 0, 10), line(2, 1, 30)]);
        let names = ["on", "off", "none"].map(str::to_owned);
        let of_labels = of_labels(&names, &scored);
        let found = of_labels.last().unwrap();
        assert_eq!((found.lines, found.right), (3, 0));
        let others = [("off", 2), ("on", 1)].map(|(name, lines)| (name.to_owned(), lines));
        assert_eq!(found.taken_for, others);
        // No line has the label "off".
        let labels: Vec<_> = of_labels.iter().map(|of| of.label.as_str()).collect();
        assert_eq!(labels, ["on", "none"]);
        assert_eq!(threshold(&scored), 0.02);
        assert_eq!(threshold(&scored[100..]), 0.0);
    }
}
