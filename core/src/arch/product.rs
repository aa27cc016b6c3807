//! Matrix x vector: where nearly all time goes.
//!
//! A call has two halves. [`prepare`] quantizes the vector to 8 bits,
//! `|x| <= 127`, and arranges it for the port; [`matvec`]
//! multiplies. Sums are exact integers, so every port gives the same bits:
//!
//! ```text
//! int8:  y[r] = (sum_c w[r,c] x[c])            * scale[r] * x_scale
//! int4:  y[r] = (sum_g m[r,g] sum_c w[r,c] x[c]) * scale[r] * x_scale
//! ```
//!
//! with groups `g` of 32 columns and integer group scales `0 <= m <= 255`.
//! `i32` cannot overflow: 8,192 columns are the most ([`MAX_COLS`]), and
//! `8192 * 127 * 128 < 2^27`, `256 * (32 * 8 * 127) * 255 < 2^31`.
//!
//! [`MAX_COLS`]: crate::shape::MAX_COLS

use super::{Native, Port, Portable};
use crate::number::AbsMax;
use crate::shape::{prepared_words, Layout, Matrix};

/// Vectors whose largest value is below this count as zero: the reciprocal
/// of their scale would overflow.
const SMALLEST_MAX: f32 = 1e-30;

/// A vector, quantized and arranged for the port.
#[derive(Clone, Copy, Debug)]
pub struct Prepared<'a> {
    words: &'a [u32],
    scale: f32,
}

impl<'a> Prepared<'a> {
    /// The scale of the quantized values.
    pub(crate) fn scale(&self) -> f32 {
        self.scale
    }

    /// The vector of this scale that [`prepare`] left in `words`, for the
    /// same matrix.
    pub(crate) fn left_in(words: &'a [u32], scale: f32, matrix: &Matrix<'_>) -> Self {
        let len = prepared_words(matrix.layout, matrix.bits, matrix.cols);
        let words = words.get(..len).unwrap_or_default();
        Self { words, scale }
    }
}

/// Quantizes `x` `[cols]` to `round(x * 127 / max)` and arranges it for
/// products with `matrix`. `words` must hold [`prepared_words`].
///
/// `max` is the largest absolute value of `x`, which the step that computed
/// `x` returned.
pub fn prepare<'a>(
    x: &[f32],
    max: AbsMax,
    matrix: &Matrix<'_>,
    words: &'a mut [u32],
) -> Prepared<'a> {
    let max = max.get();
    let (scale, inverse) = if max < SMALLEST_MAX {
        (0.0, 0.0)
    } else {
        (max * (1.0 / 127.0), 127.0 / max)
    };
    let len = prepared_words(matrix.layout, matrix.bits, matrix.cols);
    let words = words.get_mut(..len).unwrap_or_default();
    if is_native(matrix.layout) {
        Native::prepare(x, inverse, matrix.bits, words);
    } else {
        Portable::prepare(x, inverse, matrix.bits, words);
    }
    Prepared { words, scale }
}

/// The exact sums of `matrix x vector`, before scaling: `[rows, cols]` x
/// `[cols]` -> `[rows]`. `out` must hold whole blocks of four rows.
pub fn sums(matrix: &Matrix<'_>, x: &Prepared<'_>, out: &mut [i32]) {
    if is_native(matrix.layout) {
        Native::sums(matrix, x.words, out);
    } else {
        Portable::sums(matrix, x.words, out);
    }
}

/// Whether the build has no other layout than its port's: an image of another
/// one is refused, and the code for it is left out.
const ONE_LAYOUT: bool = Layout::Rows4.is_supported() as u8
    + Layout::Pairs.is_supported() as u8
    + Layout::Lanes16.is_supported() as u8
    == 1;

/// Whether the port of this build multiplies such matrices.
#[inline(always)]
fn is_native(layout: Layout) -> bool {
    ONE_LAYOUT || layout == Native::LAYOUT
}

/// `out = matrix x vector`: `[rows, cols]` x `[cols]` -> `[rows]`.
///
/// `out` must hold whole blocks of four rows; its values after the last row
/// are unspecified.
pub fn matvec(matrix: &Matrix<'_>, x: &Prepared<'_>, out: &mut [f32]) {
    sums(matrix, x, bytemuck::cast_slice_mut(out));
    Native::scale_rows(matrix.scales, x.scale, out);
}

/// Who multiplies: a workstation may share the rows among threads, with the
/// same result.
pub trait Executor: Sync {
    /// As [`matvec`].
    fn matvec(&self, matrix: &Matrix<'_>, x: &Prepared<'_>, out: &mut [f32]);
}

/// This thread, alone.
pub(crate) struct Serial;

impl Executor for Serial {
    fn matvec(&self, matrix: &Matrix<'_>, x: &Prepared<'_>, out: &mut [f32]) {
        matvec(matrix, x, out);
    }
}
