//! RWKV-7.

use super::initial::{in_head, ladder, ZERO};
use super::names::{att, ffn};
use super::{
    mix_previous, per_head_channel, rwkv, share, square, tensor, vector, Decay, Fill, Ranks, Size,
    Spread, Stored, Table, Tensor, HEAD_NORM, NORM_1, NORM_2, OUTPUT,
};

pub(super) const TABLE: Table = Table {
    ranks: Ranks {
        published: |channels, layers| {
            // They grow with the square root of the width.
            let rank = |factor: f64| {
                let rank = (factor * (channels as f64).sqrt() / 32.0).round() * 32.0;
                (rank as usize).max(32).min(channels)
            };
            [rank(2.5), rank(2.5), residual(rank(1.7), layers), rank(5.0)]
        },
        trained: |channels, layers| {
            let quarter = share(channels, 4);
            [
                quarter,
                quarter,
                residual(share(channels, 8), layers),
                quarter,
            ]
        },
    },
    decay: Decay {
        name: att::W[0],
        left: |value| (-(-0.5f64).exp() / (1.0 + (-value).exp())).exp(),
    },
    ..rwkv(&[NORM_1, TIME_MIX, HEAD_NORM, OUTPUT, NORM_2, CHANNEL_MIX])
};

/// The rank of the value residual, which the first layer lacks.
fn residual(rank: usize, layers: usize) -> usize {
    match layers {
        0 | 1 => 0,
        _ => rank,
    }
}

/// Ranks of decay, learning rate, value and gate.
const DECAY: usize = 0;
const RATE: usize = 1;
const RESIDUAL: usize = 2;
const GATE: usize = 3;

const TIME_MIX: &[Tensor] = &[
    mix_previous(att::X[0], |d| d.mix_previous(0.2 * d.down)),
    mix_previous(att::X[1], |d| d.mix_previous(0.9 * d.down)),
    mix_previous(att::X[2], |d| d.mix_previous(0.7 * d.down)),
    mix_previous(att::X[3], |d| d.mix_previous(0.7 * d.down)),
    mix_previous(att::X[4], |d| d.mix_previous(0.9 * d.down)),
    mix_previous(att::X[5], |d| d.mix_previous(0.2 * d.down)),
    vector(att::W[0], |d| {
        let (power, head_size) = (1.0 + d.up.powf(0.3), d.head_size);
        ladder(move |share, i| -5.5 + 6.0 * share.powf(power) + 2.5 * in_head(i, head_size))
    })
    .in_base_2()
    .random(Spread::Ladder(-5.0, 6.0)),
    vector(att::A[0], |d| {
        let head_size = d.head_size;
        ladder(move |share, i| -0.39 + 0.4 * share + 0.3 * in_head(i, head_size))
    })
    .in_base_2()
    .random(Spread::Normal(0.0, 0.5)),
    vector(att::K_K, |_| ladder(|share, _| 0.76 - 0.1 * share)).random(Spread::Normal(0.85, 0.15)),
    vector(att::K_A, |_| Fill::Constant(1.02)).random(Spread::Normal(1.0, 0.15)),
    first(att::W[1], &[Size::Embd, Size::Rank(DECAY)]).for_tanh(),
    second(att::W[2], &[Size::Rank(DECAY), Size::Embd]).in_base_2(),
    first(att::A[1], &[Size::Embd, Size::Rank(RATE)]),
    second(att::A[2], &[Size::Rank(RATE), Size::Embd]).in_base_2(),
    first(att::G[0], &[Size::Embd, Size::Rank(GATE)]).in_base_2(),
    // The gate after it has no bias: its mean is zero.
    second(att::G[1], &[Size::Rank(GATE), Size::Embd]).random(Spread::Scaled(2.0, 0)),
    // The other layers' values are mixed with the first layer's.
    first(att::V[1], &[Size::Embd, Size::Rank(RESIDUAL)]).after_first_layer(),
    second(att::V[2], &[Size::Rank(RESIDUAL), Size::Embd])
        .in_base_2()
        .after_first_layer(),
    vector(att::V[0], |_| ladder(|share, _| 0.93 - 0.4 * share))
        .in_base_2()
        .random(Spread::Normal(0.0, 0.5))
        .after_first_layer(),
    per_head_channel(att::R_K, |_| Fill::Constant(-0.04)).random(Spread::Normal(0.0, 0.3)),
    square(att::KEY, |_| Fill::Uniform(0.05)),
    square(att::VALUE, |_| Fill::Uniform(0.5)),
    square(att::RECEPTANCE, |_| Fill::Uniform(0.5)),
];

const CHANNEL_MIX: &[Tensor] = &[
    mix_previous(ffn::X_K, |d| d.mix_previous(d.down.powi(4))),
    tensor(ffn::KEY, &[Size::Ffn, Size::Embd], |_| Fill::Uniform(0.5)),
    tensor(ffn::VALUE, &[Size::Embd, Size::Ffn], ZERO),
];

/// The first of two low-rank matrices, `[inputs, outputs]`.
const fn first(name: &'static str, sizes: &'static [Size]) -> Tensor {
    tensor(name, sizes, ZERO)
        .stored(Stored::Transposed)
        .random(Spread::Scaled(1.0, 0))
}

/// The second.
const fn second(name: &'static str, sizes: &'static [Size]) -> Tensor {
    tensor(name, sizes, |_| Fill::Tall(0.1))
        .stored(Stored::Transposed)
        .random(Spread::Scaled(1.0, 0))
}
