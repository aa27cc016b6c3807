//! f32 weights -> int8, int6 or int4 with scales, row by row.
//!
//! The scale of each row (int8) or group (int6, int4) is the one with the least
//! squared error among all that the format can store near the obvious one.

pub mod choice;
pub mod compensate;
mod groups;
mod int8;
pub mod sensitivity;

use crate::simd::wide;
use crate::train::real::Real;
use groups::{Block, Grid};
use kinglet::shape::{Bits, BLOCK_ROWS, GROUP_COLS};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// The precision of a weight, as options and recipes name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// One byte per weight, a scale per row
    Int8,
    /// Three quarters of a byte per weight, a scale per 32 of them
    Int6,
    /// Half a byte per weight, a scale per 32 of them
    Int4,
}

impl From<Precision> for Bits {
    fn from(precision: Precision) -> Self {
        match precision {
            Precision::Int8 => Bits::Int8,
            Precision::Int6 => Bits::Int6,
            Precision::Int4 => Bits::Int4,
        }
    }
}

/// A quantized matrix `[rows, cols]`, row-major, not yet packed.
#[derive(Clone, Debug, PartialEq)]
pub struct Quantized {
    /// Outputs.
    pub rows: usize,
    /// Inputs.
    pub cols: usize,
    /// Precision.
    pub bits: Bits,
    /// `[rows, cols]`: -127..=127, -32..=31 or -8..=7.
    pub weights: Vec<i8>,
    /// `[rows, ceil(cols / 32)]`; empty for int8.
    pub group_scales: Vec<u8>,
    /// `[rows]`: of int8 a bfloat16 each, else a power of two for each four rows.
    pub scales: Vec<f32>,
}

/// Adding and taking away this rounds to the nearest integer, as core does.
const ROUND_MAGIC: f32 = 12_582_912.0;

#[inline(always)]
fn round(x: f32) -> f32 {
    (x + ROUND_MAGIC) - ROUND_MAGIC
}

/// The reciprocal of a step; zero where that is not a finite number, so that
/// rows of (almost) nothing become zeros.
#[inline(always)]
fn inverse(step: f32) -> f32 {
    if step >= f32::MIN_POSITIVE {
        1.0 / step
    } else {
        0.0
    }
}

/// The candidate with the least cost; `None` if all costs are NaN.
#[inline(always)]
fn least<T>(candidates: impl Iterator<Item = T>, cost: impl Fn(&T) -> f32) -> Option<T> {
    let mut best = None;
    let mut best_cost = f32::INFINITY;
    for candidate in candidates {
        let cost = cost(&candidate);
        if cost < best_cost {
            best_cost = cost;
            best = Some(candidate);
        }
    }
    best
}

/// Quantizes `data` `[rows, cols]`, all cores at work. Values must be finite.
pub fn quantize(data: &[f32], rows: usize, cols: usize, bits: Bits) -> Quantized {
    debug_assert_eq!(data.len(), rows * cols);
    quantize_weighed(data, cols, bits, &vec![1.0; cols])
}

/// The same of rows of `cols`; squared errors of a column count as often as
/// `importance` `[cols]` says.
fn quantize_weighed(data: &[f32], cols: usize, bits: Bits, importance: &[f32]) -> Quantized {
    let rows = data.len() / cols;
    let groups = bits.groups(cols);
    let mut out = Quantized {
        rows,
        cols,
        bits,
        weights: vec![0; rows * cols],
        group_scales: vec![0; rows * groups],
        scales: vec![0.0; rows],
    };
    match bits {
        Bits::Int8 => data
            .par_chunks_exact(cols)
            .zip(out.weights.par_chunks_exact_mut(cols))
            .zip(&mut out.scales)
            .for_each(|((row, q), scale)| {
                wide(
                    #[inline(always)]
                    || *scale = int8::row(row, importance, q),
                );
            }),
        bits => data
            .par_chunks(BLOCK_ROWS * cols)
            .zip(out.weights.par_chunks_mut(BLOCK_ROWS * cols))
            .zip(out.scales.par_chunks_mut(BLOCK_ROWS))
            .zip(out.group_scales.par_chunks_mut(BLOCK_ROWS * groups))
            .for_each(|(((values, q), scales), group_scales)| {
                let block = Block { values, importance };
                let mut scale = 0.0;
                wide(
                    #[inline(always)]
                    || {
                        scale = match bits {
                            Bits::Int4 => block.quantize::<4>(q, group_scales),
                            _ => block.quantize::<6>(q, group_scales),
                        }
                    },
                );
                scales.fill(scale);
            }),
    }
    out
}

