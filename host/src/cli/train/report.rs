//! The results of a training: checkpoint, curve, card and report.

use super::options::Args;
use super::{goes_on, remove};
use crate::cli::mention;
use crate::cli::output::{is_there, print_json, write_file};
use crate::cli::table::thousands;
use crate::output::Stop;
use crate::pack::Formats;
use crate::text::{noun, shell_word, shown_line, shown_path};
use crate::train::arch::Arch;
use crate::train::card::{card, card_file, is_card};
use crate::train::curve::{curve, curve_file, is_curve};
use crate::train::prepare::{Data, Prepared};
use crate::train::run::{unknown_below, Point, Trained};
use crate::train::save::{save_checkpoint, save_training, training_file};
use crate::train::settings::Settings;
use anyhow::{ensure, Result};
use kinglet::shape::Bits;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Time between two tries to write results.
const PAUSE: Duration = Duration::from_millis(500);

/// Writes all of it, with patience, then deletes the saved training.
pub(super) fn write_results(
    args: &Args,
    settings: &Settings,
    prepared: &Prepared,
    trained: &Trained,
    stop: &Stop,
) -> Result<()> {
    let output = &args.output;
    let end = Instant::now() + Duration::from_secs(args.wait.into());
    let mut results = Results::default();
    let mut is_told = false;
    while let Err(error) = results.write(output, settings, prepared, trained) {
        if Instant::now() >= end || stop.has_come() {
            return Err(error.context(results.what_is_true(
                output,
                settings,
                prepared.hash,
                trained,
            )));
        }
        if !is_told {
            let wait = args.wait;
            let told = format!("warning: {error:#}; the training is done, its results are not all written: trying for {wait} s");
            mention(told);
            is_told = true;
        }
        sleep(PAUSE);
    }
    remove(&training_file(output))?;
    report(args, settings, prepared, trained)
}

/// The files of a training that is done.
#[derive(Default)]
struct Results {
    has_checkpoint: bool,
}

impl Results {
    /// Writes what was not written before.
    fn write(
        &mut self,
        output: &Path,
        settings: &Settings,
        prepared: &Prepared,
        trained: &Trained,
    ) -> Result<()> {
        let labels: &[String] = match &prepared.data {
            Data::Text(_) | Data::Taught(_) => &[],
            Data::Lines(_, labels) => labels,
        };
        if !self.has_checkpoint {
            let (network, vocabulary) = (&prepared.network, prepared.vocabulary.as_ref());
            let weights = trained.weights();
            let labels = (labels, unknown_below(settings, prepared, trained));
            save_checkpoint(output, settings, network, weights, vocabulary, labels)?;
            self.has_checkpoint = true;
        }
        let text = |path: PathBuf, is_own: fn(&Path) -> bool, text: String| {
            // It was not there when the training began.
            let is_free = !is_there(&path) || is_own(&path);
            ensure!(
                is_free,
                "{}: Kinglet did not write this file",
                path.display()
            );
            write_file(&path, |file| Ok(file.write_all(text.as_bytes())?))
        };
        let curve = curve(&trained.progress.points);
        text(curve_file(output), is_curve, curve)?;
        let card = card(output, settings, prepared, trained);
        text(card_file(output), is_card, card)
    }

    /// What is there of a training whose results could not be written.
    fn what_is_true(
        &self,
        output: &Path,
        settings: &Settings,
        hash: u64,
        trained: &Trained,
    ) -> String {
        if self.has_checkpoint {
            return format!("{}: complete, but not all beside it is", output.display());
        }
        let Trained {
            trainer,
            progress,
            saved,
            ..
        } = trained;
        let is_saved = *saved == Some(trainer.step)
            || save_training(output, settings, hash, trainer, progress).is_ok();
        match is_saved {
            true => format!(
                "the training is done and saved in {}: give the same command again when there is room",
                training_file(output).display()
            ),
            false => format!(
                "the training is done, but neither its result nor its last steps are saved; {}",
                goes_on(*saved)
            ),
        }
    }
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
    by_position: &'a [f64],
    curve: &'a [Point],
}

fn report(args: &Args, settings: &Settings, prepared: &Prepared, trained: &Trained) -> Result<()> {
    let progress = &trained.progress;
    let summary = Summary {
        output: &args.output,
        layers: settings.layers,
        channels: settings.channels,
        parameters: prepared.network.layout.len(),
        steps: trained.trainer.step,
        seconds: progress.seconds,
        best_validation: progress.best.map(|(loss, _)| loss),
        right: progress.right,
        by_position: &progress.by_position,
        curve: &progress.points,
    };
    if args.json {
        return print_json(&summary);
    }
    let Summary {
        layers,
        channels,
        steps,
        ..
    } = summary;
    let mut out = std::io::stdout();
    let unit = prepared.data.unit();
    writeln!(
        out,
        "{}: {layers} {} x {channels} {}, {} parameters, {steps} {} in {:.0} s",
        shown_path(&args.output),
        noun(layers as u64, "layer", "layers"),
        noun(channels as u64, "channel", "channels"),
        thousands(summary.parameters as u64),
        noun(steps.into(), "step", "steps"),
        summary.seconds
    )?;
    if let Some((loss, step)) = progress.best {
        writeln!(out, "validation             {loss:.4} {unit} (step {step})")?;
    }
    if let (Some(right), Data::Lines([_, validation], _)) = (progress.right, &prepared.data) {
        writeln!(out, "right                  {}", validation.right(right))?;
    }
    if settings.version != Arch::Gpt {
        writeln!(
            out,
            "to pack it             {}",
            shown_line(&quantize(args, settings))
        )?;
    }
    Ok(())
}

/// The command that packs the image that the training was for.
fn quantize(args: &Args, settings: &Settings) -> String {
    let bits = match settings.formats() {
        None => Bits::Int8.name().to_owned(),
        Some(Formats {
            weights,
            embedding,
            head,
            keys,
            ..
        }) => {
            // int8 is the default of `quantize`.
            let options = [("head", head), ("embedding", embedding), ("keys", keys)];
            let others = options.into_iter().filter(|(_, bits)| *bits != Bits::Int8);
            let others = others.map(|(option, bits)| format!(" --{option} {}", bits.name()));
            let forced = settings
                .force
                .iter()
                .map(|forced| format!(" --force {forced}"));
            weights.name().to_owned() + &others.chain(forced).collect::<String>()
        }
    };
    let word = |path: &Path| shell_word(&path.to_string_lossy());
    let image = args.output.with_extension("kgl");
    let (checkpoint, image) = (word(&args.output), word(&image));
    let board = args.board.as_deref().map(shell_word);
    let board = board.map(|name| format!(" --board {name}"));
    let boards = args.boards.as_ref();
    let boards = boards.map(|path| format!(" --boards {}", word(path)));
    let (board, boards) = (board.unwrap_or_default(), boards.unwrap_or_default());
    let gn_eps = settings.gn_eps.map(|eps| format!(" --gn-eps {eps}"));
    let gn_eps = gn_eps.unwrap_or_default();
    format!("kinglet quantize {checkpoint} -o {image} --weights {bits}{gn_eps}{board}{boards}")
}
