//! A cursor over the parts of an image: yields vectors and matrices in the
//! order in which they are stored.

use crate::number::{magnitude, Factors};
use crate::shape::parts::{factors_bytes, fixed_bytes, matrix_bytes};
use crate::shape::{
    round_up, Bits, Dim, Kind, Matrix, Part, Shape, Table, BLOCK_ROWS, EXPS, FIXED_LIMIT,
    MOST_SHIFT,
};

/// Yields the parts of a section one after the other.
///
/// The caller asks for parts in the order of the section's list; in an image
/// that [`super::Image::new`] checked they are always there. Otherwise the
/// slice is empty, so that no access can panic.
///
/// A part takes [`Kind::bytes`]: its weights, then its scales, each padded to
/// 16 bytes. So every slice is aligned for its type, and the next part begins
/// where this one ends.
#[derive(Clone, Debug)]
pub struct Parts<'a> {
    rest: &'a [u32],
    shape: &'a Shape,
}

impl<'a> Parts<'a> {
    /// From the first part on: whole words, aligned as an image is.
    pub(super) fn new(rest: &'a [u8], shape: &'a Shape) -> Self {
        let rest = bytemuck::try_cast_slice(rest).unwrap_or_default();
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
        let (m, rest) = halves_of(self.take_bytes(factors_bytes(len)), len);
        Factors {
            m,
            exp: rest.first().map_or(0, |&exp| exp.into()),
        }
    }

    /// The next part, a vector `[dim]` of fixed-point numbers.
    #[inline(never)]
    pub fn fixed(&mut self, dim: Dim) -> &'a [i32] {
        let len = self.shape.dim(dim);
        let words = self.take_bytes(fixed_bytes(len));
        bytemuck::cast_slice(words.get(..len).unwrap_or_default())
    }

    /// The next part, a matrix `[rows, cols]` at the layers' precision.
    #[inline(always)]
    pub fn matrix(&mut self, rows: Dim, cols: Dim) -> Matrix<'a> {
        self.blocked(Kind::Matrix(rows, cols), rows, cols)
    }

    /// The next part, a matrix `[rows, cols]` of keys or values.
    #[inline(always)]
    pub fn keys(&mut self, rows: Dim, cols: Dim) -> Matrix<'a> {
        self.blocked(Kind::Keys(rows, cols), rows, cols)
    }

    /// The next part, a low-rank matrix `[rows, cols]`.
    #[inline(always)]
    pub fn low_rank(&mut self, rows: Dim, cols: Dim) -> Matrix<'a> {
        self.blocked(Kind::LowRank(rows, cols), rows, cols)
    }

    /// The next part, a matrix `[rows, cols]` at the head's precision.
    #[inline(always)]
    pub fn head(&mut self, rows: Dim, cols: Dim) -> Matrix<'a> {
        self.blocked(Kind::Head(rows, cols), rows, cols)
    }

    /// The next part, a table `[rows, cols]` at the head's precision.
    pub fn table(&mut self, rows: Dim, cols: Dim) -> Table<'a> {
        let (data, scales) = self.take(Kind::Table(rows, cols));
        let (scales, rest) = halves_of(scales, self.shape.dim(rows));
        Table {
            bits: self.shape.head_bits,
            cols: self.shape.dim(cols),
            rows: bytemuck::cast_slice(data),
            scales,
            exp: rest.first().map_or(0, |&exp| exp.into()),
        }
    }

    // The caller knows what part it asks for, so that nothing is left of this.
    #[inline(always)]
    fn blocked(&mut self, kind: Kind, rows: Dim, cols: Dim) -> Matrix<'a> {
        let shape = self.shape;
        self.take_matrix(kind.bits(shape), shape.dim(rows), shape.dim(cols))
    }

    #[inline(never)]
    fn take_matrix(&mut self, bits: Bits, rows: usize, cols: usize) -> Matrix<'a> {
        let layout = self.shape.layout;
        let (weights, scales) = matrix_bytes(layout, bits, rows, cols);
        let weights = self.take_bytes(weights);
        let (scales, rest) = halves_of(self.take_bytes(scales), round_up(rows, BLOCK_ROWS));
        let &[exp, shift] = rest.first_chunk().unwrap_or(&[0; 2]);
        Matrix {
            layout,
            bits,
            rows,
            cols,
            weights,
            scales,
            exp: exp.into(),
            // One more is refused.
            shift: (shift as u16 as u32).min(MOST_SHIFT + 1),
        }
    }

    /// The words of the next part: its data and its scales.
    fn take(&mut self, kind: Kind) -> (&'a [u32], &'a [u32]) {
        let (weights, scales) = kind.bytes(self.shape);
        (self.take_bytes(weights), self.take_bytes(scales))
    }

    /// The next bytes, whole words.
    fn take_bytes(&mut self, bytes: u64) -> &'a [u32] {
        let (taken, rest) = self
            .rest
            .split_at_checked(bytes as usize / 4)
            .unwrap_or_default();
        self.rest = rest;
        taken
    }

    /// Looks for numbers that are out of their range.
    ///
    /// # Errors
    /// The number of bytes from the part with such a number to the end.
    pub(super) fn check_ranges(&mut self, parts: &[Part]) -> Result<(), usize> {
        for part in parts {
            let before = self.bytes_left();
            let (exp, is_good) = match part.kind {
                Kind::Factors(dim) | Kind::Mix(dim) => (self.factors(dim).exp, true),
                Kind::Fixed(dim) => {
                    let mut numbers = self.fixed(dim).iter();
                    (0, numbers.all(|&x| magnitude(x) < FIXED_LIMIT))
                }
                Kind::Table(rows, cols) => (self.table(rows, cols).exp, true),
                Kind::Matrix(rows, cols)
                | Kind::Keys(rows, cols)
                | Kind::LowRank(rows, cols)
                | Kind::Head(rows, cols) => {
                    let matrix = self.blocked(part.kind, rows, cols);
                    (matrix.exp, matrix.shift <= MOST_SHIFT)
                }
            };
            if !is_good || !EXPS.contains(&exp) {
                return Err(before);
            }
        }
        Ok(())
    }
}

/// The first `len` halves of words, and what follows them.
fn halves_of(words: &[u32], len: usize) -> (&[i16], &[i16]) {
    let halves: &[i16] = bytemuck::cast_slice(words);
    halves.split_at_checked(len).unwrap_or_default()
}
