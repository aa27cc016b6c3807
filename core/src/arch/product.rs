//! Matrix x vector: where nearly all time goes.
//!
//! A call has two halves. [`prepare`] quantizes the vector to 8 bits,
//! `|q| <= 127`, and arranges it for the port; [`matvec`]
//! multiplies. Sums are exact integers, so every port gives the same bits:
//!
//! ```text
//! q[c] = round(127 x[c] / max)
//! int8:  S[r] = sum_c w[r,c] q[c]
//!        y[r] = (S[r] 2^shift) (scale[r] max16 / 2^15) / 2^16
//! int4, int6:  S[r] = sum_g m[r,g] sum_c w[r,c] q[c]
//!        y[r] = (S[r] 2^shift) ((factor max16 / 2^15) 2^16 / 2^places[r / 4]) / 2^32
//! ```
//!
//! with groups `g` of 32 columns and integer group scales `0 <= m <= 255`.
//! `i32` cannot overflow: 8,192 columns are the most ([`MAX_COLS`]), and
//! `8192 * 127 * 128 < 2^27`, `256 * (32 * 8 * 127) * 255 < 2^31`, and int6's scales
//! sum up to [`MOST_SCALE_SUM`] at most. The packer
//! chooses `shift` so that `|S 2^shift| < 2^30` for all vectors; so `|y| < 2^29`.
//! `max16` is the largest magnitude in 15 bits, rounded up.
//!
//! Where a matrix says so ([`Matrix::is_fine`]) the vector has 16 bits: two vectors of
//! eight are prepared, and their sums become one, see `fine`.
//!
//! [`MAX_COLS`]: crate::shape::MAX_COLS
//! [`MOST_SCALE_SUM`]: crate::shape::MOST_SCALE_SUM

use super::{fine, Native, Port, Portable};
use crate::number::{divide, larger, zeros, Peak};
use crate::shape::{prepared_words, Layout, Matrix, Scales};

/// Steps of the largest magnitude of a vector of eight bits.
const STEPS: u32 = 127;

/// How a vector is quantized: `q = (((x << left) >> 16) inverse + 2^21) >> 22`.
#[doc(hidden)]
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Quantizer {
    /// Brings the largest magnitude to 31 bits.
    pub left: u32,
    /// `steps 2^22 / max16`: 15 bits.
    pub inverse: i32,
}

impl Quantizer {
    /// Of a vector with this largest magnitude, which becomes `steps`, 127 at most; and the
    /// `max16` of its scale.
    #[inline(always)]
    pub fn up_to(max: u32, steps: u32) -> (Self, i32) {
        // At 2^31 it would have no sign left.
        let left = larger(zeros(max | 1), 1) as u32 - 1;
        // One more, for what is rounded off, and as the magnitude of -x is x - 1.
        let max16 = (max << left >> 16) + larger(1 << left >> 16, 1) as u32;
        let inverse = divide(steps << 22, max16, 30) as i32;
        (Self { left, inverse }, max16 as i32)
    }

    /// A vector's element in 8 bits, at most 127 in magnitude.
    #[inline(always)]
    pub fn of(self, x: i32) -> i32 {
        let x = self.in_16_bits(x);
        x.wrapping_mul(self.inverse).wrapping_add(1 << 21) >> 22
    }

    /// The element in 16 bits that is rounded.
    #[inline(always)]
    pub(super) fn in_16_bits(self, x: i32) -> i32 {
        x.wrapping_shl(self.left) >> 16
    }
}

/// What a quantized vector is multiplied by: `max16`, a factor of 16 bits, and a
/// power of two.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Scale {
    pub max16: i32,
    pub exp: i32,
}

impl Scale {
    /// Of no vector.
    pub(crate) const NONE: Self = Self { max16: 0, exp: 0 };

    /// Of a vector with this peak.
    #[inline(always)]
    pub(super) fn of(quantizer: Quantizer, max16: i32, peak: Peak) -> Self {
        Self {
            max16,
            exp: peak.exp + 16 - quantizer.left as i32,
        }
    }
}

/// A vector, quantized and arranged for the port.
///
/// It serves every matrix of the same layout, precision and number of columns.
#[derive(Clone, Copy, Debug)]
pub struct Prepared<'a> {
    words: &'a [u32],
    scale: Scale,
}

