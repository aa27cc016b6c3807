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

#[cfg(kinglet_armv6m)]
pub mod armv6m;
#[cfg(kinglet_armv6m)]
mod armv6m_float;
#[cfg(kinglet_armv7m)]
pub mod armv7m;
#[cfg(kinglet_dsp)]
pub mod dsp;
#[cfg(all(kinglet_dsp, kinglet_fpu))]
mod dsp_prepare;
#[cfg(all(kinglet_dsp, not(kinglet_fpu)))]
mod dsp_prepare_soft;
#[cfg(kinglet_fpu)]
pub(crate) mod fpu;
#[cfg(kinglet_fpu)]
mod fpu_state;
#[cfg(kinglet_mve)]
pub mod mve;
#[cfg(kinglet_neon)]
pub mod neon;
#[cfg(any(kinglet_armv6m, kinglet_armv7m))]
mod pairs;
pub mod portable;
#[cfg(any(kinglet_soft, test))]
mod soft;
#[cfg(any(kinglet_soft, test))]
pub(crate) mod soft_exp;
pub mod state;
#[cfg(test)]
mod tests;
#[cfg(any(kinglet_x86, kinglet_neon))]
mod words;
#[cfg(kinglet_x86)]
pub mod x86;

use crate::image::{round_up, Bits, Layout, Matrix, GROUP_COLS};
#[cfg(any(not(kinglet_fpu), test))]
use crate::math::scale_to_f32;
use crate::math::{AbsMax, ROUND_MAGIC};
#[cfg(any(not(kinglet_fpu), test))]
use half::bf16;

/// Columns of int8 weights that `SMLAD` sums exactly in 32 bits.
const DSP_SPAN_COLS: usize = 512;

/// Vectors whose largest value is below this count as zero: the reciprocal
/// of their scale would overflow.
const SMALLEST_MAX: f32 = 1e-30;

/// 32-bit words that a prepared vector of `cols` columns takes: that of the
/// layout's own core, so that RAM is the same everywhere.
pub const fn prepared_words(layout: Layout, bits: Bits, cols: usize) -> usize {
    let groups = cols.div_ceil(GROUP_COLS);
    match (layout, bits) {
        // Two bytes a column, and a correction for each span or group.
        (Layout::Rows4, Bits::Int8) => round_up(cols, 4) / 2 + cols.div_ceil(DSP_SPAN_COLS),
        (Layout::Rows4, Bits::Int4) => groups * (GROUP_COLS / 2 + 1),
        // A word a column, and a correction.
        (Layout::Pairs, Bits::Int8) => round_up(cols, 4) + 1,
        (Layout::Pairs, Bits::Int4) => groups * (GROUP_COLS + 1),
        // A byte a column.
        (Layout::Lanes16, Bits::Int8) => round_up(cols, 16) / 4,
        (Layout::Lanes16, Bits::Int4) => groups * GROUP_COLS / 4,
    }
}

/// A vector, quantized and arranged for the kernels.
#[derive(Clone, Copy, Debug)]
pub struct Prepared<'a> {
    words: &'a [u32],
    scale: f32,
}

impl<'a> Prepared<'a> {
    /// What the quantized values are multiplied by.
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
/// `x` found on its way.
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
    match matrix.layout {
        #[cfg(kinglet_dsp)]
        Layout::Rows4 => dsp::prepare(x, inverse, matrix.bits, words),
        #[cfg(kinglet_mve)]
        Layout::Lanes16 => mve::prepare(x, inverse, words),
        #[cfg(any(kinglet_armv6m, kinglet_armv7m))]
        Layout::Pairs => pairs::prepare(x, inverse, matrix.bits, words),
        #[cfg(kinglet_neon)]
        Layout::Rows4 => words::prepare(x, inverse, matrix.bits, words),
        #[cfg(kinglet_x86)]
        Layout::Rows4 if x86::level() != x86::Level::None => {
            x86::prepare(x86::level(), x, inverse, matrix.bits, words);
        }
        _ => portable::prepare(x, inverse, words),
    }
    Prepared { words, scale }
}

