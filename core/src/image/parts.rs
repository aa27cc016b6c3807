//! What an image contains, in the order in which it is stored: the one
//! definition that the reader, the packer and `kinglet inspect` share.
//!
//! A part is a vector or a matrix. Its place in the image follows from the
//! dimensions in the header alone, so an image cannot lie about it.

use super::header::Header;
use super::layers::Sections;
use super::layout::Layout;

/// Section boundaries and every part start at a multiple of this many bytes.
pub const ALIGN: usize = 16;

/// Rows of a block: the kernels work on four rows at a time.
pub const BLOCK_ROWS: usize = 4;

/// Columns of an int4 group: they share one integer scale.
pub const GROUP_COLS: usize = 32;

/// Bytes of one int4 group of four rows: 4 x 32 nibbles, then four scales.
pub const GROUP_BYTES: usize = BLOCK_ROWS + BLOCK_ROWS * GROUP_COLS / 2;

/// The longest row. A row of int4 weights is an exact `i32` sum up to
/// 259 groups of 32 x 8 x 127 x 255; 8,192 columns are 256 groups.
pub const MAX_COLS: usize = 8192;

/// Rounds `n` up to a multiple of `to`.
pub const fn round_up(n: usize, to: usize) -> usize {
    n.div_ceil(to) * to
}

/// How many bits a weight has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Bits {
    /// Eight bits and one scale per row.
    Int8,
    /// Four bits, an integer scale per group of 32 and one scale per row.
    Int4,
}

impl Bits {
    /// The number that the image stores: 8 or 4.
    pub const fn count(self) -> u8 {
        match self {
            Bits::Int8 => 8,
            Bits::Int4 => 4,
        }
    }

    /// From the stored number.
    pub const fn from_count(bits: u8) -> Option<Self> {
        match bits {
            8 => Some(Bits::Int8),
            4 => Some(Bits::Int4),
            _ => None,
        }
    }
}

/// A dimension of the model.
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
    /// Rank of what steers the decay, RWKV-6 and 7.
    DecayRank,
    /// Rank of what steers the token shift, RWKV-6.
    ShiftRank,
    /// Five times that: one for each mixed vector.
    ShiftRanks,
    /// Rank of what steers the state's learning rate, RWKV-7.
    RateRank,
    /// Rank of what mixes in the first layer's values, RWKV-7.
    ValueRank,
    /// Rank of the gate, RWKV-7.
    GateRank,
}

/// The shape and the number format of a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `[dim]` of IEEE half floats.
    Half(Dim),
    /// `[dim]` of IEEE single floats.
    Single(Dim),
    /// `[rows, cols]` of quantized weights in blocks of four rows, then one
    /// bfloat16 scale per row.
    Matrix(Dim, Dim),
    /// As `Matrix`, at the precision of what enters a matrix state: an error
    /// there stays for many tokens.
    Entry(Dim, Dim),
    /// As `Matrix`, always of eight bits: the low-rank matrices that steer
    /// the state, small and as sensitive.
    Steer(Dim, Dim),
    /// As `Matrix`, at the precision of the head.
    Head(Dim, Dim),
    /// `[rows, cols]` of quantized weights row by row, at the precision of
    /// the head, for reading a row at a time.
    Table(Dim, Dim),
}

/// A named part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// The tensor's name behind `blocks.N.`, as in published checkpoints.
    pub name: &'static str,
    /// Shape and number format.
    pub kind: Kind,
}

const fn part(name: &'static str, kind: Kind) -> Part {
    Part { name, kind }
}

use Dim::{Embd, Output, Vocab};
use Kind::{Entry, Half, Head, Matrix, Single, Steer, Table};

/// Before the layers.
pub const BEFORE_LAYERS: &[Part] = &[part("emb.weight", Table(Vocab, Embd))];

/// After the layers.
pub const AFTER_LAYERS: &[Part] = &[
    part("ln_out.weight", Half(Embd)),
    part("ln_out.bias", Half(Embd)),
    part("head.weight", Head(Output, Embd)),
];

/// Bytes of the weights of a blocked matrix `[rows, cols]`, without scales.
pub const fn matrix_weight_bytes(layout: Layout, bits: Bits, rows: usize, cols: usize) -> u64 {
    let rows = round_up(rows, BLOCK_ROWS) as u64;
    match bits {
        Bits::Int8 => rows * round_up(cols, layout.step_cols()) as u64,
        Bits::Int4 => {
            rows / BLOCK_ROWS as u64 * cols.div_ceil(GROUP_COLS) as u64 * GROUP_BYTES as u64
        }
    }
}

/// Bytes of one row of a table of `cols` columns, without its scale.
pub const fn table_row_bytes(bits: Bits, cols: usize) -> usize {
    match bits {
        Bits::Int8 => cols,
        // One scale byte and 16 bytes of nibbles per group.
        Bits::Int4 => cols.div_ceil(GROUP_COLS) * (1 + GROUP_COLS / 2),
    }
}

const fn align(bytes: u64) -> u64 {
    bytes.div_ceil(ALIGN as u64) * ALIGN as u64
}

impl Kind {
    /// Bits of a weight; vectors have those of the layers' matrices.
    pub const fn bits(self, header: &Header) -> Bits {
        match self {
            Half(_) | Single(_) | Matrix(..) => header.weight_bits,
            Entry(..) => header.entry_bits,
            Steer(..) => Bits::Int8,
            Head(..) | Table(..) => header.head_bits,
        }
    }

    /// Bytes before the scales (weights) and of the scales, each padded to
    /// [`ALIGN`]. Vectors have no scales.
    pub const fn bytes(self, header: &Header) -> (u64, u64) {
        match self {
            Half(n) => (align(2 * header.dim(n) as u64), 0),
            Single(n) => (align(4 * header.dim(n) as u64), 0),
            Matrix(r, c) | Entry(r, c) | Steer(r, c) | Head(r, c) => {
                blocked(header, self.bits(header), header.dim(r), header.dim(c))
            }
            Table(r, c) => {
                let rows = header.dim(r) as u64;
                let row = table_row_bytes(header.head_bits, header.dim(c)) as u64;
                (align(rows * row), align(2 * rows))
            }
        }
    }

    /// Weights or vector elements, without padding.
    pub const fn elements(self, header: &Header) -> u64 {
        match self {
            Half(n) | Single(n) => header.dim(n) as u64,
            Matrix(r, c) | Entry(r, c) | Steer(r, c) | Head(r, c) | Table(r, c) => {
                header.dim(r) as u64 * header.dim(c) as u64
            }
        }
    }
}

const fn blocked(header: &Header, bits: Bits, rows: usize, cols: usize) -> (u64, u64) {
    let weights = matrix_weight_bytes(header.layout, bits, rows, cols);
    let scales = 2 * round_up(rows, BLOCK_ROWS) as u64;
    (align(weights), align(scales))
}

/// Bytes of a list of parts, one after the other.
pub const fn parts_bytes(parts: &[Part], header: &Header) -> u64 {
    let mut sum = 0;
    let mut i = 0;
    while i < parts.len() {
        let (weights, scales) = parts[i].kind.bytes(header);
        sum += weights + scales;
        i += 1;
    }
    sum
}

/// Bytes of the sections of a layer.
pub const fn sections_bytes(sections: Sections, header: &Header) -> u64 {
    let mut sum = 0;
    let mut i = 0;
    while i < sections.len() {
        sum += parts_bytes(sections[i], header);
        i += 1;
    }
    sum
}
