//! Settings of a training, from options or a recipe file.

use super::arch::Arch;
use super::optimizer::Optimizer;
use super::tape::MOST_HEAD_SIZE;
use crate::model::Version;
use crate::pack::{Forced, Formats, Precisions};
use crate::quantize::Precision;
use anyhow::{ensure, Result};
use serde::{Deserialize, Serialize};
use std::ops::RangeInclusive;
use std::path::PathBuf;

/// What the network learns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Task {
    /// What comes next in a text
    Text,
    /// The label of a line: the text holds lines of text, a tab, a label
    Classify,
}

/// The number format of the checkpoint's tensors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Floats {
    /// Half floats
    F16,
    /// Single floats
    F32,
}

/// How long to train.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Budget {
    /// This many steps: the same result for the same seed.
    Steps(u32),
    /// This many minutes, interruptions not counted.
    Minutes(f64),
}

/// All that decides the result.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Settings {
    /// The texts.
    pub text: Vec<PathBuf>,
    /// A text for validation, held out from training; else the last twentieth of
    /// the texts.
    pub validation: Option<PathBuf>,
    /// The task.
    pub task: Task,
    /// The network.
    pub version: Arch,
    /// Layers.
    pub layers: usize,
    /// Channels.
    pub channels: usize,
    /// Hidden channels of the channel mix; four times the channels, if 0.
    pub hidden: usize,
    /// Channels of a head, where there are heads.
    pub head_size: usize,
    /// Entries of the vocabulary: 256 are the bytes, others are learned.
    pub vocab: usize,
    /// Tokens of a sequence.
    pub context: usize,
    /// Tokens of a sequence of validation text; 1,024, if 0, or as many as
    /// the network can read.
    pub validation_context: usize,
    /// Sequences of a step.
    pub batch: usize,
    /// How long.
    pub budget: Budget,
    /// Seed of initial weights and batches.
    pub seed: u64,
    /// Train with weights and activations rounded as in an image of this
    /// precision.
    pub qat: Option<Precision>,
    /// Other bits of the head.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub head: Option<Precision>,
    /// Other bits of the embedding than eight.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub embedding: Option<Precision>,
    /// Other bits of the key and value matrices of RWKV-5 to 7 than eight.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keys: Option<Precision>,
    /// Other bits of single matrices.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub force: Vec<Forced>,
    /// The share of the training after which rounding begins.
    pub qat_from: f64,
    /// Stop when the validation text was predicted no better this many times
    /// in a row; 0 for never.
    pub patience: u32,
    /// Whether typographic characters stay as they are where the vocabulary is
    /// learned; else they become ASCII, if nearly all that is not ASCII are such.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub keep_typography: bool,
    /// The share of the lines with labels that are learned with their words in another
    /// order.
    #[serde(skip_serializing_if = "is_zero")]
    pub shuffle_words: f64,
    /// The number format of the checkpoint.
    pub floats: Floats,
    /// How weights are moved.
    pub optimizer: Optimizer,
    /// The checkpoint that is distilled, whose network this is then.
    #[serde(skip_deserializing, skip_serializing_if = "Option::is_none")]
    pub from: Option<PathBuf>,
    /// The epsilon of its group norm, if not that of published models.
    #[serde(skip_deserializing, skip_serializing_if = "Option::is_none")]
    pub gn_eps: Option<f32>,
}

fn is_zero(share: &f64) -> bool {
    *share == 0.0
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            text: Vec::new(),
            validation: None,
            task: Task::Text,
            version: Arch::Rwkv(Version::V4),
            layers: 4,
            channels: 128,
            hidden: 0,
            head_size: 64,
            vocab: 256,
            context: 256,
            validation_context: 0,
            batch: 8,
            budget: Budget::Minutes(10.0),
            seed: 1,
            qat: None,
            head: None,
            embedding: None,
            keys: None,
            force: Vec::new(),
            qat_from: 0.0,
            patience: 0,
            keep_typography: false,
            shuffle_words: 0.0,
            floats: Floats::F32,
            optimizer: Optimizer::default(),
            from: None,
            gn_eps: None,
        }
    }
}

impl Settings {
    /// The settings of a distillation: as those of a training, but for a network that has
    /// learned already.
    pub fn of_distillation() -> Self {
        Self {
            batch: 4,
            budget: Budget::Steps(400),
            qat: Some(Precision::Int4),
            optimizer: Optimizer {
                learning_rate: 5e-4,
                warm_up: 20,
                weight_decay: 0.0,
                ..Optimizer::default()
            },
            ..Self::default()
        }
    }

