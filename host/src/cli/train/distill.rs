//! `kinglet train --from CHECKPOINT --distill`: what is learned from, and by whom.

use super::options::Args;
use crate::checkpoint::Checkpoint;
use crate::cli::bad_use;
use crate::cli::calibration::given_tokens;
use crate::cli::output::progress_bar;
use crate::model::Model;
use crate::pack::Options;
use crate::quantize::compensate::{self, writer, Calibration};
use crate::reference::DEFAULT_GN_EPS;
use crate::train::distill::{self, text_counts};
use crate::train::prepare::Prepared;
use crate::train::settings::Settings;
use anyhow::Result;
use std::path::Path;

/// Reads the checkpoint, which then writes the texts.
pub(super) fn prepare(args: &Args, settings: &Settings, from: &Path) -> Result<Prepared> {
    let model = Model::new(Checkpoint::open(from)?, &args.reading.reading())?;
    refuse(&model, from)?;
    let vocabulary = model.vocabulary()?;
    let options = Options {
        gn_eps: settings.gn_eps.unwrap_or(DEFAULT_GN_EPS),
        vocabulary: vocabulary.as_ref(),
        ..Options::of(settings.formats().expect("settings are checked"))
    };
    let engine = writer(&model, &options)?;
    let mut given = Vec::new();
    for path in &settings.text {
        given.extend(given_tokens(path, &engine, "leave out --text")?);
    }
    let image = engine.image().expect("made of one");
    let [learned, validation] = text_counts(settings);
    let count = learned + validation;
    let bar = progress_bar((compensate::TEXTS + count) as u64, "writing texts");
    let write = |count| Calibration::new(&image, &given, count, || bar.inc(1));
    let (calibration, texts) = (write(compensate::TEXTS)?, write(count)?);
    bar.finish_and_clear();
    let options = Options {
        calibration: Some(&calibration),
        ..options
    };
    distill::prepare(&model, &options, texts, validation)
}

/// Refuses what cannot be distilled, or would be lost.
fn refuse(model: &Model, from: &Path) -> Result<()> {
    let from = from.display();
    if model.dimensions().classes > 0 {
        return bad_use(format!(
            "{from}: a model of labels writes no texts to distill it with: train it with --qat"
        ));
    }
    if model.tuned_state()?.is_some() {
        return bad_use(format!(
            "{from}: its tuned state would be lost: distill the checkpoint without it, and put the state into the image by \
             `kinglet prime --state`"
        ));
    }
    Ok(())
}
