//! Layer norm (Ba et al., arXiv 1607.06450); for the channels of a head it is a
//! group norm (Wu and He, arXiv 1803.08494).
//!
//! Two passes: the mean, then the variance of what it leaves. The variance is
//! biased, divided by C.

use crate::number::{half_to_f32, rsqrt};
use half::f16;

/// The mean of `x` `[C]`, and the reciprocal of its standard deviation with
/// `eps` added to the variance; `sum` is [`sum`] or a port's equal of it.
#[inline(always)]
pub(in crate::arch) fn moments(
    x: &[f32],
    eps: f32,
    sum: impl Fn(&[f32], f32, bool) -> f32,
) -> [f32; 2] {
    let n = x.len() as f32;
    let mean = sum(x, 0.0, false) / n;
    let variance = sum(x, mean, true) / n;
    [mean, rsqrt(variance + eps)]
}

/// The sum of `x`, or of the squares of `x - shift`, in four interleaved
/// partial sums: more accurate than one, and without a chain of dependent
/// additions.
pub(super) fn sum(x: &[f32], shift: f32, squares: bool) -> f32 {
    let mut part = [0.0f32; 4];
    for chunk in x.chunks(4) {
        for (part, &v) in part.iter_mut().zip(chunk) {
            *part += if squares {
                (v - shift) * (v - shift)
            } else {
                v
            };
        }
    }
    (part[0] + part[1]) + (part[2] + part[3])
}

/// `out = (x - mean) * rstd * weight + bias`, for the channels from `done` on.
#[inline(always)]
pub(in crate::arch) fn affine_from(
    done: usize,
    x: &[f32],
    [mean, rstd]: [f32; 2],
    [weight, bias]: [&[f16]; 2],
    out: &mut [f32],
) {
    let affine = weight.iter().zip(bias);
    for ((out, &x), (&w, &b)) in out.iter_mut().zip(x).zip(affine).skip(done) {
        *out = (x - mean) * rstd * half_to_f32(w) + half_to_f32(b);
    }
}

#[cfg(test)]
mod tests {
    use half::f16;
    use std::vec;
    use std::vec::Vec;

    #[test]
    fn matches_the_formula_in_double_precision() {
        for n in [1, 3, 4, 7, 128] {
            let x: Vec<f32> = (0..n).map(|i| (i as f32 * 0.7).sin() * 3.0 + 0.5).collect();
            let w: Vec<f16> = (0..n)
                .map(|i| f16::from_f32(0.5 + i as f32 / 64.0))
                .collect();
            let b: Vec<f16> = (0..n)
                .map(|i| f16::from_f32(i as f32 / 128.0 - 0.3))
                .collect();
            let mean = x.iter().map(|&v| f64::from(v)).sum::<f64>() / n as f64;
            let var = x
                .iter()
                .map(|&v| (f64::from(v) - mean).powi(2))
                .sum::<f64>()
                / n as f64;
            let mut out = vec![0.0; n];
            crate::arch::layer_norm(&x, &w, &b, &mut out);
            for i in 0..n {
                let exact =
                    (f64::from(x[i]) - mean) / (var + 1e-5).sqrt() * w[i].to_f64() + b[i].to_f64();
                assert!((f64::from(out[i]) - exact).abs() < 2e-6, "{n}: {i}");
            }
        }
    }
}
