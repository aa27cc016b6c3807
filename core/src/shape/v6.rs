//! RWKV-6 "Finch": the parts of a layer, and the vectors of its time mix.

use super::parts::Dim::{DecayRank, Embd, Ffn, ShiftRank, ShiftRanks};
use super::parts::Kind::{LowRank, Matrix};
use super::parts::{
    factors, fixed, mix, part, square, Part, Sections, GROUP_NORM, NORM_1, NORM_2, OUTPUT,
};
use super::vectors::{max, vectors};
use super::{round_up, BLOCK_ROWS};

/// A layer, in order of use.
pub(super) const LAYER: Sections = &[NORM_1, MIX, GROUP_NORM, GATE, OUTPUT, NORM_2, FFN];

/// The shift's rank-R input for all five vectors, then w, k, v and r, each
/// after its part of the shift; `time_maa_w2.q` is the slice of `time_maa_w2`
/// for the vector q.
const MIX: &[Part] = &[
    mix("att.time_maa_x"),
    part("att.time_maa_w1", LowRank(ShiftRanks, Embd)),
    part("att.time_maa_w2.w", LowRank(Embd, ShiftRank)),
    mix("att.time_maa_w"),
    part("att.time_decay_w1", LowRank(DecayRank, Embd)),
    part("att.time_decay_w2", LowRank(Embd, DecayRank)),
    fixed("att.time_decay"),
    part("att.time_maa_w2.k", LowRank(Embd, ShiftRank)),
    mix("att.time_maa_k"),
    square("att.key.weight"),
    part("att.time_maa_w2.v", LowRank(Embd, ShiftRank)),
    mix("att.time_maa_v"),
    square("att.value.weight"),
    part("att.time_maa_w2.r", LowRank(Embd, ShiftRank)),
    mix("att.time_maa_r"),
    square("att.receptance.weight"),
    factors("att.time_first"),
];
/// The gate, with the last slice of the shift.
const GATE: &[Part] = &[
    part("att.time_maa_w2.g", LowRank(Embd, ShiftRank)),
    mix("att.time_maa_g"),
    square("att.gate.weight"),
];
/// As in RWKV-4, with this version's names.
const FFN: &[Part] = &[
    mix("ffn.time_maa_k"),
    part("ffn.key.weight", Matrix(Ffn, Embd)),
    mix("ffn.time_maa_r"),
    square("ffn.receptance.weight"),
    part("ffn.value.weight", Matrix(Embd, Ffn)),
];

vectors! {
    /// Working vectors of the time mix.
    Mix of shape {
        w: 1 + shape.padded_embd(),
        k: 1 + shape.padded_embd(),
        v: 1 + shape.padded_embd(),
        /// Low-rank input of the token shift.
        z: 1 + round_up(shape.dim(ShiftRanks), BLOCK_ROWS),
        /// A shift, the hidden vector of the decay, or receptance times bonus.
        m: 1 + max(shape.padded_embd(), shape.padded_rank()),
        /// Powers of two of the heads' outputs.
        exps: shape.n_head as usize,
        /// Room for a step of a head.
        room: crate::arch::Room::words(shape.head_size()),
    }
}
