//! The training loop: batches, validations, saves.

use super::gradient::Sequence;
use super::prepare::{Data, Lesson, Prepared};
use super::save::{save_training, take_up};
use super::settings::{Budget, Settings};
use super::trainer::Trainer;
use crate::checkpoint::CheckpointError;
use crate::engine::fixed;
use crate::labels::{threshold, NONE};
use crate::pack::Formats;
use crate::random::Random;
use anyhow::Result;
use kinglet::Answer;
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::time::{Duration, Instant};

/// Validations of a training.
const VALIDATIONS: u32 = 20;

/// Tokens of all of them, at most: a validation is to cost little beside the
/// steps between two.
const MOST_VALIDATION_TOKENS: usize = 16 * 1024;

/// A point of the loss curve. Losses are in [`Data::unit`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// Steps done.
    pub step: u32,
    /// Seconds of training.
    pub seconds: f64,
    /// The mean loss of the steps since the point before.
    pub learned: f64,
    /// The loss on the validation text.
    pub validation: f64,
}

/// How far a training is.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Progress {
    /// Seconds of training, interruptions not counted.
    pub seconds: f64,
    /// The loss curve.
    pub points: Vec<Point>,
    /// The validation loss of the last of them by position in the text: of the first
    /// token, the next two, the next four, and so on.
    #[serde(default)]
    pub by_position: Vec<f64>,
    /// The lowest validation loss, and its step.
    pub best: Option<(f64, u32)>,
    /// Validations since.
    pub stale: u32,
    /// For labels: the share of validation lines that are right.
    pub right: Option<f64>,
    /// The weights that had it.
    #[serde(skip)]
    pub best_weights: Option<Vec<f32>>,
    /// Losses since the last point, and how many.
    pending: (f64, u32),
}

/// A report of the progress.
#[derive(Clone, Copy, Debug)]
pub struct Report {
    /// Steps done.
    pub step: u32,
    /// The share of the training that is done, 0 to 1.
    pub share: f64,
    /// Seconds of training.
    pub seconds: f64,
    /// The loss of the last step.
    pub loss: f64,
    /// Tokens learned from, per second of this run.
    pub tokens_per_second: f64,
}

/// Who watches a training, and says when it is saved or ends early.
pub trait Observer {
    /// Before the first step, where a saved training goes on: its steps, and
    /// the share of the training that is done, 0 to 1.
    fn resumed(&mut self, _step: u32, _share: f64) {}

    /// After every step.
    fn step(&mut self, _report: Report) {}

    /// After a step with a validation.
    fn validated(&mut self, _report: Report, _point: Point) {}

    /// The training was saved.
    fn saved(&mut self, _step: u32) {}

    /// A save failed; the training continues. `last` is the step of the save
    /// that is there, if there is one.
    fn not_saved(&mut self, error: CheckpointError, last: Option<u32>);

    /// Time between saves.
    fn save_every(&self) -> Duration;

    /// Whether the training is to end after this step.
    fn stops(&self) -> bool {
        false
    }
}

/// A training that is done, or was ended early.
#[derive(Debug)]
pub struct Trained {
    /// Weights, optimizer and steps.
    pub trainer: Trainer,
    /// How it went.
    pub progress: Progress,
    /// Whether it is done.
    pub is_done: bool,
    /// The step of the last save, if there is one.
    pub saved: Option<u32>,
}

impl Trained {
    /// The best weights that were seen.
    pub fn weights(&self) -> &[f32] {
        let best = self.progress.best_weights.as_ref();
        best.unwrap_or(&self.trainer.weights)
    }
}

/// Trains, or resumes the training saved beside `output`.
///
/// # Errors
/// The saved training cannot be resumed.
pub fn train(
    settings: &Settings,
    prepared: &Prepared,
    output: &Path,
    observer: &mut impl Observer,
) -> Result<Trained> {
    let (network, optimizer) = (prepared.network.clone(), settings.optimizer);
    let mut trainer = match &prepared.lesson {
        None => Trainer::new(network, optimizer, settings.seed),
        Some(Lesson { teacher, start }) => {
            Trainer::from(network, optimizer, start.clone(), Some(teacher.clone()))
        }
    };
    let progress = take_up(output, settings, prepared.hash, &mut trainer)?;
    let mut saved = progress.is_some().then_some(trainer.step);
    let progress = progress.unwrap_or_default();
    let mut run = Run {
        settings,
        data: &prepared.data,
        trainer,
        first_seconds: progress.seconds,
        progress,
        validation: validation(settings, &prepared.data),
        start: Instant::now(),
        tokens: 0,
    };
    if let Some(step) = saved {
        observer.resumed(step, run.share());
    }
    let mut last_save = Instant::now();
    while !run.is_done() && !observer.stops() {
        let points = run.progress.points.len();
        let report = run.step();
        observer.step(report);
        if let Some(point) = run.progress.points.get(points) {
            observer.validated(report, *point);
        }
        if last_save.elapsed() >= observer.save_every() {
            match save_training(output, settings, prepared.hash, &run.trainer, &run.progress) {
                Ok(()) => {
                    saved = Some(run.trainer.step);
                    observer.saved(run.trainer.step);
                }
                Err(error) => observer.not_saved(error, saved),
            }
            last_save = Instant::now();
        }
    }
    Ok(Trained {
        is_done: run.is_done(),
        trainer: run.trainer,
        progress: run.progress,
        saved,
    })
}

/// 0.99: where a model is certain of all validation lines, users' lines are less certain.
const MOST_UNKNOWN_BELOW: u16 = 64_881;

