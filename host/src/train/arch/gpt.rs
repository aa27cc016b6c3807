//! A plain Transformer (decoder, learned positions, norms before the
//! blocks), of which only the training exists: what RWKV is compared with.

use super::super::real::Real;
use super::super::tape::{Tape, Var};
use super::Layer;
use crate::tensors::names::{att, ffn};

pub(super) fn attention<F: Real>(layer: &Layer<'_>, tape: &mut Tape<'_, F>, xx: Var) -> Var {
    let inputs = [att::QUERY, att::KEY, att::VALUE].map(|name| layer.product(tape, xx, name));
    let out = tape.attention(inputs, layer.head_size());
    layer.product(tape, out, att::OUTPUT)
}

pub(super) fn feed_forward<F: Real>(layer: &Layer<'_>, tape: &mut Tape<'_, F>, xx: Var) -> Var {
    let k = layer.product(tape, xx, ffn::KEY);
    let k = tape.gelu(k);
    layer.product(tape, k, ffn::VALUE)
}
