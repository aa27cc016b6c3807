use super::super::tape::{Pool, Tape};
use super::*;
use crate::model::Version::{V4, V5, V51, V52, V6, V7};
use crate::random::Random;

fn dimensions(version: Option<Version>, heads: usize) -> Dimensions {
    let ranks = match version {
        Some(V6) => [4, 3, 0, 0],
        Some(V7) => [4, 3, 2, 5],
        _ => [0; 4],
    };
    Dimensions {
        layers: 2,
        embd: 12,
        ffn: 20,
        vocab: 11,
        classes: 0,
        heads: if version == Some(V4) { 0 } else { heads },
        ranks,
    }
}

fn networks() -> Vec<Network> {
    let rwkv = |version, heads| (Arch::Rwkv(version), dimensions(Some(version), heads));
    let known = [V4, V5, V51, V52, V6, V7].map(|version| rwkv(version, 3));
    // Heads of six channels are computed as eight.
    let padded = [V5, V6, V7].map(|version| rwkv(version, 2));
    let gpt = (Arch::Gpt, dimensions(None, 3));
    known
        .into_iter()
        .chain(padded)
        .chain([gpt])
        .map(|(arch, dimensions)| Network::new(arch, dimensions))
        .collect()
}

/// The initial weights, all moved a little: zeros would hide gradients.
fn weights(network: &Network) -> Vec<f64> {
    let mut random = Random::new(5);
    let moved = |w: f32| f64::from(w) + 0.3 * f64::from(random.normal());
    initial_weights(network, 1).into_iter().map(moved).collect()
}

const TOKENS: [u32; 9] = [0, 3, 7, 7, 1, 10, 4, 2, 9];
const TARGETS: [u32; 9] = [3, 7, 7, 1, 10, 4, 2, 9, 5];

fn loss(network: &Network, weights: &[f64], gradients: Option<&mut [f64]>) -> f64 {
    let mut pool = Pool::default();
    let mut tape = Tape::new(weights, &mut pool);
    let logits = network.logits(&mut tape, &TOKENS);
    let losses = tape.cross_entropy(logits, &TARGETS);
    let sum = tape.value(losses).iter().sum();
    if let Some(gradients) = gradients {
        tape.backward(losses, 1.0, gradients);
    }
    sum
}

#[test]
fn gradients_of_every_tensor_agree_with_finite_differences() {
    for network in networks() {
        let mut weights = weights(&network);
        let mut gradients = vec![0.0; weights.len()];
        loss(&network, &weights, Some(&mut gradients));
        for entry in network.layout.entries() {
            let range = entry.range();
            let largest = gradients[range.clone()]
                .iter()
                .fold(0.0f64, |m, g| m.max(g.abs()));
            assert!(
                largest > 1e-6,
                "{:?} {}: no gradient",
                network.arch,
                entry.name
            );
            // Some elements of each tensor, the first and the last among them.
            let step = (range.len() / 5).max(1);
            for i in range.clone().step_by(step).chain([range.end - 1]) {
                let (old, h) = (weights[i], 5e-6);
                let mut slope = |h: f64| {
                    weights[i] = old + h;
                    let above = loss(&network, &weights, None);
                    weights[i] = old - h;
                    let below = loss(&network, &weights, None);
                    weights[i] = old;
                    (above - below) / (2.0 * h)
                };
                // Group norms of small values make the loss curved: the slopes
                // of two steps cancel the term in the square of the step.
                let expected = (4.0 * slope(h) - slope(2.0 * h)) / 3.0;
                let error = (gradients[i] - expected).abs() / largest;
                assert!(
                    error < 1e-5,
                    "{:?} {} [{}]: {} and {expected}",
                    network.arch,
                    entry.name,
                    i - range.start,
                    gradients[i]
                );
            }
        }
    }
}
