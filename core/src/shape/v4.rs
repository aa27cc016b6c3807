//! RWKV-4 "Dove": the parts of a layer, its state, and the vectors of its time mix.

use super::parts::{fixed, mix, square, Part, Sections, FFN, NORM_1, NORM_2, OUTPUT};
use super::vectors::vectors;

/// A layer, in order of use.
pub(super) const LAYER: Sections = &[NORM_1, MIX, OUTPUT, NORM_2, FFN];

/// The time mix up to its output: each of k, v and r is a mix, then a matrix.
const MIX: &[Part] = &[
    mix("att.time_mix_k"),
    square("att.key.weight"),
    mix("att.time_mix_v"),
    square("att.value.weight"),
    mix("att.time_mix_r"),
    square("att.receptance.weight"),
    fixed("att.time_decay"),
    fixed("att.time_first"),
];

vectors! {
    /// The state of a layer.
    State of shape {
        /// `[C]` the last input of the time mix.
        att_x: shape.n_embd as usize,
        /// `[C]` weighted averages of the values, the power of two in front.
        average: 1 + shape.n_embd as usize,
        /// `[C]` logarithms of the weight of each.
        weight: shape.n_embd as usize,
        /// `[C]` the last input of the channel mix.
        ffn_x: shape.n_embd as usize,
    }
}

vectors! {
    /// Working vectors of the time mix: key and value.
    Mix of shape {
        k: 1 + shape.padded_embd(),
        v: 1 + shape.padded_embd(),
    }
}