    /// Hidden channels of the channel mix.
    pub fn hidden(&self) -> usize {
        match self.hidden {
            0 => 4 * self.channels,
            hidden => hidden,
        }
    }

    /// The bits of the image that is trained for, if training rounds.
    pub fn formats(&self) -> Option<Formats> {
        let weights = self.qat?;
        let precisions = Precisions {
            head: self.head,
            embedding: self.embedding,
            keys: self.keys,
            force: self.force.clone(),
        };
        Some(precisions.formats(weights, weights))
    }

    /// Tokens of a sequence of validation text.
    pub fn validation_context(&self) -> usize {
        match (self.validation_context, self.version) {
            (0, Arch::Gpt) => self.context,
            (0, _) => 1024,
            (tokens, Arch::Gpt) => tokens.min(self.context),
            (tokens, _) => tokens,
        }
    }

    /// Channels of a head: those asked for, or all if there are fewer.
    pub fn head_size(&self) -> usize {
        self.head_size.min(self.channels)
    }

    /// Checks all numbers.
    ///
    /// # Errors
    /// The first setting that is wrong.
    pub fn check(&self) -> Result<()> {
        ensure!(
            self.from.is_some() || !self.text.is_empty(),
            "no text to learn from: give one or more with --text"
        );
        ensure!(
            self.version != Arch::Gpt || self.qat.is_none(),
            "a Transformer has no image: leave out --qat, or train another --version"
        );
        ensure!(
            self.qat.is_some()
                || [self.head, self.embedding, self.keys] == [None; 3] && self.force.is_empty(),
            "--head, --embedding, --keys and --force are bits that training rounds to: give --qat too"
        );
        ensure!(
            self.keys.is_none() || self.version.has_heads(),
            "the state of {} has no matrices: leave out --keys",
            self.version
        );
        let whole = |name: &str, value: usize, range: RangeInclusive<usize>| {
            let (least, most) = (range.start(), range.end());
            ensure!(
                range.contains(&value),
                "{name} must be between {least} and {most}, but is {value}"
            );
            Ok(())
        };
        // A checkpoint's network is as it is.
        if self.from.is_none() {
            whole("--layers", self.layers, 1..=256)?;
            whole("--channels", self.channels, 8..=8192)?;
            whole("--hidden", self.hidden(), 8..=8192)?;
            let most = super::vocabulary::MOST_ENTRIES;
            whole("--vocab", self.vocab, 3..=most)?;
        }
        whole("--context", self.context, 2..=65_536)?;
        let tokens = self.validation_context();
        whole("--validation-context", tokens, 2..=65_536)?;
        whole("--batch", self.batch, 1..=4096)?;
        self.check_heads()?;
        let rate = self.optimizer.learning_rate;
        ensure!(
            rate > 0.0 && rate <= 1.0,
            "--learning-rate must be more than 0 and at most 1, but is {rate}"
        );
        let share = |name: &str, value: f64| {
            ensure!(
                (0.0..=1.0).contains(&value),
                "{name} must be between 0 and 1, but is {value}"
            );
            Ok(())
        };
        share("--qat-from", self.qat_from)?;
        share("--shuffle-words", self.shuffle_words)?;
        share("--weight-decay", self.optimizer.weight_decay.into())?;
        share("`last` of the optimizer", self.optimizer.last.into())?;
        share("`beta1` of the optimizer", self.optimizer.beta1.into())?;
        share("`beta2` of the optimizer", self.optimizer.beta2.into())?;
        let clip = self.optimizer.clip;
        ensure!(
            clip > 0.0 && clip.is_finite(),
            "`clip` of the optimizer must be more than 0, but is {clip}"
        );
        ensure!(
            self.qat.is_some() || self.qat_from == 0.0,
            "--qat-from says when rounding begins: give --qat too"
        );
        ensure!(
            self.task == Task::Classify || self.shuffle_words == 0.0,
            "--shuffle-words is for lines with labels: give --task classify, or leave it out"
        );
        match self.budget {
            Budget::Steps(steps) => whole("--steps", steps as usize, 1..=100_000_000)?,
            Budget::Minutes(minutes) => ensure!(
                minutes > 0.0 && minutes <= 1e6,
                "--minutes must be more than 0 and at most 1000000, but is {minutes:?}"
            ),
        }
        Ok(())
    }

    fn check_heads(&self) -> Result<()> {
        if !self.version.has_heads() {
            return Ok(());
        }
        let size = self.head_size();
        ensure!(
            (1..=MOST_HEAD_SIZE).contains(&size) && self.channels.is_multiple_of(size),
            "heads of {size} channels cannot be trained: they have at most {MOST_HEAD_SIZE} and divide the {} channels (--head-size)",
            self.channels
        );
        Ok(())
    }
}
