//! The buffers of a step, and its products.
//!
//! ```text
//! scratch                          words
//!   q      quantized vector        Shape::prepared_len
//!   x      residual stream         2 + C
//!   xx     norm, output of a block 1 + C, rounded up to a multiple of four
//!   tmp    vector of a product     C
//!   r      receptance              1 + C, rounded up
//!   wide   k, v and others, or the hidden channels    as many as the larger has
//!   kept   v_first of RWKV-7       1 + C, or 0
//! ```
//!
//! The logits take the place of `x` and what follows it.

use crate::arch::{prepare, product_exp, Executor, Prepared, Scale};
use crate::number::{Peak, Residual, Vector};
use crate::shape::vectors::{take, WorkVectors};
use crate::shape::{Matrix, Shape};

/// Divides the scratch into the quantized vector and the rest, which is
/// [`Work`] while the layers run and the logits after.
pub(crate) fn split<'s>(shape: &Shape, scratch: &'s mut [i32]) -> (&'s mut [u32], &'s mut [i32]) {
    let mut rest = scratch;
    let q = take(&mut rest, shape.prepared_len());
    (bytemuck::cast_slice_mut(q), rest)
}

/// The quantized vector, and products with it.
pub(crate) struct Product<'q> {
    pub q: &'q mut [u32],
    pub executor: &'q dyn Executor,
}

impl Product<'_> {
    /// The same, for a shorter time.
    pub(crate) fn again(&mut self) -> Product<'_> {
        Product {
            q: self.q,
            executor: self.executor,
        }
    }

    /// The quantized vector that was prepared last, for the same matrix.
    pub(crate) fn prepared_before(&self, scale: Scale, matrix: &Matrix<'_>) -> Prepared<'_> {
        Prepared::left_in(self.q, scale, matrix)
    }

    /// `out = matrix x vector`. `x` may be longer than the matrix has columns, and has
    /// other numbers afterwards where the matrix [is fine](Matrix::is_fine); `peak` is the largest magnitude in these, and `out` holds whole
    /// blocks of four rows.
    #[inline(never)]
    pub(crate) fn of(
        &mut self,
        matrix: &Matrix<'_>,
        x: &mut [i32],
        peak: Peak,
        out: &mut Vector<'_>,
    ) {
        let executor = self.executor;
        let prepared = self.prepare(matrix, x, peak);
        executor.matvec(matrix, &prepared, out.m());
        out.set_exp(product_exp(matrix, prepared.scale()));
    }

    /// The quantized vector of a product, as [`Product::of`].
    #[inline(always)]
    pub(crate) fn prepare(
        &mut self,
        matrix: &Matrix<'_>,
        x: &mut [i32],
        peak: Peak,
    ) -> Prepared<'_> {
        let x = x.get_mut(..matrix.cols).unwrap_or_default();
        prepare(x, peak, matrix, self.q)
    }
}

/// The buffers of a step.
pub(crate) struct Work<'q, 's> {
    /// `[C]` residual stream.
    pub x: Residual<'s>,
    /// `[C]`, padded: layer norm, later the output of a block.
    pub xx: Vector<'s>,
    /// `[C]` the vector about to be quantized.
    pub tmp: &'s mut [i32],
    /// `[C]`, padded: receptance.
    pub r: Vector<'s>,
    /// The other vectors of the version's time mix, or `[F]` hidden channels;
    /// padded.
    pub wide: &'s mut [i32],
    /// Passed from layer to layer of a token.
    pub kept: &'s mut [i32],
    /// Products, and the quantized vector.
    pub product: Product<'q>,
}

impl<'q, 's> Work<'q, 's> {
    pub(crate) fn split(shape: &Shape, product: Product<'q>, rest: &'s mut [i32]) -> Self {
        let WorkVectors {
            x,
            xx,
            tmp,
            r,
            wide,
            kept,
        } = WorkVectors::split(shape, rest);
        Self {
            x: Residual(x),
            xx: Vector(xx),
            tmp,
            r: Vector(r),
            wide,
            kept,
            product,
        }
    }
}
