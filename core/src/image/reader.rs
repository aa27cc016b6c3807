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
    rest: &'a [u8],
    shape: &'a Shape,
}

impl<'a> Parts<'a> {
    pub(super) fn new(rest: &'a [u8], shape: &'a Shape) -> Self {
        Self { rest, shape }
    }

    /// Bytes from the next part to the end of the image.
    pub(crate) fn bytes_left(&self) -> usize {
        self.rest.len()
    }

    /// The next part, a vector `[dim]` of factors.
    #[inline(never)]
    pub fn factors(&mut self, dim: Dim) -> Factors<'a> {
        let len = self.shape.dim(dim);
        let words: &[i16] = cast(self.take_bytes(factors_bytes(len)));
        let (m, rest) = words.split_at_checked(len).unwrap_or_default();
        Factors {
            m,
            exp: rest.first().map_or(0, |&exp| exp.into()),
        }
    }

    /// The next part, a vector `[dim]` of fixed-point numbers.
    #[inline(never)]
    pub fn fixed(&mut self, dim: Dim) -> &'a [i32] {
        let len = self.shape.dim(dim);
        first(self.take_bytes(fixed_bytes(len)), len)
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
        let (scales, rest) = scales_of(scales, self.shape.dim(rows));
        Table {
            bits: self.shape.head_bits,
            cols: self.shape.dim(cols),
            rows: data,
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
        let weights = cast(self.take_bytes(weights));
        let (scales, rest) = scales_of(self.take_bytes(scales), round_up(rows, BLOCK_ROWS));
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

    /// The bytes of the next part: its data and its scales.
    fn take(&mut self, kind: Kind) -> (&'a [u8], &'a [u8]) {
        let (weights, scales) = kind.bytes(self.shape);
        (self.take_bytes(weights), self.take_bytes(scales))
    }

    fn take_bytes(&mut self, bytes: u64) -> &'a [u8] {
        let (taken, rest) = self
            .rest
            .split_at_checked(bytes as usize)
            .unwrap_or((&[], &[]));
        self.rest = rest;
        taken
    }

    /// Looks for numbers that are out of their range.
    ///
    /// # Errors
    /// The number of bytes from the part with such a number to the end.
    pub(super) fn check_ranges(&mut self, parts: &[Part]) -> Result<(), usize> {
        for part in parts {
            let before = self.rest.len();
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

/// The scales of a part, and what follows them.
fn scales_of(bytes: &[u8], len: usize) -> (&[i16], &[i16]) {
    cast(bytes).split_at_checked(len).unwrap_or_default()
}

/// The bytes as elements of the type `T`. Sections are aligned to more than
/// any `T` needs, so the cast succeeds.
fn cast<T: bytemuck::AnyBitPattern>(bytes: &[u8]) -> &[T] {
    bytemuck::try_cast_slice(bytes).unwrap_or(&[])
}

/// The first `len` elements of the type `T` that the bytes hold.
fn first<T: bytemuck::AnyBitPattern>(bytes: &[u8], len: usize) -> &[T] {
    cast(bytes).get(..len).unwrap_or(&[])
}
