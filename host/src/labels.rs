//! Lines of text, tab and label, and how many of them a model of labels gets
//! right.

use crate::checkpoint::excerpt;
use crate::engine::{fixed, Engine};
use crate::eval::{log_softmax, too_short};
use crate::text::Unknown;
use anyhow::{anyhow, Context, Result};
use kinglet::{Answer, START_TOKEN};
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
        _ if label.contains(char::is_control) => Err(fail("has a label with a control character")),
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
    /// The probability that 99 % of the right answers have, at least, of labels but [`NONE`]:
    /// what is less likely may be taken for no label of the model's.
    pub threshold: f64,
    /// The probability below which the model's answer is unknown; 0: it never is.
    pub unknown_below: f64,
    /// Lines that are right and unknown; those of the label [`NONE`] lose nothing.
    pub lost: usize,
    /// Sentences that have none of the labels, where some are given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub elsewhere: Option<Elsewhere>,
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
    /// Lines that are unknown, right or not.
    pub unknown: usize,
    /// The other answers and how many lines have each, the most frequent first.
    pub taken_for: Vec<(String, usize)>,
}

/// Sentences that have none of a model's labels.
#[derive(Clone, Debug, Serialize)]
pub struct Elsewhere {
    /// Lines.
    pub lines: usize,
    /// Lines whose answer is unknown or [`NONE`].
    pub refused: usize,
    /// What other thresholds would cost and gain, the lowest first.
    pub thresholds: Vec<Threshold>,
}

/// What it costs and gains that answers below a probability are unknown.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Threshold {
    /// The probability.
    pub below: f64,
    /// As [`Rights::lost`].
    pub lost: usize,
    /// As [`Elsewhere::refused`].
    pub refused: usize,
}

/// The label of texts that have none of the others, where a model has learned some.
pub const NONE: &str = "none";

/// Probabilities that may be thresholds.
const THRESHOLDS: [f64; 10] = [0.0, 0.5, 0.7, 0.8, 0.9, 0.95, 0.97, 0.98, 0.99, 0.995];

/// The share of right answers that a threshold may take for unknown.
const MOST_LOST: f64 = 0.01;

/// A line's answer.
struct Scored {
    class: usize,
    answer: Answer,
    /// `-ln p(label)`.
    nats: f64,
    unknown: usize,
}

impl Scored {
    fn is_right(&self) -> bool {
        self.answer.class as usize == self.class
    }
}

/// [`Answer::share`] of a certain answer.
const SHARE_UNITS: f64 = 65_536.0;

/// A probability in the units of [`Header::unknown_below`](kinglet::Header::unknown_below).
fn units(probability: f64) -> u16 {
    (probability * SHARE_UNITS).round().min(u16::MAX.into()) as u16
}

/// The probability that this number of units stands for.
pub fn probability(units: u16) -> f64 {
    f64::from(units) / SHARE_UNITS
}

/// Reads a probability in the units of [`Header::unknown_below`](kinglet::Header::unknown_below).
///
/// # Errors
/// What it has to be.
pub fn unknown_below(text: &str) -> Result<u16, String> {
    match text.trim().parse::<f64>() {
        Ok(probability) if (0.0..1.0).contains(&probability) => Ok(units(probability)),
        _ => Err("it has to be a probability, from 0 to less than 1".to_owned()),
    }
}

/// The threshold in the same units below which a hundredth of the right answers with
/// these shares are; 0 without any.
pub fn threshold(mut shares: Vec<u32>) -> u16 {
    shares.sort_unstable();
    let lost = (MOST_LOST * shares.len() as f64) as usize;
    let share = shares.get(lost).copied().unwrap_or(0);
    share.min(u16::MAX.into()) as u16
}

/// Asks a model of labels for those of `text`'s lines; `elsewhere` are its answers to
/// sentences that have none, if there are some.
///
/// # Errors
/// A sentence that names the line.
pub fn evaluate_labels(
    engine: &Engine,
    text: &[u8],
    elsewhere: Option<&[Answer]>,
    unknown: Unknown,
) -> Result<Rights> {
    let lines = labelled_lines(text).map_err(|(line, problem)| bad_line(line, &problem))?;
    let scored: Vec<Scored> = lines
        .par_iter()
        .map(|line| score_label(engine, line, unknown))
        .collect::<Result<_, _>>()?;
    if scored.is_empty() {
        return Err(too_short(0));
    }
    let (names, own) = (engine.labels(), engine.unknown_below());
    let none = names.iter().position(|name| name == NONE);
    let named = scored.iter().filter(|line| Some(line.class) != none);
    let right: Vec<Answer> = named
        .filter(|line| line.is_right())
        .map(|line| line.answer)
        .collect();
    let suggested = threshold(right.iter().map(Answer::share).collect());
    let lost = |below| {
        right
            .iter()
            .filter(|answer| answer.is_unknown(below))
            .count()
    };
    let elsewhere = elsewhere.map(|answers| {
        let refused = |below| {
            let is_none = |answer: &Answer| none == Some(answer.class as usize);
            let refused = |answer: &&Answer| answer.is_unknown(below) || is_none(answer);
            answers.iter().filter(refused).count()
        };
        let at = |below| Threshold {
            below: probability(below),
            lost: lost(below),
            refused: refused(below),
        };
        Elsewhere {
            lines: answers.len(),
            refused: refused(own),
            thresholds: THRESHOLDS.into_iter().map(units).map(at).collect(),
        }
    });
    Ok(Rights {
        lines: scored.len(),
        right: scored.iter().filter(|line| line.is_right()).count(),
        nats: scored.iter().map(|line| line.nats).sum::<f64>() / scored.len() as f64,
        threshold: probability(suggested),
        unknown_below: probability(own),
        lost: lost(own),
        elsewhere,
        labels: of_labels(names, own, &scored),
        unknown: scored.iter().map(|line| line.unknown).sum(),
    })
}

