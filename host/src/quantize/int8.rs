//! One row of int8 weights under a bfloat16 scale.

use super::{inverse, least, round};
use crate::simd::sum;
use half::bf16;

/// The largest magnitude used: symmetric, as the kernels' bounds assume.
pub(super) const MAX: f32 = 127.0;

/// The search goes down to this share of the scale that clips nothing.
const LEAST_SHARE: f32 = 0.7;

/// Quantizes `row` `[cols]` into `q` and returns the scale. The squared error of a
/// column counts as often as `importance` `[cols]` says.
#[inline(always)]
pub(super) fn row(row: &[f32], importance: &[f32], q: &mut [i8]) -> f32 {
    let max = row.iter().fold(0.0f32, |m, w| m.max(w.abs()));
    let scale = best_scale(row, importance, max);
    let inverse = inverse(scale);
    for (q, w) in q.iter_mut().zip(row) {
        *q = round(w * inverse).clamp(-MAX, MAX) as i8;
    }
    scale
}

/// Tries every bfloat16 from the first that clips nothing downwards.
#[inline(always)]
fn best_scale(row: &[f32], importance: &[f32], max: f32) -> f32 {
    let first = bf16::from_f32(max / MAX * 1.004);
    let candidates = (1..=first.to_bits()).rev().map(bf16::from_bits);
    let candidates = candidates.take_while(|scale| scale.to_f32() >= LEAST_SHARE * max / MAX);
    least(
        candidates,
        #[inline(always)]
        |scale| squared_error(row, importance, scale.to_f32(), max),
    )
    .unwrap_or(first)
    .to_f32()
}

/// The squared error of the row under `scale`, in units of `max` squared: so
/// it stays in range for tiny and huge rows alike.
#[inline(always)]
fn squared_error(row: &[f32], importance: &[f32], scale: f32, max: f32) -> f32 {
    let inverse = inverse(scale);
    let importance = &importance[..row.len()];
    let error = sum(row.len(), |i| {
        let x = row[i] * inverse;
        let q = round(x).clamp(-MAX, MAX);
        (x - q) * (x - q) * importance[i]
    });
    let unit = scale / max;
    error * unit * unit
}
