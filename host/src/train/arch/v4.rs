//! RWKV-4: the time mix over all positions.

use super::super::real::Real;
use super::super::tape::{Tape, Var, Weighs};
use super::Layer;
use crate::tensors::names::att;

pub(super) fn time_mix<F: Real>(layer: &Layer<'_>, tape: &mut Tape<'_, F>, xx: Var) -> Var {
    let names = [
        (att::TIME_MIX_R, att::RECEPTANCE),
        (att::TIME_MIX_K, att::KEY),
        (att::TIME_MIX_V, att::VALUE),
    ];
    let [r, k, v] = names.map(|(mix, matrix)| {
        let mixed = tape.shift(xx, layer.param(mix), Weighs::Current);
        layer.product(tape, mixed, matrix)
    });
    let (decay, first) = (layer.param(att::TIME_DECAY), layer.param(att::TIME_FIRST));
    let wkv = tape.wkv4(k, v, decay, first);
    let out = tape.gate(r, wkv);
    layer.product(tape, out, att::OUTPUT)
}