/// How a model of labels answers each line of `text` that is not empty.
///
/// # Errors
/// A sentence that names the line.
pub fn answers(engine: &Engine, text: &[u8], unknown: Unknown) -> Result<Vec<Answer>> {
    let lines: Vec<_> = text.split(|&byte| byte == b'\n').zip(1..).collect();
    let full = lines
        .into_par_iter()
        .filter(|(line, _)| !line.trim_ascii().is_empty());
    full.map(|(line, number)| {
        let asked = ask(engine, line.trim_ascii(), unknown);
        let (logits, _) = asked.with_context(|| format!("line {number}"))?;
        Ok(Answer::of(&fixed(&logits)))
    })
    .collect()
}

/// How the lines of each label are answered, in the order of the names.
fn of_labels(names: &[String], below: u16, scored: &[Scored]) -> Vec<OfLabel> {
    let mut counts: BTreeMap<usize, (usize, BTreeMap<usize, usize>)> = BTreeMap::new();
    for line in scored {
        let (unknown, answers) = counts.entry(line.class).or_default();
        *unknown += usize::from(line.answer.is_unknown(below));
        *answers.entry(line.answer.class as usize).or_default() += 1;
    }
    let of_label = |(class, (unknown, mut answers)): (usize, (_, BTreeMap<usize, usize>))| {
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
            unknown,
            taken_for,
        }
    };
    counts.into_iter().map(of_label).collect()
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
    let (logits, unknown) = ask(engine, line.text, unknown)?;
    Ok(Scored {
        class,
        answer: Answer::of(&fixed(&logits)),
        nats: -log_softmax(&logits)[class],
        unknown,
    })
}

/// The logits of a text's label, and how many characters of it the vocabulary lacks.
fn ask(engine: &Engine, text: &[u8], unknown: Unknown) -> Result<(Vec<f32>, usize)> {
    let (tokens, unknown) = engine.encode(text, unknown)?;
    let mut runner = engine.runner();
    let (last, before) = tokens.split_last().unwrap_or((&START_TOKEN, &[]));
    let known = "the tokenizer knows the vocabulary";
    runner.feed(before).expect(known);
    Ok((runner.step(*last).expect(known).to_vec(), unknown))
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
        let (line, problem) = labelled_lines(b"a\tx\nb\ty\x1b[1m").unwrap_err();
        assert!(line == 2 && problem.contains("control character"));
        let header = labelled_lines(b"text\tLabel\na\tx\n").unwrap_err();
        assert_eq!((header.0, header.1.contains("header")), (1, true));
        assert!(labelled_lines(b"a\tlabel\nb\tlabel\n").is_ok());
    }

    #[test]
    fn answers_are_counted_by_label() {
        let line = |class, answer: usize| {
            let mut logits = [0; 3];
            logits[answer] = 1;
            Scored {
                class,
                answer: Answer::of(&logits),
                nats: 0.0,
                unknown: 0,
            }
        };
        let scored = [line(0, 0), line(2, 1), line(2, 0), line(2, 1)];
        let names = ["on", "off", "none"].map(str::to_owned);
        let of_labels = of_labels(&names, units(0.5), &scored);
        let found = of_labels.last().unwrap();
        assert_eq!((found.lines, found.right, found.unknown), (3, 0, 3));
        let others = [("off", 2), ("on", 1)].map(|(name, lines)| (name.to_owned(), lines));
        assert_eq!(found.taken_for, others);
        // No line has the label "off".
        let labels: Vec<_> = of_labels.iter().map(|of| of.label.as_str()).collect();
        assert_eq!(labels, ["on", "none"]);
    }

    #[test]
    fn a_hundredth_of_right_answers_is_below_the_threshold() {
        assert_eq!(threshold((1..=100).rev().collect()), 2);
        assert_eq!(threshold((1..=99).collect()), 1);
        assert_eq!(threshold(vec![1 << 16]), u16::MAX);
        assert_eq!(threshold(Vec::new()), 0);
    }

    #[test]
    fn a_threshold_is_a_probability() {
        assert_eq!(unknown_below("0").unwrap(), 0);
        assert_eq!(unknown_below("0.5").unwrap(), 1 << 15);
        assert_eq!(unknown_below("0.9999999").unwrap(), u16::MAX);
        for bad in ["", "1", "-0.1", "97", "97 %", "NaN", "inf"] {
            assert!(unknown_below(bad).is_err(), "{bad}");
        }
    }
}
