//! Gradients of a batch, its sequences spread over lanes.
//!
//! Each lane has its own gradient, its sequences do not depend on the number
//! of threads, and lanes are added in order: the sum has the same bits on any
//! number of threads.

use super::arch::Network;
use super::tape::{Pool, Tape, Var};
use crate::eval::argmax;
use crate::simd::wide;
use rayon::prelude::*;

/// Lanes of a batch, at most.
const LANES: usize = 8;

/// Weights whose gradients are added at a time.
const CHUNK: usize = 16 * 1024;

/// A text to learn from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sequence {
    /// The input.
    pub tokens: Vec<u32>,
    /// The targets: a token after each, or a label after the last.
    pub targets: Vec<u32>,
}

/// A network whose distributions are learned, in place of targets.
#[derive(Clone, Debug)]
pub struct Teacher {
    /// It rounds nothing.
    pub network: Network,
    /// Its weights.
    pub weights: Vec<f32>,
}

impl Teacher {
    /// The logits `[T, V]` after each token.
    fn logits(&self, tokens: &[u32], pool: &mut Pool<f32>) -> Vec<f32> {
        let mut tape = Tape::new(&self.weights, pool);
        let logits = self.network.logits(&mut tape, tokens);
        let values = tape.value(logits).to_vec();
        tape.end();
        values
    }
}

#[derive(Debug, Default)]
struct Lane {
    gradient: Vec<f32>,
    pool: Pool<f32>,
}

/// Computes gradients; keeps its buffers from batch to batch.
#[derive(Debug)]
pub struct Gradients {
    lanes: Vec<Lane>,
    sum: Vec<f32>,
}

impl Gradients {
    /// For `len` weights.
    pub fn new(len: usize) -> Self {
        Self {
            lanes: Vec::new(),
            sum: vec![0.0; len],
        }
    }

    /// The mean loss of all targets in nats, and its gradient; with a teacher the
    /// loss is the divergence from its distribution.
    pub fn of(
        &mut self,
        network: &Network,
        weights: &[f32],
        batch: &[Sequence],
        teacher: Option<&Teacher>,
    ) -> (f64, &[f32]) {
        let count = LANES.min(batch.len());
        self.lanes
            .resize_with(count.max(self.lanes.len()), Lane::default);
        let lanes = &mut self.lanes[..count];
        let targets: usize = batch.iter().map(|s| s.targets.len()).sum();
        let scale = 1.0 / targets.max(1) as f32;
        let losses: Vec<f64> = lanes
            .par_iter_mut()
            .enumerate()
            .map(|(index, lane)| {
                lane.gradient.clear();
                lane.gradient.resize(network.layout.len(), 0.0);
                let own = batch.iter().skip(index).step_by(count);
                own.map(|sequence| lane.add(network, weights, sequence, teacher, scale))
                    .sum()
            })
            .collect();
        let lanes = &*lanes;
        self.sum
            .par_chunks_mut(CHUNK)
            .enumerate()
            .for_each(|(index, sum)| {
                let range = index * CHUNK..index * CHUNK + sum.len();
                sum.fill(0.0);
                for lane in lanes {
                    let part = &lane.gradient[range.clone()];
                    wide(
                        #[inline(always)]
                        || sum.iter_mut().zip(part).for_each(|(sum, x)| *sum += x),
                    );
                }
            });
        (losses.iter().sum::<f64>() * f64::from(scale), &self.sum)
    }
}

impl Lane {
    /// Adds a sequence's gradient; returns the sum of its losses.
    fn add(
        &mut self,
        network: &Network,
        weights: &[f32],
        text: &Sequence,
        teacher: Option<&Teacher>,
        scale: f32,
    ) -> f64 {
        let taught = teacher.map(|teacher| teacher.logits(&text.tokens, &mut self.pool));
        let mut tape = Tape::new(weights, &mut self.pool);
        let (_, losses, sum) = losses(network, &mut tape, text, taught.as_deref());
        tape.backward(losses, scale, &mut self.gradient);
        sum
    }
}

/// The head's outputs after the tokens that have targets, the last ones; their
/// losses, and the sum of these.
fn losses(
    network: &Network,
    tape: &mut Tape<'_, f32>,
    text: &Sequence,
    taught: Option<&[f32]>,
) -> (Var, Var, f64) {
    let mut hidden = network.hidden(tape, &text.tokens);
    let (all, some) = (text.tokens.len(), text.targets.len());
    if some < all {
        let rows: Vec<usize> = (all - some..all).collect();
        hidden = tape.select_rows(hidden, &rows);
    }
    let outputs = network.head(tape, hidden);
    let losses = match taught {
        None => tape.cross_entropy(outputs, &text.targets),
        Some(taught) => tape.divergence(outputs, taught),
    };
    let sum = tape.value(losses).iter().map(|&x| f64::from(x)).sum();
    (outputs, losses, sum)
}

/// The logits of each of some sequences after its last token.
pub fn last_logits(network: &Network, weights: &[f32], texts: &[Sequence]) -> Vec<Vec<f32>> {
    let texts = texts.par_iter().map_init(Pool::default, |pool, text| {
        let mut tape = Tape::new(weights, pool);
        let hidden = network.hidden(&mut tape, &text.tokens);
        let last = tape.select_rows(hidden, &[text.tokens.len() - 1]);
        let logits = network.head(&mut tape, last);
        let values = tape.value(logits).to_vec();
        tape.end();
        values
    });
    texts.collect()
}

/// How well some sequences are predicted.
#[derive(Clone, Debug, Default)]
pub struct Score {
    /// Targets that have the highest output.
    pub right: usize,
    /// Losses in nats, of divergences with a teacher, and targets, by position in the
    /// sequence: of the first, the next two, the next four, and so on.
    pub ranges: Vec<(f64, usize)>,
}

impl Score {
    /// The sum of all losses, in nats, and the number of targets.
    pub fn total(&self) -> (f64, usize) {
        let nats = self.ranges.iter().map(|range| range.0).sum();
        (nats, self.ranges.iter().map(|range| range.1).sum())
    }

    fn add(&mut self, range: usize, (nats, targets): (f64, usize)) {
        if self.ranges.len() <= range {
            self.ranges.resize(range + 1, (0.0, 0));
        }
        let sum = &mut self.ranges[range];
        *sum = (sum.0 + nats, sum.1 + targets);
    }

    fn join(mut self, other: &Self) -> Self {
        self.right += other.right;
        let ranges = other.ranges.iter().enumerate();
        ranges.for_each(|(range, &of_other)| self.add(range, of_other));
        self
    }
}

/// Scores some sequences.
pub fn score(
    network: &Network,
    weights: &[f32],
    texts: &[Sequence],
    teacher: Option<&Teacher>,
) -> Score {
    let scored: Vec<Score> = texts
        .par_iter()
        .map_init(Pool::default, |pool, text| {
            let taught = teacher.map(|teacher| teacher.logits(&text.tokens, pool));
            let mut tape = Tape::new(weights, pool);
            let (outputs, losses, _) = losses(network, &mut tape, text, taught.as_deref());
            let mut score = Score::default();
            for (position, &nats) in tape.value(losses).iter().enumerate() {
                score.add((position + 1).ilog2() as usize, (f64::from(nats), 1));
            }
            let rows = tape.value(outputs).chunks_exact(tape.cols(outputs));
            score.right = rows
                .zip(&text.targets)
                .filter(|(row, &target)| argmax(row) == target as usize)
                .count();
            tape.end();
            score
        })
        .collect();
    scored.iter().fold(Score::default(), Score::join)
}
