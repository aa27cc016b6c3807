//! `kinglet train`: texts become a checkpoint.

mod distill;
mod options;
mod report;
mod watcher;

pub use options::Args;

use crate::cli::output::{check_checkpoint_name, check_outputs, Output};
use crate::cli::{bad_use, mention, Interrupted};
use crate::output::{destination, is_left, is_stream, Lock, Stop};
use crate::train::card::{card_file, is_card};
use crate::train::curve::{curve_file, is_curve};
use crate::train::prepare::prepare;
use crate::train::run::{train, Trained};
use crate::train::save::{is_training, lock_file, save_training, training_file};
use crate::train::settings::Settings;
use anyhow::{Context, Result};
use options::settings;
use report::write_results;
use std::path::Path;
use watcher::Watcher;

pub fn run(args: &Args) -> Result<()> {
    let settings = settings(args)?;
    check_files(args, &settings)?;
    let _lock = lock(&args.output)?;
    if let Some(threads) = args.threads {
        // Fails only where it was done before: not in this program.
        let _ = rayon::ThreadPoolBuilder::new()
            .num_threads(threads.into())
            .build_global();
    }
    let prepared = match &settings.from {
        None => prepare(&settings)?,
        Some(from) => distill::prepare(args, &settings, from)?,
    };
    if args.fresh {
        remove(&training_file(&args.output))?;
    }
    for note in &prepared.notes {
        mention(format_args!("note: {note}"));
    }
    let stop = Stop::on_signal();
    let mut watcher = Watcher::new(args, &prepared, &stop);
    let trained = train(&settings, &prepared, &args.output, &mut watcher);
    watcher.bar.finish_and_clear();
    let trained = trained?;
    match trained.is_done {
        true => write_results(args, &settings, &prepared, &trained, &stop),
        false => end_early(&args.output, &settings, prepared.hash, &trained),
    }
}

/// Keeps others from training for the same output.
fn lock(output: &Path) -> Result<Lock> {
    let file = lock_file(output);
    let lock = Lock::take(&file).with_context(|| file.display().to_string())?;
    lock.with_context(|| {
        let output = output.display();
        format!(
            "{output}: another training is at work on it; wait for it, or choose another output"
        )
    })
}

/// Saves what a signal has ended.
fn end_early(output: &Path, settings: &Settings, hash: u64, trained: &Trained) -> Result<()> {
    let step = trained.trainer.step;
    save_training(output, settings, hash, &trained.trainer, &trained.progress)
        .with_context(|| format!("not saved at step {step}; {}", goes_on(trained.saved)))?;
    let told = format!("saved at step {step}; the same command goes on");
    Err(Interrupted(told).into())
}

/// What the same command will do after a save that failed, when the last one is of step `saved`.
fn goes_on(saved: Option<u32>) -> String {
    match saved {
        Some(step) => format!("the same command goes on at step {step}, the last that was saved"),
        None => "no step was saved before".to_owned(),
    }
}

/// Checks before the training that its results can be written and replace only
/// Kinglet's files.
fn check_files(args: &Args, settings: &Settings) -> Result<()> {
    let output = &args.output;
    check_checkpoint_name(output)?;
    let options = [&settings.validation, &args.recipe, &args.boards, &args.from];
    let options = options.into_iter().map(Option::as_ref);
    let inputs: Vec<_> = settings.text.iter().map(Some).chain(options).collect();
    let outputs = [
        Output::named(output),
        Output::beside(
            training_file(output),
            "the unfinished training",
            is_training,
        )
        .or_damaged(),
        Output::beside(lock_file(output), "the lock", is_left),
        Output::beside(curve_file(output), "the curve", is_curve),
        Output::beside(card_file(output), "the card", is_card),
    ];
    if is_stream(&destination(output)) {
        let output = output.display();
        return bad_use(format!(
            "{output}: a training is saved beside its output, which must be a file"
        ));
    }
    check_outputs(&inputs, &outputs)
}

fn remove(path: &Path) -> Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| path.display().to_string())
        }
        _ => Ok(()),
    }
}
