//! The sizes of a model that is not there yet.

use super::bad_use;
use crate::model::{Dimensions, Version};
use crate::tensors::table;
use anyhow::Result;

/// The sizes of a model.
#[derive(Debug, clap::Args)]
pub struct Sizes {
    /// The RWKV version
    #[arg(long, value_enum, default_value = "v4")]
    pub version: Version,
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
}

impl Sizes {
    /// A size of heads is for versions that have some.
    pub fn check_heads(&self) -> Result<()> {
        let version = self.version;
        match self.head_size.is_some() && version == Version::V4 {
            true => bad_use(format!("{version} has no heads: leave out --head-size")),
            false => Ok(()),
        }
    }

    /// All of them; bad use where they do not go together.
    pub fn dimensions(&self) -> Result<Dimensions> {
        let version = self.version;
        let embd = self.channels as usize;
        let head_size = self.head_size.map_or(embd.min(64), |size| size as usize);
        if version != Version::V4 && !embd.is_multiple_of(head_size) {
            return bad_use(format!(
                "heads of {head_size} channels do not divide {embd} channels: choose another --head-size"
            ));
        }
        Ok(Dimensions {
            layers: self.layers as usize,
            embd,
            ffn: self.ffn.unwrap_or(4 * self.channels) as usize,
            vocab: self.vocab as usize,
            classes: 0,
            heads: match version {
                Version::V4 => 0,
                _ => embd / head_size,
            },
            ranks: match &self.ranks {
                Some(ranks) => given_ranks(version, ranks)?,
                None => (table(version).ranks.published)(embd, self.layers as usize),
            },
        })
    }
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
