//! Matrix x vector: the hot loop, behind one safe interface.
//!
//! A call has two halves. [`prepare`] quantizes the vector to 8 bits,
//! `|x| <= 127`, and arranges it as the kernel wants to read it; [`matvec`]
//! multiplies. Sums are exact integers, so every kernel gives the same bits:
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
//! [`MAX_COLS`]: crate::image::MAX_COLS

#[cfg(kinglet_dsp)]
pub mod dsp;
pub mod portable;

#[cfg(kinglet_dsp)]
use dsp as fastest;
#[cfg(not(kinglet_dsp))]
use portable as fastest;

use crate::image::{round_up, Bits, Matrix, GROUP_COLS, STEP_COLS};
use crate::math::{scale_to_f32, AbsMax, ROUND_MAGIC};
use half::bf16;

/// Columns of int8 weights that `SMLAD` sums exactly in 32 bits.
const DSP_SPAN_COLS: usize = 512;

/// Vectors whose largest value is below this count as zero: the reciprocal
/// of their scale would overflow.
const SMALLEST_MAX: f32 = 1e-30;

/// 32-bit words that a prepared vector of `cols` columns takes, for the
/// hungriest kernel of any core: so RAM is the same everywhere.
pub const fn prepared_words(bits: Bits, cols: usize) -> usize {
    match bits {
        // Two bytes a column, and a correction for each span.
        Bits::Int8 => round_up(cols, STEP_COLS) / 2 + cols.div_ceil(DSP_SPAN_COLS),
        // Two bytes a column, and a correction for each group.
        Bits::Int4 => cols.div_ceil(GROUP_COLS) * (GROUP_COLS / 2 + 1),
    }
}

/// A vector, quantized and arranged for the kernels.
#[derive(Clone, Copy, Debug)]
pub struct Prepared<'a> {
    words: &'a [u32],
    scale: f32,
}

/// Quantizes `x` `[cols]` to `round(x * 127 / max)` and arranges it in
/// `words`, which must hold [`prepared_words`].
///
/// `max` is the largest absolute value of `x`, which the step that computed
/// `x` found on its way.
pub fn prepare<'a>(x: &[f32], max: AbsMax, bits: Bits, words: &'a mut [u32]) -> Prepared<'a> {
    let max = max.get();
    let (scale, inverse) = if max < SMALLEST_MAX {
        (0.0, 0.0)
    } else {
        (max * (1.0 / 127.0), 127.0 / max)
    };
    fastest::prepare(x, inverse, bits, words);
    Prepared { words, scale }
}

/// `out = matrix x vector`: `[rows, cols]` x `[cols]` -> `[rows]`.
///
/// `out` must hold whole blocks of four rows; what it holds behind the last
/// row is not defined.
pub fn matvec(matrix: &Matrix<'_>, x: &Prepared<'_>, out: &mut [f32]) {
    fastest::sums(matrix, x.words, bytemuck::cast_slice_mut(out));
    scale_rows(matrix.scales, x.scale, out);
}

/// Turns the sums of rows into values, in place: an integer in each word
/// becomes a float.
fn scale_rows(scales: &[bf16], x_scale: f32, out: &mut [f32]) {
    for (out, &scale) in out.iter_mut().zip(scales) {
        *out = out.to_bits() as i32 as f32 * scale_to_f32(scale) * x_scale;
    }
}

/// One activation as an integer in [-127, 127].
#[inline(always)]
fn quantize_one(x: f32, inverse: f32) -> i8 {
    (x * inverse + ROUND_MAGIC).to_bits() as i8
}
