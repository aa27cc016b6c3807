//! RWKV-6.

use super::initial::{ladder, ZERO};
use super::names::{att, ffn};
use super::v5::{bonuses, decays, FFN_KEY, FFN_VALUE, GATE_MATRIX, KEY, RECEPTANCE, VALUE};
use super::{
    mix_previous, per_head_channel, rwkv, share, square, tensor, vector, Fill, Ranks, Size, Spread,
    Stored, Table, Tensor, GATED_OUTPUT, HEAD_NORM, NORM_1, NORM_2,
};

pub(super) const TABLE: Table = Table {
    ranks: Ranks {
        // One for all widths up to 2,048.
        published: |channels, _| [channels.min(64), channels.min(32), 0, 0],
        trained: |channels, _| [share(channels, 4), share(channels, 8), 0, 0],
    },
    ..rwkv(&[
        NORM_1,
        TIME_MIX,
        HEAD_NORM,
        GATED_OUTPUT,
        NORM_2,
        CHANNEL_MIX,
    ])
};

/// Ranks of the decay and of the token shift.
const DECAY: usize = 0;
const SHIFT: usize = 1;

const TIME_MIX: &[Tensor] = &[
    mix_previous(att::TIME_MAA_X, |d| d.mix_previous(d.down)),
    mix_previous(att::TIME_MAA[0], |d| d.mix_previous(d.down)),
    mix_previous(att::TIME_MAA[1], |d| d.mix_previous(d.down)),
    mix_previous(att::TIME_MAA[2], |d| {
        let (up, down) = (d.up, d.down);
        ladder(move |share, _| 1.0 - share.powf(down) - 0.3 * up)
    }),
    mix_previous(att::TIME_MAA[3], |d| d.mix_previous(0.5 * d.down)),
    mix_previous(att::TIME_MAA[4], |d| d.mix_previous(0.5 * d.down)),
    tensor(
        att::TIME_MAA_W1,
        &[Size::Embd, Size::FiveRanks(SHIFT)],
        ZERO,
    )
    .stored(Stored::Transposed)
    .for_tanh()
    .random(Spread::Scaled(0.6, 0)),
    tensor(
        att::TIME_MAA_W2,
        &[Size::Five, Size::Rank(SHIFT), Size::Embd],
        |_| Fill::Flat(0.01),
    )
    .stored(Stored::Slices(&att::TIME_MAA_W2_PARTS))
    .random(Spread::Scaled(0.6, 1)),
    tensor(att::TIME_DECAY_W1, &[Size::Embd, Size::Rank(DECAY)], ZERO)
        .stored(Stored::Transposed)
        .for_tanh()
        .random(Spread::Scaled(1.0, 0)),
    tensor(att::TIME_DECAY_W2, &[Size::Rank(DECAY), Size::Embd], |_| {
        Fill::Flat(0.01)
    })
    .stored(Stored::Transposed)
    .in_base_2()
    .random(Spread::Scaled(1.0, 0)),
    Tensor {
        // log2(log2(e)): a decay is 2^-2^this.
        plus: 0.528_766_373_1,
        ..vector(att::TIME_DECAY, decays).in_base_2()
    }
    .random(Spread::Ladder(-5.0, 6.5)),
    per_head_channel(att::TIME_FAAAA, bonuses)
        .stored(Stored::As(att::TIME_FIRST))
        .random(Spread::Normal(0.3, 0.3)),
    KEY,
    VALUE,
    RECEPTANCE,
    GATE_MATRIX,
];

const CHANNEL_MIX: &[Tensor] = &[
    mix_previous(ffn::TIME_MAA_K, |d| d.mix_previous(d.down.powi(3))),
    mix_previous(ffn::TIME_MAA_R, |d| d.mix_previous(d.down.powi(3))),
    FFN_KEY,
    square(ffn::RECEPTANCE, ZERO).in_base_2(),
    FFN_VALUE,
];
