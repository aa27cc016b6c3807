//! The memory that a model needs on a board, whether it fits, and what would.

use crate::model::Dimensions;
use crate::pack::{formats_of, parts_bytes, stored_parts, Class, Formats, StoredPart};
use kinglet::image::Header;
use kinglet::shape::{Bits, BitsSet, Layout, Shape, StateFormat, Version};
use kinglet_targets::{Board, Core};

/// Channels are tried in these steps where the version has no heads.
const CHANNEL_STEP: u32 = 8;

/// Room for a vocabulary that is not bytes, per entry, and for metadata.
const ENTRY_BYTES: u64 = 5;
const METADATA_BYTES: u64 = 512;

/// An image, as far as its size goes.
#[derive(Clone, Debug, PartialEq)]
pub struct Planned {
    /// The model.
    pub shape: Shape,
    /// Its parts, in stored order.
    pub parts: Vec<StoredPart>,
    /// Bytes of vocabulary, named states and metadata.
    pub besides_bytes: u64,
}

impl Planned {
    /// An image with this header and these parts.
    pub fn new(header: &Header, parts: Vec<StoredPart>) -> Self {
        let besides = [header.vocabulary, header.states, header.metadata];
        Self {
            shape: header.shape,
            parts,
            besides_bytes: besides.iter().map(|span| u64::from(span.bytes)).sum(),
        }
    }

    /// The image of a model of these sizes; vocabulary and metadata are estimated.
    pub fn of_sizes(version: Version, sizes: &Dimensions, formats: &Formats) -> Self {
        let vocabulary_bytes = match sizes.vocab {
            256 => 0,
            entries => entries as u64 * ENTRY_BYTES,
        };
        let mut shape = Shape {
            version,
            layout: Layout::Rows4,
            formats: BitsSet::EMPTY,
            state: StateFormat::I16,
            n_layer: sizes.layers as u32,
            n_embd: sizes.embd as u32,
            n_ffn: sizes.ffn as u32,
            n_vocab: sizes.vocab as u32,
            n_class: sizes.classes as u32,
            n_head: sizes.heads as u32,
            gn_eps: 1e-5,
            ranks: sizes.ranks.map(|rank| rank as u16),
        };
        let parts = stored_parts(&shape, formats);
        shape.formats = formats_of(&parts);
        Self {
            shape,
            parts,
            besides_bytes: vocabulary_bytes + METADATA_BYTES,
        }
    }

    /// The same model with its parts in other formats.
    pub fn set_parts(&mut self, parts: Vec<StoredPart>) {
        self.shape.formats = formats_of(&parts);
        self.parts = parts;
    }

    /// Bytes of the whole image, in the shape's own layout.
    pub fn image_bytes(&self) -> u64 {
        parts_bytes(&self.shape, &self.parts) + self.besides_bytes
    }

    /// Gives all matrices of a class these bits.
    fn set(&mut self, class: Class, bits: Bits) {
        for part in &mut self.parts {
            if Class::of(self.shape.version, part.layer, &part.part) == class {
                *part = part.with(bits.into());
            }
        }
        self.shape.formats = formats_of(&self.parts);
    }
}

/// The memory that a model needs on a core.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Needs {
    /// Flash of the image.
    pub image_bytes: u64,
    /// RAM of the state.
    pub state_bytes: u64,
    /// RAM of the scratch with a buffer for all logits.
    pub scratch_bytes: u64,
    /// RAM of the scratch where logits are computed in blocks.
    pub scratch_bytes_in_blocks: u64,
}

impl Needs {
    /// The needs of an image, packed for `core`.
    pub fn new(image: &Planned, core: &Core) -> Self {
        let shape = packed_for(&image.shape, core);
        Self {
            image_bytes: parts_bytes(&shape, &image.parts) + image.besides_bytes,
            state_bytes: shape.state_bytes() as u64,
            scratch_bytes: shape.scratch_bytes() as u64,
            scratch_bytes_in_blocks: shape.scratch_bytes_in_blocks() as u64,
        }
    }
}

/// The arrangement of weights that the core's kernels read.
pub fn layout(core: &Core) -> Layout {
    Layout::named(core.layout).expect("the table of cores has layouts of the engine")
}

/// The same model for another core.
pub fn packed_for(shape: &Shape, core: &Core) -> Shape {
    Shape {
        layout: layout(core),
        ..*shape
    }
}

