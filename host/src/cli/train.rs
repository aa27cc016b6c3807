//! `kinglet train`: texts become a checkpoint.

use super::output::write_file;
use super::BadUse;
use crate::train::card::card;
use crate::train::curve::curve;
use crate::train::fit::fit;
use crate::train::prepare::{prepare, Data, Prepared};
use crate::train::quantized::WeightBits;
use crate::train::run::{train, Observer, Report, Trained};
use crate::train::save::{beside, save_checkpoint, training_file};
use crate::train::settings::{Budget, Floats, Kind, Settings, Task};
use anyhow::{Context, Result};
use indicatif::{ProgressBar, ProgressStyle};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Train a model on texts of your own
///
/// All positions of a sequence are computed at once, on all cores; the result
/// is a checkpoint under published names, for `kinglet quantize`, `run`,
/// `eval`. A training that was interrupted goes on where it was saved when
/// the same command is given again.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    kinglet train --text stories.txt --minutes 10 -o stories.safetensors\n  \
    kinglet train --text a.txt b.txt --version v7 --vocab 512 --steps 2000 -o model.safetensors\n  \
    kinglet train --text stories.txt --budget 128KiB --qat int4 -o small.safetensors\n  \
    kinglet train --text commands.tsv --task classify --layers 2 --channels 64 --minutes 3 -o intents.safetensors\n  \
    kinglet train --recipe stories.toml --qat int4 -o stories.safetensors")]
pub struct Args {
    /// Texts to learn from
    #[arg(long, value_name = "FILE", num_args = 1..)]
    text: Vec<PathBuf>,
    /// Where to write the checkpoint; curve and card go beside it
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    /// Settings from a TOML file; options given here replace them
    #[arg(long, value_name = "FILE")]
    recipe: Option<PathBuf>,
    /// A text to validate with, not to learn from [default: the last twentieth of the texts]
    #[arg(long, value_name = "FILE")]
    validation: Option<PathBuf>,
    /// What to learn [default: text]
    #[arg(long, value_enum)]
    task: Option<Task>,
    /// The network [default: v4]
    #[arg(long, visible_alias = "arch", value_enum)]
    version: Option<Kind>,
    /// Layers [default: 4]
    #[arg(long)]
    layers: Option<usize>,
    /// Channels [default: 128]
    #[arg(long)]
    channels: Option<usize>,
    /// As many channels as an image of so many bytes allows, such as 128KiB,
    /// at the bits of --qat or else int8
    #[arg(long, value_name = "SIZE", value_parser = size, conflicts_with = "channels")]
    budget: Option<u64>,
    /// Hidden channels of the channel mix [default: four times the channels]
    #[arg(long)]
    hidden: Option<usize>,
    /// Channels of a head, for v5 to v7 [default: 64, or all channels]
    #[arg(long)]
    head_size: Option<usize>,
    /// Entries of the vocabulary: `bytes`, or a number above 256 to learn one [default: bytes]
    #[arg(long, value_parser = vocab)]
    vocab: Option<usize>,
    /// Tokens of a sequence [default: 256]
    #[arg(long)]
    context: Option<usize>,
    /// Tokens of a sequence of validation text [default: 1024; of a Transformer as --context]
    #[arg(long, value_name = "TOKENS")]
    validation_context: Option<usize>,
    /// Sequences of a step [default: 8]
    #[arg(long)]
    batch: Option<usize>,
    /// Train for so many minutes [default: 10]
    #[arg(long, conflicts_with = "steps")]
    minutes: Option<f64>,
    /// Train for so many steps: the same result for the same seed
    #[arg(long)]
    steps: Option<u32>,
    /// Where randomness begins [default: 1]
    #[arg(long)]
    seed: Option<u64>,
    /// Learn with weights and activations rounded as in an image of so many bits
    #[arg(long, value_enum)]
    qat: Option<WeightBits>,
    /// The share of the training after which rounding begins [default: 0]
    #[arg(long, value_name = "SHARE")]
    qat_from: Option<f64>,
    /// Stop after so many validations without progress, of 20 [default: never]
    #[arg(long)]
    patience: Option<u32>,
    /// The highest learning rate [default: 0.003]
    #[arg(long)]
    learning_rate: Option<f32>,
    /// Decay of matrices, times the learning rate [default: 0.01]
    #[arg(long)]
    weight_decay: Option<f32>,
    /// Number format of the checkpoint [default: f32]
    #[arg(long, value_enum)]
    floats: Option<Floats>,
    /// Threads [default: all cores]
    #[arg(long)]
    threads: Option<usize>,
    /// Seconds between saves
    #[arg(long, default_value_t = 20.0, value_name = "SECONDS")]
    save_every: f64,
    /// Begin anew, whatever was saved
    #[arg(long)]
    fresh: bool,
    /// The result as JSON
    #[arg(long)]
    json: bool,
}

fn vocab(text: &str) -> Result<usize, String> {
    match text {
        "bytes" => Ok(256),
        number => number
            .parse()
            .map_err(|_| "must be `bytes` or a number".to_owned()),
    }
}

/// Bytes, KiB or MiB.
fn size(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit: u64 = match &text[digits.len()..] {
        "" | "B" => 1,
        "KiB" | "K" | "k" => 1 << 10,
        "MiB" | "M" => 1 << 20,
        unit => return Err(format!("`{unit}` is no unit: use KiB or MiB")),
    };
    let number: u64 = digits.parse().map_err(|_| "not a size".to_owned())?;
    number
        .checked_mul(unit)
        .ok_or_else(|| "too large".to_owned())
}

