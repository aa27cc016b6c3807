//! `kinglet eval`: bits per byte, and the distance from a reference.

use super::bad_use;
use super::model::ModelArgs;
use super::output::{check_outputs, print_json, progress_bar, Output};
use super::report::{images, Files, Images};
use super::table::{thousands, Table};
use crate::engine::{is_image, Engine};
use crate::eval::{evaluate, Cut, Scores, Segments};
use crate::input;
use crate::labels::{answers, evaluate_labels, Rights};
use crate::report::written;
use crate::text::{end_documents, shown, Unknown};
use anyhow::{Context, Result};
use kinglet::START_TOKEN;
use std::borrow::Cow;
use std::io::Write;
use std::iter;
use std::path::{Path, PathBuf};

/// Bytes of a segment, unless others are asked for.
const SEGMENT_BYTES: usize = 1024;

/// Score a model on a text, and compare it with a reference
///
/// The text is cut into segments; each starts from an empty state and its
/// first token is not scored, unless they are --documents. A text that the model ends with
/// token 0 may have `<|endoftext|>` between documents. With --reference also the mean Kullback-Leibler
/// divergence (nats), the share of positions where both rank the same token
/// first, and the largest absolute difference of a logit.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    kinglet eval model.kgl --text test.txt\n  \
    kinglet eval model.kgl --text test.txt --reference model.safetensors --json\n  \
    kinglet eval model.kgl --text stories.txt --documents\n  \
    kinglet eval commands.kgl --text lines.tsv --elsewhere stories.txt\n  \
    kinglet eval model.kgl --text test.txt --reference model.safetensors --report model.html\n  \
    kinglet eval world.pth --text test.txt --tokenizer rwkv_vocab_v20230424.txt")]
pub struct Args {
    /// An image or a checkpoint
    file: PathBuf,
    /// The text to predict
    #[arg(long, value_name = "FILE")]
    text: PathBuf,
    /// Bytes of a segment; 0 for a single one [default: 1024]
    #[arg(long, value_name = "BYTES")]
    reset: Option<usize>,
    /// Cut the text at the ends of its documents instead, at zero bytes and
    /// `<|endoftext|>`: each starts from an empty state, all of it is scored, and its end
    /// as one byte, as published figures have it
    #[arg(long, conflicts_with_all = ["reset", "after_each_byte"])]
    documents: bool,
    /// What to compare with: usually the checkpoint that the image was made of
    #[arg(long, value_name = "FILE")]
    reference: Option<PathBuf>,
    /// Write a page about the image beside others of the reference, a checkpoint, for a browser:
    /// bytes and divergence, what each matrix costs, instructions, texts. Takes a minute or two
    /// for a million parameters and 100 KB of text
    #[arg(long, value_name = "FILE", requires = "reference")]
    report: Option<PathBuf>,
    /// A byte to feed after each byte of the text, for models of two-byte
    /// characters; it is not scored
    #[arg(long, value_name = "BYTE")]
    after_each_byte: Option<u8>,
    /// What becomes of characters that the vocabulary lacks; they are counted
    #[arg(long, value_enum, default_value = "refuse")]
    unknown: Unknown,
    /// Of a model of labels: sentences that have none of them, one a line, and how many are answered
    /// `unknown`, or with the label `none` where the model has that; at thresholds to choose one for
    /// `kinglet quantize --unknown-below`, too
    #[arg(long, value_name = "FILE")]
    elsewhere: Option<PathBuf>,
    #[command(flatten)]
    model: ModelArgs,
    /// Print one JSON object: bits_per_byte, reference_bits_per_byte, kl, top1, max_abs, scored_bytes, unknown;
    /// of a model of labels lines, right, nats, threshold, unknown_below, lost, elsewhere (lines, refused, thresholds
    /// of below, lost, refused), labels (label, lines, right, unknown, taken_for), unknown
    #[arg(long)]
    json: bool,
}

pub fn run(args: &Args) -> Result<()> {
    let inputs = [
        Some(&args.file),
        Some(&args.text),
        args.reference.as_ref(),
        args.elsewhere.as_ref(),
        args.model.tokenizer(),
    ];
    let outputs: Vec<_> = args.report.iter().map(|path| Output::named(path)).collect();
    check_outputs(&inputs, &outputs)?;
    // Of an image all that is said of checkpoints is about its reference.
    let engine = match args.reference {
        Some(_) => args.model.open_compared(&args.file)?,
        None => args.model.open(&args.file)?,
    };
    let reference = args.reference.as_deref();
    let reference = reference.map(|file| args.model.open_reference(file, &engine));
    let reference = reference.transpose()?;
    let text = input::read(&args.text, input::MOST_BYTES)?;
    if !engine.labels().is_empty() {
        return labels(args, &engine, &text);
    }
    if args.elsewhere.is_some() {
        return bad_use("a model of text answers with no label: leave out --elsewhere");
    }
    // As `train` read it, where the token 0 is a byte of the text.
    let ends_with_byte = engine
        .tokenizer()
        .is_some_and(|tokenizer| tokenizer.decode(START_TOKEN) == [0]);
    let text = match ends_with_byte || args.documents {
        true => end_documents(&text).0,
        false => Cow::Borrowed(&text[..]),
    };
    let images = reported(args, &engine)?;
    let others = images.as_ref().map_or(&[][..], |images| &images.engines);
    let bar = progress_bar(text.len() as u64, "scoring");
    let segments = Segments {
        cut: match args.documents {
            true => Cut::Documents,
            false => Cut::Bytes(args.reset.unwrap_or(SEGMENT_BYTES)),
        },
        after_each_byte: args.after_each_byte,
        unknown: args.unknown,
    };
    let progress = |done| bar.set_position(done);
    let scores = evaluate(
        &engine,
        others,
        reference.as_ref(),
        &text,
        segments,
        progress,
    );
    let scores = scores.with_context(|| args.text.display().to_string())?;
    bar.finish_and_clear();
    let own = scores[0].clone();
    if let (Some(images), Some(reference)) = (images, &reference) {
        let engines: Vec<&Engine> = iter::once(&engine).chain(&images.engines).collect();
        let written = written(reference, &engines, &text, segments)?;
        let (path, files) = args.files().context("--report has a reference")?;
        images.write(path, files, scores, written)?;
    }
    if args.json {
        return print_json(&own);
    }
    print(&own)
}

