//! The shape of a model: version, dimensions and number formats. Its parts and
//! the lengths of state and scratch follow from them.

pub(crate) mod formats;
mod layout;
mod matrix;
pub(crate) mod parts;
mod scales;
pub(crate) mod v4;
pub(crate) mod v5;
pub(crate) mod v6;
pub(crate) mod v7;
pub(crate) mod vectors;
mod version;

pub use formats::{
    matrix_weight_words, prepared_words, round_up, table_row_bytes, Bits, BitsSet, StateFormat,
    BLOCK_ROWS, FINE, FINE_COLS, GROUP_COLS, MAX_COLS, MOST_SCALE_SUM,
};
pub use layout::Layout;
pub use matrix::{Matrix, Table};
pub use parts::{
    Dim, Kind, Part, Sections, AFTER_LAYERS, ALIGN, BEFORE_LAYERS, EXPS, FIXED_BITS, FIXED_LIMIT,
    FRONT_BYTES, MOST_SHIFT, PART_ALIGN,
};
// For the packer of tuned states, not for users.
#[doc(hidden)]
pub use scales::{Scales, MOST_PLACES};
pub use vectors::HeadState;
pub use version::Version;

/// The most layers a model may have.
pub const MAX_LAYERS: usize = 256;

/// The most vocabulary entries a model may have.
pub const MAX_VOCAB: usize = 1 << 20;

/// A model without its weights.
///
/// The letters L, C, F, V, H and N of this documentation are layers, channels,
/// hidden channels, vocabulary, heads and channels of a head. A shape that
/// [`Header::parse`](crate::Header::parse) returned keeps the ranges below.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
// In this order a move is one of whole words, which takes less code.
#[repr(C)]
pub struct Shape {
    /// RWKV version.
    pub version: Version,
    /// Arrangement of the weights.
    pub layout: Layout,
    /// The formats of the matrices that vectors are multiplied with. Which of
    /// them a matrix has stands in front of its weights.
    pub formats: BitsSet,
    /// Number format of the matrix state; `I16` where the version has none.
    pub state: StateFormat,
    /// Layers, L.
    /// 1 to [`MAX_LAYERS`].
    pub n_layer: u32,
    /// Channels, C.
    /// 1 to [`MAX_COLS`].
    pub n_embd: u32,
    /// Hidden channels of the channel mix, F.
    /// 1 to [`MAX_COLS`].
    pub n_ffn: u32,
    /// Vocabulary entries, V.
    /// 1 to [`MAX_VOCAB`].
    pub n_vocab: u32,
    /// Classes of a model that answers with a label; 0 where the head's rows
    /// are the vocabulary.
    pub n_class: u32,
    /// Heads, H; 0 where the version has none.
    /// A divisor of `n_embd`.
    pub n_head: u32,
    /// Epsilon of the group norm; 0 where the version has none.
    /// 1e-12 to 1.
    pub gn_eps: f32,
    /// Ranks of the low-rank matrices, 0 where the version has none: decay
    /// (RWKV-6, 7), token shift (6) or learning rate (7), value (7), gate (7).
    /// At most [`MAX_COLS`]; the value's is 0 also where L is 1.
    pub ranks: [u16; 4],
}

impl Shape {
    /// Of no model.
    pub(crate) const NONE: Self = Self {
        version: Version::V4,
        layout: Layout::Rows4,
        formats: BitsSet::EMPTY,
        state: StateFormat::I16,
        n_layer: 0,
        n_embd: 0,
        n_ffn: 0,
        n_vocab: 0,
        n_class: 0,
        n_head: 0,
        gn_eps: 0.0,
        ranks: [0; 4],
    };

    /// The size of a dimension.
    pub const fn dim(&self, dim: Dim) -> usize {
        match dim {
            Dim::Embd => self.n_embd as usize,
            Dim::Ffn => self.n_ffn as usize,
            Dim::Vocab => self.n_vocab as usize,
            Dim::Output => self.outputs() as usize,
            Dim::DecayRank => self.ranks[0] as usize,
            Dim::ShiftRank | Dim::RateRank => self.ranks[1] as usize,
            Dim::ShiftRanks => 5 * self.ranks[1] as usize,
            Dim::ValueRank => self.ranks[2] as usize,
            Dim::GateRank => self.ranks[3] as usize,
        }
    }

    /// Rows of the head: the vocabulary's entries, or the classes.
    pub const fn outputs(&self) -> u32 {
        if self.n_class == 0 {
            self.n_vocab
        } else {
            self.n_class
        }
    }

    /// Channels of a head, N; 0 where the version has none.
    pub const fn head_size(&self) -> usize {
        if !self.version.has_heads() {
            return 0;
        }
        match self.n_embd.checked_div(self.n_head) {
            Some(size) => size as usize,
            None => 0,
        }
    }

    /// The parts of layer `index`, in order of use; none where the build does
    /// not have the version, so that their names take no flash.
    pub const fn layer_parts(&self, index: u32) -> Sections {
        match self.version {
            #[cfg(feature = "v4")]
            Version::V4 => v4::LAYER,
            #[cfg(feature = "v5")]
            Version::V5 => v5::LAYER,
            #[cfg(feature = "v5")]
            Version::V52 => v5::GATED_LAYER,
            #[cfg(feature = "v6")]
            Version::V6 => v6::LAYER,
            #[cfg(feature = "v7")]
            Version::V7 if index == 0 => v7::FIRST_LAYER,
            #[cfg(feature = "v7")]
            Version::V7 => v7::LAYER,
            #[allow(unreachable_patterns)]
            _ => {
                let _ = index;
                &[]
            }
        }
    }

    /// Words of the other vectors of the time mix of RWKV-5 to 7.
    const fn mix_len(&self) -> usize {
        match self.version {
            Version::V4 | Version::V5 | Version::V52 => v5::Mix::len(self),
            Version::V6 => v6::Mix::len(self),
            Version::V7 => v7::Mix::len(self),
        }
    }

    /// Words that pass from layer to layer: the values of RWKV-7's first
    /// layer.
    const fn kept_len(&self) -> usize {
        match self.version {
            Version::V7 if self.version.has_heads() => 1 + self.n_embd as usize,
            _ => 0,
        }
    }
}