/// A model on a board.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fit {
    /// Its needs.
    pub needs: Needs,
    /// The scratch is that for logits in blocks: with all at once the model
    /// would not fit.
    pub in_blocks: bool,
    /// Flash that is left; negative where some is missing.
    pub flash_free: i64,
    /// RAM that is left, likewise.
    pub ram_free: i64,
}

impl Fit {
    /// Whether and how the image fits the board.
    pub fn new(image: &Planned, board: &Board) -> Self {
        let needs = Needs::new(image, board.core);
        let free = |have: u32, need: u64| i64::from(have).saturating_sub_unsigned(need);
        let ram_free = |scratch| free(board.arena_bytes(), needs.state_bytes + scratch);
        let (whole, blocks) = (
            ram_free(needs.scratch_bytes),
            ram_free(needs.scratch_bytes_in_blocks),
        );
        let in_blocks = whole < 0 && blocks > whole;
        Self {
            needs,
            in_blocks,
            flash_free: free(board.model().bytes, needs.image_bytes),
            ram_free: if in_blocks { blocks } else { whole },
        }
    }

    /// Whether nothing is missing.
    pub fn fits(&self) -> bool {
        self.flash_free >= 0 && self.ram_free >= 0
    }

    /// RAM of the scratch as it is used.
    pub fn scratch_bytes(&self) -> u64 {
        if self.in_blocks {
            self.needs.scratch_bytes_in_blocks
        } else {
            self.needs.scratch_bytes
        }
    }
}

/// A way to make a model smaller, as an option of `kinglet quantize` with its
/// value, and the effect.
type Change = (&'static str, &'static str, fn(&mut Planned));

/// The fewest bits of a weight.
const LEAST: Bits = Bits::ALL[Bits::ALL.len() - 1];

/// In order of lost quality, the least first.
const CHANGES: [Change; 5] = [
    ("--state", StateFormat::I8.name(), |image| {
        if image.shape.version.has_heads() {
            image.shape.state = StateFormat::I8;
        }
    }),
    ("--weights", LEAST.name(), |image| {
        image.set(Class::Weights, LEAST)
    }),
    ("--head", LEAST.name(), |image| {
        image.set(Class::Head, LEAST)
    }),
    ("--embedding", LEAST.name(), |image| {
        image.set(Class::Embedding, LEAST)
    }),
    ("--keys", LEAST.name(), |image| {
        image.set(Class::Keys, LEAST)
    }),
];

/// What would fit in the place of a model that does not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Advice {
    /// Options of `kinglet quantize`.
    pub options: Vec<String>,
    /// Channels of the largest model of as many layers that would fit with
    /// these options, where the options alone do not suffice.
    pub channels: Option<u32>,
}

/// The fewest changes that make the model fit; nothing where it fits, or
/// where no model with its vocabulary does.
pub fn advice(image: &Planned, board: &Board) -> Option<Advice> {
    let mut sets: Vec<u32> = (0..1 << CHANGES.len()).collect();
    sets.sort_by_key(|set| (set.count_ones(), *set));
    let fits = |image: &Planned| Fit::new(image, board).fits();
    let found = sets.iter().find(|&&set| fits(&changed(image, set).0));
    if let Some(&set) = found {
        let (_, options) = changed(image, set);
        return (!options.is_empty()).then_some(Advice {
            options,
            channels: None,
        });
    }
    let (smallest, options) = changed(image, u32::MAX);
    let step = match smallest.shape.head_size() {
        0 => CHANNEL_STEP,
        size => size as u32,
    };
    let mut channels = (1..=smallest.shape.n_embd / step).rev().map(|n| n * step);
    let channels = channels.find(|&channels| fits(&narrowed(&smallest, channels)))?;
    Some(Advice {
        options,
        channels: Some(channels),
    })
}

/// The image after the changes in `set`, and those that made a difference.
fn changed(image: &Planned, set: u32) -> (Planned, Vec<String>) {
    let mut now = image.clone();
    let mut options = Vec::new();
    for (bit, (option, value, change)) in (0..).zip(CHANGES) {
        let before = now.clone();
        if set >> bit & 1 == 1 {
            change(&mut now);
        }
        if now != before {
            options.push(format!("{option} {value}"));
        }
    }
    (now, options)
}

