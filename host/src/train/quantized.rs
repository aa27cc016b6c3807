//! Weights as an image holds them, for training that takes their rounding
//! into account (Jacob et al., arXiv 1712.05877): the forward pass sees what
//! the packer will write, the optimizer moves what it was rounded from.

use super::arch::{Arch, Network};
use crate::pack::{shape, stored_parts, Formats, Options};
use crate::quantize::quantize;
use crate::reference::Norm;
use crate::tensors::names::{EMB, LN0};
use crate::tensors::{complement, table, turn, Stored};
use half::f16;
use kinglet::shape::{Bits, Kind};

/// `weights` as the image will hold them; after them the embedding's rows,
/// normalized and rounded.
///
/// # Panics
/// The network is larger than images can be, which settings do not allow.
pub fn device_weights(network: &Network, weights: &[f32], formats: &Formats) -> Vec<f32> {
    let Arch::Rwkv(version) = network.arch else {
        return weights.to_vec();
    };
    let options = Options::of(*formats);
    let shape = shape(version, &network.dimensions, &options).expect("settings are checked");
    let layout = &network.layout;
    let mut seen = weights.to_vec();
    let mut rows = Vec::new();
    for (layer, part) in stored_parts(&shape) {
        let (tensor, index) = table(version).of_part(layer.is_some(), part.name);
        let entry = layout.entry(layer, tensor.name);
        let values = &mut seen[entry.range()];
        match (part.kind, tensor.stored) {
            (Kind::Fixed(_), _) => {}
            (Kind::Factors(_) | Kind::Mix(_), Stored::Complement) => {
                let rounded = |x: f32| complement(half(complement(x)));
                values.iter_mut().for_each(|x| *x = rounded(*x));
            }
            (Kind::Factors(_) | Kind::Mix(_), _) => values.iter_mut().for_each(|x| *x = half(*x)),
            (kind, Stored::Normalized) => {
                rows = embedding(network, weights);
                round(&mut rows, network.dimensions.embd, kind.bits(&shape));
            }
            (kind, stored) => {
                let [.., first, last] = *entry.shape else {
                    unreachable!("a matrix has rows and columns");
                };
                let own = index.map_or(0, |index| index * first * last);
                let values = &mut values[own..own + first * last];
                let bits = kind.bits(&shape);
                match stored {
                    Stored::Plain => round(values, last, bits),
                    _ => {
                        let mut turned = turn(values, last);
                        round(&mut turned, first, bits);
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
        seen[range].iter_mut().for_each(|x| *x = half(*x));
    }
    seen.extend(rows);
    seen
}

fn half(x: f32) -> f32 {
    f16::from_f32(x).to_f32()
}

/// Rounds a matrix of rows of `cols`.
fn round(values: &mut [f32], cols: usize, bits: Bits) {
    quantize(values, values.len() / cols, cols, bits).values(values);
}

/// The embedding `[V, C]` with ln0 applied, as the packer computes it.
fn embedding(network: &Network, weights: &[f32]) -> Vec<f32> {
    let of = |name| weights[network.layout.entry(None, name).range()].to_vec();
    let [weight, bias] = LN0.map(of);
    let mut rows = of(EMB);
    Norm { weight, bias }.rows(&mut rows);
    rows
}
