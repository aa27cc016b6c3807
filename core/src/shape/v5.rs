//! RWKV-5 "Eagle": the parts of a layer, and the vectors of its time mix.

use super::parts::{
    factors, fixed, mix, square, Part, Sections, FFN, GROUP_NORM, NORM_1, NORM_2, OUTPUT,
};
use super::vectors::vectors;

/// A layer of RWKV-5.0, in order of use.
pub(super) const LAYER: Sections = &[NORM_1, MIX, GROUP_NORM, OUTPUT, NORM_2, FFN];

/// A layer of RWKV-5.1 and 5.2.
pub(super) const GATED_LAYER: Sections = &[NORM_1, MIX, GROUP_NORM, GATE, OUTPUT, NORM_2, FFN];

/// As in RWKV-4, but for the bonus.
const MIX: &[Part] = &[
    mix("att.time_mix_k"),
    square("att.key.weight"),
    mix("att.time_mix_v"),
    square("att.value.weight"),
    mix("att.time_mix_r"),
    square("att.receptance.weight"),
    fixed("att.time_decay"),
    factors("att.time_first"),
];
/// The gate comes after the state's norm: its vector takes the place of k.
const GATE: &[Part] = &[mix("att.time_mix_g"), square("att.gate.weight")];

vectors! {
    /// Working vectors of the time mix.
    Mix of shape {
        k: 1 + shape.padded_embd(),
        v: 1 + shape.padded_embd(),
        /// Receptance times bonus.
        ru: shape.n_embd as usize,
        /// Powers of two of the heads' outputs.
        exps: shape.n_head as usize,
        /// Room for a step of a head.
        room: crate::arch::Room::words(shape.head_size()),
    }
}
