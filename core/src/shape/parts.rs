//! The parts of a model, in the order in which they are used and stored: the
//! one definition that reader, packer and `kinglet inspect` share.
//!
//! A part is a vector or a matrix. They follow each other without gaps: the
//! place of each is the end of the one before.
//!
//! Names are those of published checkpoints after `blocks.N.`. Where the
//! stored value is not the checkpoint's, `docs/format.md` says what it is:
//! decays are applied, a mix always weighs the current token, low-rank
//! matrices are transposed to `[outputs, inputs]`.

use super::{
    matrix_weight_words, round_up, table_row_bytes, Bits, Layout, Scales, Shape, BLOCK_ROWS,
};

/// An image starts at a multiple of this many bytes.
pub const ALIGN: usize = 16;

/// Sections and parts start at a multiple of this many bytes: words.
pub const PART_ALIGN: usize = 4;

/// Binary places of a fixed-point part.
pub const FIXED_BITS: u32 = 22;

/// The numbers of a fixed-point part are below this in magnitude: sums fit.
pub const FIXED_LIMIT: u32 = 1 << 29;

/// The powers of two of factors, tables and matrices. All floats fit that a
/// checkpoint is likely to hold; and no sum of the powers of a step leaves the
/// nine bits that the logarithm of a state's scale has.
pub const EXPS: core::ops::RangeInclusive<i32> = -200..=64;

/// Bytes in front of the weights of a matrix or table: their bits, the shift of the
/// sums, and the power of two of the scales.
pub const FRONT_BYTES: usize = 4;

/// The most places that the sums of a matrix are shifted by.
pub const MOST_SHIFT: u32 = 29;

/// A dimension of the model.
/// [`Shape::dim`] gives its size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dim {
    /// Channels of the residual stream, C.
    Embd,
    /// Hidden channels of the channel mix, F.
    Ffn,
    /// Entries of the vocabulary, V.
    Vocab,
    /// Rows of the head: the vocabulary, or classes.
    Output,
    /// Rank of the decay, RWKV-6 and 7.
    DecayRank,
    /// Rank of the token shift, RWKV-6.
    ShiftRank,
    /// Five times that: one for each mixed vector.
    ShiftRanks,
    /// Rank of the state's learning rate, RWKV-7.
    RateRank,
    /// Rank of the mix with the first layer's values, RWKV-7.
    ValueRank,
    /// Rank of the gate, RWKV-7.
    GateRank,
}

impl Dim {
    /// The index of the rank among those of a [`Shape`], if it is one.
    pub(super) const fn rank(self) -> Option<usize> {
        match self {
            Self::DecayRank => Some(0),
            Self::ShiftRank | Self::ShiftRanks | Self::RateRank => Some(1),
            Self::ValueRank => Some(2),
            Self::GateRank => Some(3),
            Self::Embd | Self::Ffn | Self::Vocab | Self::Output => None,
        }
    }
}

/// Dimensions and number format of a part.
/// [`Kind::bytes`] gives its length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `[dim]` of 16-bit integers under one power of two.
    /// Norms and other factors of a channel.
    Factors(Dim),
    /// The same, of a token shift: the power of two is 2^-14 or more, and leaves
    /// room for the difference of two tokens.
    Mix(Dim),
    /// `[dim]` of 32-bit integers in units of 2^-[`FIXED_BITS`].
    /// Logarithms of decays, and the summands of low-rank products.
    Fixed(Dim),
    /// `[rows, cols]` of quantized weights in blocks of four rows, then their
    /// [`Scales`], under one power of two.
    Matrix(Dim, Dim),
    /// As `Matrix`, packed with eight bits: the low-rank matrices, small and
    /// sensitive.
    LowRank(Dim, Dim),
    /// `[rows, cols]` of quantized weights row by row, for reading a row at a
    /// time.
    Table(Dim, Dim),
}

/// A named part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// The tensor's name after `blocks.N.`, as in published checkpoints.
    pub name: &'static str,
    /// Dimensions and number format.
    pub kind: Kind,
}

/// A layer is a list of sections, which versions share.
pub type Sections = &'static [&'static [Part]];

pub(super) const fn part(name: &'static str, kind: Kind) -> Part {
    Part { name, kind }
}

use Dim::{Embd, Ffn, Output, Vocab};
use Kind::{Factors, Fixed, LowRank, Matrix, Mix, Table};