/// Of a training on lines with labels: the threshold for unknown answers, in the units of
/// [`Header::unknown_below`](kinglet::Header::unknown_below), that its validation lines have
/// for the best weights.
pub fn unknown_below(settings: &Settings, prepared: &Prepared, trained: &Trained) -> u16 {
    let Data::Lines([_, lines], labels) = &prepared.data else {
        return 0;
    };
    let (network, weights) = (prepared.network.clone(), trained.weights().to_vec());
    let mut trainer = Trainer::from(network, settings.optimizer, weights, None);
    // Also where a saved training has no step left that would say so.
    trainer.round_as(settings.formats());
    let lines = lines.all();
    let logits = trainer.last_logits(lines);
    let answers = logits.iter().map(|logits| Answer::of(&fixed(logits)));
    let right = answers.zip(lines).filter(|(answer, line)| {
        line.targets == [answer.class] && labels[answer.class as usize] != NONE
    });
    threshold(right.map(|(answer, _)| answer.share()).collect()).min(MOST_UNKNOWN_BELOW)
}

fn validation(settings: &Settings, data: &Data) -> Vec<Sequence> {
    match data {
        Data::Text([_, validation]) => {
            let windows = validation.windows(settings.validation_context());
            let every = validation.len().div_ceil(MOST_VALIDATION_TOKENS).max(1);
            windows.into_iter().step_by(every).collect()
        }
        Data::Lines([_, validation], _) => validation.all().to_vec(),
        Data::Taught([_, validation]) => validation.whole(),
    }
}

struct Run<'r> {
    settings: &'r Settings,
    data: &'r Data,
    trainer: Trainer,
    progress: Progress,
    validation: Vec<Sequence>,
    /// When this run began, and how long those before it took.
    start: Instant,
    first_seconds: f64,
    /// Tokens of this run.
    tokens: u64,
}

impl Run<'_> {
    fn share(&self) -> f64 {
        match self.settings.budget {
            Budget::Steps(steps) => f64::from(self.trainer.step) / f64::from(steps),
            Budget::Minutes(minutes) => self.progress.seconds / (60.0 * minutes),
        }
    }

    fn is_done(&self) -> bool {
        let patience = self.settings.patience;
        self.share() >= 1.0 || patience > 0 && self.progress.stale >= patience
    }

    fn step(&mut self) -> Report {
        let share = self.share();
        self.trainer.round_as(self.formats(share));
        let batch = self.batch();
        self.tokens += batch.iter().map(|s| s.tokens.len() as u64).sum::<u64>();
        let nats = self.trainer.learn(&batch, share);
        let loss = self.in_units(nats);
        self.progress.pending.0 += loss;
        self.progress.pending.1 += 1;
        self.progress.seconds = self.first_seconds + self.start.elapsed().as_secs_f64();
        // A validation whenever another part of the training is done.
        let part = |share: f64| (share * f64::from(VALIDATIONS)).floor();
        if part(self.share()) > part(share) {
            self.validate();
        }
        Report {
            step: self.trainer.step,
            share: self.share(),
            seconds: self.progress.seconds,
            loss,
            tokens_per_second: self.tokens as f64 / self.start.elapsed().as_secs_f64(),
        }
    }

    /// How weights are to be rounded now.
    fn formats(&self, share: f64) -> Option<Formats> {
        let rounds = share >= self.settings.qat_from;
        self.settings.formats().filter(|_| rounds)
    }

    /// The batch of a step depends on seed and step alone, so that a resumed
    /// training reads what an uninterrupted one reads.
    fn batch(&self) -> Vec<Sequence> {
        let seed = self.settings.seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let step = self.trainer.step;
        let mut random = Random::new(seed ^ u64::from(step));
        match self.data {
            Data::Text([text, _]) => {
                text.batch(seed, step, self.settings.batch, self.settings.context)
            }
            Data::Lines([lines, _], _) => lines.batch(&mut random, self.settings.batch),
            Data::Taught([texts, _]) => {
                texts.batch(&mut random, self.settings.batch, self.settings.context)
            }
        }
    }

    /// A loss in nats per target, in the units of the curve.
    fn in_units(&self, nats: f64) -> f64 {
        match self.data {
            Data::Text([text, _]) => nats / std::f64::consts::LN_2 / text.bytes_per_token(),
            Data::Lines(..) | Data::Taught(_) => nats,
        }
    }

    fn validate(&mut self) {
        let score = self.trainer.score(&self.validation);
        let mean = |(nats, targets): (f64, usize)| {
            let mean = nats / targets.max(1) as f64;
            match self.data {
                Data::Text([_, text]) => mean / std::f64::consts::LN_2 / text.bytes_per_token(),
                Data::Lines(..) | Data::Taught(_) => mean,
            }
        };
        let validation = mean(score.total());
        let by_position = score.ranges.iter().map(|&range| mean(range)).collect();
        let progress = &mut self.progress;
        progress.by_position = by_position;
        if let Data::Lines(..) = self.data {
            progress.right = Some(score.right as f64 / score.total().1.max(1) as f64);
        }
        let (sum, count) = std::mem::take(&mut progress.pending);
        progress.points.push(Point {
            step: self.trainer.step,
            seconds: progress.seconds,
            learned: sum / f64::from(count.max(1)),
            validation,
        });
        // Losses from before the rounding began cannot be compared.
        let rounding_began = self.settings.qat.is_some() && !self.trainer.is_rounding();
        let better = progress.best.is_none_or(|(best, _)| validation < best);
        if !self.validation.is_empty() && better && !rounding_began {
            progress.best = Some((validation, self.trainer.step));
            progress.best_weights = Some(self.trainer.weights.clone());
            progress.stale = 0;
        } else {
            progress.stale += 1;
        }
    }
}