impl<'a> Prepared<'a> {
    /// Its words: of a fine vector the high part's, then the low one's.
    pub(super) fn words(&self) -> &'a [u32] {
        self.words
    }

    /// The scale of the quantized values.
    pub(crate) fn scale(&self) -> Scale {
        self.scale
    }

    /// The vector of this scale that [`prepare`] left in `words`, for the
    /// same matrix.
    pub(crate) fn left_in(words: &'a [u32], scale: Scale, matrix: &Matrix<'_>) -> Self {
        let mut len = vector_words(matrix);
        if matrix.is_fine() {
            len *= 2;
        }
        let words = words.get(..len).unwrap_or_default();
        Self { words, scale }
    }
}

/// Words of a vector of eight bits.
#[inline(always)]
pub(super) fn vector_words(matrix: &Matrix<'_>) -> usize {
    prepared_words(matrix.layout.or_only(), matrix.bits, matrix.cols)
}

/// Quantizes `x` `[cols]` to 8 bits and arranges it for
/// products with `matrix`. `words` must hold [`prepared_words`]. To 16 bits where the
/// matrix [is fine](Matrix::is_fine): in twice the words, and what the first 8 of them
/// do not hold is left in `x`.
///
/// `peak` is the largest magnitude of `x`, which the step that computed
/// `x` returned.
pub fn prepare<'a>(
    x: &mut [i32],
    peak: Peak,
    matrix: &Matrix<'_>,
    words: &'a mut [u32],
) -> Prepared<'a> {
    if matrix.is_fine() {
        return fine::prepare(x, peak, matrix, words);
    }
    let (quantizer, max16) = Quantizer::up_to(peak.max, STEPS);
    let words = words.get_mut(..vector_words(matrix)).unwrap_or_default();
    arrange(x, quantizer, matrix, words);
    let scale = Scale::of(quantizer, max16, peak);
    Prepared { words, scale }
}

/// Quantizes `x` `[cols]` and arranges it in as many words as it takes.
#[inline(always)]
pub(super) fn arrange(x: &[i32], quantizer: Quantizer, matrix: &Matrix<'_>, words: &mut [u32]) {
    if is_native(matrix.layout) {
        Native::prepare(x, quantizer, matrix.bits, words);
    } else {
        Portable::prepare(x, quantizer, matrix.bits, words);
    }
}

/// The exact sums of a matrix with a vector of eight bits, before scaling:
/// `[rows, cols]` x `[cols]` -> `[rows]`. `out` must hold whole blocks of four rows.
pub(super) fn sums(matrix: &Matrix<'_>, words: &[u32], out: &mut [i32]) {
    if is_native(matrix.layout) {
        Native::sums(matrix, words, out);
    } else {
        Portable::sums(matrix, words, out);
    }
}

/// Whether the port of this build multiplies such matrices.
#[inline(always)]
pub(super) fn is_native(layout: Layout) -> bool {
    layout.or_only() == Native::LAYOUT
}

/// `out = matrix x vector`: `[rows, cols]` x `[cols]` -> `[rows]`, mantissas
/// under the power of two that [`Prepared`] and matrix give.
///
/// `out` must hold whole blocks of four rows; its values after the last row
/// are unspecified.
pub fn matvec(matrix: &Matrix<'_>, x: &Prepared<'_>, out: &mut [i32]) {
    if matrix.is_fine() {
        return fine::matvec(matrix, x, out);
    }
    sums(matrix, x.words, out);
    scale(matrix.scales, x.scale.max16, matrix.shift, out);
}

/// Turns sums into values in place.
pub(super) fn scale(scales: Scales<'_>, max16: i32, shift: u32, out: &mut [i32]) {
    match scales {
        Scales::Rows(scales) => Native::scale_rows(scales, max16, shift, out),
        Scales::Blocks { factor, places } => {
            let factor = (i32::from(factor) * max16) >> 15;
            Native::scale_blocks(places, factor, shift, out);
        }
    }
}

/// The power of two of a product.
pub(crate) fn product_exp(matrix: &Matrix<'_>, x: Scale) -> i32 {
    matrix.exp + x.exp
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
///     fn matvec(&self, matrix: &Matrix<'_>, x: &Prepared<'_>, out: &mut [i32]) {
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
/// # let mut state = vec![0; image.shape().state_len()];
/// # let mut scratch = vec![0; image.shape().scratch_len()];
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
    fn matvec(&self, matrix: &Matrix<'_>, x: &Prepared<'_>, out: &mut [i32]);
}

/// This thread, alone.
pub(crate) struct Serial;

impl Executor for Serial {
    fn matvec(&self, matrix: &Matrix<'_>, x: &Prepared<'_>, out: &mut [i32]) {
        matvec(matrix, x, out);
    }
}
