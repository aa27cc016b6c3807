//! How well a model predicts a text, and how far a quantized one is from
//! its original.
//!
//! The text is cut into segments; each starts from an empty state and its
//! first token is not scored. So segments are independent, and all cores
//! work.

use crate::engine::{EncodeError, Engine};
use crate::labels::{labelled_lines, Labelled};
use rayon::prelude::*;
use serde::Serialize;
use std::sync::atomic::{AtomicU64, Ordering};

/// The result. The last three are there when a reference was given.
#[derive(Clone, Debug, Serialize)]
pub struct Scores {
    /// Mean of -log2 of the probability of the byte that came.
    pub bits_per_byte: f64,
    /// The same for the reference.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reference_bits_per_byte: Option<f64>,
    /// Mean Kullback-Leibler divergence of the model from the reference, in nats.
    pub kl: Option<f64>,
    /// Share of positions where both rank the same token first.
    pub top1: Option<f64>,
    /// Largest absolute difference of a logit.
    pub max_abs: Option<f64>,
    /// Bytes scored.
    pub scored_bytes: u64,
}

/// Why a text cannot be scored.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum EvalError {
    /// The tokenizer cannot express the text.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// Fewer than two tokens.
    #[error("the text is too short to score: {0} tokens, but the first of a segment only sets the scene")]
    TooShort(usize),
    /// Lines with labels, but for this one.
    #[error("line {0} {1}; each line is a text, a tab and one of the model's labels")]
    Line(usize, String),
    /// The reference has another vocabulary.
    #[error("the model has {model} vocabulary entries, the reference {reference}: they do not belong together")]
    Vocabulary {
        /// Entries of the model.
        model: usize,
        /// Entries of the reference.
        reference: usize,
    },
}

#[derive(Clone, Copy, Default)]
struct Sums {
    nats: f64,
    reference_nats: f64,
    kl: f64,
    agree: u64,
    max_abs: f64,
    positions: u64,
    bytes: u64,
}

impl Sums {
    fn add(self, other: Self) -> Self {
        Self {
            nats: self.nats + other.nats,
            reference_nats: self.reference_nats + other.reference_nats,
            kl: self.kl + other.kl,
            agree: self.agree + other.agree,
            max_abs: self.max_abs.max(other.max_abs),
            positions: self.positions + other.positions,
            bytes: self.bytes + other.bytes,
        }
    }
}

