//! Number formats: bits of a weight and of an element of the state, and the
//! arrangement of weights and prepared vectors in memory.
//!
//! | format | weight | bits per weight, without scales of rows |
//! |---|---|---|
//! | int8 | `w scale[row]`, `w` in -128 to 127 | 8 |
//! | int6 | the same, `w` in -32 to 31; the sum of a row's `m` at most 8,256 | 6.25 |
//! | int4 | `w m[row, group] scale[row]`, `w` in -8 to 7, `m` in 0 to 255 | 4.25 |

use super::Layout;

/// Rows of a block: the kernels work on four rows at a time.
pub const BLOCK_ROWS: usize = 4;

/// Columns of an int4 or int6 group: they share one integer scale.
pub const GROUP_COLS: usize = 32;

/// The largest sum of the integer scales of a row of int6 weights: no sum with a
/// quantized vector reaches 2^30, `8256 * 32 * 32 * 127 < 2^30`.
pub const MOST_SCALE_SUM: u32 = 8256;

/// The longest row. A row of int4 weights is an exact `i32` sum up to
/// 259 groups of 32 x 8 x 127 x 255; 8,192 columns are 256 groups.
pub const MAX_COLS: usize = 8192;

/// The most columns of an int8 matrix with vectors of 16 bits whose sums always fit into 32
/// bits: `1024 * 128 * (128 * 126 + 66) < 2^31`.
pub const FINE_COLS: usize = 1024;

/// Rounds `n` up to a multiple of `to`.
pub const fn round_up(n: usize, to: usize) -> usize {
    n.div_ceil(to) * to
}

/// Bits of a weight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Bits {
    /// Eight bits and one scale per row.
    Int8 = 0,
    /// Six bits, an integer scale per group of 32 and one scale per row.
    #[cfg(feature = "int6")]
    Int6 = 2,
    /// Four bits, likewise.
    Int4 = 1,
}

impl Bits {
    /// All of them, the widest first.
    #[cfg(feature = "int6")]
    pub const ALL: [Self; 3] = [Bits::Int8, Bits::Int6, Bits::Int4];
    /// All that this build has, the widest first.
    #[cfg(not(feature = "int6"))]
    pub const ALL: [Self; 2] = [Bits::Int8, Bits::Int4];

    /// As options and tables call it.
    pub const fn name(self) -> &'static str {
        match self {
            Bits::Int8 => "int8",
            #[cfg(feature = "int6")]
            Bits::Int6 => "int6",
            Bits::Int4 => "int4",
        }
    }

    /// How many: 8, 6 or 4.
    pub const fn count(self) -> u8 {
        match self {
            Bits::Int8 => 8,
            #[cfg(feature = "int6")]
            Bits::Int6 => 6,
            Bits::Int4 => 4,
        }
    }

    /// From the number that the image stores: 0 is int8, 1 int4, 2 int6.
    pub const fn from_number(number: u8) -> Option<Self> {
        match number {
            0 => Some(Bits::Int8),
            1 => Some(Bits::Int4),
            #[cfg(feature = "int6")]
            2 => Some(Bits::Int6),
            _ => None,
        }
    }

    /// Groups of [`GROUP_COLS`] in a row of `cols` columns, each with a scale
    /// of its own; 0 where a row has one scale for all.
    pub const fn groups(self, cols: usize) -> usize {
        match self {
            Bits::Int8 => 0,
            _ => cols.div_ceil(GROUP_COLS),
        }
    }

    /// Columns that lie together in a layout; rows are padded to whole ones.
    pub const fn step_cols(self, layout: Layout) -> usize {
        match self {
            Bits::Int8 => layout.step_cols(),
            _ => GROUP_COLS,
        }
    }

    /// Bytes of a group of four rows: 4 x 32 weights, then four scales.
    pub const fn group_bytes(self) -> usize {
        BLOCK_ROWS + BLOCK_ROWS * GROUP_COLS * self.count() as usize / 8
    }
}

/// The bit of vectors of 16 bits, in a [`BitsSet`] and in front of a matrix.
pub const FINE: u8 = 0x80;

/// A set of formats: those of the matrices of an image, and whether vectors of 16 bits
/// are multiplied with any of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct BitsSet(u8);

impl BitsSet {
    /// None of them.
    pub const EMPTY: Self = Self(0);

    /// All that the build has, of weights.
    pub(crate) const ALL: Self = Self((1 << Bits::ALL.len()) - 1);

    /// Eight bits alone.
    pub const INT8: Self = Self::EMPTY.with(Bits::Int8);

    /// This one, too.
    pub const fn with(self, bits: Bits) -> Self {
        Self(self.0 | 1 << bits as u8)
    }

    /// Whether it is one of them.
    pub const fn has(self, bits: Bits) -> bool {
        self.0 >> bits as u8 & 1 == 1
    }

    /// Vectors of 16 bits, too.
    #[cfg(feature = "fine")]
    pub const fn with_fine(self) -> Self {
        Self(self.0 | FINE)
    }

    /// Whether a matrix is multiplied with vectors of 16 bits.
    pub const fn is_fine(self) -> bool {
        cfg!(feature = "fine") && self.0 & FINE != 0
    }

