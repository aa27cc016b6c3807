//! The channel mix over all positions.

use super::super::real::Real;
use super::super::tape::{Tape, Var, Weighs};
use super::Layer;
use crate::model::Version;

/// RWKV-4 to 6: with receptance.
pub(super) fn gated<F: Real>(
    layer: &Layer<'_>,
    tape: &mut Tape<'_, F>,
    xx: Var,
    version: Version,
) -> Var {
    let (names, weighs) = match version {
        Version::V6 => (["ffn.time_maa_k", "ffn.time_maa_r"], Weighs::Previous),
        _ => (["ffn.time_mix_k", "ffn.time_mix_r"], Weighs::Current),
    };
    let [xk, xr] = names.map(|name| tape.shift(xx, layer.param(name), weighs));
    let out = hidden(layer, tape, xk);
    let r = layer.product(tape, xr, "ffn.receptance.weight");
    tape.gate(r, out)
}

/// RWKV-7: without.
pub(super) fn plain<F: Real>(layer: &Layer<'_>, tape: &mut Tape<'_, F>, xx: Var) -> Var {
    let xk = tape.shift(xx, layer.param("ffn.x_k"), Weighs::Previous);
    hidden(layer, tape, xk)
}

fn hidden<F: Real>(layer: &Layer<'_>, tape: &mut Tape<'_, F>, xk: Var) -> Var {
    let k = layer.product(tape, xk, "ffn.key.weight");
    let k = tape.relu2(k);
    layer.product(tape, k, "ffn.value.weight")
}
