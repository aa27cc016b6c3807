//! Weights as an image holds them, for training that takes their rounding
//! into account (Jacob et al., arXiv 1712.05877): the forward pass sees what
//! the packer will write, the optimizer moves what it was rounded from.

use super::arch::{Arch, Network};
use crate::pack::integers::{scale_times, vector, RowScales};
use crate::pack::{shape, Formats, Options, StoredPart};
use crate::quantize::quantize;
use crate::reference::Norm;
use crate::tensors::names::{EMB, LN0};
use crate::tensors::{complement, table, turn, Stored, Version};
use kinglet::shape::{Bits, Dim, Kind};
use std::collections::BTreeSet;

/// The parts of an image of the network.
///
/// # Panics
/// The network is larger than images can be, which settings do not allow.
fn parts(network: &Network, version: Version, formats: &Formats) -> Vec<StoredPart> {
    let options = Options::of(formats.clone());
    let (_, parts) = shape(version, &network.dimensions, &options).expect("settings are checked");
    parts
}

/// Where those matrices begin in the flat vector of weights whose vectors have 16 bits.
pub fn fine_matrices(network: &Network, formats: &Formats) -> BTreeSet<usize> {
    let Arch::Rwkv(version) = network.arch else {
        return BTreeSet::new();
    };
    let parts = parts(network, version, formats).into_iter();
    let fine = parts.filter(|stored| stored.fine);
    fine.map(|StoredPart { layer, part, .. }| {
        let (tensor, _) = table(version).of_part(layer.is_some(), part.name);
        network.layout.entry(layer, tensor.name).offset
    })
    .collect()
}

/// `weights` as the image will hold them; after them the embedding's rows,
/// normalized and rounded.
pub fn device_weights(network: &Network, weights: &[f32], formats: &Formats) -> Vec<f32> {
    let Arch::Rwkv(version) = network.arch else {
        return weights.to_vec();
    };
    let layout = &network.layout;
    let mut seen = weights.to_vec();
    let mut rows = Vec::new();
    for StoredPart {
        layer,
        part,
        bits,
        fine,
    } in parts(network, version, formats)
    {
        let (tensor, index) = table(version).of_part(layer.is_some(), part.name);
        let entry = layout.entry(layer, tensor.name);
        let values = &mut seen[entry.range()];
        let rows_of = |kind: Kind| Rows {
            bits,
            times: scale_times(kind, tensor.times, fine),
        };
        match (part.kind, tensor.stored) {
            // Of 2^-23: far below what a training notices.
            (Kind::Fixed(_), _) => {}
            (kind @ (Kind::Factors(_) | Kind::Mix(_)), stored) => {
                let is_complement = stored == Stored::Complement;
                let turn = |x: &mut f32| *x = if is_complement { complement(*x) } else { *x };
                values.iter_mut().for_each(turn);
                round_vector(kind, values, tensor.times);
                values.iter_mut().for_each(turn);
            }
            (kind, Stored::Normalized) => {
                rows = embedding(network, weights);
                rows_of(kind).round(&mut rows, network.dimensions.embd);
            }
            (kind, stored) => {
                let [.., first, last] = *entry.shape else {
                    unreachable!("a matrix has rows and columns");
                };
                let own = index.map_or(0, |index| index * first * last);
                let values = &mut values[own..own + first * last];
                match stored {
                    Stored::Plain => rows_of(kind).round(values, last),
                    _ => {
                        let mut turned = turn(values, last);
                        rows_of(kind).round(&mut turned, first);
                        values.copy_from_slice(&turn(&turned, first));
                    }
                }
            }
        }
    }
    // The embedding is rounded after its norm, which the image does not have;
    // the gradients use that norm rounded as the other norms are.
    for name in LN0 {
        let range = layout.entry(None, name).range();
        round_vector(Kind::Factors(Dim::Embd), &mut seen[range], 1.0);
    }
    seen.extend(rows);
    seen
}

/// Rounds a vector, whose values are multiplied by `times`.
fn round_vector(kind: Kind, values: &mut [f32], times: f64) {
    let stored = vector(kind, values, times);
    let pairs = values.iter_mut().zip(stored.values(times));
    pairs.for_each(|(value, stored)| *value = stored);
}

/// How the rows of a matrix are stored.
struct Rows {
    bits: Bits,
    /// What their scales are multiplied by.
    times: f64,
}

impl Rows {
    /// Rounds a matrix of rows of `cols`.
    fn round(&self, values: &mut [f32], cols: usize) {
        let mut q = quantize(values, values.len() / cols, cols, self.bits);
        q.scales = RowScales::of(self.bits, &q.scales, self.times).values(self.times);
        q.values(values);
    }
}

/// The embedding `[V, C]` with ln0 applied, as the packer computes it.
fn embedding(network: &Network, weights: &[f32]) -> Vec<f32> {
    let of = |name| weights[network.layout.entry(None, name).range()].to_vec();
    let [weight, bias] = LN0.map(of);
    Norm { weight, bias }.layer(&of(EMB))
}
