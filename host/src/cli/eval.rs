//! `kinglet eval`: bits per byte, and the distance from a reference.

use super::bad_use;
use super::model::ModelArgs;
use super::output::{print_json, progress_bar};
use crate::engine::Engine;
use crate::eval::{evaluate, Scores, Segments};
use crate::labels::evaluate_labels;
use crate::text::{end_documents, Unknown};
use anyhow::{Context, Result};
use kinglet::START_TOKEN;
use std::borrow::Cow;
use std::io::Write;
use std::path::PathBuf;

/// Score a model on a text, and compare it with a reference
///
/// The text is cut into segments; each starts from an empty state and its
/// first token is not scored. A text that the model ends with token 0 may have
/// `<|endoftext|>` between documents. With --reference also the mean Kullback-Leibler
/// divergence (nats), the share of positions where both rank the same token
/// first, and the largest absolute difference of a logit.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    kinglet eval model.kgl --text test.txt\n  \
    kinglet eval model.kgl --text test.txt --reference model.safetensors --json\n  \
    kinglet eval world.pth --text test.txt --tokenizer rwkv_vocab_v20230424.txt")]
pub struct Args {
    /// An image or a checkpoint
    file: PathBuf,
    /// The text to predict
    #[arg(long, value_name = "FILE")]
    text: PathBuf,
    /// Bytes of a segment; 0 for a single one
    #[arg(long, default_value_t = 1024, value_name = "BYTES")]
    reset: usize,
    /// What to compare with: usually the checkpoint that the image was made of
    #[arg(long, value_name = "FILE")]
    reference: Option<PathBuf>,
    /// A byte to feed after each byte of the text, for models of two-byte
    /// characters; it is not scored
    #[arg(long, value_name = "BYTE")]
    after_each_byte: Option<u8>,
    /// What becomes of characters that the vocabulary lacks; they are counted
    #[arg(long, value_enum, default_value = "refuse")]
    unknown: Unknown,
    #[command(flatten)]
    model: ModelArgs,
    /// Print one JSON object: bits_per_byte, reference_bits_per_byte, kl, top1, max_abs, scored_bytes, unknown;
    /// of a model of labels lines, right, nats, unknown
    #[arg(long)]
    json: bool,
}

pub fn run(args: &Args) -> Result<()> {
    let engine = args.model.open_compared(&args.file)?;
    let reference = args.reference.as_deref();
    let reference = reference.map(|file| args.model.open_reference(file, &engine));
    let reference = reference.transpose()?;
    let text = std::fs::read(&args.text).with_context(|| args.text.display().to_string())?;
    if !engine.labels().is_empty() {
        return labels(args, &engine, &text);
    }
    // As `train` read it, where the token 0 is a byte of the text.
    let ends_with_byte = engine
        .tokenizer()
        .is_some_and(|tokenizer| tokenizer.decode(START_TOKEN) == [0]);
    let text = match ends_with_byte {
        true => end_documents(&text).0,
        false => Cow::Borrowed(&text[..]),
    };
    let bar = progress_bar(text.len() as u64, "scoring");
    let segments = Segments {
        bytes: args.reset,
        after_each_byte: args.after_each_byte,
        unknown: args.unknown,
    };
    let scores = evaluate(&engine, reference.as_ref(), &text, segments, |done| {
        bar.set_position(done);
    })
    .with_context(|| args.text.display().to_string())?;
    bar.finish_and_clear();
    if args.json {
        return print_json(&scores);
    }
    print(&scores)
}

/// The share of lines that a model of labels gets right.
fn labels(args: &Args, engine: &Engine, text: &[u8]) -> Result<()> {
    if args.reference.is_some() {
        return bad_use("a model of labels is compared with nothing: leave out --reference");
    }
    let rights = evaluate_labels(engine, text, args.unknown);
    let rights = rights.with_context(|| args.text.display().to_string())?;
    if args.json {
        return print_json(&rights);
    }
    let mut out = std::io::stdout();
    let share = 100.0 * rights.right as f64 / rights.lines as f64;
    writeln!(out, "right                  {share:.2} %")?;
    writeln!(out, "lines                  {}", rights.lines)?;
    writeln!(out, "loss (nats per line)   {:.4}", rights.nats)?;
    print_unknown(rights.unknown)
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
