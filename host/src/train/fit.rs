//! A size that fits: as many channels as a board or a budget of flash allows.

use super::arch::{Arch, Network};
use super::prepare::network;
use super::settings::Settings;
use crate::pack::Formats;
use crate::plan::{Fit, Needs, Planned};
use anyhow::{anyhow, Result};
use kinglet::shape::{Bits, Version};
use kinglet_targets::{Board, DEFAULT_MACHINE};

/// Channels grow in steps of this many: whole groups of int4 weights.
const STEP: usize = 32;

/// The most channels that are tried.
const MOST_CHANNELS: usize = 2048;

/// The memory that an image is to fit into.
#[derive(Clone, Debug, PartialEq)]
pub enum Room {
    /// Bytes of flash.
    Flash(u64),
    /// Flash and RAM that the firmware of a board leaves.
    Board(Board),
}

/// Sets the channels to the most for which there is room, at the bits of
/// `--qat` or else int8.
///
/// # Errors
/// Not even the smallest network fits.
pub fn fit(settings: &mut Settings, classes: usize, room: &Room) -> Result<()> {
    let smallest = match settings.version {
        Arch::Rwkv(version) if version.recurrence().has_heads() => settings.head_size,
        _ => STEP,
    };
    let mut best = None;
    for channels in (smallest..=MOST_CHANNELS).step_by(smallest) {
        settings.channels = channels;
        if !room.holds(&planned(settings, classes)) {
            break;
        }
        best = Some(channels);
    }
    settings.channels = best.unwrap_or(smallest);
    match best {
        Some(_) => Ok(()),
        None => Err(room.too_small(settings, classes)),
    }
}

impl Room {
    fn holds(&self, image: &Planned) -> bool {
        match self {
            Self::Flash(bytes) => Needs::new(image, DEFAULT_MACHINE.core).image_bytes <= *bytes,
            Self::Board(board) => Fit::new(image, board).fits(),
        }
    }

    fn too_small(&self, settings: &Settings, classes: usize) -> anyhow::Error {
        let (room, core) = match self {
            Self::Flash(bytes) => (format!("{bytes} bytes"), DEFAULT_MACHINE.core),
            Self::Board(board) => {
                let (flash, ram) = (board.model().bytes, board.arena_bytes());
                let room = format!(
                    "{} has {flash} bytes of flash and {ram} of RAM for a model",
                    board.name
                );
                (room, board.core)
            }
        };
        let needs = Needs::new(&planned(settings, classes), core);
        let (layers, channels) = (settings.layers, settings.channels);
        let bits = settings.qat.map_or(Bits::Int8, Bits::from).name();
        let flash = needs.image_bytes;
        let ram = needs.state_bytes + needs.scratch_bytes.min(needs.scratch_bytes_in_blocks);
        anyhow!(
            "{room}: too little for {layers} layers of {channels} channels as {bits}, which take {flash} bytes of \
             flash and {ram} of RAM; allow more, or fewer --layers, a smaller --vocab or --qat int4"
        )
    }
}

/// The image of a network; metadata and vocabulary estimated.
fn planned(settings: &Settings, classes: usize) -> Planned {
    let Network {
        arch, dimensions, ..
    } = network(settings, classes);
    let version = match arch {
        Arch::Rwkv(version) => version.recurrence(),
        Arch::Gpt => Version::V4,
    };
    let formats = settings.formats().unwrap_or(Formats::INT8);
    Planned::of_sizes(version, &dimensions, &formats)
}
