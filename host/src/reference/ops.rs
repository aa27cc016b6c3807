//! Float building blocks.

/// A matrix `[rows, cols]`, row-major.
#[derive(Debug)]
pub(super) struct Matrix {
    pub cols: usize,
    pub data: Vec<f32>,
}

/// Partial sums of a dot product: what a compiler can put in vector
/// registers, and more accurate than a single one.
const LANES: usize = 16;

impl Matrix {
    /// `out = self x x`: `[rows, cols]` x `[cols]` -> `[rows]`.
    pub fn times(&self, x: &[f32], out: &mut [f32]) {
        for (out, row) in out.iter_mut().zip(self.data.chunks_exact(self.cols)) {
            *out = dot(row, x);
        }
    }
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut lanes = [0.0f32; LANES];
    let (a_chunks, b_chunks) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
    let rest = a_chunks.remainder().iter().zip(b_chunks.remainder());
    let rest: f32 = rest.map(|(a, b)| a * b).sum();
    for (a, b) in a_chunks.zip(b_chunks) {
        for ((lane, a), b) in lanes.iter_mut().zip(a).zip(b) {
            *lane += a * b;
        }
    }
    let mut width = LANES / 2;
    while width > 0 {
        for i in 0..width {
            lanes[i] += lanes[i + width];
        }
        width /= 2;
    }
    lanes[0] + rest
}

/// Layer norm with biased variance and epsilon 1e-5.
#[derive(Debug)]
pub(crate) struct LayerNorm {
    pub weight: Vec<f32>,
    pub bias: Vec<f32>,
}

impl LayerNorm {
    /// `out = (x - mean) / sqrt(var + 1e-5) * weight + bias`, all `[C]`.
    pub fn apply(&self, x: &[f32], out: &mut [f32]) {
        let n = x.len() as f64;
        let mean = x.iter().map(|&v| f64::from(v)).sum::<f64>() / n;
        let variance = x
            .iter()
            .map(|&v| (f64::from(v) - mean).powi(2))
            .sum::<f64>()
            / n;
        let rstd = 1.0 / (variance + 1e-5).sqrt();
        for (((out, &x), &w), &b) in out.iter_mut().zip(x).zip(&self.weight).zip(&self.bias) {
            *out = ((f64::from(x) - mean) * rstd) as f32 * w + b;
        }
    }
}

/// The logistic function.
pub(super) fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + (-x).exp())
}

/// Token shift: `out = x * mix + previous * (1 - mix)`.
pub(super) fn shift(x: &[f32], previous: &[f32], mix: &[f32], out: &mut [f32]) {
    for (((out, x), p), mix) in out.iter_mut().zip(x).zip(previous).zip(mix) {
        *out = x * mix + p * (1.0 - mix);
    }
}
