//! The number a tape computes with: `f32` to train, `f64` to check gradients.

use std::fmt::Debug;
use std::iter::Sum;
use std::ops::{AddAssign, MulAssign};

/// A float with what the operations of a tape need.
pub trait Real:
    num_traits::Float
    + ndarray::LinalgScalar
    + AddAssign
    + MulAssign
    + Sum
    + Debug
    + Default
    + Send
    + Sync
{
    /// The nearest number to `x`.
    fn of(x: f64) -> Self;

    /// The number as an f64.
    fn to(self) -> f64;

    /// `e^self`, in a form that compilers can put into vector registers; of an f32 0 where it is
    /// nothing beside 1.
    fn exp_fast(self) -> Self;

    /// The sum of products of two slices of one length, in the vectors of
    /// `simd`.
    fn dot<S: pulp::Simd>(simd: S, a: &[Self], b: &[Self]) -> Self;
}

impl Real for f64 {
    #[inline(always)]
    fn of(x: f64) -> Self {
        x
    }

    #[inline(always)]
    fn to(self) -> f64 {
        self
    }

    #[inline(always)]
    fn exp_fast(self) -> Self {
        self.exp()
    }

    #[inline(always)]
    fn dot<S: pulp::Simd>(_: S, a: &[Self], b: &[Self]) -> Self {
        a.iter().zip(b).map(|(a, b)| a * b).sum()
    }
}

/// 1.5 * 2^23: a float near it has no fraction bits.
const ROUND: f32 = 12_582_912.0;
/// ln 2 in two parts; the first has few bits, so that products are exact.
const LN2_HIGH: f32 = 0.693_359_4;
const LN2_LOW: f32 = -2.121_944_4e-4;
/// Beside 1 its exponential is nothing; and were it not 0, products of it could be
/// subnormal, which take a hundred times as long.
const LEAST: f32 = -50.0;

impl Real for f32 {
    #[inline(always)]
    fn of(x: f64) -> Self {
        x as f32
    }

    #[inline(always)]
    fn to(self) -> f64 {
        f64::from(self)
    }

    /// Relative error below 3e-7 between -50 and 88; 0 below, clamped above.
    #[inline(always)]
    fn exp_fast(self) -> Self {
        let x = self.clamp(LEAST, 88.0);
        let shifted = x * std::f32::consts::LOG2_E + ROUND;
        let n = shifted - ROUND;
        let r = x - n * LN2_HIGH - n * LN2_LOW;
        let p = 1.0 / 720.0;
        let p = p * r + 1.0 / 120.0;
        let p = p * r + 1.0 / 24.0;
        let p = p * r + 1.0 / 6.0;
        let p = p * r + 0.5;
        let p = p * r + 1.0;
        let p = p * r + 1.0;
        // 2^n by its exponent bits: the low bits of `shifted` hold n.
        let power = f32::from_bits((shifted.to_bits().wrapping_add(127)) << 23);
        if self < LEAST {
            0.0
        } else {
            p * power
        }
    }

    #[inline(always)]
    fn dot<S: pulp::Simd>(simd: S, a: &[Self], b: &[Self]) -> Self {
        let (a, a_rest) = S::as_simd_f32s(a);
        let (b, b_rest) = S::as_simd_f32s(b);
        // Two sums, so that an addition need not wait for the one before.
        let mut sums = [simd.splat_f32s(0.0); 2];
        let (a_pairs, a_last) = pulp::as_arrays::<2, _>(a);
        let (b_pairs, b_last) = pulp::as_arrays::<2, _>(b);
        for (a, b) in a_pairs.iter().zip(b_pairs) {
            sums[0] = simd.mul_add_f32s(a[0], b[0], sums[0]);
            sums[1] = simd.mul_add_f32s(a[1], b[1], sums[1]);
        }
        for (&a, &b) in a_last.iter().zip(b_last) {
            sums[0] = simd.mul_add_f32s(a, b, sums[0]);
        }
        let sum = simd.reduce_sum_f32s(simd.add_f32s(sums[0], sums[1]));
        let rest = a_rest.iter().zip(b_rest).map(|(a, b)| a * b);
        rest.fold(sum, |sum, x| sum + x)
    }
}

/// `1 / (1 + e^-x)`.
#[inline(always)]
pub fn sigmoid<F: Real>(x: F) -> F {
    F::one() / (F::one() + (-x).exp_fast())
}

/// The hyperbolic tangent.
#[inline(always)]
pub fn tanh<F: Real>(x: F) -> F {
    let two = F::of(2.0);
    two * sigmoid(two * x) - F::one()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_is_accurate() {
        let worst = (-5000..8800)
            .map(|i| i as f32 / 100.0)
            .map(|x| (f64::from(x.exp_fast()) / f64::from(x).exp() - 1.0).abs())
            .fold(0.0, f64::max);
        assert!(worst < 3e-7, "{worst}");
        assert_eq!(
            [-50.1, -200.0, f32::NEG_INFINITY].map(f32::exp_fast),
            [0.0; 3]
        );
        assert!(200.0f32.exp_fast() > 1e38);
    }
}