impl Args {
    /// The report, and the files it is about.
    fn files(&self) -> Option<(&Path, Files<'_>)> {
        let files = Files {
            image: &self.file,
            checkpoint: self.reference.as_deref()?,
            text: &self.text,
        };
        Some((self.report.as_deref()?, files))
    }
}

/// The images of the report, if there is to be one.
fn reported(args: &Args, engine: &Engine) -> Result<Option<Images>> {
    let Some((_, files)) = args.files() else {
        return Ok(None);
    };
    let file = files.checkpoint;
    if is_image(file)? {
        return bad_use(format!(
            "{}: --report makes images of the reference: give a checkpoint",
            file.display()
        ));
    }
    let model = args.model.checkpoint(file)?;
    let gn_eps = args.model.reference_gn_eps(engine);
    images(engine, &model, gn_eps, files).map(Some)
}

/// The share of lines that a model of labels gets right.
fn labels(args: &Args, engine: &Engine, text: &[u8]) -> Result<()> {
    if args.reference.is_some() {
        return bad_use("a model of labels is compared with nothing: leave out --reference");
    }
    if args.documents || args.reset.is_some() || args.after_each_byte.is_some() {
        return bad_use(
            "a model of labels reads lines: leave out --reset, --documents and --after-each-byte",
        );
    }
    let elsewhere = args.elsewhere.as_deref().map(|path| {
        let answers = answers(engine, &input::read(path, input::MOST_BYTES)?, args.unknown);
        answers.with_context(|| path.display().to_string())
    });
    let elsewhere = elsewhere.transpose()?;
    let rights = evaluate_labels(engine, text, elsewhere.as_deref(), args.unknown);
    let rights = rights.with_context(|| args.text.display().to_string())?;
    if args.json {
        return print_json(&rights);
    }
    print_labels(&rights)
}

fn print_labels(rights: &Rights) -> Result<()> {
    let mut out = std::io::stdout();
    let of_lines = |lines| percent(lines, rights.lines);
    writeln!(out, "right                  {}", of_lines(rights.right))?;
    writeln!(out, "lines                  {}", rights.lines)?;
    writeln!(out, "loss (nats per line)   {:.4}", rights.nats)?;
    let threshold = 100.0 * rights.threshold;
    writeln!(out, "99 % of right answers  from {threshold:.1} % on")?;
    if rights.unknown_below > 0.0 {
        let (below, lost) = (100.0 * rights.unknown_below, of_lines(rights.lost));
        writeln!(
            out,
            "unknown                below {below:.1} %: {lost} of the lines are right and lost"
        )?;
    }
    print_unknown(rights.unknown)?;
    if let Some(elsewhere) = &rights.elsewhere {
        let refused = |lines| percent(lines, elsewhere.lines);
        let (lines, own) = (elsewhere.lines, refused(elsewhere.refused));
        writeln!(out, "lines from elsewhere   {lines}, {own} unknown")?;
        let mut table = Table::new(&[
            "unknown below",
            "right lines lost",
            "from elsewhere unknown",
        ]);
        for at in &elsewhere.thresholds {
            let below = format!("{:.1} %", 100.0 * at.below);
            table.row([below, of_lines(at.lost), refused(at.refused)]);
        }
        write!(out, "\n{table}")?;
    }
    let mut table = Table::new(&["label", "lines", "right", "unknown", "taken for"]);
    for of in &rights.labels {
        let taken = of.taken_for.iter();
        let taken: Vec<_> = taken
            .map(|(label, lines)| format!("{} {lines}", shown(label)))
            .collect();
        table.row([
            shown(&of.label),
            thousands(of.lines as u64),
            percent(of.right, of.lines),
            of.unknown.to_string(),
            taken.join(", "),
        ]);
    }
    write!(out, "\n{table}")?;
    Ok(())
}

/// A share of lines.
fn percent(some: usize, all: usize) -> String {
    format!("{:.2} %", 100.0 * some as f64 / all.max(1) as f64)
}

/// Says how many characters the vocabulary lacks, if any.
fn print_unknown(count: usize) -> Result<()> {
    if count > 0 {
        writeln!(std::io::stdout(), "unknown characters     {count}")?;
    }
    Ok(())
}

fn print(scores: &Scores) -> Result<()> {
    let mut out = std::io::stdout();
    writeln!(out, "bits per byte          {:.5}", scores.bits_per_byte)?;
    if let Some(bits) = scores.reference_bits_per_byte {
        writeln!(out, "  of the reference     {bits:.5}")?;
    }
    if let (Some(kl), Some(top1), Some(max_abs)) = (scores.kl, scores.top1, scores.max_abs) {
        writeln!(out, "divergence (nats)      {kl:.3e}")?;
        writeln!(out, "top-1 agreement        {top1:.4}")?;
        writeln!(out, "largest logit change   {max_abs:.4}")?;
    }
    writeln!(out, "scored bytes           {}", scores.scored_bytes)?;
    print_unknown(scores.unknown)
}
