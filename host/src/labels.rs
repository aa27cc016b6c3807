//! Lines of text, tab and label, and how many of them a model of labels gets
//! right.

use crate::checkpoint::excerpt;
use crate::engine::Engine;
use crate::eval::{argmax, log_softmax, too_short};
use anyhow::{anyhow, Result};
use rayon::prelude::*;
use serde::Serialize;

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

/// The lines of `text` that are not empty.
///
/// # Errors
/// The number of a line without text, tab or label, and what is wrong.
pub fn labelled_lines(text: &[u8]) -> Result<Vec<Labelled<'_>>, (usize, String)> {
    let lines = text.split(|&byte| byte == b'\n').zip(1..);
    let full = lines.filter(|(line, _)| !line.trim_ascii().is_empty());
    full.map(|(line, number)| labelled(line, number)).collect()
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
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Rights {
    /// Lines.
    pub lines: usize,
    /// Lines whose label is the likeliest.
    pub right: usize,
    /// Mean of `-ln p(label)`.
    pub nats: f64,
}

/// Asks a model of labels for those of `text`'s lines.
///
/// # Errors
/// A sentence that names the line.
pub fn evaluate_labels(engine: &Engine, text: &[u8]) -> Result<Rights> {
    let lines = labelled_lines(text).map_err(|(line, problem)| bad_line(line, &problem))?;
    let scored: Vec<(bool, f64)> = lines
        .par_iter()
        .map(|line| score_label(engine, line))
        .collect::<Result<_, _>>()?;
    if scored.is_empty() {
        return Err(too_short(0));
    }
    Ok(Rights {
        lines: scored.len(),
        right: scored.iter().filter(|(right, _)| *right).count(),
        nats: scored.iter().map(|(_, nats)| nats).sum::<f64>() / scored.len() as f64,
    })
}

fn bad_line(line: usize, problem: &str) -> anyhow::Error {
    anyhow!("line {line} {problem}; each line is a text, a tab and one of the model's labels")
}

/// Whether a line's label is the likeliest, and `-ln p` of it.
fn score_label(engine: &Engine, line: &Labelled<'_>) -> Result<(bool, f64)> {
    let class = engine.labels().iter().position(|l| *l == line.label);
    let class = class.ok_or_else(|| {
        let problem = format!(
            "has the label `{}`, which the model does not know",
            excerpt(line.label)
        );
        bad_line(line.number, &problem)
    })?;
    let tokens = engine.encode(line.text)?;
    let mut runner = engine.runner();
    let (last, before) = tokens.split_last().expect("a line has text");
    let known = "the tokenizer knows the vocabulary";
    runner.feed(before).expect(known);
    let logits = runner.step(*last).expect(known);
    Ok((argmax(logits) == class, -log_softmax(logits)[class]))
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
    }
}