/// A vector as products read it: 8 bits under one scale, the largest magnitude being
/// 127. The engine rounds first to 15 bits, which moves few values to another step.
#[inline(always)]
pub(crate) fn round_row<F: Real>(x: &[F], y: &mut [F]) {
    round_row_to(127.0, x, y);
}

/// A vector as a fine product reads it: likewise, in steps of the low part.
#[inline(always)]
pub(crate) fn round_row_finely<F: Real>(x: &[F], y: &mut [F]) {
    round_row_to(126.0 * 128.0, x, y);
}

/// Vectors `[_, cols]`, each rounded, to 16 bits or to eight.
pub(crate) fn rounded_rows(x: &[f32], cols: usize, fine: bool) -> Vec<f32> {
    let round_row = if fine {
        round_row_finely::<f32>
    } else {
        round_row::<f32>
    };
    let mut rounded = vec![0.0; x.len()];
    let rows = x.chunks_exact(cols).zip(rounded.chunks_exact_mut(cols));
    rows.for_each(|(x, rounded)| round_row(x, rounded));
    rounded
}

#[inline(always)]
fn round_row_to<F: Real>(steps: f64, x: &[F], y: &mut [F]) {
    let (steps, magic) = (F::of(steps), F::of(ROUND_MAGIC.into()));
    let max = x.iter().fold(F::zero(), |m, x| m.max(x.abs()));
    if max <= F::zero() {
        y.fill(F::zero());
        return;
    }
    let (up, down) = (steps / max, max / steps);
    for (y, &x) in y.iter_mut().zip(x) {
        *y = ((x * up + magic) - magic) * down;
    }
}

impl Quantized {
    /// Writes all values, `[rows, cols]`.
    pub fn values(&self, out: &mut [f32]) {
        let groups = self.bits.groups(self.cols);
        let rows = out.par_chunks_exact_mut(self.cols).enumerate();
        rows.for_each(|(row, out)| {
            let weights = &self.weights[row * self.cols..][..self.cols];
            let scale = self.scales[row];
            match self.bits {
                Bits::Int8 => out
                    .iter_mut()
                    .zip(weights)
                    .for_each(|(out, &w)| *out = f32::from(w) * scale),
                _ => {
                    let group_scales = &self.group_scales[row * groups..][..groups];
                    let groups = out.chunks_mut(GROUP_COLS).zip(weights.chunks(GROUP_COLS));
                    for ((out, weights), &m) in groups.zip(group_scales) {
                        let products = weights.iter().map(|&w| i32::from(w) * i32::from(m));
                        out.iter_mut()
                            .zip(products)
                            .for_each(|(out, product)| *out = product as f32 * scale);
                    }
                }
            }
        });
    }

    /// These rows, then those of another one.
    fn followed_by(mut self, other: Self) -> Self {
        debug_assert_eq!((self.cols, self.bits), (other.cols, other.bits));
        self.rows += other.rows;
        self.weights.extend(other.weights);
        self.group_scales.extend(other.group_scales);
        self.scales.extend(other.scales);
        self
    }