    /// The number that the image stores: the bits of its formats' numbers, and the
    /// highest bit where vectors have 16 bits.
    pub const fn number(self) -> u8 {
        self.0
    }

    /// From the stored number: one or more of the formats that the build has.
    pub const fn from_number(number: u8) -> Option<Self> {
        let formats = if cfg!(feature = "fine") {
            number & !FINE
        } else {
            number
        };
        if formats > 0 && formats < 1 << Bits::ALL.len() {
            Some(Self(number))
        } else {
            None
        }
    }
}

impl Layout {
    /// What the layout flips in a word of two's complement weights, so that
    /// the core may read them as numbers without a sign.
    ///
    /// Bit 7 of a byte, or bit 3 of a nibble: `w ^ 0x80` read without a sign is
    /// `w + 128`. An exclusive-or with the same word turns stored weights back.
    /// Words of int6 weights differ: no one word does it for all.
    pub const fn flipped(self, bits: Bits) -> u32 {
        match (self, bits) {
            (Layout::Rows4, Bits::Int8) => 0x0080_0080,
            // The fourth nibble of a half word is read with its sign.
            (Layout::Rows4, Bits::Int4) => 0x0888_0888,
            (Layout::Pairs, Bits::Int8) => 0x0080_8080,
            (Layout::Pairs, Bits::Int4) => 0x8888_8888,
            #[cfg(feature = "int6")]
            (_, Bits::Int6) => 0,
            (Layout::Lanes16, _) => 0,
        }
    }
}

/// The number format of the matrix state's mantissas.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum StateFormat {
    /// Integers of 16 bits.
    I16,
    /// Integers of 8 bits: half the RAM, and a coarser memory.
    I8,
}

impl StateFormat {
    /// All of them, the widest first.
    pub const ALL: [Self; 2] = [StateFormat::I16, StateFormat::I8];

    /// As options and tables call it.
    pub const fn name(self) -> &'static str {
        match self {
            StateFormat::I16 => "i16",
            StateFormat::I8 => "i8",
        }
    }

    /// From the number that the image stores.
    pub const fn from_number(number: u8) -> Option<Self> {
        match number {
            0 => Some(StateFormat::I16),
            1 => Some(StateFormat::I8),
            _ => None,
        }
    }

    /// Bytes of an element.
    pub const fn bytes(self) -> usize {
        match self {
            StateFormat::I16 => 2,
            StateFormat::I8 => 1,
        }
    }
}

/// Words of the weights of a blocked matrix `[rows, cols]`, with the scales of
/// groups and without those of rows. Columns are padded to
/// [`Bits::step_cols`], rows to [`BLOCK_ROWS`].
pub const fn matrix_weight_words(layout: Layout, bits: Bits, rows: usize, cols: usize) -> usize {
    // Per format: one formula for all of them costs every matrix of a token 30
    // instructions on a Cortex-M4.
    let block_words = match bits {
        // Four rows, four bytes a word.
        Bits::Int8 => round_up(cols, bits.step_cols(layout)),
        #[cfg(feature = "int6")]
        Bits::Int6 => bits.groups(cols) * (Bits::Int6.group_bytes() / 4),
        Bits::Int4 => bits.groups(cols) * (Bits::Int4.group_bytes() / 4),
    };
    rows.div_ceil(BLOCK_ROWS) * block_words
}

/// Bytes of one row of a table of `cols` columns, without its scale.
pub const fn table_row_bytes(bits: Bits, cols: usize) -> usize {
    match bits {
        Bits::Int8 => cols,
        // One scale byte and 32 weights per group.
        #[cfg(feature = "int6")]
        Bits::Int6 => bits.groups(cols) * (1 + GROUP_COLS * 3 / 4),
        Bits::Int4 => bits.groups(cols) * (1 + GROUP_COLS / 2),
    }
}

/// Columns of int8 weights that `SMLAD` sums exactly in 32 bits.
pub(crate) const DSP_SPAN_COLS: usize = 512;

/// 32-bit words that a prepared vector of `cols` columns takes: that of the
/// layout's own core, so that RAM is the same everywhere.
pub const fn prepared_words(layout: Layout, bits: Bits, cols: usize) -> usize {
    let groups = cols.div_ceil(GROUP_COLS);
    match (layout, bits) {
        // Two bytes a column, and a correction for each span or group.
        (Layout::Rows4, Bits::Int8) => round_up(cols, 4) / 2 + cols.div_ceil(DSP_SPAN_COLS),
        (Layout::Rows4, Bits::Int4) => groups * (GROUP_COLS / 2 + 1),
        // Ten words for the 16 columns of a lane, and a correction.
        #[cfg(feature = "int6")]
        (Layout::Rows4, Bits::Int6) => groups * 21,
        // A word a column, and a correction.
        (Layout::Pairs, Bits::Int8) => round_up(cols, 4) + 1,
        (Layout::Pairs, Bits::Int4) => groups * (GROUP_COLS + 1),
        // Ten words for eight columns, and a correction.
        #[cfg(feature = "int6")]
        (Layout::Pairs, Bits::Int6) => groups * 44,
        // A byte a column.
        (Layout::Lanes16, Bits::Int8) => round_up(cols, 16) / 4,
        (Layout::Lanes16, _) => groups * GROUP_COLS / 4,
    }
}
