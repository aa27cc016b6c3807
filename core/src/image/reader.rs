//! A cursor over the parts of an image: yields vectors and matrices in the
//! order in which they are stored.

use crate::number::{magnitude, Factors};
use crate::shape::parts::{factors_words, matrix_words, table_words};
#[cfg(feature = "int6")]
use crate::shape::MOST_SCALE_SUM;
use crate::shape::{
    round_up, Bits, BitsSet, Dim, Kind, Matrix, Part, Scales, Shape, Table, BLOCK_ROWS, EXPS, FINE,
    FIXED_LIMIT, MOST_SHIFT,
};

/// Yields the parts of a section one after the other.
///
/// The caller asks for parts in the order of the section's list; in an image
/// that [`super::Image::new`] checked they are always there. Otherwise the
/// slice is empty, so that no access can panic.
///
/// A part takes [`Kind::bytes`]: of a matrix a word in front, its weights, then its
/// scales. Each is whole words, so that every slice is aligned for its type, and the
/// next part begins where this one ends.
#[derive(Clone, Debug)]
pub struct Parts<'a> {
    rest: &'a [u32],
    shape: &'a Shape,
}

impl<'a> Parts<'a> {
    /// From the first part on.
    pub(super) fn new(rest: &'a [u32], shape: &'a Shape) -> Self {
        Self { rest, shape }
    }

    /// Bytes from the next part to the end of those that it was made of.
    pub(crate) fn bytes_left(&self) -> usize {
        size_of_val(self.rest)
    }

    /// The next part, a vector `[dim]` of factors.
    #[inline(never)]
    pub fn factors(&mut self, dim: Dim) -> Factors<'a> {
        let len = self.shape.dim(dim);
        let (m, rest) = halves_of(self.take_words(factors_words(len)), len);
        Factors {
            m,
            exp: rest.first().map_or(0, |&exp| exp.into()),
        }
    }

    /// The next part, a vector `[dim]` of fixed-point numbers.
    #[inline(never)]
    pub fn fixed(&mut self, dim: Dim) -> &'a [i32] {
        bytemuck::cast_slice(self.take_words(self.shape.dim(dim)))
    }

    /// The next part, a matrix `[rows, cols]`.
    // Where speed counts, the caller knows the dimensions, so that little is left of this.
    #[cfg_attr(kinglet_fast, inline(always))]
    #[cfg_attr(not(kinglet_fast), inline(never))]
    pub fn matrix(&mut self, rows: Dim, cols: Dim) -> Matrix<'a> {
        self.take_matrix(self.shape.dim(rows), self.shape.dim(cols))
    }

    #[cfg_attr(kinglet_fast, inline(never))]
    fn take_matrix(&mut self, rows: usize, cols: usize) -> Matrix<'a> {
        let layout = self.shape.layout.or_only();
        let Front {
            bits,
            fine,
            exp,
            shift,
        } = self.take_front();
        let (weights, scales) = matrix_words(layout, bits, rows, cols);
        let weights = self.take_words(weights);
        let scales = Scales::of(self.take_words(scales), bits, round_up(rows, BLOCK_ROWS));
        Matrix {
            layout,
            bits,
            fine,
            rows,
            cols,
            weights,
            scales,
            exp,
            shift,
        }
    }

    /// The next part, a table `[rows, cols]`.
    pub fn table(&mut self, rows: Dim, cols: Dim) -> Table<'a> {
        let (rows, cols) = (self.shape.dim(rows), self.shape.dim(cols));
        let Front { bits, exp, .. } = self.take_front();
        let (data, scales) = table_words(bits, rows, cols);
        let data = self.take_words(data);
        let scales = Scales::of(self.take_words(scales), bits, rows);
        Table {
            bits,
            cols,
            rows: bytemuck::cast_slice(data),
            scales,
            exp,
        }
    }

    /// What stands in front of the weights of the next part.
    fn take_front(&mut self) -> Front {
        let (front, rest) = self.rest.split_first().unwrap_or((&0, &[]));
        self.rest = rest;
        Front::of(*front)
    }

    /// The next words; none from where there are too few.
    fn take_words(&mut self, words: usize) -> &'a [u32] {
        let (taken, rest) = self.rest.split_at_checked(words).unwrap_or_default();
        self.rest = rest;
        taken
    }

    /// Looks for numbers that are out of their range, unknown formats, and the end.
    ///
    /// # Errors
    /// The number of bytes from the part with such a number to the end.
    pub(super) fn check_ranges(&mut self, parts: &[Part]) -> Result<(), usize> {
        for part in parts {
            let front = *self.rest.first().unwrap_or(&0);
            let before = self.bytes_left();
            let is_good = match part.kind {
                Kind::Factors(dim) | Kind::Mix(dim) => EXPS.contains(&self.factors(dim).exp),
                Kind::Fixed(dim) => {
                    let mut numbers = self.fixed(dim).iter();
                    numbers.all(|&x| magnitude(x) < FIXED_LIMIT)
                }
                Kind::Table(rows, cols) => {
                    let table = self.table(rows, cols);
                    Front::is_good(front, 0, BitsSet::ALL) && table.scales.are_good()
                }
                Kind::Matrix(rows, cols) | Kind::LowRank(rows, cols) => {
                    let matrix = self.matrix(rows, cols);
                    Front::is_good(front, MOST_SHIFT, self.shape.formats)
                        && matrix.scales.are_good()
                        && has_good_group_scales(&matrix)
                }
            };
            if !is_good {
                return Err(before);
            }
        }
        Ok(())
    }
}