    /// Some of the rows.
    pub(crate) fn part(&self, rows: Range<usize>) -> Self {
        let groups = self.bits.groups(self.cols);
        let of = |per_row: usize| rows.start * per_row..rows.end * per_row;
        Self {
            rows: rows.len(),
            cols: self.cols,
            bits: self.bits,
            weights: self.weights[of(self.cols)].to_vec(),
            group_scales: self.group_scales[of(groups)].to_vec(),
            scales: self.scales[rows.clone()].to_vec(),
        }
    }

    /// What a weight of 1 is worth.
    fn step(&self, row: usize, col: usize) -> f64 {
        let groups = self.bits.groups(self.cols);
        let scale = f64::from(self.scales[row]);
        match self.bits {
            Bits::Int8 => scale,
            _ => scale * f64::from(self.group_scales[row * groups + col / GROUP_COLS]),
        }
    }

    /// The nearest weight; 0 where a step is nothing.
    fn nearest(&self, steps: f64) -> f64 {
        let (least, most) = match self.bits {
            Bits::Int8 => (-int8::MAX, int8::MAX),
            Bits::Int6 => (Grid::<6>::MIN, Grid::<6>::MAX),
            Bits::Int4 => (Grid::<4>::MIN, Grid::<4>::MAX),
        };
        match steps.is_finite() {
            true => steps.round_ties_even().clamp(least.into(), most.into()),
            false => 0.0,
        }
    }

    /// The largest magnitude that the sum of a row with a quantized vector can have;
    /// less than 2^30.
    pub fn largest_sum(&self) -> u64 {
        let groups = self.bits.groups(self.cols);
        let rows = self.weights.chunks_exact(self.cols).enumerate();
        let row_sum = |(row, weights): (usize, &[i8])| -> u64 {
            let weighed = weights.chunks(GROUP_COLS).enumerate();
            let group_sums = weighed.map(|(group, weights)| {
                let scale = match self.bits {
                    Bits::Int8 => 1,
                    _ => u64::from(self.group_scales[row * groups + group]),
                };
                scale
                    * weights
                        .iter()
                        .map(|w| u64::from(w.unsigned_abs()))
                        .sum::<u64>()
            });
            127 * group_sums.sum::<u64>()
        };
        rows.map(row_sum).max().unwrap_or(0)
    }

    /// The largest sum of the group scales of a row; of int6 at most
    /// [`MOST_SCALE_SUM`](kinglet::shape::MOST_SCALE_SUM).
    pub fn largest_scale_sum(&self) -> u32 {
        let groups = self.bits.groups(self.cols).max(1);
        let rows = self.group_scales.chunks_exact(groups);
        let sums = rows.map(|row| row.iter().map(|&m| u32::from(m)).sum());
        sums.max().unwrap_or(0)
    }

    /// Adds how far the values are from `data`, which they stand for.
    pub fn deviation(&self, data: &[f32], deviation: &mut Deviation) {
        let mut stored = vec![0.0; data.len()];
        self.values(&mut stored);
        for (&value, stored) in data.iter().zip(stored) {
            deviation.add(value, stored);
        }
    }
}

/// How far stored values are from those they stand for, summed up.
#[derive(Clone, Copy, Debug, Default)]
pub struct Deviation {
    error: f64,
    norm: f64,
}

impl Deviation {
    /// Adds one value.
    pub fn add(&mut self, value: f32, stored: f32) {
        self.error += f64::from(value - stored).powi(2);
        self.norm += f64::from(value).powi(2);
    }

