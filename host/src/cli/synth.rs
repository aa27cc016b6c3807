//! `kinglet synth`: a random checkpoint.

use super::bad_use;
use super::output::{check_outputs, Output};
use crate::model::{Dimensions, Version};
use crate::synth::write_random;
use crate::tensors::table;
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
    /// The RWKV version
    #[arg(long, value_enum, default_value = "v4")]
    version: Version,
    /// Layers
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=256))]
    layers: u32,
    /// Channels of the residual stream
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=8192))]
    channels: u32,
    /// Channels of a head; must divide the channels [default: 64, or all where there are fewer]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=8192))]
    head_size: Option<u32>,
    /// Hidden channels of the channel mix [default: four times the channels]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=32768))]
    ffn: Option<u32>,
    /// Ranks of the low-rank matrices: DECAY,SHIFT of RWKV-6, DECAY,RATE,VALUE,GATE of RWKV-7
    /// [default: those of published models of this width]
    #[arg(long, value_name = "RANKS", value_delimiter = ',', value_parser = clap::value_parser!(u32).range(1..=8192))]
    ranks: Option<Vec<u32>>,
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
    check_outputs(&[], &[Output::named(&args.output)])?;
    let version = args.version;
    let embd = args.channels as usize;
    let head_size = args.head_size.map_or(embd.min(64), |size| size as usize);
    if version != Version::V4 && !embd.is_multiple_of(head_size) {
        return bad_use(format!(
            "heads of {head_size} channels do not divide {embd} channels: choose another --head-size"
        ));
    }
    let dimensions = Dimensions {
        layers: args.layers as usize,
        embd,
        ffn: args.ffn.unwrap_or(4 * args.channels) as usize,
        vocab: args.vocab as usize,
        classes: 0,
        heads: match version {
            Version::V4 => 0,
            _ => embd / head_size,
        },
        ranks: match &args.ranks {
            Some(ranks) => given_ranks(version, ranks)?,
            None => (table(version).ranks.published)(embd, args.layers as usize),
        },
    };
    Ok(write_random(&args.output, version, &dimensions, args.seed)?)
}

fn given_ranks(version: Version, given: &[u32]) -> Result<[usize; 4]> {
    let count = table(version).rank_count();
    if given.len() != count {
        return bad_use(format!(
            "{version} has {count} ranks, but --ranks gives {}",
            given.len()
        ));
    }
    let mut ranks = [0; 4];
    for (rank, given) in ranks.iter_mut().zip(given) {
        *rank = *given as usize;
    }
    Ok(ranks)
}
