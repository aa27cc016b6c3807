//! The channel mix over all positions.

use super::super::real::Real;
use super::super::tape::{Tape, Var, Weighs};
use super::Layer;
use crate::model::Version;
use crate::tensors::names::ffn;

/// RWKV-4 to 6: with receptance.
pub(super) fn gated<F: Real>(
    layer: &Layer<'_>,
    tape: &mut Tape<'_, F>,
    xx: Var,
    version: Version,
) -> Var {
    let (names, weighs) = match version {
        Version::V6 => ([ffn::TIME_MAA_K, ffn::TIME_MAA_R], Weighs::Previous),
        _ => ([ffn::TIME_MIX_K, ffn::TIME_MIX_R], Weighs::Current),
    };
    let [xk, xr] = names.map(|name| tape.shift(xx, layer.param(name), weighs));
    let out = hidden(layer, tape, xk);
    let r = layer.product(tape, xr, ffn::RECEPTANCE);
    tape.gate(r, out)
}

/// RWKV-7: without.
pub(super) fn plain<F: Real>(layer: &Layer<'_>, tape: &mut Tape<'_, F>, xx: Var) -> Var {
    let xk = tape.shift(xx, layer.param(ffn::X_K), Weighs::Previous);
    hidden(layer, tape, xk)
}

fn hidden<F: Real>(layer: &Layer<'_>, tape: &mut Tape<'_, F>, xk: Var) -> Var {
    let k = layer.product(tape, xk, ffn::KEY);
    let k = tape.relu2(k);
    layer.product(tape, k, ffn::VALUE)
}
