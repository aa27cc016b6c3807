//! RWKV-5.2: the time mix over all positions.

use super::super::real::Real;
use super::super::tape::{Tape, Var, Weighs};
use super::Layer;

pub(super) fn time_mix<F: Real>(layer: &Layer<'_>, tape: &mut Tape<'_, F>, xx: Var) -> Var {
    let names = [
        ("r", "receptance"),
        ("k", "key"),
        ("v", "value"),
        ("g", "gate"),
    ];
    let [r, k, v, g] = names.map(|(letter, name)| {
        let mix = layer.param(&format!("att.time_mix_{letter}"));
        let mixed = tape.shift(xx, mix, Weighs::Current);
        layer.product(tape, mixed, &format!("att.{name}.weight"))
    });
    let w = tape.decay5(layer.param("att.time_decay"), k);
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
    let y = tape.wkv6(inputs, layer.param("att.time_faaaa"), size);
    let y = tape.group_norm(y, layer.norm("att.ln_x"), size, layer.network.gn_eps);
    let g = tape.silu(g);
    let out = tape.mul(y, g);
    layer.product(tape, out, "att.output.weight")
}
