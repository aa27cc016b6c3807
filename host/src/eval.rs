//! How well a model predicts a text, and how far a quantized one is from
//! its original.
//!
//! The text is cut into segments; each starts from an empty state, and of those that
//! are no documents the first token is not scored. So segments are independent, and all
//! cores work.

use crate::engine::{Engine, Runner};
use crate::text::Unknown;
use anyhow::{anyhow, bail, Result};
use kinglet::START_TOKEN;
use rayon::prelude::*;
use serde::Serialize;
use std::iter;
use std::sync::atomic::{AtomicU64, Ordering};

/// The result. The last three are there when a reference was given.
#[derive(Clone, Debug, Serialize)]
pub struct Scores {
    /// Mean of -log2 of the probability of the actual byte.
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
    /// Characters of the text that the vocabulary lacks: left out or replaced.
    pub unknown: usize,
}

/// Where a text is cut into segments, each from an empty state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// After as many bytes; 0 never cuts. The first token of a segment is not scored.
    Bytes(usize),
    /// At each byte 0, which ends a document: its first token is scored after token 0,
    /// and so is token 0 after its last, as one byte.
    Documents,
}

/// How a text is cut and fed.
#[derive(Clone, Copy, Debug)]
pub struct Segments {
    /// Where it is cut.
    pub cut: Cut,
    /// A byte that is fed after each byte of the text, for models of two-byte
    /// characters. It is known, so only bytes of the text are scored.
    pub after_each_byte: Option<u8>,
    /// What becomes of characters that the vocabulary lacks.
    pub unknown: Unknown,
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

/// Scores a model on `text`, and others that read the same tokens; the reference runs once.
/// The scores of `engine` are the first. `progress` is called with the number of tokens
/// scored.
///
/// # Errors
/// A sentence that says why the text cannot be scored.
pub fn evaluate(
    engine: &Engine,
    others: &[Engine],
    reference: Option<&Engine>,
    text: &[u8],
    segments: Segments,
    progress: impl Fn(u64) + Sync,
) -> Result<Vec<Scores>> {
    if let Some(reference) = reference {
        check_reference(engine, reference)?;
    }
    let step = 1 + usize::from(segments.after_each_byte.is_some());
    // Before the text is cut, so that segments are those of the known text.
    let (text, lacking) = match segments.cut {
        Cut::Bytes(_) => engine.known(text, segments.unknown),
        Cut::Documents => (text.into(), 0),
    };
    let tokens = segments.tokens(engine, &text)?;
    let (tokens, cut): (Vec<_>, Vec<_>) = tokens.into_iter().unzip();
    let bytes = match segments.cut {
        Cut::Bytes(0) | Cut::Documents => usize::MAX,
        Cut::Bytes(bytes) => bytes,
    };
    if bytes < text.len() && tokens.iter().all(|t| t.len() <= step) {
        bail!("segments of {bytes} bytes are too short to score: the first token of each only sets the scene");
    }
    if tokens.iter().all(|tokens| tokens.len() <= step) {
        return Err(too_short(tokens.iter().map(Vec::len).sum()));
    }
    let done = AtomicU64::new(0);
    let tick = || progress(done.fetch_add(1, Ordering::Relaxed) + 1);
    let engines: Vec<&Engine> = iter::once(engine).chain(others).collect();
    let scored: Vec<Vec<Sums>> = tokens
        .par_iter()
        .map(|tokens| score(&engines, reference, tokens, step, &tick))
        .collect();
    let unknown = lacking + cut.into_iter().sum::<usize>();
    let of = |index: usize| {
        // Summed in order: the figures do not depend on the threads' timing.
        let sums = scored.iter().map(|segment| segment[index]);
        let sums = sums.fold(Sums::default(), Sums::add);
        scores(&sums, unknown, reference.is_some())
    };
    Ok((0..engines.len()).map(of).collect())
}

/// Refuses a reference whose logits are not of the same tokens.
fn check_reference(engine: &Engine, reference: &Engine) -> Result<()> {
    let (model, other) = (engine.vocab(), reference.vocab());
    if model != other {
        bail!("the model has {model} vocabulary entries, the reference {other}: they do not belong together");
    }
    if !reference.labels().is_empty() {
        bail!("the reference is a model of labels: it predicts no text");
    }
    if let (Some(ours), Some(theirs)) = (engine.tokenizer(), reference.tokenizer()) {
        let differ = |&token: &u32| ours.decode(token) != theirs.decode(token);
        if let Some(token) = (0..model as u32).find(differ) {
            bail!("the token {token} is another text in the vocabulary of the reference: they do not belong together");
        }
    }
    Ok(())
}

impl Segments {
    /// The tokens of each segment, and its unknown characters.
    pub(crate) fn tokens(self, engine: &Engine, text: &[u8]) -> Result<Vec<(Vec<u32>, usize)>> {
        let bytes = match self.cut {
            Cut::Documents => return self.documents(engine, text),
            Cut::Bytes(0) => text.len().max(1),
            Cut::Bytes(bytes) => bytes,
        };
        let Some(after) = self.after_each_byte else {
            let tokens = text
                .chunks(bytes)
                .enumerate()
                .map(|(index, segment)| engine.encode_part(index * bytes, segment, self.unknown));
            return tokens.collect();
        };
        let tokens = text.chunks(bytes).map(|segment| {
            let fed: Vec<u8> = segment.iter().flat_map(|&byte| [byte, after]).collect();
            let tokens = engine.encode(&fed, Unknown::Refuse)?;
            match tokens.0.len() == fed.len() {
                true => Ok(tokens),
                false => bail!("the model's tokens are not bytes: leave out --after-each-byte"),
            }
        });
        tokens.collect()
    }