pub fn run(args: &Args) -> Result<()> {
    let mut settings = settings(args)?;
    if let Some(budget) = args.budget {
        // Labels are few beside the weights; 64 is room for most.
        let classes = match settings.task {
            Task::Text => 0,
            Task::Classify => 64,
        };
        fit(&mut settings, classes, budget).map_err(|error| BadUse(error.to_string()))?;
    }
    settings
        .check()
        .map_err(|error| BadUse(error.to_string()))?;
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
    let mut trouble = |error| bar.suspend(|| eprintln!("warning: {error}; the training goes on"));
    let mut observer = Observer {
        step: &mut step,
        trouble: &mut trouble,
        save_every: Duration::from_secs_f64(args.save_every.max(0.0)),
    };
    let trained = train(settings, prepared, &args.output, &mut observer);
    bar.finish_and_clear();
    Ok(trained?)
}

/// The recipe's settings, and the options in their place.
fn settings(args: &Args) -> Result<Settings> {
    let mut settings = match &args.recipe {
        None => Settings::default(),
        Some(path) => recipe(path)?,
    };
    if !args.text.is_empty() {
        settings.text.clone_from(&args.text);
    }
    if args.validation.is_some() {
        settings.validation.clone_from(&args.validation);
    }
    fn set<T: Copy>(setting: &mut T, option: Option<T>) {
        *setting = option.unwrap_or(*setting);
    }
    set(&mut settings.task, args.task);
    set(&mut settings.version, args.version);
    set(&mut settings.layers, args.layers);
    set(&mut settings.channels, args.channels);
    set(&mut settings.hidden, args.hidden);
    set(&mut settings.head_size, args.head_size);
    set(&mut settings.vocab, args.vocab);
    set(&mut settings.context, args.context);
    set(&mut settings.validation_context, args.validation_context);
    set(&mut settings.batch, args.batch);
    set(&mut settings.budget, args.minutes.map(Budget::Minutes));
    set(&mut settings.budget, args.steps.map(Budget::Steps));
    set(&mut settings.seed, args.seed);
    set(&mut settings.qat, args.qat.map(Some));
    set(&mut settings.qat_from, args.qat_from);
    set(&mut settings.patience, args.patience);
    set(&mut settings.floats, args.floats);
    set(&mut settings.optimizer.learning_rate, args.learning_rate);
    set(&mut settings.optimizer.weight_decay, args.weight_decay);
    Ok(settings)
}

/// Reads a recipe; its paths are relative to its folder.
fn recipe(path: &Path) -> Result<Settings> {
    let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
    let mut settings: Settings =
        toml::from_str(&text).map_err(|error| BadUse(format!("{}: {error}", path.display())))?;
    let folder = path.parent().unwrap_or(Path::new(""));
    let paths = settings.text.iter_mut().chain(&mut settings.validation);
    paths.for_each(|path| *path = folder.join(&*path));
    Ok(settings)
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

fn write_results(
    args: &Args,
    settings: &Settings,
    prepared: &Prepared,
    trained: &Trained,
) -> Result<()> {
    let labels: &[String] = match &prepared.data {
        Data::Text(_) => &[],
        Data::Lines(_, labels) => labels,
    };
    let (network, vocabulary) = (&prepared.network, &prepared.vocabulary);
    let output = &args.output;
    save_checkpoint(
        output,
        settings,
        network,
        &trained.weights,
        vocabulary,
        labels,
    )
    .with_context(|| {
        let saved = training_file(output);
        format!(
            "the training is done and saved in {}: give the same command again when there is room",
            saved.display()
        )
    })?;
    let text = |path: PathBuf, text: String| {
        write_file(&path, |file| Ok(file.write_all(text.as_bytes())?))
    };
    text(
        output.with_extension("svg"),
        curve(&trained.progress.points),
    )?;
    text(
        output.with_extension("md"),
        card(output, settings, prepared, trained),
    )?;
    remove(&training_file(output))?;
    report(args, prepared, trained)
}

#[derive(serde::Serialize)]
struct Summary<'a> {
    output: &'a Path,
    parameters: usize,
    steps: u32,
    seconds: f64,
    best_validation: Option<f64>,
    right: Option<f64>,
}

fn report(args: &Args, prepared: &Prepared, trained: &Trained) -> Result<()> {
    let progress = &trained.progress;
    let summary = Summary {
        output: &args.output,
        parameters: prepared.network.layout.len(),
        steps: trained.steps,
        seconds: progress.seconds,
        best_validation: progress.best.map(|(loss, _)| loss),
        right: progress.right,
    };
    if args.json {
        return super::output::print_json(&summary);
    }
    let mut out = std::io::stdout();
    let unit = match prepared.data {
        Data::Text(_) => "bits per byte",
        Data::Lines(..) => "nats per line",
    };
    writeln!(
        out,
        "{}: {} parameters, {} steps in {:.0} s",
        args.output.display(),
        super::table::thousands(summary.parameters as u64),
        summary.steps,
        summary.seconds
    )?;
    if let Some((loss, step)) = progress.best {
        writeln!(out, "validation             {loss:.4} {unit} (step {step})")?;
    }
    if let Some(right) = progress.right {
        writeln!(
            out,
            "right                  {:.2} % of the validation lines",
            100.0 * right
        )?;
    }
    Ok(())
}
