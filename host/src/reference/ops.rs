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
    /// `[rows, cols]` x `[cols]` -> `[rows]`.
    pub fn times(&self, x: &[f32]) -> Vec<f32> {
        let rows = self.data.chunks_exact(self.cols);
        rows.map(|row| dot(row, x)).collect()
    }

    /// `[rows]` x `[rows, cols]` -> `[cols]`: low-rank matrices act from this
    /// side.
    pub fn times_left(&self, x: &[f32]) -> Vec<f32> {
        let mut out = vec![0.0; self.cols];
        for (row, x) in self.data.chunks_exact(self.cols).zip(x) {
            for (out, weight) in out.iter_mut().zip(row) {
                *out += x * weight;
            }
        }
        out
    }
}

/// The sum of products.
pub(super) fn dot(a: &[f32], b: &[f32]) -> f32 {
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

/// Weight and bias of a norm with biased variance.
#[derive(Debug)]
pub(crate) struct Norm {
    pub weight: Vec<f32>,
    pub bias: Vec<f32>,
}

impl Norm {
    /// `(x - mean) / sqrt(var + 1e-5) * weight + bias`, `[C]`.
    pub fn layer(&self, x: &[f32]) -> Vec<f32> {
        self.groups(x, x.len(), 1e-5)
    }

    /// The same of rows `[_, C]`, in place.
    pub fn rows(&self, rows: &mut [f32]) {
        for row in rows.chunks_exact_mut(self.weight.len()) {
            row.copy_from_slice(&self.layer(row));
        }
    }

    /// The same for each group of `size` channels separately.
    pub fn groups(&self, x: &[f32], size: usize, eps: f32) -> Vec<f32> {
        let mut out = x.to_vec();
        for group in out.chunks_exact_mut(size) {
            let n = group.len() as f64;
            let mean = group.iter().map(|&v| f64::from(v)).sum::<f64>() / n;
            let squares = group.iter().map(|&v| (f64::from(v) - mean).powi(2));
            let rstd = 1.0 / (squares.sum::<f64>() / n + f64::from(eps)).sqrt();
            for x in group {
                *x = ((f64::from(*x) - mean) * rstd) as f32;
            }
        }
        for ((out, w), b) in out.iter_mut().zip(&self.weight).zip(&self.bias) {
            *out = *out * w + b;
        }
        out
    }
}

/// The logistic function.
pub(super) fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + (-x).exp())
}

/// `x * sigmoid(x)`.
pub(super) fn silu(x: f32) -> f32 {
    x * sigmoid(x)
}

/// Token shift of versions 4 and 5: `x * mix + previous * (1 - mix)`.
pub(super) fn shift(x: &[f32], previous: &[f32], mix: &[f32]) -> Vec<f32> {
    let inputs = x.iter().zip(previous).zip(mix);
    inputs
        .map(|((x, p), mix)| x * mix + p * (1.0 - mix))
        .collect()
}

/// Token shift of versions 6 and 7: `x + (previous - x) * mix`.
pub(super) fn shift_back(x: &[f32], previous: &[f32], mix: &[f32]) -> Vec<f32> {
    let inputs = x.iter().zip(previous).zip(mix);
    inputs.map(|((x, p), mix)| x + (p - x) * mix).collect()
}

/// Applies `f` to pairs of elements.
pub(super) fn zip(x: &[f32], y: &[f32], f: impl Fn(f32, f32) -> f32) -> Vec<f32> {
    x.iter().zip(y).map(|(&x, &y)| f(x, y)).collect()
}
