//! What a model needs of a board's memory, whether it fits, and what would.

use kinglet::image::{Bits, Header, Layout, StateFormat, HEADER_BYTES};
use kinglet_targets::{Board, Core};

/// Channels are tried in these steps where the version has no heads.
const CHANNEL_STEP: u32 = 8;

/// What a model takes on a core.
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
    /// The needs of the model with this header, packed for `core`.
    pub fn new(header: &Header, core: &Core) -> Self {
        let header = packed_for(header, core);
        let sections = [header.vocabulary, header.metadata, header.states];
        let sections: u64 = sections.iter().map(|span| u64::from(span.bytes)).sum();
        Self {
            image_bytes: HEADER_BYTES as u64 + header.weights_bytes() + sections,
            state_bytes: header.state_bytes() as u64,
            scratch_bytes: header.scratch_bytes() as u64,
            scratch_bytes_in_blocks: header.scratch_bytes_in_blocks() as u64,
        }
    }
}

/// The arrangement of weights that the core's kernels read.
pub fn layout(core: &Core) -> Layout {
    Layout::named(core.layout).expect("the table of cores has layouts of the engine")
}

/// The header of the same model for another core.
pub fn packed_for(header: &Header, core: &Core) -> Header {
    Header {
        layout: layout(core),
        ..*header
    }
}

