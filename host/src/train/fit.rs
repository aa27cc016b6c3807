//! A size that fits: as many channels as a budget of flash allows.

use super::prepare::network;
use super::quantized::WeightBits;
use super::settings::{Kind, Settings};
use crate::model::Version;
use kinglet::image::{self, Bits, Header, Layout, Span, StateFormat, TokenizerKind};

/// Channels grow in steps of this many: whole groups of int4 weights.
const STEP: usize = 32;

/// Room for metadata and for a learned vocabulary, per entry.
const ENTRY_BYTES: u64 = 5;
const METADATA_BYTES: u64 = 512;

/// Not even the smallest network fits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{budget} bytes are too few: {layers} layers of {channels} channels take {bytes} as {bits}; allow more, or fewer --layers")]
pub struct TooSmall {
    /// Bytes there are.
    pub budget: u64,
    /// Layers.
    pub layers: usize,
    /// The fewest channels.
    pub channels: usize,
    /// Bytes that they take.
    pub bytes: u64,
    /// Bits of a weight.
    pub bits: &'static str,
}

/// Sets the channels to the most whose image takes at most `budget` bytes,
/// at the bits of `--qat` or else int8.
///
/// # Errors
/// [`TooSmall`].
pub fn fit(settings: &mut Settings, classes: usize, budget: u64) -> Result<(), TooSmall> {
    let smallest = match settings.version {
        Kind::V4 => STEP,
        _ => settings.head_size,
    };
    let mut best = None;
    for channels in (smallest..=8192 / 4).step_by(smallest) {
        settings.channels = channels;
        let bytes = image_bytes(settings, classes);
        if bytes > budget {
            break;
        }
        best = Some(channels);
    }
    settings.channels = best.unwrap_or(smallest);
    match best {
        Some(_) => Ok(()),
        None => Err(TooSmall {
            budget,
            layers: settings.layers,
            channels: smallest,
            bytes: image_bytes(settings, classes),
            bits: match settings.qat {
                Some(WeightBits::Int4) => "int4",
                _ => "int8",
            },
        }),
    }
}

/// Bytes of the image of a network, its metadata and vocabulary estimated.
pub fn image_bytes(settings: &Settings, classes: usize) -> u64 {
    let vocabulary = match settings.vocab {
        256 => 0,
        entries => entries as u64 * ENTRY_BYTES,
    };
    header(settings, classes).weights_bytes() + vocabulary + METADATA_BYTES
}

fn header(settings: &Settings, classes: usize) -> Header {
    let dimensions = network(settings, classes).dimensions;
    let version = match settings.version {
        Kind::V4 | Kind::Gpt => Version::V4,
        Kind::V5 => Version::V52,
        Kind::V6 => Version::V6,
        Kind::V7 => Version::V7,
    }
    .recurrence();
    let bits = settings.qat.map_or(Bits::Int8, Bits::from);
    let nowhere = Span {
        offset: 0,
        bytes: 0,
    };
    Header {
        image_bytes: 0,
        crc32: 0,
        version,
        layout: Layout::Rows4,
        weight_bits: bits,
        head_bits: bits,
        entry_bits: match version {
            image::Version::V4 => bits,
            _ => Bits::Int8,
        },
        state: StateFormat::F32,
        tokenizer: TokenizerKind::None,
        n_layer: dimensions.layers as u32,
        n_embd: dimensions.embd as u32,
        n_ffn: dimensions.ffn as u32,
        n_vocab: dimensions.vocab as u32,
        n_class: dimensions.classes as u32,
        n_head: dimensions.heads as u32,
        gn_eps: 1e-5,
        ranks: dimensions.ranks.map(|rank| rank as u16),
        metadata: nowhere,
        vocabulary: nowhere,
    }
}