    /// Root of the mean squared error, relative to that of the values.
    pub fn relative(&self) -> f64 {
        if self.norm > 0.0 {
            (self.error / self.norm).sqrt()
        } else {
            0.0
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use half::bf16;
    use kinglet::shape::{MAX_COLS, MOST_SCALE_SUM};
    use proptest::prelude::*;

    fn values(q: &Quantized) -> Vec<f32> {
        let mut values = vec![0.0; q.weights.len()];
        q.values(&mut values);
        values
    }

    proptest! {
        /// What is chosen has no larger squares than a step that clips nothing, with
        /// errors of half of it. Under int8 that step is the largest value's 127th,
        /// 0.4 % and the rounding of a bfloat16 more. Under int4 it is that of 6.5, under int6 of 30.5, and
        /// one of 126 parts of the block's largest more for an integer scale; where the
        /// block's scale ends below it, a group has the squares of its own best step beside.
        #[test]
        fn errors_are_within_the_steps_that_clip_nothing(
            (rows, cols, data) in (1usize..5, 1usize..70).prop_flat_map(|(rows, cols)| {
                (Just(rows), Just(cols), proptest::collection::vec(-3.0f32..3.0, rows * cols))
            })
        ) {
            let grouped = |levels: f64| 0.5f64.sqrt() * (1.0 + 1.0 / 126.0) / levels;
            for (bits, group, share) in [
                (Bits::Int8, cols, 0.5031 / 127.0),
                (Bits::Int6, GROUP_COLS, grouped(30.5)),
                (Bits::Int4, GROUP_COLS, grouped(6.5)),
            ] {
                let values = values(&quantize(&data, rows, cols, bits));
                for (row, values) in data.chunks(cols).zip(values.chunks(cols)) {
                    let block = if bits == Bits::Int8 { row } else { &data };
                    let max = block.iter().fold(0.0f32, |m, v| m.max(v.abs()));
                    for (group, values) in row.chunks(group).zip(values.chunks(group)) {
                        let squares = group.iter().zip(values).map(|(w, value)| f64::from(w - value).powi(2));
                        let error = (squares.sum::<f64>() / group.len() as f64).sqrt();
                        prop_assert!(error <= share * f64::from(max), "{bits:?} {group:?}: {error} of {max}");
                    }
                }
            }
        }

        #[test]
        fn is_no_worse_than_plain_rounding(data in proptest::collection::vec(-1.0f32..1.0, 64)) {
            let squared = |q: &Quantized| -> f32 {
                data.iter().zip(values(q)).map(|(w, value)| (w - value).powi(2)).sum()
            };
            let max = data.iter().fold(0.0f32, |m, v| m.max(v.abs()));
            let plain = |steps: f32| -> f32 {
                let scale = bf16::from_f32(max / steps * 1.004).to_f32();
                data.iter().map(|w| (w - (w / scale).round() * scale).powi(2)).sum()
            };
            // The plain scale is among those that int8 tries. The steps of
            // int4 are a grid that may miss it by a little.
            prop_assert!(squared(&quantize(&data, 1, 64, Bits::Int8)) <= plain(127.0) * 1.0001);
            let coarse = (0.01 * max).powi(2);
            prop_assert!(squared(&quantize(&data, 1, 64, Bits::Int4)) <= plain(7.0) * 1.1 + coarse);
        }
    }

    #[test]
    fn sums_are_bounded() {
        for bits in Bits::ALL {
            for cols in [40, MAX_COLS / 2, MAX_COLS] {
                let q = quantize(&vec![-1.0; 2 * cols], 2, cols, bits);
                assert!(q.largest_sum() < 1 << 30, "{bits:?} {cols}");
                assert!(bits != Bits::Int6 || q.largest_scale_sum() <= MOST_SCALE_SUM);
                assert!((values(&q)[1] + 1.0).abs() < 0.02);
            }
        }
    }

    #[test]
    fn zeros_and_extremes() {
        for bits in Bits::ALL {
            assert_eq!(values(&quantize(&[0.0; 40], 1, 40, bits))[3], 0.0);
            let huge = values(&quantize(&[1e30, -1e30, 0.0], 1, 3, bits));
            assert!((huge[0] / 1e30 - 1.0).abs() < 0.05);
            let small = values(&quantize(&[1e-30, -5e-31], 1, 2, bits));
            assert!((small[0] / 1e-30 - 1.0).abs() < 0.05);
            // Below the smallest normal float a step has no reciprocal.
            let least = values(&quantize(&[1e-37, -5e-38], 1, 2, bits));
            assert!((0.0..1.1e-37).contains(&least[0]));
        }
    }
}
