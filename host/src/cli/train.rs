//! `kinglet train`: texts become a checkpoint.

mod options;
mod report;

pub use options::Args;

use crate::checkpoint::CheckpointError;
use crate::train::prepare::{prepare, Data, Prepared};
use crate::train::run::{train, Observer, Report, Trained};
use crate::train::save::{beside, training_file};
use crate::train::settings::Settings;
use anyhow::{Context, Result};
use indicatif::{ProgressBar, ProgressStyle};
use options::settings;
use report::write_results;
use std::path::Path;
use std::time::Duration;

pub fn run(args: &Args) -> Result<()> {
    let settings = settings(args)?;
    check_output(&args.output)?;
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
    // A disk that is full stays so for many saves: once is enough to say it.
    let mut told = None;
    let mut trouble = |error: CheckpointError| {
        let error = error.to_string();
        if told.as_ref() != Some(&error) {
            bar.suspend(|| eprintln!("warning: {error}; the training goes on"));
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
    Ok(trained?)
}

/// Finds out before the training whether its result can be written.
fn check_output(output: &Path) -> Result<()> {
    let probe = beside(output, ".probe");
    let written = std::fs::write(&probe, []);
    written.with_context(|| format!("{}: cannot be written", output.display()))?;
    remove(&probe)
}

fn remove(path: &Path) -> Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| path.display().to_string())
        }
        _ => Ok(()),
    }
}
