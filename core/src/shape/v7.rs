//! RWKV-7 "Goose": the parts of a layer, and the vectors of its time mix.

use super::parts::Dim::{DecayRank, Embd, Ffn, GateRank, RateRank, ValueRank};
use super::parts::Kind::{LowRank, Matrix};
use super::parts::{
    factors, fixed, mix, part, square, Part, Sections, GROUP_NORM, NORM_1, NORM_2, OUTPUT,
};
use super::vectors::{max, vectors};

/// The first layer, in order of use.
pub(super) const FIRST_LAYER: Sections =
    &[NORM_1, VALUE, MIX, GROUP_NORM, GATE, OUTPUT, NORM_2, FFN];

/// The other layers.
pub(super) const LAYER: Sections = &[
    NORM_1,
    VALUE,
    VALUE_RESIDUAL,
    MIX,
    GROUP_NORM,
    GATE,
    OUTPUT,
    NORM_2,
    FFN,
];

/// The value. It comes first: `v1` of the other layers reads the same vector.
const VALUE: &[Part] = &[mix("att.x_v"), square("att.value.weight")];
/// The other layers mix in the first layer's values.
const VALUE_RESIDUAL: &[Part] = &[
    part("att.v1", LowRank(ValueRank, Embd)),
    part("att.v2", LowRank(Embd, ValueRank)),
    fixed("att.v0"),
];
/// The decay, the key and its direction, the learning rate, the receptance.
const MIX: &[Part] = &[
    mix("att.x_w"),
    part("att.w1", LowRank(DecayRank, Embd)),
    part("att.w2", LowRank(Embd, DecayRank)),
    fixed("att.w0"),
    mix("att.x_k"),
    square("att.key.weight"),
    factors("att.k_k"),
    mix("att.x_a"),
    part("att.a1", LowRank(RateRank, Embd)),
    part("att.a2", LowRank(Embd, RateRank)),
    fixed("att.a0"),
    factors("att.k_a"),
    mix("att.x_r"),
    square("att.receptance.weight"),
];
/// The bonus of the current token, and the gate: both after the group norm.
const GATE: &[Part] = &[
    factors("att.r_k"),
    mix("att.x_g"),
    part("att.g1", LowRank(GateRank, Embd)),
    part("att.g2", LowRank(Embd, GateRank)),
];
/// The channel mix without a gate.
const FFN: &[Part] = &[
    mix("ffn.x_k"),
    part("ffn.key.weight", Matrix(Ffn, Embd)),
    part("ffn.value.weight", Matrix(Embd, Ffn)),
];

vectors! {
    /// Working vectors of the time mix.
    Mix of shape {
        w: 1 + shape.padded_embd(),
        k: 1 + shape.padded_embd(),
        v: 1 + shape.padded_embd(),
        /// Learning rate.
        a: 1 + shape.padded_embd(),
        /// Direction.
        kk: 1 + shape.padded_embd(),
        /// Powers of two of the heads' outputs.
        exps: 2 * shape.n_head as usize,
        /// A hidden vector, or room for a step of a head.
        hidden: max(1 + shape.padded_rank(), crate::arch::Room::words(shape.head_size())),
    }
}
