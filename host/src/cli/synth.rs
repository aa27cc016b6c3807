//! `kinglet synth`: a random checkpoint.

use crate::model::Dimensions;
use crate::synth::write_v4;
use anyhow::Result;
use std::path::PathBuf;

/// Write a random RWKV-4 checkpoint of a given size, for tests and benches
///
/// The weights have the statistics of a trained model, but no sense.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  \
    kinglet synth --layers 12 --channels 768 --vocab 50277 -o big.safetensors")]
pub struct Args {
    /// Layers
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=256))]
    layers: u32,
    /// Channels of the residual stream
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=8192))]
    channels: u32,
    /// Hidden channels of the channel mix [default: four times the channels]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=32768))]
    ffn: Option<u32>,
    /// Vocabulary entries
    #[arg(long, default_value_t = 256, value_parser = clap::value_parser!(u32).range(1..=1_048_576))]
    vocab: u32,
    /// The same seed gives the same weights
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// The .safetensors file to write
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
}

pub fn run(args: &Args) -> Result<()> {
    let dimensions = Dimensions {
        layers: args.layers as usize,
        embd: args.channels as usize,
        ffn: args.ffn.unwrap_or(4 * args.channels) as usize,
        vocab: args.vocab as usize,
        heads: 0,
        ranks: [0; 4],
    };
    Ok(write_v4(&args.output, &dimensions, args.seed)?)
}