/// The exact sums of `matrix x vector`, before scaling: `[rows, cols]` x
/// `[cols]` -> `[rows]`. `out` must hold whole blocks of four rows.
pub fn sums(matrix: &Matrix<'_>, x: &Prepared<'_>, out: &mut [i32]) {
    match matrix.layout {
        #[cfg(kinglet_dsp)]
        Layout::Rows4 => dsp::sums(matrix, x.words, out),
        #[cfg(kinglet_mve)]
        Layout::Lanes16 => mve::sums(matrix, x.words, out),
        #[cfg(kinglet_armv6m)]
        Layout::Pairs => armv6m::sums(matrix, x.words, out),
        #[cfg(kinglet_armv7m)]
        Layout::Pairs => armv7m::sums(matrix, x.words, out),
        #[cfg(kinglet_neon)]
        Layout::Rows4 => neon::sums(matrix, x.words, out),
        #[cfg(kinglet_x86)]
        Layout::Rows4 if x86::level() != x86::Level::None => {
            x86::sums(x86::level(), matrix, x.words, out);
        }
        _ => portable::sums(matrix, x.words, out),
    }
}

/// `out = matrix x vector`: `[rows, cols]` x `[cols]` -> `[rows]`.
///
/// `out` must hold whole blocks of four rows; what it holds behind the last
/// row is not defined.
pub fn matvec(matrix: &Matrix<'_>, x: &Prepared<'_>, out: &mut [f32]) {
    sums(matrix, x, bytemuck::cast_slice_mut(out));
    scale_rows(matrix.scales, x.scale, out);
}

/// Who multiplies: a workstation may share the rows among threads. The
/// result is the same, whoever it is.
pub trait Executor {
    /// As [`matvec`].
    fn matvec(&mut self, matrix: &Matrix<'_>, x: &Prepared<'_>, out: &mut [f32]);
}

/// This thread, alone.
#[derive(Clone, Copy, Debug, Default)]
pub struct Serial;

impl Executor for Serial {
    #[inline]
    fn matvec(&mut self, matrix: &Matrix<'_>, x: &Prepared<'_>, out: &mut [f32]) {
        matvec(matrix, x, out);
    }
}

/// Turns the sums of rows into values, in place: an integer in each word
/// becomes a float. Whole blocks of rows.
#[cfg(not(any(kinglet_fpu, kinglet_soft)))]
fn scale_rows(scales: &[bf16], x_scale: f32, out: &mut [f32]) {
    for (out, &scale) in out.iter_mut().zip(scales) {
        *out = scale_float(out.to_bits() as i32, scale, x_scale);
    }
}
#[cfg(kinglet_armv6m)]
use armv6m_float::scale_rows;
#[cfg(all(kinglet_fpu, not(kinglet_mve)))]
use fpu::scale_rows;
#[cfg(kinglet_mve)]
use mve::scale_rows;
#[cfg(all(kinglet_soft, not(kinglet_armv6m)))]
use soft::scale_rows;

/// The value of a row: what every other way to compute it must equal.
#[cfg(any(not(kinglet_fpu), test))]
fn scale_float(sum: i32, scale: bf16, x_scale: f32) -> f32 {
    sum as f32 * scale_to_f32(scale) * x_scale
}

/// One activation as an integer in [-127, 127].
#[inline(always)]
fn quantize_one(x: f32, inverse: f32) -> i8 {
    #[cfg(kinglet_soft)]
    let q = soft::quantize_one(x, inverse);
    #[cfg(not(kinglet_soft))]
    let q = quantize_float(x, inverse);
    q
}

/// The same by two float operations.
#[inline(always)]
fn quantize_float(x: f32, inverse: f32) -> i8 {
    (x * inverse + ROUND_MAGIC).to_bits() as i8
}