/// Scores `text`, cut into segments of `reset` bytes (0: never cut).
/// `progress` is called with the number of tokens done.
///
/// # Errors
/// [`EvalError`].
pub fn evaluate(
    engine: &Engine,
    reference: Option<&Engine>,
    text: &[u8],
    reset: usize,
    progress: impl Fn(u64) + Sync,
) -> Result<Scores, EvalError> {
    if let Some(reference) = reference.filter(|r| r.vocab() != engine.vocab()) {
        let (model, reference) = (engine.vocab(), reference.vocab());
        return Err(EvalError::Vocabulary { model, reference });
    }
    let reset = if reset == 0 { text.len().max(1) } else { reset };
    let segments: Vec<Vec<u32>> = text
        .chunks(reset)
        .map(|segment| engine.encode(segment))
        .collect::<Result<_, _>>()?;
    if segments.iter().all(|segment| segment.len() < 2) {
        return Err(EvalError::TooShort(segments.iter().map(Vec::len).sum()));
    }
    let done = AtomicU64::new(0);
    let tick = || progress(done.fetch_add(1, Ordering::Relaxed) + 1);
    let scored: Vec<Sums> = segments
        .par_iter()
        .map(|segment| score(engine, reference, segment, &tick))
        .collect();
    // Summed in order: the same figures whatever core was faster.
    let sums = scored.into_iter().fold(Sums::default(), Sums::add);
    Ok(scores(&sums, reference.is_some()))
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
/// [`EvalError`] names the line.
pub fn evaluate_labels(engine: &Engine, text: &[u8]) -> Result<Rights, EvalError> {
    let lines = labelled_lines(text).map_err(|(line, problem)| EvalError::Line(line, problem))?;
    let scored: Vec<(bool, f64)> = lines
        .par_iter()
        .map(|line| score_label(engine, line))
        .collect::<Result<_, _>>()?;
    if scored.is_empty() {
        return Err(EvalError::TooShort(0));
    }
    Ok(Rights {
        lines: scored.len(),
        right: scored.iter().filter(|(right, _)| *right).count(),
        nats: scored.iter().map(|(_, nats)| nats).sum::<f64>() / scored.len() as f64,
    })
}

/// Whether a line's label is the likeliest, and `-ln p` of it.
fn score_label(engine: &Engine, line: &Labelled<'_>) -> Result<(bool, f64), EvalError> {
    let class = engine.labels().iter().position(|l| *l == line.label);
    let class = class.ok_or_else(|| {
        let problem = format!(
            "has the label `{}`, which the model does not know",
            line.label
        );
        EvalError::Line(line.number, problem)
    })?;
    let tokens = engine.encode(line.text)?;
    let mut runner = engine.runner();
    let (last, before) = tokens.split_last().expect("a line has text");
    let known = "the tokenizer knows the vocabulary";
    runner.feed(before).expect(known);
    let logits = runner.step(*last).expect(known);
    Ok((argmax(logits) == class, -log_softmax(logits)[class]))
}

fn scores(sums: &Sums, compared: bool) -> Scores {
    let per_byte = |nats: f64| nats / std::f64::consts::LN_2 / sums.bytes as f64;
    let positions = sums.positions as f64;
    Scores {
        bits_per_byte: per_byte(sums.nats),
        reference_bits_per_byte: compared.then(|| per_byte(sums.reference_nats)),
        kl: compared.then(|| sums.kl / positions),
        top1: compared.then(|| sums.agree as f64 / positions),
        max_abs: compared.then_some(sums.max_abs),
        scored_bytes: sums.bytes,
    }
}

fn score(engine: &Engine, reference: Option<&Engine>, tokens: &[u32], tick: &impl Fn()) -> Sums {
    let tokenizer = engine.tokenizer();
    let mut sums = Sums::default();
    let mut model = engine.runner();
    let mut reference = reference.map(Engine::runner);
    for pair in tokens.windows(2) {
        let logits = model
            .step(pair[0])
            .expect("the tokenizer knows the vocabulary");
        let log_p = log_softmax(logits);
        if let Some(reference) = &mut reference {
            let expected = reference.step(pair[0]).expect("the vocabularies are equal");
            compare(&mut sums, logits, &log_p, expected, pair[1]);
        }
        sums.nats -= log_p[pair[1] as usize];
        sums.positions += 1;
        sums.bytes += tokenizer.map_or(0, |t| t.decode(pair[1]).len() as u64);
        tick();
    }
    sums
}

fn compare(sums: &mut Sums, logits: &[f32], log_p: &[f64], expected: &[f32], next: u32) {
    let log_r = log_softmax(expected);
    sums.reference_nats -= log_r[next as usize];
    sums.kl += log_r
        .iter()
        .zip(log_p)
        .map(|(r, p)| r.exp() * (r - p))
        .sum::<f64>();
    sums.agree += u64::from(argmax(logits) == argmax(expected));
    for (a, b) in logits.iter().zip(expected) {
        sums.max_abs = sums.max_abs.max(f64::from((a - b).abs()));
    }
}

fn log_softmax(logits: &[f32]) -> Vec<f64> {
    let max = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f64 = logits.iter().map(|&v| f64::from(v - max).exp()).sum();
    let log_sum = f64::from(max) + sum.ln();
    logits.iter().map(|&v| f64::from(v) - log_sum).collect()
}

fn argmax(logits: &[f32]) -> usize {
    let best = (0..logits.len()).reduce(|a, b| if logits[b] > logits[a] { b } else { a });
    best.unwrap_or(0)
}
