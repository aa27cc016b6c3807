//! Float building blocks, of one vector or of several, one after the other.

use crate::linear::{add_product, turned, Rows, Wanted};

/// A matrix `[outputs, inputs]`, row-major.
#[derive(Debug)]
pub(crate) struct Matrix {
    /// The part of an image that it is, in a layer after `blocks.N.`.
    pub part: &'static str,
    /// Inputs.
    pub cols: usize,
    /// The weights.
    pub data: Vec<f32>,
}

/// Who multiplies vectors by the matrices of a model.
pub(crate) trait Products {
    /// `[_, inputs]` -> `[_, outputs]`.
    fn of(&mut self, matrix: &Matrix, x: &[f32]) -> Vec<f32>;
}

/// The matrices as the checkpoint has them.
pub(crate) struct Exact;

impl Products for Exact {
    fn of(&mut self, matrix: &Matrix, x: &[f32]) -> Vec<f32> {
        matrix.times(x)
    }
}

/// Partial sums of a dot product: what a compiler can put in vector
/// registers, and more accurate than a single one.
const LANES: usize = 16;

impl Matrix {
    /// `[_, inputs]` -> `[_, outputs]`.
    pub fn times(&self, x: &[f32]) -> Vec<f32> {
        if x.len() == self.cols {
            let rows = self.data.chunks_exact(self.cols);
            return rows.map(|row| dot(row, x)).collect();
        }
        let rows = self.data.len() / self.cols;
        let mut out = vec![0.0; x.len() / self.cols * rows];
        let by = turned(Rows::new(&self.data, self.cols));
        let (x, by) = (Rows::new(x, self.cols), Rows::new(&by, rows));
        add_product(x, by, Wanted::All, &mut out, [rows, 0]);
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
    /// `(x - mean) / sqrt(var + 1e-5) * weight + bias`, of each vector `[C]`.
    pub fn layer(&self, x: &[f32]) -> Vec<f32> {
        self.groups(x, self.weight.len(), 1e-5)
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
        let affine = self.weight.iter().zip(&self.bias).cycle();
        for (out, (w, b)) in out.iter_mut().zip(affine) {
            *out = *out * w + b;
        }
        out
    }
}

/// `e^x`, the same on every machine: what is quantized may depend on it.
pub(super) fn exp(x: f32) -> f32 {
    libm::expf(x)
}

/// The hyperbolic tangent, the same on every machine.
pub(super) fn tanh(x: f32) -> f32 {
    libm::tanhf(x)
}

/// The logistic function.
pub(super) fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

/// `x * sigmoid(x)`.
pub(super) fn silu(x: f32) -> f32 {
    x * sigmoid(x)
}

/// Token shift of versions 4 and 5: `x * mix + previous * (1 - mix)`; `mix` is
/// `[C]`.
pub(super) fn shift(x: &[f32], previous: &[f32], mix: &[f32]) -> Vec<f32> {
    let inputs = x.iter().zip(previous).zip(mix.iter().cycle());
    inputs
        .map(|((x, p), mix)| x * mix + p * (1.0 - mix))
        .collect()
}

/// Token shift of versions 6 and 7: `x + (previous - x) * mix`; `mix` is `[C]`
/// or one for each vector.
pub(super) fn shift_back(x: &[f32], previous: &[f32], mix: &[f32]) -> Vec<f32> {
    let inputs = x.iter().zip(previous).zip(mix.iter().cycle());
    inputs.map(|((x, p), mix)| x + (p - x) * mix).collect()
}

/// Applies `f` to pairs of elements; `y` begins again where it ends.
pub(super) fn zip(x: &[f32], y: &[f32], f: impl Fn(f32, f32) -> f32) -> Vec<f32> {
    let pairs = x.iter().zip(y.iter().cycle());
    pairs.map(|(&x, &y)| f(x, y)).collect()
}
