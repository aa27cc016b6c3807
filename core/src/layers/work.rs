//! The buffers of a step, and its products.
//!
//! ```text
//! scratch                          floats
//!   q      quantized vector        Shape::prepared_len
//!   x      residual stream         C, rounded up to a multiple of four; so are those
//!                                  of xx, tmp and r
//!   xx     norm, output of a block C
//!   tmp    vector of a product     C
//!   r      receptance              C
//!   wide   k, v and others, or the hidden channels    as many as the larger has
//!   kept   v_first of RWKV-7       C, or 0
//! ```
//!
//! The logits take the place of `x` and what follows it.

use crate::arch::{prepare, Executor, Prepared};
use crate::number::AbsMax;
use crate::shape::vectors::{take, WorkVectors};
use crate::shape::{Matrix, Shape};

/// Divides the scratch into the quantized vector and the rest, which is
/// [`Work`] while the layers run and the logits after.
pub(crate) fn split<'s>(shape: &Shape, scratch: &'s mut [f32]) -> (&'s mut [u32], &'s mut [f32]) {
    let mut rest = scratch;
    let q = take(&mut rest, shape.prepared_len());
    (bytemuck::cast_slice_mut(q), rest)
}

/// The quantized vector, and products with it.
pub(crate) struct Product<'q> {
    q: &'q mut [u32],
}

impl<'q> Product<'q> {
    pub(crate) fn new(q: &'q mut [u32]) -> Self {
        Self { q }
    }

    /// The quantized vector alone.
    pub(crate) fn prepared(self, x: &[f32], max: AbsMax, matrix: &Matrix<'_>) -> Prepared<'q> {
        prepare(x, max, matrix, self.q)
    }

    /// The quantized vector that was prepared last, for the same matrix.
    pub(crate) fn prepared_before(&self, scale: f32, matrix: &Matrix<'_>) -> Prepared<'_> {
        Prepared::left_in(self.q, scale, matrix)
    }

    /// `out = matrix x vector`. `x` may be longer than the matrix has columns;
    /// `max` is the largest absolute value in these, and `out` holds whole
    /// blocks of four rows.
    pub(crate) fn of(
        &mut self,
        matrix: &Matrix<'_>,
        x: &[f32],
        max: AbsMax,
        executor: &dyn Executor,
        out: &mut [f32],
    ) {
        executor.matvec(matrix, &self.prepare(matrix, x, max), out);
    }

    /// The quantized vector of a product, as [`Product::of`].
    #[inline(always)]
    pub(crate) fn prepare(&mut self, matrix: &Matrix<'_>, x: &[f32], max: AbsMax) -> Prepared<'_> {
        let x = x.get(..matrix.cols).unwrap_or(x);
        prepare(x, max, matrix, self.q)
    }
}

/// The buffers of a step.
pub(crate) struct Work<'q, 's> {
    /// `[C]` residual stream.
    pub x: &'s mut [f32],
    /// `[C]`, padded: layer norm, later the output of a block.
    pub xx: &'s mut [f32],
    /// `[C]` the vector about to be quantized.
    pub tmp: &'s mut [f32],
    /// `[C]`, padded: receptance.
    pub r: &'s mut [f32],
    /// The other vectors of the version's time mix, or `[F]` hidden channels;
    /// padded.
    pub wide: &'s mut [f32],
    /// Passed from layer to layer of a token.
    pub kept: &'s mut [f32],
    /// Products, and the quantized vector.
    pub product: Product<'q>,
}

impl<'q, 's> Work<'q, 's> {
    pub(crate) fn split(shape: &Shape, q: &'q mut [u32], rest: &'s mut [f32]) -> Self {
        let WorkVectors {
            mut x,
            xx,
            mut tmp,
            r,
            wide,
            kept,
        } = WorkVectors::split(shape, rest);
        let channels = shape.n_embd as usize;
        Self {
            x: take(&mut x, channels),
            xx,
            tmp: take(&mut tmp, channels),
            r,
            wide,
            kept,
            product: Product { q },
        }
    }
}
