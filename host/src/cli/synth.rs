//! `kinglet synth`: a random checkpoint.

use super::output::{check_outputs, Output};
use super::BadUse;
use crate::model::{Dimensions, Version};
use crate::synth::write_random;
use anyhow::Result;
use std::path::PathBuf;

/// Write a random checkpoint of a given version and size, for tests and benches
///
/// The weights have the statistics of a trained model, but no sense.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    kinglet synth --layers 12 --channels 768 --vocab 50277 -o big.safetensors\n  \
    kinglet synth --version v7 --layers 4 --channels 128 -o goose.safetensors")]
pub struct Args {
    /// The RWKV version
    #[arg(long, value_enum, default_value = "v4")]
    version: Choice,
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

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Choice {
    /// RWKV-4
    V4,
    /// RWKV-5.0: a matrix state, one decay per head, no gate
    #[value(name = "v5.0")]
    V50,
    /// RWKV-5.1: the same with a gate
    #[value(name = "v5.1")]
    V51,
    /// RWKV-5.2: a decay per channel
    V5,
    /// RWKV-6
    V6,
    /// RWKV-7
    V7,
}

impl From<Choice> for Version {
    fn from(choice: Choice) -> Self {
        match choice {
            Choice::V4 => Version::V4,
            Choice::V50 => Version::V5,
            Choice::V51 => Version::V51,
            Choice::V5 => Version::V52,
            Choice::V6 => Version::V6,
            Choice::V7 => Version::V7,
        }
    }
}

pub fn run(args: &Args) -> Result<()> {
    check_outputs(&[], &[Output::named(&args.output)])?;
    let version = args.version.into();
    let embd = args.channels as usize;
    let head_size = args.head_size.map_or(embd.min(64), |size| size as usize);
    if version != Version::V4 && !embd.is_multiple_of(head_size) {
        return Err(BadUse(format!(
            "heads of {head_size} channels do not divide {embd} channels: choose another --head-size"
        ))
        .into());
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
            None => usual_ranks(version, embd, args.layers),
        },
        positions: 0,
    };
    Ok(write_random(&args.output, version, &dimensions, args.seed)?)
}

fn given_ranks(version: Version, given: &[u32]) -> Result<[usize; 4]> {
    let count = match version {
        Version::V6 => 2,
        Version::V7 => 4,
        _ => 0,
    };
    if given.len() != count {
        let message = format!(
            "{version} has {count} ranks, but --ranks gives {}",
            given.len()
        );
        return Err(BadUse(message).into());
    }
    let mut ranks = [0; 4];
    for (rank, given) in ranks.iter_mut().zip(given) {
        *rank = *given as usize;
    }
    Ok(ranks)
}

/// Ranks as in published models, but never above the channels: RWKV-6 has
/// one for all widths up to 2,048, RWKV-7 has them grow with the square root.
fn usual_ranks(version: Version, embd: usize, layers: u32) -> [usize; 4] {
    let root = |factor: f64| {
        let rank = (factor * (embd as f64).sqrt() / 32.0).round() * 32.0;
        (rank as usize).max(32).min(embd)
    };
    match version {
        Version::V6 => [embd.min(64), embd.min(32), 0, 0],
        Version::V7 => {
            let value = if layers > 1 { root(1.7) } else { 0 };
            [root(2.5), root(2.5), value, root(5.0)]
        }
        _ => [0; 4],
    }
}