/// Before the layers.
pub const BEFORE_LAYERS: &[Part] = &[part("emb.weight", Table(Vocab, Embd))];

/// After the layers.
pub const AFTER_LAYERS: &[Part] = &[
    part("ln_out.weight", Factors(Embd)),
    part("ln_out.bias", Factors(Embd)),
    part("head.weight", Matrix(Output, Embd)),
];

/// A vector of factors, one for each channel.
pub(super) const fn factors(name: &'static str) -> Part {
    part(name, Factors(Embd))
}

/// A mix of a token shift for each channel.
pub(super) const fn mix(name: &'static str) -> Part {
    part(name, Mix(Embd))
}

/// A vector of fixed-point numbers, one for each channel.
pub(super) const fn fixed(name: &'static str) -> Part {
    part(name, Fixed(Embd))
}

/// A square matrix of channels.
pub(super) const fn square(name: &'static str) -> Part {
    part(name, Matrix(Embd, Embd))
}

/// The norm before the time mix.
pub(super) const NORM_1: &[Part] = &[factors("ln1.weight"), factors("ln1.bias")];
/// The norm of each head's output, RWKV-5 to 7.
pub(super) const GROUP_NORM: &[Part] = &[factors("att.ln_x.weight"), factors("att.ln_x.bias")];
/// The last product of the time mix.
pub(super) const OUTPUT: &[Part] = &[square("att.output.weight")];
/// The norm before the channel mix.
pub(super) const NORM_2: &[Part] = &[factors("ln2.weight"), factors("ln2.bias")];
/// The channel mix of RWKV-4 and 5.
pub(super) const FFN: &[Part] = &[
    mix("ffn.time_mix_k"),
    part("ffn.key.weight", Matrix(Ffn, Embd)),
    mix("ffn.time_mix_r"),
    square("ffn.receptance.weight"),
    part("ffn.value.weight", Matrix(Embd, Ffn)),
];

impl Kind {
    /// Bytes of the part, whose weights have these bits; those of a vector do not
    /// depend on them.
    pub const fn bytes(self, shape: &Shape, bits: Bits) -> u64 {
        let (weights, scales) = match self {
            Factors(n) | Mix(n) => return 4 * factors_words(shape.dim(n)) as u64,
            Fixed(n) => return 4 * shape.dim(n) as u64,
            Matrix(r, c) | LowRank(r, c) => {
                matrix_words(shape.layout, bits, shape.dim(r), shape.dim(c))
            }
            Table(r, c) => table_words(bits, shape.dim(r), shape.dim(c)),
        };
        FRONT_BYTES as u64 + 4 * (weights as u64 + scales as u64)
    }

    /// Weights or vector elements, without padding.
    pub const fn elements(self, shape: &Shape) -> u64 {
        match self {
            Factors(n) | Mix(n) | Fixed(n) => shape.dim(n) as u64,
            Matrix(r, c) | LowRank(r, c) | Table(r, c) => shape.dim(r) as u64 * shape.dim(c) as u64,
        }
    }
}

/// Words of `len` factors and their exponent.
pub(crate) const fn factors_words(len: usize) -> usize {
    (len + 1).div_ceil(2)
}

/// Words of the weights of a blocked matrix and of its scales.
pub(crate) const fn matrix_words(
    layout: Layout,
    bits: Bits,
    rows: usize,
    cols: usize,
) -> (usize, usize) {
    let weights = matrix_weight_words(layout, bits, rows, cols);
    (weights, Scales::words(bits, round_up(rows, BLOCK_ROWS)))
}

/// Words of the weights of a table and of its scales. More weights than a core's memory
/// are as many as there can be.
pub(crate) const fn table_words(bits: Bits, rows: usize, cols: usize) -> (usize, usize) {
    let weights = rows.saturating_mul(table_row_bytes(bits, cols));
    (weights.div_ceil(4), Scales::words(bits, rows))
}

/// Which of the shape's ranks the matrices of a layer have.
pub(crate) const fn ranks_of(sections: Sections) -> [bool; 4] {
    let mut has = [false; 4];
    let mut section = 0;
    while section < sections.len() {
        let parts = sections[section];
        let mut i = 0;
        while i < parts.len() {
            if let LowRank(rows, cols) = parts[i].kind {
                if let Some(rank) = rows.rank() {
                    has[rank] = true;
                }
                if let Some(rank) = cols.rank() {
                    has[rank] = true;
                }
            }
            i += 1;
        }
        section += 1;
    }
    has
}
