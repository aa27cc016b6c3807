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
//! Rounding to nearest even is by addition of `1.5 * 2^23`. The two float products
//! at the end are in the order above.
//!
//! [`MAX_COLS`]: crate::shape::MAX_COLS

use super::{Native, Port, Portable};
use crate::number::AbsMax;
use crate::shape::{prepared_words, Layout, Matrix};

/// Vectors whose largest value is below this count as zero: the reciprocal
/// of their scale would overflow.
const SMALLEST_MAX: f32 = 1e-30;

/// A vector, quantized and arranged for the port.
///
/// It serves every matrix of the same layout, precision and number of columns.
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
///
/// # Example
/// Two threads that share the blocks of a matrix:
///
/// ```
/// use kinglet::arch::{matvec, Executor, Prepared};
/// use kinglet::shape::{Matrix, BLOCK_ROWS};
#[doc = concat!("# let bytes = kinglet::include_image!(\"", env!("CARGO_MANIFEST_DIR"), "/tests/data/tiny.kgl\");")]
///
/// struct Two;
///
/// impl Executor for Two {
///     fn matvec(&self, matrix: &Matrix<'_>, x: &Prepared<'_>, out: &mut [f32]) {
///         let half = matrix.rows().div_ceil(BLOCK_ROWS) / 2;
///         let (a, b) = matrix.split_at_block(half);
///         let (out_a, out_b) = out.split_at_mut(a.rows());
///         std::thread::scope(|scope| {
///             scope.spawn(|| matvec(&a, x, out_a));
///             matvec(&b, x, out_b);
///         });
///     }
/// }
/// # use kinglet::{Image, Session};
/// # let image = Image::new(bytes)?;
/// # let mut state = vec![0.0; image.shape().state_len()];
/// # let mut scratch = vec![0.0; image.shape().scratch_len()];
/// # let mut session = Session::new(&image, &mut state, &mut scratch)?;
/// # let expected = session.step(65)?.to_vec();
/// let session = Session::new(&image, &mut state, &mut scratch)?;
/// let mut session = session.with_executor(&Two);
/// assert_eq!(session.step(65)?, expected);
/// # Ok::<(), kinglet::Error>(())
/// ```
pub trait Executor: Sync {
    /// As [`matvec`].
    /// `out` is at least the matrix's rows in whole blocks, and may be longer.
    fn matvec(&self, matrix: &Matrix<'_>, x: &Prepared<'_>, out: &mut [f32]);
}

/// This thread, alone.
pub(crate) struct Serial;

impl Executor for Serial {
    fn matvec(&self, matrix: &Matrix<'_>, x: &Prepared<'_>, out: &mut [f32]) {
        matvec(matrix, x, out);
    }
}