/// A model on a board.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fit {
    /// What it takes.
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
    /// Whether and how the model fits the board.
    pub fn new(header: &Header, board: &Board) -> Self {
        let needs = Needs::new(header, board.core);
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

/// A way to make a model smaller, as an option of `kinglet quantize`, and its
/// effect.
type Change = (&'static str, fn(&mut Header));

/// In order of lost quality, the least first.
const CHANGES: [Change; 4] = [
    ("--state f16", |header| {
        if header.version.has_heads() {
            header.state = StateFormat::F16;
        }
    }),
    ("--weights int4", |header| {
        header.weight_bits = Bits::Int4;
        if !header.version.has_heads() {
            header.entry_bits = Bits::Int4;
        }
    }),
    ("--head int4", |header| header.head_bits = Bits::Int4),
    ("--keys int4", |header| header.entry_bits = Bits::Int4),
];

/// What would fit in the place of a model that does not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Advice {
    /// Options of `kinglet quantize`.
    pub options: Vec<&'static str>,
    /// Channels of the largest model of as many layers that would fit with
    /// these options, where the options alone do not suffice.
    pub channels: Option<u32>,
}

/// The fewest changes that make the model fit; nothing where it fits, or
/// where no model with its vocabulary does.
pub fn advice(header: &Header, board: &Board) -> Option<Advice> {
    let mut sets: Vec<u32> = (0..1 << CHANGES.len()).collect();
    sets.sort_by_key(|set| (set.count_ones(), *set));
    let fits = |header: &Header| Fit::new(header, board).fits();
    let found = sets.iter().find(|&&set| fits(&changed(header, set).0));
    if let Some(&set) = found {
        let (_, options) = changed(header, set);
        return (!options.is_empty()).then_some(Advice {
            options,
            channels: None,
        });
    }
    let (smallest, options) = changed(header, u32::MAX);
    let step = match smallest.head_size() {
        0 => CHANNEL_STEP,
        size => size as u32,
    };
    let mut channels = (1..=smallest.n_embd / step).rev().map(|n| n * step);
    let channels = channels.find(|&channels| fits(&narrowed(&smallest, channels)))?;
    Some(Advice {
        options,
        channels: Some(channels),
    })
}

/// The header after the changes in `set`, and those that made a difference.
fn changed(header: &Header, set: u32) -> (Header, Vec<&'static str>) {
    let mut now = *header;
    let mut options = Vec::new();
    for (bit, (option, change)) in (0..).zip(CHANGES) {
        let before = now;
        if set >> bit & 1 == 1 {
            change(&mut now);
        }
        let is_visible = option != "--keys int4" || now.version.has_heads();
        if now != before && is_visible {
            options.push(option);
        }
    }
    (now, options)
}

/// The same model with fewer channels, hidden ones in proportion.
fn narrowed(header: &Header, channels: u32) -> Header {
    let hidden = u64::from(header.n_ffn) * u64::from(channels) / u64::from(header.n_embd);
    Header {
        n_embd: channels,
        n_ffn: (hidden as u32).max(1),
        n_head: match header.head_size() {
            0 => 0,
            size => channels / size as u32,
        },
        ..*header
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kinglet::image::{Span, TokenizerKind, Version};
    use kinglet_targets::{Boards, DEFAULT_MACHINE};

    const NOWHERE: Span = Span {
        offset: 0,
        bytes: 0,
    };

    fn header(version: Version, channels: u32, vocab: u32) -> Header {
        let heads = if version == Version::V4 {
            0
        } else {
            channels / 32
        };
        Header {
            image_bytes: 0,
            crc32: 0,
            version,
            layout: Layout::Rows4,
            weight_bits: Bits::Int8,
            head_bits: Bits::Int8,
            entry_bits: Bits::Int8,
            state: StateFormat::F32,
            tokenizer: TokenizerKind::Bytes,
            n_layer: 4,
            n_embd: channels,
            n_ffn: 4 * channels,
            n_class: 0,
            n_vocab: vocab,
            n_head: heads,
            gn_eps: 0.0,
            ranks: [0; 4],
            metadata: NOWHERE,
            vocabulary: NOWHERE,
            states: NOWHERE,
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
        let header = header(Version::V4, 128, 256);
        let needs = Needs::new(&header, DEFAULT_MACHINE.core);
        let ram = needs.state_bytes + needs.scratch_bytes;
        let fit = |flash: u64, ram: u64| Fit::new(&header, &board(flash as u32, ram as u32));
        let exact = fit(needs.image_bytes, ram);
        assert!(exact.fits() && exact.flash_free == 0 && exact.ram_free == 0);
        assert_eq!(fit(needs.image_bytes - 1, ram).flash_free, -1);
        assert!(!fit(needs.image_bytes - 1, ram).fits());
        assert!(!fit(needs.image_bytes, ram - 1).fits());
    }

    #[test]
    fn blocks_are_used_where_all_logits_have_no_room() {
        let header = header(Version::V4, 64, 8192);
        let needs = Needs::new(&header, DEFAULT_MACHINE.core);
        let ram = needs.state_bytes + needs.scratch_bytes_in_blocks;
        let fit = Fit::new(&header, &board(1 << 24, ram as u32));
        assert!(fit.fits() && fit.in_blocks && fit.ram_free == 0);
        assert_eq!(fit.scratch_bytes(), needs.scratch_bytes_in_blocks);
    }

    #[test]
    fn advice_makes_it_fit() {
        let wide = header(Version::V4, 128, 256);
        let image = |header: &Header| Needs::new(header, DEFAULT_MACHINE.core).image_bytes as u32;
        assert_eq!(advice(&wide, &board(1 << 20, 1 << 20)), None);
        let (int4, options) = changed(&wide, 2);
        let found = advice(&wide, &board(image(&int4), 1 << 20)).unwrap();
        assert_eq!((found.options, found.channels), (options, None));
        let small = board(image(&int4) / 4, 1 << 20);
        let found = advice(&wide, &small).unwrap();
        let channels = found.channels.unwrap();
        assert_eq!(found.options, ["--weights int4", "--head int4"]);
        let (smallest, _) = changed(&wide, u32::MAX);
        assert!(Fit::new(&narrowed(&smallest, channels), &small).fits());
        let wider = narrowed(&smallest, channels + CHANNEL_STEP);
        assert!(!Fit::new(&wider, &small).fits());
        assert_eq!(advice(&wide, &board(256, 1 << 20)), None);
    }

    #[test]
    fn a_matrix_state_is_halved_first() {
        let header = header(Version::V5, 128, 256);
        let needs = Needs::new(&header, DEFAULT_MACHINE.core);
        let ram = needs.state_bytes / 2 + needs.scratch_bytes + 4096;
        let found = advice(&header, &board(1 << 21, ram as u32)).unwrap();
        assert_eq!((found.options, found.channels), (vec!["--state f16"], None));
    }
}
