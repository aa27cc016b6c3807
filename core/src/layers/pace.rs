//! How a layer's work is done: all at once, or in slices.
//!
//! A layer is a fixed sequence of parts: element-wise ones, and products. The
//! layers' code passes each part to a [`Pace`]: [`Whole`] does each part at
//! once. A [`Slice`] skips the parts that earlier slices have done, does the next
//! and breaks off: what later parts need lies in state, scratch and
//! [`Position`], and nothing on the stack.
//!
//! A product is two parts: the vector is computed and quantized, then rows are
//! multiplied, in several slices where they are many. Each slice runs the layer's
//! code from its start; a part that is done costs it a comparison. So a layer must
//! call for the same parts in the same order at each token, and its code between
//! the parts may do no more than divide buffers and take parts of the image.

use super::work::Product;
use crate::arch::{product_exp, Scale};
use crate::number::{Peak, Vector};
use crate::shape::{Matrix, BLOCK_ROWS};
use core::convert::Infallible;
use core::ops::Range;

/// The cost of a channel with two exponentials, in weights of a product, roughly
/// and on any core.
const CHANNEL_WEIGHTS: usize = 256;

/// Does the parts of a layer.
pub(crate) trait Pace {
    /// Why a layer breaks off before its end.
    /// `Infallible` where it cannot, so that the check costs nothing.
    type Break;

    /// An element-wise part.
    fn part(&mut self, work: impl FnOnce()) -> Result<(), Self::Break>;

    /// Two parts: `fill` computes the vector `x` and returns its largest
    /// magnitude, which is passed on; then `out = matrix x vector`. `x`
    /// may be longer than the matrix has columns, and keeps its numbers unless the
    /// matrix [is fine](Matrix::is_fine). `out` holds whole blocks of four rows.
    fn product(
        &mut self,
        product: &mut Product<'_>,
        matrix: &Matrix<'_>,
        x: &mut [i32],
        fill: impl FnOnce(&mut [i32]) -> Peak,
        out: &mut Vector<'_>,
    ) -> Result<Peak, Self::Break>;

    /// An element-wise part of `len` channels, each of them costly. `work`
    /// returns the largest magnitude of its result, if that is needed.
    /// Where each part is done at once, it may ignore the range.
    fn channels(
        &mut self,
        len: usize,
        work: impl FnMut(Range<usize>) -> Peak,
    ) -> Result<Peak, Self::Break>;

    /// An element-wise part that returns the largest magnitude of the
    /// next vector.
    fn find_max(&mut self, work: impl FnOnce() -> Peak) -> Result<Peak, Self::Break>;
}

/// All parts of a layer, one after the other.
pub(crate) struct Whole;

impl Pace for Whole {
    type Break = Infallible;

    #[inline(always)]
    fn part(&mut self, work: impl FnOnce()) -> Result<(), Infallible> {
        work();
        Ok(())
    }

    #[inline(always)]
    fn product(
        &mut self,
        product: &mut Product<'_>,
        matrix: &Matrix<'_>,
        x: &mut [i32],
        fill: impl FnOnce(&mut [i32]) -> Peak,
        out: &mut Vector<'_>,
    ) -> Result<Peak, Infallible> {
        let peak = fill(x);
        product.of(matrix, x, peak, out);
        Ok(peak)
    }

    #[inline(always)]
    fn channels(
        &mut self,
        len: usize,
        mut work: impl FnMut(Range<usize>) -> Peak,
    ) -> Result<Peak, Infallible> {
        Ok(work(0..len))
    }

    #[inline(always)]
    fn find_max(&mut self, work: impl FnOnce() -> Peak) -> Result<Peak, Infallible> {
        Ok(work())
    }
}

/// A slice has done its part.
pub(crate) struct Pause;

/// Which part of a layer is next.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Position {
    /// Parts done.
    part: u32,
    /// Rows done of the product that is next, whole blocks, or channels done
    /// of a part.
    row: u32,
    /// The scale of the vector that was prepared last.
    scale: Scale,
    /// The largest magnitude of a vector.
    peak: Peak,
}

impl Position {
    /// Nothing has been done.
    pub(crate) const START: Self = Self {
        part: 0,
        row: 0,
        scale: Scale::NONE,
        peak: Peak::NONE,
    };

    /// Prepares the vector of the product that is next.
    #[inline(never)]
    pub(crate) fn prepare(
        &mut self,
        product: &mut Product<'_>,
        matrix: &Matrix<'_>,
        x: &mut [i32],
        peak: Peak,
    ) {
        self.scale = product.prepare(matrix, x, peak).scale();
        (self.peak, self.row) = (peak, 0);
        self.part += 1;
    }

