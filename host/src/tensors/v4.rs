//! RWKV-4.

use super::initial::{ladder, zigzag, ZERO};
use super::names::{att, ffn};
use super::{
    mix, rwkv, square, tensor, vector, Fill, Size, Spread, Stored, Table, Tensor, NORM_1, NORM_2,
    OUTPUT,
};

pub(super) const TABLE: Table = rwkv(&[NORM_1, TIME_MIX, OUTPUT, NORM_2, CHANNEL_MIX]);

/// Keys and receptances begin at zero: all tokens count the same.
const TIME_MIX: &[Tensor] = &[
    mix(att::TIME_MIX_K, |d| d.mix(d.down, 0.0)),
    mix(att::TIME_MIX_V, |d| d.mix(d.down, 0.3 * d.up)),
    mix(att::TIME_MIX_R, |d| d.mix(0.5 * d.down, 0.0)),
    vector(att::TIME_DECAY, |d| d.ladder(-5.0, 8.0, 0.7 + 1.3 * d.up))
        .stored(Stored::Decay)
        .in_base_2()
        .random(Spread::Ladder(-5.0, 6.5)),
    vector(att::TIME_FIRST, |_| ladder(|_, i| 0.3f32.ln() + zigzag(i)))
        .in_base_2()
        .random(Spread::Normal(-1.2, 0.3)),
    square(att::KEY, ZERO).in_base_2(),
    square(att::VALUE, |_| Fill::Tall(1.0)),
    square(att::RECEPTANCE, ZERO).in_base_2(),
];

const CHANNEL_MIX: &[Tensor] = &[
    mix(ffn::TIME_MIX_K, |d| d.mix(d.down, 0.0)),
    mix(ffn::TIME_MIX_R, |d| d.mix(d.down, 0.0)),
    tensor(ffn::KEY, &[Size::Ffn, Size::Embd], |_| Fill::Tall(1.0)),
    square(ffn::RECEPTANCE, ZERO).in_base_2(),
    tensor(ffn::VALUE, &[Size::Embd, Size::Ffn], ZERO),
];
