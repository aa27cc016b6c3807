//! Layer normalisation.

use super::scalar::{half_to_f32, rsqrt};
#[cfg(any(feature = "v5", feature = "v6", feature = "v7"))]
use crate::pieces::{pieces, pieces_mut};
use half::f16;

/// Added to the variance (EPS of every published RWKV layer norm).
const EPS: f32 = 1e-5;

/// `out = (x - mean) / sqrt(variance + 1e-5) * weight + bias`, with the
/// biased variance. All slices are `[C]`; shorter ones end the work.
pub fn layer_norm(x: &[f32], weight: &[f16], bias: &[f16], out: &mut [f32]) {
    norm(x, EPS, weight, bias, out);
}

/// The same for each group of `size` channels by itself, with an epsilon of
/// the model's. All slices are `[C]`.
#[cfg(any(feature = "v5", feature = "v6", feature = "v7"))]
pub(crate) fn group_norm(
    x: &[f32],
    size: usize,
    eps: f32,
    [weight, bias]: [&[f16]; 2],
    out: &mut [f32],
) {
    let affine = pieces(weight, size).zip(pieces(bias, size));
    let groups = pieces(x, size).zip(pieces_mut(out, size));
    for ((x, out), (weight, bias)) in groups.zip(affine) {
        norm(x, eps, weight, bias, out);
    }
}

fn norm(x: &[f32], eps: f32, weight: &[f16], bias: &[f16], out: &mut [f32]) {
    let n = x.len() as f32;
    let mean = sum(x, 0.0, false) / n;
    let variance = sum(x, mean, true) / n;
    let rstd = rsqrt(variance + eps);
    #[cfg(kinglet_fpu)]
    let done = crate::kernels::fpu::affine(x, [mean, rstd], weight, bias, out);
    #[cfg(not(kinglet_fpu))]
    let done = 0;
    let affine = weight.iter().zip(bias);
    for ((out, &x), (&w, &b)) in out.iter_mut().zip(x).zip(affine).skip(done) {
        *out = (x - mean) * rstd * half_to_f32(w) + half_to_f32(b);
    }
}

#[cfg(kinglet_fpu)]
use crate::kernels::fpu::sum;

/// The sum of `x`, or of the squares of `x - shift`, in four interleaved
/// partial sums: more accurate than one, and free of a chain of dependent
/// additions.
#[cfg(not(kinglet_fpu))]
fn sum(x: &[f32], shift: f32, squares: bool) -> f32 {
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

#[cfg(test)]
mod tests {
    use super::*;
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
            layer_norm(&x, &w, &b, &mut out);
            for i in 0..n {
                let exact =
                    (f64::from(x[i]) - mean) / (var + 1e-5).sqrt() * w[i].to_f64() + b[i].to_f64();
                assert!((f64::from(out[i]) - exact).abs() < 2e-6, "{n}: {i}");
            }
        }
    }
}
