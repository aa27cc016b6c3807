//! RWKV-5.0, 5.1 and 5.2. Any of them may have the bonus itself or its
//! logarithm.

use super::initial::{ladder, zigzag, ZERO};
use super::names::{att, ffn};
use super::{
    mix, per_head_channel, rwkv, square, tensor, Depth, Fill, Size, Spread, Stored, Table, Tensor,
    GATED_OUTPUT, HEAD_NORM, NORM_1, NORM_2, OUTPUT,
};

pub(super) const V5: Table = rwkv(&[
    NORM_1,
    MIXES,
    OF_HEADS,
    MATRICES,
    HEAD_NORM,
    OUTPUT,
    NORM_2,
    CHANNEL_MIX,
]);
pub(super) const V51: Table = rwkv(&[
    NORM_1,
    MIXES,
    OF_HEADS,
    MATRICES,
    GATE,
    HEAD_NORM,
    GATED_OUTPUT,
    NORM_2,
    CHANNEL_MIX,
]);
pub(super) const V52: Table = rwkv(&[
    NORM_1,
    MIXES,
    OF_CHANNELS,
    MATRICES,
    GATE,
    HEAD_NORM,
    GATED_OUTPUT,
    NORM_2,
    CHANNEL_MIX,
]);

const MIXES: &[Tensor] = &[
    mix(att::TIME_MIX_K, |d| d.mix(d.down, 0.0)),
    mix(att::TIME_MIX_V, |d| d.mix(d.down, 0.3 * d.up)),
    mix(att::TIME_MIX_R, |d| d.mix(0.5 * d.down, 0.0)),
];

/// Decay and bonus of a head.
const OF_HEADS: &[Tensor] = &[
    tensor(att::TIME_DECAY, &[Size::Heads], decays)
        .stored(Stored::DecayPerChannel)
        .in_base_2()
        .random(Spread::Ladder(-5.0, 6.5)),
    tensor(att::TIME_FIRST, &[Size::Heads], |_| Fill::Constant(-3.0))
        .or_named(att::TIME_FAAAA)
        .stored(Stored::BonusPerChannel)
        .random(Spread::Normal(-1.2, 0.3)),
];

/// The same of each channel.
const OF_CHANNELS: &[Tensor] = &[
    per_head_channel(att::TIME_DECAY, decays)
        .stored(Stored::DecayPerChannel)
        .in_base_2()
        .random(Spread::Ladder(-5.0, 6.5)),
    per_head_channel(att::TIME_FAAAA, bonuses)
        .or_named(att::TIME_FIRST)
        .stored(Stored::BonusPerChannel)
        .random(Spread::Normal(0.3, 0.3)),
];

/// A matrix state stays empty where keys are zero and unread where
/// receptances are: neither would ever have a gradient.
const MATRICES: &[Tensor] = &[KEY, VALUE, RECEPTANCE];
pub(super) const KEY: Tensor = square(att::KEY, |_| Fill::Orthogonal(0.1));
pub(super) const VALUE: Tensor = square(att::VALUE, |_| Fill::Orthogonal(1.0));
pub(super) const RECEPTANCE: Tensor = square(att::RECEPTANCE, |_| Fill::Orthogonal(1.0));
pub(super) const GATE_MATRIX: Tensor = square(att::GATE, |_| Fill::Orthogonal(0.1)).in_base_2();

const GATE: &[Tensor] = &[
    mix(att::TIME_MIX_G, |d| d.mix(0.5 * d.down, 0.0)),
    GATE_MATRIX,
];

const CHANNEL_MIX: &[Tensor] = &[
    mix(ffn::TIME_MIX_K, |d| d.mix(d.down, 0.0)),
    mix(ffn::TIME_MIX_R, |d| d.mix(d.down, 0.0)),
    FFN_KEY,
    square(ffn::RECEPTANCE, ZERO).in_base_2(),
    FFN_VALUE,
];
pub(super) const FFN_KEY: Tensor = tensor(ffn::KEY, &[Size::Ffn, Size::Embd], |_| {
    Fill::Orthogonal(1.0)
});
pub(super) const FFN_VALUE: Tensor = tensor(ffn::VALUE, &[Size::Embd, Size::Ffn], ZERO);

pub(super) fn decays(d: &Depth) -> Fill {
    d.ladder(-6.0, 5.0, 0.7 + 1.3 * d.up)
}

pub(super) fn bonuses(d: &Depth) -> Fill {
    let up = d.up;
    ladder(move |share, i| up * (1.0 - share) + 0.2 * zigzag(i))
}
