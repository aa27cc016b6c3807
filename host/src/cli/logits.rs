//! `kinglet logits`: the logits at every position, for comparing engines.

use super::model::ModelArgs;
use super::output::{check_outputs, progress_bar, write_file, Output};
use super::prompt::Prompt;
use super::start::Origin;
use crate::npy::NpyWriter;
use anyhow::Result;
use kinglet::image::EMPTY_STATE;
use std::path::PathBuf;

/// Write the logits at every token of a text as a numpy array
///
/// The array is float32 [tokens, vocabulary], or [tokens, labels] for a model of labels: row t holds the logits after
/// tokens 0..=t of the text, from an empty state on or from that of --from. Works on an image and on a checkpoint (in float).
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    kinglet logits model.kgl --prompt \"Once upon a time\" -o image.npy\n  \
    kinglet logits model.safetensors --prompt-file story.txt -o float.npy")]
pub struct Args {
    /// An image or a checkpoint
    file: PathBuf,
    #[command(flatten)]
    prompt: Prompt,
    /// The state that the text starts from: a name that `kinglet prime` put into the image, or `empty`
    #[arg(long, value_name = "NAME", default_value = EMPTY_STATE)]
    from: String,
    #[command(flatten)]
    model: ModelArgs,
    /// The .npy file to write
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
}

pub fn run(args: &Args) -> Result<()> {
    let inputs = [Some(&args.file), args.prompt.file(), args.model.tokenizer()];
    check_outputs(&inputs, &[Output::named(&args.output)])?;
    let engine = args.model.open(&args.file)?;
    let tokens = args.prompt.tokens(&engine)?;
    let bar = progress_bar(tokens.len() as u64, "tokens");
    write_file(&args.output, |file| {
        let mut npy = NpyWriter::new(file, tokens.len(), engine.outputs())?;
        let start = Origin::new(Some(&args.from)).start(&engine, &args.file)?;
        let mut runner = start.runner;
        runner.feed(start.next_token.as_slice())?;
        for &token in &tokens {
            npy.row(runner.step(token)?)?;
            bar.inc(1);
        }
        Ok(npy.finish()?)
    })?;
    bar.finish_and_clear();
    Ok(())
}
