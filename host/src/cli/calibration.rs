//! The texts by which rounding makes up for itself, as `quantize` is given them.

use super::bad_use;
use super::output::progress_bar;
use crate::engine::Engine;
use crate::input;
use crate::model::Model;
use crate::pack::Options;
use crate::quantize::compensate::{writer, Calibration, TEXTS, TEXT_TOKENS};
use crate::text::Unknown;
use crate::train::save::is_rounded;
use anyhow::{anyhow, Result};
use std::path::{Path, PathBuf};

/// How weights are rounded.
#[derive(Debug, Default, clap::Args)]
pub struct CalibrationArgs {
    /// Round each weight alone: fast, with little memory, and a worse model
    #[arg(long)]
    plain: bool,
    /// A text like those that the model will read. Without it, and beside it, the model
    /// writes texts of its own; errors of rounding then make up for each other in them
    #[arg(long, value_name = "FILE", conflicts_with = "plain")]
    calibrate: Option<PathBuf>,
}

/// Why a model of labels is not calibrated.
const NO_TEXTS: &str = "a model of labels writes no texts; give some with --calibrate";

impl CalibrationArgs {
    /// The file that is read.
    pub fn input(&self) -> Option<&PathBuf> {
        self.calibrate.as_ref()
    }

    /// Why each weight is rounded alone though nobody asked for it.
    pub fn alone_because(&self, model: &Model) -> Option<&'static str> {
        if self.plain || self.calibrate.is_some() {
            None
        } else if is_rounded(model) {
            Some("the model was trained with rounded weights")
        } else if model.dimensions().classes > 0 {
            Some(NO_TEXTS)
        } else {
            None
        }
    }

    /// Whether each weight is rounded alone.
    pub fn rounds_alone(&self, model: &Model) -> bool {
        self.plain || self.alone_because(model).is_some()
    }

    /// The texts; none where each weight is rounded alone and no formats are chosen by
    /// them.
    pub fn texts(
        &self,
        model: &Model,
        options: &Options<'_>,
        chooses: bool,
    ) -> Result<Option<Calibration>> {
        if !chooses && self.rounds_alone(model) {
            return Ok(None);
        }
        if self.calibrate.is_none() && model.dimensions().classes > 0 {
            return bad_use(format!(
                "formats cannot be chosen: {NO_TEXTS}, or give --weights"
            ));
        }
        let engine = writer(model, options)?;
        let given = match &self.calibrate {
            None => Vec::new(),
            Some(path) => given_tokens(
                path,
                &engine,
                "leave out --calibrate, or give a vocabulary with --tokenizer",
            )?,
        };
        let bar = progress_bar(TEXTS as u64, "writing texts");
        let image = engine.image().expect("made of one");
        let texts = Calibration::new(&image, &given, TEXTS, || bar.inc(1));
        bar.finish_and_clear();
        let beyond = |error| anyhow!("the text to calibrate with: {error}");
        texts.map(Some).map_err(beyond)
    }
}

/// The tokens of a given text. `without` says what to do where the model has no tokenizer.
pub fn given_tokens(path: &Path, engine: &Engine, without: &str) -> Result<Vec<u32>> {
    let text = input::read(path, input::MOST_BYTES)?;
    let path = path.display();
    if engine.tokenizer().is_none() {
        return bad_use(format!(
            "{path}: the model has no tokenizer for this text: {without}"
        ));
    }
    let tokens = engine.encode(&text, Unknown::Replace)?.0;
    if tokens.len() < TEXT_TOKENS {
        let count = tokens.len();
        return bad_use(format!(
            "{path}: {count} tokens are too few: texts of {TEXT_TOKENS} are read"
        ));
    }
    Ok(tokens)
}
