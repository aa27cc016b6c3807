//! A Transformer as it is built today (decoder, rotary positions, norms by the
//! root of the mean square, a gated channel mix), of which only the training
//! exists: what RWKV is compared with.

use super::super::real::Real;
use super::super::tape::{Param, Tape, Var};
use super::Layer;
use crate::tensors::names::{att, ffn};

/// Each row divided by the root of its mean square, times `weight` `[C]`.
pub(super) fn norm<F: Real>(tape: &mut Tape<'_, F>, x: Var, weight: Param) -> Var {
    let unit = tape.with_length(x, weight.cols, (weight.cols as f64).sqrt());
    tape.mul_row(unit, weight)
}

pub(super) fn attention<F: Real>(layer: &Layer<'_>, tape: &mut Tape<'_, F>, xx: Var) -> Var {
    let size = layer.head_size();
    let [q, k, v] = [att::QUERY, att::KEY, att::VALUE].map(|name| layer.product(tape, xx, name));
    let [q, k] = [q, k].map(|x| tape.rotate(x, size));
    let out = tape.attention([q, k, v], size);
    layer.product(tape, out, att::OUTPUT)
}

pub(super) fn feed_forward<F: Real>(layer: &Layer<'_>, tape: &mut Tape<'_, F>, xx: Var) -> Var {
    let gate = layer.product(tape, xx, ffn::GATE);
    let gate = tape.silu(gate);
    let k = layer.product(tape, xx, ffn::KEY);
    let k = tape.mul(gate, k);
    layer.product(tape, k, ffn::VALUE)
}
