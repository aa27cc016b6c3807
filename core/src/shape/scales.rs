//! What turns the sums of rows into values.

use super::{Bits, BLOCK_ROWS};

/// Scales of the rows of a matrix or a table, under one power of two.
#[derive(Clone, Copy, Debug)]
pub enum Scales<'a> {
    /// Of int8 weights: a factor for each row; of a matrix for whole blocks.
    Rows(&'a [i16]),
    /// Of int4 and int6 weights, whose groups have scales of their own.
    Blocks {
        /// The factor of all rows.
        factor: i16,
        /// For each block of four rows, by how many places it goes to the right:
        /// [`MOST_PLACES`] at most.
        places: &'a [u8],
    },
}

/// The most places to the right.
pub const MOST_PLACES: u8 = 31;

impl<'a> Scales<'a> {
    /// Words that scales take in an image, for rows of a matrix in whole blocks or of a
    /// table.
    pub(crate) const fn words(bits: Bits, rows: usize) -> usize {
        match bits {
            Bits::Int8 => rows.div_ceil(2),
            _ => 1 + rows.div_ceil(BLOCK_ROWS).div_ceil(4),
        }
    }

    /// From their words.
    pub(crate) fn of(words: &'a [u32], bits: Bits, rows: usize) -> Self {
        match bits {
            Bits::Int8 => Self::Rows(first(words, rows)),
            _ => {
                let (&factor, places) = words.split_first().unwrap_or((&0, &[]));
                Self::Blocks {
                    factor: factor as i16,
                    places: first(places, rows.div_ceil(BLOCK_ROWS)),
                }
            }
        }
    }

    /// The factor of a row, and the places by which it goes to the right; nothing of a
    /// row that there is not.
    pub fn of_row(self, row: usize) -> (i32, u32) {
        match self {
            Self::Rows(factors) => (factors.get(row).map_or(0, |&m| m.into()), 0),
            Self::Blocks { factor, places } => match places.get(row / BLOCK_ROWS) {
                Some(&places) => (factor.into(), places.into()),
                None => (0, 0),
            },
        }
    }

    /// Whether there are any, and all are in their range.
    pub(crate) fn are_good(self) -> bool {
        match self {
            Self::Rows(factors) => !factors.is_empty(),
            Self::Blocks { places, .. } => {
                !places.is_empty() && places.iter().all(|&places| places <= MOST_PLACES)
            }
        }
    }

    /// Those of the first blocks, and of the others.
    pub(super) fn split_at_block(self, blocks: usize) -> (Self, Self) {
        match self {
            Self::Rows(factors) => {
                let (first, rest) = split(factors, blocks * BLOCK_ROWS);
                (Self::Rows(first), Self::Rows(rest))
            }
            Self::Blocks { factor, places } => {
                let (first, rest) = split(places, blocks);
                let of = |places| Self::Blocks { factor, places };
                (of(first), of(rest))
            }
        }
    }
}

/// The first numbers in words; none where there are too few.
fn first<T: bytemuck::Pod>(words: &[u32], len: usize) -> &[T] {
    let all: &[T] = bytemuck::cast_slice(words);
    all.get(..len).unwrap_or_default()
}

/// Divides a slice after `len` elements; all are before where there are fewer.
pub(super) fn split<T>(slice: &[T], len: usize) -> (&[T], &[T]) {
    slice.split_at_checked(len).unwrap_or((slice, &[]))
}
