//! Initial weights.

use super::Network;
use crate::random::Random;
use crate::tensors::Depth;

/// The initial weights of a network, in its layout.
pub fn initial_weights(network: &Network, seed: u64) -> Vec<f32> {
    let mut random = Random::new(seed);
    let mut weights = vec![0.0; network.layout.len()];
    for entry in network.layout.entries() {
        let depth = Depth::new(entry.layer.unwrap_or(0), &network.dimensions);
        let fill = (entry.tensor.initial)(&depth);
        fill.fill(&entry.shape, &mut random, &mut weights[entry.range()]);
    }
    weights
}
