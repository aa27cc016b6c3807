//! RWKV-5.2: the time mix over all positions.

use super::super::real::Real;
use super::super::tape::{Tape, Var, Weighs};
use super::Layer;
use crate::tensors::names::att;

pub(super) fn time_mix<F: Real>(layer: &Layer<'_>, tape: &mut Tape<'_, F>, xx: Var) -> Var {
    let names = [
        (att::TIME_MIX_R, att::RECEPTANCE),
        (att::TIME_MIX_K, att::KEY),
        (att::TIME_MIX_V, att::VALUE),
        (att::TIME_MIX_G, att::GATE),
    ];
    let [r, k, v, g] = names.map(|(mix, matrix)| {
        let mixed = tape.shift(xx, layer.param(mix), Weighs::Current);
        layer.product(tape, mixed, matrix)
    });
    let w = tape.decay5(layer.param(att::TIME_DECAY), k);
    read_out(layer, tape, [r, k, v, w], g)
}

/// The state's read-out, normalized, gated and projected: versions 5.2 and 6.
pub(super) fn read_out<F: Real>(
    layer: &Layer<'_>,
    tape: &mut Tape<'_, F>,
    inputs: [Var; 4],
    g: Var,
) -> Var {
    let size = layer.head_size();
    let y = tape.wkv6(inputs, layer.param(att::TIME_FAAAA), size);
    let y = tape.group_norm(y, layer.norm(att::LN_X), size, layer.network.gn_eps);
    let g = tape.silu(g);
    let out = tape.mul(y, g);
    layer.product(tape, out, att::OUTPUT)
}
