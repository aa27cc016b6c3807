//! The plainest answers to all that a port may define: what every port must
//! equal bit for bit. Weights are read word by word, in every arrangement.
//!
//! Sums wrap and never overflow in an image that was checked; floats follow the
//! rules of [`number`].

#[cfg(kinglet_lanes16)]
mod lanes16;
pub(super) mod norm;
#[cfg(kinglet_pairs)]
mod pairs;
#[cfg(kinglet_rows4)]
mod rows4;
pub(super) mod state;
pub(super) mod steps;

use super::{Bonus, Cell, Delta, Port};
use crate::number::{self, scale_to_f32, AbsMax, ROUND_MAGIC};
use crate::shape::{
    matrix_weight_bytes, Bits, Layout, Matrix, BLOCK_ROWS, GROUP_BYTES, GROUP_COLS,
};
use half::{bf16, f16};

/// All of [`Port`], and nothing but plain Rust.
#[derive(Debug)]
pub struct Portable;

impl Port for Portable {
    // Its own base: it defines everything.
    type Base = Self;

    /// Arbitrary: its products read every arrangement.
    const LAYOUT: Layout = Layout::Rows4;

    /// A byte per column; zeros after the last, to the end of `words`.
    fn prepare(x: &[f32], inverse: f32, _: Bits, words: &mut [u32]) {
        let columns: &mut [i8] = bytemuck::cast_slice_mut(words);
        let padded = x.iter().copied().chain(core::iter::repeat(0.0));
        for (column, x) in columns.iter_mut().zip(padded) {
            *column = quantize(x, inverse);
        }
    }

    fn sums(matrix: &Matrix<'_>, words: &[u32], sums: &mut [i32]) {
        let columns: &[i8] = bytemuck::cast_slice(words);
        let (layout, bits, cols) = (matrix.layout, matrix.bits, matrix.cols);
        let block_bytes = matrix_weight_bytes(layout, bits, BLOCK_ROWS, cols) as usize;
        let blocks = matrix.weights.chunks_exact((block_bytes / 4).max(1));
        let blocks = blocks.take(matrix.rows.div_ceil(BLOCK_ROWS));
        for (sums, block) in sums.chunks_exact_mut(BLOCK_ROWS).zip(blocks) {
            let block = block_sums(layout, bits, block, columns);
            for (sum, block) in sums.iter_mut().zip(block) {
                *sum = block;
            }
        }
    }

    fn scale_rows(scales: &[bf16], x_scale: f32, out: &mut [f32]) {
        for (out, &scale) in out.iter_mut().zip(scales) {
            *out = scaled(out.to_bits() as i32, scale, x_scale);
        }
    }

    #[inline]
    fn exp(x: f32) -> f32 {
        number::exp(x)
    }

    fn norm(x: &[f32], eps: f32, weight: &[f16], bias: &[f16], out: &mut [f32]) {
        let moments = norm::moments(x, eps, norm::sum);
        norm::affine_from(0, x, moments, [weight, bias], out);
    }

    fn token_shift(x: &[f32], previous: &[f32], mix: &[f16], out: &mut [f32]) -> AbsMax {
        steps::token_shift_from((0, AbsMax::ZERO), x, previous, mix, out)
    }

    fn relu_squared(x: &mut [f32]) -> AbsMax {
        steps::relu_squared_from((0, AbsMax::ZERO), x)
    }

    unsafe fn bonus<S: Cell>(state: &mut [S], head: &Bonus<'_>, y: &mut [f32]) {
        state::bonus_start(head, y);
        state::bonus_from(0, state, head, y);
    }

    unsafe fn delta<S: Cell>(state: &mut [S], head: &Delta<'_>, y: &mut [f32], sa: &mut [f32]) {
        state::delta_start(head, y, sa);
        state::delta_read_from(0, state, head, y, sa);
        state::delta_write_from(0, state, head, sa);
        state::delta_end(head, y, sa);
    }
}

/// One activation as an integer in [-127, 127]: `round(x * inverse)`.
#[inline(always)]
pub(super) fn quantize(x: f32, inverse: f32) -> i8 {
    (x * inverse + ROUND_MAGIC).to_bits() as i8
}

/// The value of a row.
#[inline(always)]
pub(super) fn scaled(sum: i32, scale: bf16, x_scale: f32) -> f32 {
    sum as f32 * scale_to_f32(scale) * x_scale
}

/// The sums of one block. An image in a layout that this build lacks is refused.
fn block_sums(layout: Layout, bits: Bits, block: &[u32], columns: &[i8]) -> [i32; BLOCK_ROWS] {
    match layout {
        #[cfg(kinglet_rows4)]
        Layout::Rows4 => rows4::block(bits, block, columns),
        #[cfg(kinglet_pairs)]
        Layout::Pairs => pairs::block(bits, block, columns),
        #[cfg(kinglet_lanes16)]
        Layout::Lanes16 => lanes16::block(bits, block, columns),
        #[allow(unreachable_patterns)]
        _ => [0; BLOCK_ROWS],
    }
}

/// Four rows of int8 weights: steps of four columns, a word for each row;
/// `flip` turns a word into two's complement.
#[cfg(any(kinglet_rows4, kinglet_pairs))]
fn int8_words(block: &[u32], columns: &[i8], flip: u32) -> [i32; BLOCK_ROWS] {
    let mut sums = [0i32; BLOCK_ROWS];
    let steps = block.chunks_exact(BLOCK_ROWS).zip(columns.chunks_exact(4));
    for (words, x) in steps {
        for (sum, word) in sums.iter_mut().zip(words) {
            let weights = (word ^ flip).to_le_bytes();
            for (w, &x) in weights.into_iter().zip(x) {
                *sum = sum.wrapping_add(i32::from(w as i8) * i32::from(x));
            }
        }
    }
    sums
}

/// Four rows of int4 weights: for each group of 32 columns the layout's own
/// words, of which `group_sums` makes the sums of the rows, then a word of
/// four scales.
fn int4_groups(
    block: &[u32],
    columns: &[i8],
    group_sums: impl Fn(&[u32], &[i8]) -> [i32; BLOCK_ROWS],
) -> [i32; BLOCK_ROWS] {
    let mut sums = [0i32; BLOCK_ROWS];
    let groups = block
        .chunks_exact(GROUP_BYTES / 4)
        .zip(columns.chunks_exact(GROUP_COLS));
    for (group, x) in groups {
        let Some((scales, words)) = group.split_last() else {
            continue;
        };
        let scaled = group_sums(words, x).into_iter().zip(scales.to_le_bytes());
        for (sum, (group_sum, scale)) in sums.iter_mut().zip(scaled) {
            *sum = sum.wrapping_add(group_sum.wrapping_mul(i32::from(scale)));
        }
    }
    sums
}