    /// The tokens of each document, between tokens 0; after the last only where the text
    /// ends it.
    fn documents(self, engine: &Engine, text: &[u8]) -> Result<Vec<(Vec<u32>, usize)>> {
        let ends = text.iter().filter(|&&byte| byte == 0).count();
        let mut next = 0;
        let documents = text.split(|&byte| byte == 0).map(|document| {
            let first = next;
            next += document.len() + 1;
            (first, document)
        });
        let documents = documents.enumerate();
        let documents = documents.filter(|(_, (_, document))| !document.is_empty());
        let documents = documents.map(|(index, (first, document))| {
            let (own, unknown) = engine.encode_part(first, document, self.unknown)?;
            let end = (index < ends).then_some(START_TOKEN);
            let tokens = iter::once(START_TOKEN).chain(own).chain(end);
            Ok((tokens.collect(), unknown))
        });
        documents.collect()
    }
}

/// A text of so few tokens cannot be scored.
pub(crate) fn too_short(tokens: usize) -> anyhow::Error {
    anyhow!("the text is too short to score: {tokens} tokens, but the first of a segment only sets the scene")
}

fn scores(sums: &Sums, unknown: usize, compared: bool) -> Scores {
    let per_byte = |nats: f64| nats / std::f64::consts::LN_2 / sums.bytes as f64;
    let positions = sums.positions as f64;
    Scores {
        bits_per_byte: per_byte(sums.nats),
        reference_bits_per_byte: compared.then(|| per_byte(sums.reference_nats)),
        kl: compared.then(|| sums.kl / positions),
        top1: compared.then(|| sums.agree as f64 / positions),
        max_abs: compared.then_some(sums.max_abs),
        scored_bytes: sums.bytes,
        unknown,
    }
}

/// Scores every `step`th token but the first, for each of the engines.
fn score(
    engines: &[&Engine],
    reference: Option<&Engine>,
    tokens: &[u32],
    step: usize,
    tick: &impl Fn(),
) -> Vec<Sums> {
    let tokenizer = engines.first().and_then(|engine| engine.tokenizer());
    let mut models: Vec<_> = engines
        .iter()
        .map(|engine| (engine.runner(), Sums::default()))
        .collect();
    let mut reference = reference.map(Engine::runner);
    for (fed, next) in tokens
        .chunks(step)
        .zip(tokens.iter().copied().skip(step).step_by(step))
    {
        let expected = reference.as_mut().map(|reference| {
            let logits = &*read(reference, fed);
            (logits, log_softmax(logits))
        });
        for (model, sums) in &mut models {
            let logits = read(model, fed);
            let log_p = log_softmax(logits);
            if let Some((expected, log_r)) = &expected {
                compare(sums, (logits, &log_p), (expected, log_r), next);
            }
            sums.nats -= log_p[next as usize];
            sums.positions += 1;
            // The end of a document is none of the text of some vocabularies.
            sums.bytes += tokenizer.map_or(0, |t| t.decode(next).len().max(1) as u64);
        }
        tick();
    }
    models.into_iter().map(|(_, sums)| sums).collect()
}

/// The logits after the last of these tokens; there is at least one.
pub(crate) fn read<'r>(runner: &'r mut Runner<'_>, tokens: &[u32]) -> &'r mut [f32] {
    let known = "tokens of the vocabulary, which is that of the reference too";
    let (last, before) = tokens.split_last().expect("chunks are not empty");
    runner.feed(before).expect(known);
    runner.step(*last).expect(known)
}

/// Adds what the logits of a position, and the logarithms of their probabilities, are
/// from those of the reference.
fn compare(
    sums: &mut Sums,
    (logits, log_p): (&[f32], &[f64]),
    (expected, log_r): (&[f32], &[f64]),
    next: u32,
) {
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

pub(crate) fn log_softmax(logits: &[f32]) -> Vec<f64> {
    let max = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f64 = logits.iter().map(|&v| f64::from(v - max).exp()).sum();
    let log_sum = f64::from(max) + sum.ln();
    logits.iter().map(|&v| f64::from(v) - log_sum).collect()
}

pub(crate) fn argmax(logits: &[f32]) -> usize {
    let best = (0..logits.len()).reduce(|a, b| if logits[b] > logits[a] { b } else { a });
    best.unwrap_or(0)
}
