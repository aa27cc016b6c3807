//! RWKV-4: the time mix over all positions.

use super::super::real::Real;
use super::super::tape::{Tape, Var, Weighs};
use super::Layer;

pub(super) fn time_mix<F: Real>(layer: &Layer<'_>, tape: &mut Tape<'_, F>, xx: Var) -> Var {
    let [r, k, v] = [("r", "receptance"), ("k", "key"), ("v", "value")].map(|(letter, name)| {
        let mix = layer.param(&format!("att.time_mix_{letter}"));
        let mixed = tape.shift(xx, mix, Weighs::Current);
        layer.product(tape, mixed, &format!("att.{name}.weight"))
    });
    let (decay, first) = (layer.param("att.time_decay"), layer.param("att.time_first"));
    let wkv = tape.wkv4(k, v, decay, first);
    let out = tape.gate(r, wkv);
    layer.product(tape, out, "att.output.weight")
}
