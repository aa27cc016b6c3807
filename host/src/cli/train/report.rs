//! The results of a training: checkpoint, curve, card and report.

use super::options::Args;
use super::remove;
use crate::cli::output::{print_json, write_file};
use crate::cli::table::thousands;
use crate::pack::Formats;
use crate::train::arch::Arch;
use crate::train::card::{card, card_file};
use crate::train::curve::{curve, curve_file};
use crate::train::prepare::{Data, Prepared};
use crate::train::run::Trained;
use crate::train::save::{save_checkpoint, training_file};
use crate::train::settings::Settings;
use anyhow::{Context, Result};
use kinglet::shape::Bits;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Writes all of it, then deletes the saved training.
pub(super) fn write_results(
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
    text(curve_file(output), curve(&trained.progress.points))?;
    text(card_file(output), card(output, settings, prepared, trained))?;
    remove(&training_file(output))?;
    report(args, settings, prepared, trained)
}

#[derive(serde::Serialize)]
struct Summary<'a> {
    output: &'a Path,
    layers: usize,
    channels: usize,
    parameters: usize,
    steps: u32,
    seconds: f64,
    best_validation: Option<f64>,
    right: Option<f64>,
}

fn report(args: &Args, settings: &Settings, prepared: &Prepared, trained: &Trained) -> Result<()> {
    let progress = &trained.progress;
    let summary = Summary {
        output: &args.output,
        layers: settings.layers,
        channels: settings.channels,
        parameters: prepared.network.layout.len(),
        steps: trained.steps,
        seconds: progress.seconds,
        best_validation: progress.best.map(|(loss, _)| loss),
        right: progress.right,
    };
    if args.json {
        return print_json(&summary);
    }
    let mut out = std::io::stdout();
    let unit = match prepared.data {
        Data::Text(_) => "bits per byte",
        Data::Lines(..) => "nats per line",
    };
    writeln!(
        out,
        "{}: {} layers x {} channels, {} parameters, {} steps in {:.0} s",
        args.output.display(),
        summary.layers,
        summary.channels,
        thousands(summary.parameters as u64),
        summary.steps,
        summary.seconds
    )?;
    if let Some((loss, step)) = progress.best {
        writeln!(out, "validation             {loss:.4} {unit} (step {step})")?;
    }
    if let (Some(right), Data::Lines([_, validation], _)) = (progress.right, &prepared.data) {
        writeln!(out, "right                  {}", validation.right(right))?;
    }
    if settings.version != Arch::Gpt {
        writeln!(out, "to pack it             {}", quantize(args, settings))?;
    }
    Ok(())
}

/// The command that packs the image that the training was for.
fn quantize(args: &Args, settings: &Settings) -> String {
    let bits = match settings.formats() {
        None => Bits::Int8.name().to_owned(),
        Some(Formats {
            weights,
            head,
            keys,
        }) => {
            // int8 is the default of `quantize`.
            let options = [("head", head), ("keys", keys)];
            let others = options.into_iter().filter(|(_, bits)| *bits != Bits::Int8);
            let others = others.map(|(option, bits)| format!(" --{option} {}", bits.name()));
            weights.name().to_owned() + &others.collect::<String>()
        }
    };
    let image = args.output.with_extension("kgl");
    let (checkpoint, image) = (args.output.display(), image.display());
    let board = args.board.as_ref().map(|name| format!(" --board {name}"));
    let boards = args.boards.as_ref();
    let boards = boards.map(|path| format!(" --boards {}", path.display()));
    let (board, boards) = (board.unwrap_or_default(), boards.unwrap_or_default());
    format!("kinglet quantize {checkpoint} -o {image} --weights {bits}{board}{boards}")
}
