//! Weights as an image holds them, for training that takes their rounding
//! into account (Jacob et al., arXiv 1712.05877): the forward pass sees what
//! the packer will write, the optimizer moves what it was rounded from.

use super::arch::{Arch, Network};
use super::tape::{Pool, Tape};
use crate::model::Version;
use crate::quantize::quantize;
use half::f16;
use kinglet::image::Bits;
use serde::{Deserialize, Serialize};

/// What the image will have: as the options of `kinglet quantize`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Qat {
    /// Bits of the layers' matrices.
    pub weights: WeightBits,
    /// Bits of the head and the embedding.
    pub head: WeightBits,
}

/// Bits of a weight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum WeightBits {
    /// Eight.
    Int8,
    /// Four.
    Int4,
}

impl From<WeightBits> for Bits {
    fn from(bits: WeightBits) -> Self {
        match bits {
            WeightBits::Int8 => Self::Int8,
            WeightBits::Int4 => Self::Int4,
        }
    }
}

/// How an image stores a tensor.
enum Stored {
    Matrix(Bits),
    /// A low-rank matrix `[inputs, outputs]`, transposed in the image.
    Transposed(Bits),
    Half,
    Single,
}

fn stored(version: Version, name: &str, is_matrix: bool, qat: &Qat) -> Stored {
    let tensor = name.split_once("att.").map_or(name, |(_, tensor)| tensor);
    match tensor {
        "time_decay" | "time_first" | "time_faaaa" | "w0" | "a0" | "v0" => Stored::Single,
        _ if !is_matrix => Stored::Half,
        "head.weight" => Stored::Matrix(qat.head.into()),
        // The embedding is rounded behind its norm.
        "emb.weight" => Stored::Single,
        "key.weight" | "value.weight" if version != Version::V4 => Stored::Matrix(Bits::Int8),
        _ if tensor.ends_with(".weight") => Stored::Matrix(qat.weights.into()),
        _ => Stored::Transposed(Bits::Int8),
    }
}

/// `weights` as the image will hold them; behind them the embedding's rows,
/// normalized and rounded.
pub fn device_weights(network: &Network, weights: &[f32], qat: &Qat) -> Vec<f32> {
    let Arch::Rwkv(version) = network.arch else {
        return weights.to_vec();
    };
    let mut seen = weights.to_vec();
    for entry in network.layout.entries() {
        let values = &mut seen[entry.range()];
        let cols = entry.shape.last().copied().unwrap_or(1);
        match stored(version, &entry.name, entry.is_matrix(), qat) {
            Stored::Single => {}
            Stored::Half => values
                .iter_mut()
                .for_each(|x| *x = f16::from_f32(*x).to_f32()),
            Stored::Matrix(bits) => round_matrix(values, cols, bits),
            Stored::Transposed(bits) => {
                // The five matrices of RWKV-6's shift are each for itself.
                let rows = entry.shape[entry.shape.len() - 2];
                values
                    .chunks_exact_mut(rows * cols)
                    .for_each(|matrix| round_transposed(matrix, cols, bits));
            }
        }
    }
    seen.extend(table(network, weights, qat));
    seen
}

/// The embedding `[V, C]` with ln0 applied, rounded.
fn table(network: &Network, weights: &[f32], qat: &Qat) -> Vec<f32> {
    let tokens: Vec<u32> = (0..network.dimensions.vocab as u32).collect();
    let mut pool = Pool::default();
    let mut tape = Tape::new(weights, &mut pool);
    let rows = network.embedding(&mut tape, &tokens);
    let mut table = tape.value(rows).to_vec();
    round_matrix(&mut table, network.dimensions.embd, qat.head.into());
    table
}

fn round_matrix(values: &mut [f32], cols: usize, bits: Bits) {
    let rows = values.len() / cols;
    quantize(values, rows, cols, bits).values(values);
}

fn round_transposed(values: &mut [f32], cols: usize, bits: Bits) {
    let rows = values.len() / cols;
    let mut turned: Vec<f32> = (0..values.len())
        .map(|i| values[i % rows * cols + i / rows])
        .collect();
    round_matrix(&mut turned, rows, bits);
    for (i, x) in turned.into_iter().enumerate() {
        values[i % rows * cols + i / rows] = x;
    }
}
