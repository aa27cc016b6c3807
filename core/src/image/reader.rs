//! A cursor over the parts of an image: yields vectors and matrices in the
//! order in which they are stored.

use crate::shape::parts::{matrix_bytes, vector_bytes};
use crate::shape::{round_up, Bits, Dim, Kind, Matrix, Part, Shape, Table, BLOCK_ROWS};
use half::{bf16, f16};

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

    /// The next part, a vector `[dim]` of half floats.
    #[inline(always)]
    pub fn half(&mut self, dim: Dim) -> &'a [f16] {
        self.vector(self.shape.dim(dim))
    }

    /// The next part, a vector `[dim]` of single floats.
    #[inline(always)]
    pub fn single(&mut self, dim: Dim) -> &'a [f32] {
        self.vector(self.shape.dim(dim))
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
        Table {
            bits: self.shape.head_bits,
            cols: self.shape.dim(cols),
            rows: data,
            scales: first(scales, self.shape.dim(rows)),
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
        Matrix {
            layout,
            bits,
            rows,
            cols,
            weights: cast(self.take_bytes(weights)),
            scales: first(self.take_bytes(scales), round_up(rows, BLOCK_ROWS)),
        }
    }

    #[inline(never)]
    fn vector<T: bytemuck::AnyBitPattern>(&mut self, len: usize) -> &'a [T] {
        first(self.take_bytes(vector_bytes(size_of::<T>(), len)), len)
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

    /// Looks for values that are not finite.
    ///
    /// # Errors
    /// The number of bytes from the part with such a value to the end.
    pub(super) fn check_finite(&mut self, parts: &[Part]) -> Result<(), usize> {
        for part in parts {
            let before = self.rest.len();
            let (data, scales) = self.take(part.kind);
            let finite = match part.kind {
                Kind::Half(_) => cast::<f16>(data).iter().all(|v| v.is_finite()),
                Kind::Single(_) => cast::<f32>(data).iter().all(|v| v.is_finite()),
                _ => cast::<bf16>(scales).iter().all(|v| v.is_finite()),
            };
            if !finite {
                return Err(before);
            }
        }
        Ok(())
    }
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
