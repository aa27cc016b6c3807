//! Four rows of int4 or int6 weights: groups of 32 columns under integer scales
//! 0..=255, and one power of two for all of them. A group's step is the product of the
//! two.

use super::{inverse, least, round};
use crate::simd::sum;
use kinglet::shape::GROUP_COLS;

/// Weights of this many bits.
pub(super) struct Grid<const BITS: u32>;

impl<const BITS: u32> Grid<BITS> {
    const HALF: f32 = (1 << (BITS - 1)) as f32;
    pub(super) const MIN: f32 = -Self::HALF;
    pub(super) const MAX: f32 = Self::HALF - 1.0;

    /// Steps tried for a group, as shares of its largest magnitude: from one
    /// that clips a third of it to one that leaves a level unused.
    const FINEST: f32 = 1.0 / (1.375 * Self::HALF);
    const COARSEST: f32 = 1.0 / (Self::HALF - 1.5);
}

const TRIALS: usize = 48;

/// Rows that share a scale: [`BLOCK_ROWS`](kinglet::shape::BLOCK_ROWS) or fewer.
pub(super) struct Block<'b> {
    /// `[rows, cols]`.
    pub values: &'b [f32],
    /// How often the squared error of a column counts, `[cols]`.
    pub importance: &'b [f32],
}

impl Block<'_> {
    /// The groups of all rows, each with its columns' importance.
    fn groups(&self) -> impl Iterator<Item = (&[f32], &[f32])> {
        let rows = self.values.chunks_exact(self.importance.len());
        rows.flat_map(|row| {
            let importance = self.importance.chunks(GROUP_COLS);
            row.chunks(GROUP_COLS).zip(importance)
        })
    }

    /// Quantizes into `q` `[rows, cols]` and `group_scales`; returns the block's scale.
    #[inline(always)]
    pub fn quantize<const BITS: u32>(&self, q: &mut [i8], group_scales: &mut [u8]) -> f32 {
        let cols = self.importance.len();
        let most = most_group_scale::<BITS>(cols.div_ceil(GROUP_COLS));
        let coarsest = self.groups().map(best_step::<BITS>).fold(0.0f32, f32::max);
        let scale = power_of_two(coarsest / most);
        let q = q
            .chunks_exact_mut(cols)
            .flat_map(|q| q.chunks_mut(GROUP_COLS));
        for (((group, importance), q), group_scale) in self.groups().zip(q).zip(group_scales) {
            *group_scale = best_group_scale::<BITS>(group, importance, scale, most);
            let step = f32::from(*group_scale) * scale;
            for (q, &w) in q.iter_mut().zip(group) {
                *q = nearest::<BITS>(w, inverse(step)) as i8;
            }
        }
        scale
    }
}

/// The least power of two that is not below `x`, a normal number; 0 of nothing.
fn power_of_two(x: f32) -> f32 {
    const FRACTION: u32 = (1 << (f32::MANTISSA_DIGITS - 1)) - 1;
    f32::from_bits((x.to_bits() + FRACTION) & !FRACTION)
}

#[inline(always)]
fn nearest<const BITS: u32>(w: f32, inverse: f32) -> f32 {
    round(w * inverse).clamp(Grid::<BITS>::MIN, Grid::<BITS>::MAX)
}

#[inline(always)]
fn magnitude(group: &[f32]) -> f32 {
    group.iter().fold(0.0f32, |m, w| m.max(w.abs()))
}

/// The squared error of a group, in units of `unit` squared.
#[inline(always)]
fn squared_error<const BITS: u32>(group: &[f32], importance: &[f32], step: f32, unit: f32) -> f32 {
    let inverse = inverse(step);
    let importance = &importance[..group.len()];
    let error = sum(group.len(), |i| {
        let difference = group[i] * inverse - nearest::<BITS>(group[i], inverse);
        difference * difference * importance[i]
    });
    let scale = step / unit;
    error * scale * scale
}

/// The best step of a group without the constraint of integer scales.
#[inline(always)]
fn best_step<const BITS: u32>((group, importance): (&[f32], &[f32])) -> f32 {
    let max = magnitude(group);
    let (finest, coarsest) = (Grid::<BITS>::FINEST, Grid::<BITS>::COARSEST);
    let trial = |i: usize| max * (finest + (coarsest - finest) * i as f32 / TRIALS as f32);
    let steps = (0..=TRIALS).map(trial);
    least(
        steps,
        #[inline(always)]
        |&step| squared_error::<BITS>(group, importance, step, max),
    )
    .unwrap_or(0.0)
}

/// The largest scale of a group: the sum of a long row with a quantized vector
/// takes 30 bits, too.
fn most_group_scale<const BITS: u32>(groups: usize) -> f32 {
    // 32 weights of 8 or 32 by values of 127.
    let group_sum = GROUP_COLS * (1 << (BITS - 1)) * 127;
    (((1 << 30) - 1) / (groups * group_sum)).min(255) as f32
}

/// The best integer scale of a group under the block's scale.
#[inline(always)]
fn best_group_scale<const BITS: u32>(
    group: &[f32],
    importance: &[f32],
    scale: f32,
    most: f32,
) -> u8 {
    let max = magnitude(group);
    let bound = |share: f32| (max * share * inverse(scale)).clamp(0.0, most);
    let importance = &importance[..group.len()];
    // A group far below the row's largest may be best at zero.
    let candidates =
        bound(Grid::<BITS>::FINEST).floor() as u8..=bound(Grid::<BITS>::COARSEST).ceil() as u8;
    least(
        candidates,
        #[inline(always)]
        |&m| match m {
            0 => sum(group.len(), |i| (group[i] / max).powi(2) * importance[i]),
            m => squared_error::<BITS>(group, importance, f32::from(m) * scale, max),
        },
    )
    .unwrap_or(0)
}
