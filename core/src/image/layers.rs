//! The parts of one layer of each RWKV version, in the order of use.
//!
//! Names are those of published checkpoints behind `blocks.N.`. Where the
//! stored value is not the checkpoint's, `docs/format.md` says what it is:
//! decays are applied, a mix always weighs the current token, low-rank
//! matrices are transposed to `[outputs, inputs]`.

#![cfg_attr(
    not(all(feature = "v4", feature = "v5", feature = "v6", feature = "v7")),
    allow(dead_code, unused_variables)
)]

use super::parts::Dim::{
    DecayRank, Embd, Ffn, GateRank, RateRank, ShiftRank, ShiftRanks, ValueRank,
};
use super::parts::Kind::{Entry, Half, Matrix, Single, Steer};
use super::parts::{Kind, Part};
use super::version::Version;

/// A layer is a list of sections, which versions share.
pub type Sections = &'static [&'static [Part]];

const fn part(name: &'static str, kind: Kind) -> Part {
    Part { name, kind }
}

/// A vector of channels in half floats.
const fn half(name: &'static str) -> Part {
    part(name, Half(Embd))
}

/// A vector of channels in single floats.
const fn single(name: &'static str) -> Part {
    part(name, Single(Embd))
}

/// A square matrix of channels.
const fn square(name: &'static str) -> Part {
    part(name, Matrix(Embd, Embd))
}

const NORM_1: &[Part] = &[half("ln1.weight"), half("ln1.bias")];
const GROUP_NORM: &[Part] = &[half("att.ln_x.weight"), half("att.ln_x.bias")];
const OUTPUT: &[Part] = &[square("att.output.weight")];
const NORM_2: &[Part] = &[half("ln2.weight"), half("ln2.bias")];

/// A square matrix of which the product enters the state.
const fn entry(name: &'static str) -> Part {
    part(name, Entry(Embd, Embd))
}

const V4_MIX: &[Part] = &[
    half("att.time_mix_k"),
    square("att.key.weight"),
    half("att.time_mix_v"),
    square("att.value.weight"),
    half("att.time_mix_r"),
    square("att.receptance.weight"),
    single("att.time_decay"),
    single("att.time_first"),
];
const V5_MIX: &[Part] = &[
    half("att.time_mix_k"),
    entry("att.key.weight"),
    half("att.time_mix_v"),
    entry("att.value.weight"),
    half("att.time_mix_r"),
    square("att.receptance.weight"),
    single("att.time_decay"),
    single("att.time_first"),
];
const GATE: &[Part] = &[half("att.time_mix_g"), square("att.gate.weight")];
const FFN: &[Part] = &[
    half("ffn.time_mix_k"),
    part("ffn.key.weight", Matrix(Ffn, Embd)),
    half("ffn.time_mix_r"),
    square("ffn.receptance.weight"),
    part("ffn.value.weight", Matrix(Embd, Ffn)),
];

const V6_MIX: &[Part] = &[
    half("att.time_maa_x"),
    part("att.time_maa_w1", Steer(ShiftRanks, Embd)),
    part("att.time_maa_w2.w", Steer(Embd, ShiftRank)),
    half("att.time_maa_w"),
    part("att.time_decay_w1", Steer(DecayRank, Embd)),
    part("att.time_decay_w2", Steer(Embd, DecayRank)),
    single("att.time_decay"),
    part("att.time_maa_w2.k", Steer(Embd, ShiftRank)),
    half("att.time_maa_k"),
    entry("att.key.weight"),
    part("att.time_maa_w2.v", Steer(Embd, ShiftRank)),
    half("att.time_maa_v"),
    entry("att.value.weight"),
    part("att.time_maa_w2.r", Steer(Embd, ShiftRank)),
    half("att.time_maa_r"),
    square("att.receptance.weight"),
    single("att.time_first"),
];
const V6_GATE: &[Part] = &[
    part("att.time_maa_w2.g", Steer(Embd, ShiftRank)),
    half("att.time_maa_g"),
    square("att.gate.weight"),
];
const V6_FFN: &[Part] = &[
    half("ffn.time_maa_k"),
    part("ffn.key.weight", Matrix(Ffn, Embd)),
    half("ffn.time_maa_r"),
    square("ffn.receptance.weight"),
    part("ffn.value.weight", Matrix(Embd, Ffn)),
];

const V7_VALUE: &[Part] = &[half("att.x_v"), entry("att.value.weight")];
/// The first layer has none of it: its values are those that others lean on.
const V7_VALUE_RESIDUAL: &[Part] = &[
    part("att.v1", Steer(ValueRank, Embd)),
    part("att.v2", Steer(Embd, ValueRank)),
    single("att.v0"),
];
const V7_MIX: &[Part] = &[
    half("att.x_w"),
    part("att.w1", Steer(DecayRank, Embd)),
    part("att.w2", Steer(Embd, DecayRank)),
    single("att.w0"),
    half("att.x_k"),
    entry("att.key.weight"),
    half("att.k_k"),
    half("att.x_a"),
    part("att.a1", Steer(RateRank, Embd)),
    part("att.a2", Steer(Embd, RateRank)),
    single("att.a0"),
    half("att.k_a"),
    half("att.x_r"),
    square("att.receptance.weight"),
];
const V7_GATE: &[Part] = &[
    half("att.r_k"),
    half("att.x_g"),
    part("att.g1", Steer(GateRank, Embd)),
    part("att.g2", Steer(Embd, GateRank)),
];
const V7_FFN: &[Part] = &[
    half("ffn.x_k"),
    part("ffn.key.weight", Matrix(Ffn, Embd)),
    part("ffn.value.weight", Matrix(Embd, Ffn)),
];

/// The parts of layer `index` of a version; none where the build does not
/// have it, so that their names take no flash.
pub(super) const fn layer_parts(version: Version, index: u32) -> Sections {
    match version {
        #[cfg(feature = "v4")]
        Version::V4 => &[NORM_1, V4_MIX, OUTPUT, NORM_2, FFN],
        #[cfg(feature = "v5")]
        Version::V5 => &[NORM_1, V5_MIX, GROUP_NORM, OUTPUT, NORM_2, FFN],
        #[cfg(feature = "v5")]
        Version::V52 => &[NORM_1, V5_MIX, GROUP_NORM, GATE, OUTPUT, NORM_2, FFN],
        #[cfg(feature = "v6")]
        Version::V6 => &[NORM_1, V6_MIX, GROUP_NORM, V6_GATE, OUTPUT, NORM_2, V6_FFN],
        #[cfg(feature = "v7")]
        Version::V7 if index == 0 => &[
            NORM_1, V7_VALUE, V7_MIX, GROUP_NORM, V7_GATE, OUTPUT, NORM_2, V7_FFN,
        ],
        #[cfg(feature = "v7")]
        Version::V7 => &[
            NORM_1,
            V7_VALUE,
            V7_VALUE_RESIDUAL,
            V7_MIX,
            GROUP_NORM,
            V7_GATE,
            OUTPUT,
            NORM_2,
            V7_FFN,
        ],
        #[allow(unreachable_patterns)]
        _ => &[],
    }
}