    /// Does the next rows of the product whose vector was prepared: at most
    /// `weights` multiplications, at least one block of rows, and no more than
    /// `out` holds. Returns which, and whether more are left.
    pub(crate) fn rows(
        &mut self,
        product: &Product<'_>,
        matrix: &Matrix<'_>,
        weights: usize,
        out: &mut [i32],
    ) -> (Range<usize>, bool) {
        let done = self.row as usize;
        // Two divisions: the product of the divisors could overflow to 0.
        let blocks = weights / BLOCK_ROWS / matrix.cols.max(1);
        let blocks = blocks.min(out.len() / BLOCK_ROWS).max(1);
        let (_, rest) = matrix.split_at_block(done / BLOCK_ROWS);
        let (next, _) = rest.split_at_block(blocks);
        let x = product.prepared_before(self.scale, matrix);
        product.executor.matvec(&next, &x, out);
        let now_done = done + next.rows;
        self.row = now_done as u32;
        let more = now_done < matrix.rows;
        if !more {
            self.row = 0;
            self.part += 1;
        }
        (done..now_done, more)
    }

    /// Whether nothing has been done.
    pub(crate) fn is_start(&self) -> bool {
        self.part == 0
    }

    /// The power of two of the product whose vector was prepared.
    pub(crate) fn product_exp(&self, matrix: &Matrix<'_>) -> i32 {
        product_exp(matrix, self.scale)
    }

    /// Rows done of the product that is next.
    pub(crate) fn rows_done(&self) -> usize {
        self.row as usize
    }
}

/// At most one part, and of a product at most `weights` weights.
/// `weights` also bounds the channels of a costly element-wise part.
pub(crate) struct Slice<'p> {
    position: &'p mut Position,
    weights: usize,
    /// The number of the part that the code is at.
    part: u32,
    /// Whether this slice has done its part.
    worked: bool,
}

impl<'p> Slice<'p> {
    pub(crate) fn new(position: &'p mut Position, weights: usize) -> Self {
        Self {
            position,
            weights,
            part: 0,
            worked: false,
        }
    }

    /// Whether the part that the code is at is to be done now; advances to the
    /// next, or breaks off where the slice has done its part.
    // A layer has many parts, and slices are not where a token's time goes: what
    // is not inlined there keeps the firmware small.
    #[inline(never)]
    fn is_due(&mut self) -> Result<bool, Pause> {
        let part = self.part;
        self.part += 1;
        if part < self.position.part {
            return Ok(false);
        }
        if self.worked {
            return Err(Pause);
        }
        self.worked = true;
        Ok(true)
    }

    /// The next rows of the product whose vector was prepared.
    #[inline(never)]
    fn multiply(
        &mut self,
        product: &Product<'_>,
        matrix: &Matrix<'_>,
        out: &mut Vector<'_>,
    ) -> Result<Peak, Pause> {
        if self.is_due()? {
            out.set_exp(self.position.product_exp(matrix));
            let out = out
                .m()
                .get_mut(self.position.rows_done()..)
                .unwrap_or_default();
            let (_, more) = self.position.rows(product, matrix, self.weights, out);
            if more {
                return Err(Pause);
            }
        }
        Ok(self.position.peak)
    }
}

impl Pace for Slice<'_> {
    type Break = Pause;

    #[inline]
    fn part(&mut self, work: impl FnOnce()) -> Result<(), Pause> {
        if self.is_due()? {
            work();
            self.position.part += 1;
        }
        Ok(())
    }

    #[inline]
    fn product(
        &mut self,
        product: &mut Product<'_>,
        matrix: &Matrix<'_>,
        x: &mut [i32],
        fill: impl FnOnce(&mut [i32]) -> Peak,
        out: &mut Vector<'_>,
    ) -> Result<Peak, Pause> {
        if self.is_due()? {
            let peak = fill(x);
            self.position.prepare(product, matrix, x, peak);
        }
        self.multiply(product, matrix, out)
    }

    #[inline]
    fn channels(
        &mut self,
        len: usize,
        mut work: impl FnMut(Range<usize>) -> Peak,
    ) -> Result<Peak, Pause> {
        if self.is_due()? {
            let position = &mut *self.position;
            let start = position.row as usize;
            if start == 0 {
                position.peak = Peak::NONE;
            }
            let channels = (self.weights / CHANNEL_WEIGHTS).max(BLOCK_ROWS);
            let end = len.min(start.saturating_add(channels));
            position.peak = position.peak.and(work(start..end));
            position.row = end as u32;
            if end < len {
                return Err(Pause);
            }
            position.row = 0;
            position.part += 1;
        }
        Ok(self.position.peak)
    }

    #[inline]
    fn find_max(&mut self, work: impl FnOnce() -> Peak) -> Result<Peak, Pause> {
        if self.is_due()? {
            self.position.peak = work();
            self.position.part += 1;
        }
        Ok(self.position.peak)
    }
}