/// The same model with fewer channels, hidden ones in proportion.
fn narrowed(image: &Planned, channels: u32) -> Planned {
    let shape = &image.shape;
    let hidden = u64::from(shape.n_ffn) * u64::from(channels) / u64::from(shape.n_embd);
    let shape = Shape {
        n_embd: channels,
        n_ffn: (hidden as u32).max(1),
        n_head: match shape.head_size() {
            0 => 0,
            size => channels / size as u32,
        },
        ..*shape
    };
    Planned {
        shape,
        ..image.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pack::{stored_parts, Formats};
    use kinglet::shape::{BitsSet, Version};
    use kinglet_targets::{Boards, DEFAULT_MACHINE};

    fn planned(version: Version, channels: u32, vocab: u32) -> Planned {
        let heads = if version == Version::V4 {
            0
        } else {
            channels / 32
        };
        let shape = Shape {
            version,
            layout: Layout::Rows4,
            formats: BitsSet::INT8,
            state: StateFormat::I16,
            n_layer: 4,
            n_embd: channels,
            n_ffn: 4 * channels,
            n_class: 0,
            n_vocab: vocab,
            n_head: heads,
            gn_eps: 0.0,
            ranks: [0; 4],
        };
        Planned {
            shape,
            parts: stored_parts(&shape, &Formats::INT8),
            besides_bytes: 0,
        }
    }

    /// A board with this much for a model.
    fn board(flash: u32, ram: u32) -> Board {
        let mut board = Boards::load(None)
            .unwrap()
            .named("stm32f405")
            .unwrap()
            .clone();
        board.flash.bytes = board.application_bytes + flash;
        board.ram.bytes = board.variables_bytes + board.stack_bytes + ram;
        board
    }

    #[test]
    fn a_byte_decides() {
        let image = planned(Version::V4, 128, 256);
        let needs = Needs::new(&image, DEFAULT_MACHINE.core);
        let ram = needs.state_bytes + needs.scratch_bytes;
        let fit = |flash: u64, ram: u64| Fit::new(&image, &board(flash as u32, ram as u32));
        let exact = fit(needs.image_bytes, ram);
        assert!(exact.fits() && exact.flash_free == 0 && exact.ram_free == 0);
        assert_eq!(fit(needs.image_bytes - 1, ram).flash_free, -1);
        assert!(!fit(needs.image_bytes - 1, ram).fits());
        assert!(!fit(needs.image_bytes, ram - 1).fits());
    }

    #[test]
    fn blocks_are_used_where_all_logits_have_no_room() {
        let image = planned(Version::V4, 64, 8192);
        let needs = Needs::new(&image, DEFAULT_MACHINE.core);
        let ram = needs.state_bytes + needs.scratch_bytes_in_blocks;
        let fit = Fit::new(&image, &board(1 << 24, ram as u32));
        assert!(fit.fits() && fit.in_blocks && fit.ram_free == 0);
        assert_eq!(fit.scratch_bytes(), needs.scratch_bytes_in_blocks);
    }

    #[test]
    fn advice_makes_it_fit() {
        let wide = planned(Version::V4, 128, 256);
        let image = |image: &Planned| Needs::new(image, DEFAULT_MACHINE.core).image_bytes as u32;
        assert_eq!(advice(&wide, &board(1 << 20, 1 << 20)), None);
        let (int4, options) = changed(&wide, 2);
        let found = advice(&wide, &board(image(&int4), 1 << 20)).unwrap();
        assert_eq!((found.options, found.channels), (options, None));
        let small = board(image(&int4) / 4, 1 << 20);
        let found = advice(&wide, &small).unwrap();
        let channels = found.channels.unwrap();
        assert_eq!(
            found.options,
            ["--weights int4", "--head int4", "--embedding int4"]
        );
        let (smallest, _) = changed(&wide, u32::MAX);
        assert!(Fit::new(&narrowed(&smallest, channels), &small).fits());
        let wider = narrowed(&smallest, channels + CHANNEL_STEP);
        assert!(!Fit::new(&wider, &small).fits());
        assert_eq!(advice(&wide, &board(256, 1 << 20)), None);
    }

    #[test]
    fn a_matrix_state_is_halved_first() {
        let image = planned(Version::V5, 128, 256);
        let (narrow, _) = changed(&image, 1);
        let needs = Needs::new(&narrow, DEFAULT_MACHINE.core);
        let ram = needs.state_bytes + needs.scratch_bytes;
        let found = advice(&image, &board(1 << 21, ram as u32)).unwrap();
        assert_eq!(found.options, ["--state i8"]);
        assert_eq!(found.channels, None);
    }
}