/// What stands in front of the weights of a matrix or a table, in a word.
struct Front {
    bits: Bits,
    fine: bool,
    exp: i32,
    shift: u32,
}

impl Front {
    /// From its word; any bits where [`Front::is_good`] does not hold.
    fn of(word: u32) -> Self {
        Self {
            bits: Bits::from_number(word as u8 & !FINE).unwrap_or(Bits::Int8),
            fine: word as u8 & FINE != 0,
            exp: word as i32 >> 16,
            // A step of another model may meet any number.
            shift: word >> 8 & 31,
        }
    }

    /// Whether the format is among these, and all numbers are in their ranges.
    fn is_good(word: u32, most_shift: u32, formats: BitsSet) -> bool {
        let Self {
            bits, fine, exp, ..
        } = Self::of(word);
        word as u8 & !FINE == bits as u8
            && formats.has(bits)
            && (!fine || formats.is_fine())
            && EXPS.contains(&exp)
            && word >> 8 & 0xff <= most_shift
    }
}

/// Whether no row's group scales sum up to more than [`MOST_SCALE_SUM`], which only
/// int6 weights could.
#[cfg(feature = "int6")]
fn has_good_group_scales(matrix: &Matrix<'_>) -> bool {
    if matrix.bits != Bits::Int6 {
        return true;
    }
    let group_words = Bits::Int6.group_bytes() / 4;
    let block_words = Bits::Int6.groups(matrix.cols) * group_words;
    matrix.weights.chunks(block_words.max(1)).all(|block| {
        let mut sums = [0u32; BLOCK_ROWS];
        for scales in block.iter().skip(group_words - 1).step_by(group_words) {
            for (sum, scale) in sums.iter_mut().zip(scales.to_le_bytes()) {
                *sum += u32::from(scale);
            }
        }
        sums.iter().all(|&sum| sum <= MOST_SCALE_SUM)
    })
}
#[cfg(not(feature = "int6"))]
fn has_good_group_scales(_: &Matrix<'_>) -> bool {
    true
}

/// The first `len` halves of words, and what follows them.
fn halves_of(words: &[u32], len: usize) -> (&[i16], &[i16]) {
    let halves: &[i16] = bytemuck::cast_slice(words);
    halves.split_at_checked(len).unwrap_or_default()
}
