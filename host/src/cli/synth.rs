//! `kinglet synth`: a random checkpoint.

use super::output::{check_checkpoint_name, check_outputs, Output};
use super::sizes::Sizes;
use crate::synth::write_random;
use anyhow::Result;
use std::path::PathBuf;

/// Write a random checkpoint of a given version and size, for tests and benches
///
/// The weights have the statistics of a trained model; the text is noise.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    kinglet synth --layers 12 --channels 768 --vocab 50277 -o big.safetensors\n  \
    kinglet synth --version v7 --layers 4 --channels 128 -o goose.safetensors")]
pub struct Args {
    #[command(flatten)]
    sizes: Sizes,
    /// The same seed gives the same weights
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// The .safetensors file to write
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
}

pub fn run(args: &Args) -> Result<()> {
    check_checkpoint_name(&args.output)?;
    check_outputs(&[], &[Output::named(&args.output)])?;
    let (version, dimensions) = (args.sizes.version, args.sizes.dimensions()?);
    Ok(write_random(&args.output, version, &dimensions, args.seed)?)
}
