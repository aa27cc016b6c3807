//! `kinglet train`: texts become a checkpoint.

mod options;
mod report;

pub use options::Args;

use crate::checkpoint::CheckpointError;
use crate::cli::bad_use;
use crate::cli::output::{check_outputs, Output};
use crate::output::{destination, is_stream};
use crate::train::card::{card_file, is_card};
use crate::train::curve::{curve_file, is_curve};
use crate::train::prepare::{prepare, Data, Prepared};
use crate::train::run::{train, Observer, Report, Trained};
use crate::train::save::{is_training, training_file};
use crate::train::settings::Settings;
use anyhow::{Context, Result};
use indicatif::{ProgressBar, ProgressStyle};
use options::settings;
use report::write_results;
use std::path::Path;
use std::time::Duration;

pub fn run(args: &Args) -> Result<()> {
    let settings = settings(args)?;
    check_files(args, &settings)?;
    if let Some(threads) = args.threads {
        // Fails only where it was done before: not in this program.
        let _ = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build_global();
    }
    if args.fresh {
        remove(&training_file(&args.output))?;
    }
    let prepared = prepare(&settings)?;
    for note in &prepared.notes {
        eprintln!("note: {note}");
    }
    let trained = learn(args, &settings, &prepared)?;
    write_results(args, &settings, &prepared, &trained)
}

/// Learns, with a progress bar.
fn learn(args: &Args, settings: &Settings, prepared: &Prepared) -> Result<Trained> {
    let bar = ProgressBar::new(1000).with_style(
        ProgressStyle::with_template("training {wide_bar} {percent} % {msg} left {eta}")
            .unwrap_or_else(|_| ProgressStyle::default_bar()),
    );
    let unit = match prepared.data {
        Data::Text(_) => "bits/byte",
        Data::Lines(..) => "nats/line",
    };
    let mut smooth = None;
    let mut step = |report: Report| {
        let mean: &mut f64 = smooth.get_or_insert(report.loss);
        *mean += 0.02 * (report.loss - *mean);
        bar.set_position((1000.0 * report.share) as u64);
        bar.set_message(format!(
            "step {} {mean:.3} {unit} {:.0} tokens/s",
            report.step, report.tokens_per_second
        ));
    };
    // A full disk fails many saves in a row: one warning is enough.
    let mut told = None;
    let mut trouble = |error: CheckpointError| {
        let error = error.to_string();
        if told.as_ref() != Some(&error) {
            bar.suspend(|| eprintln!("warning: {error}; the training continues"));
            told = Some(error);
        }
    };
    let mut observer = Observer {
        step: &mut step,
        trouble: &mut trouble,
        save_every: Duration::from_secs_f64(args.save_every.max(0.0)),
    };
    let trained = train(settings, prepared, &args.output, &mut observer);
    bar.finish_and_clear();
    trained
}

/// Checks before the training that its results can be written and replace only
/// Kinglet's files.
fn check_files(args: &Args, settings: &Settings) -> Result<()> {
    let output = &args.output;
    let options = [&settings.validation, &args.recipe, &args.boards];
    let options = options.into_iter().map(Option::as_ref);
    let inputs: Vec<_> = settings.text.iter().map(Some).chain(options).collect();
    let outputs = [
        Output::named(output),
        Output::beside(
            training_file(output),
            "the unfinished training",
            is_training,
        ),
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
