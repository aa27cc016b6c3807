//! The channel mix over all positions.

use super::super::real::Real;
use super::super::tape::{Tape, Var, Weighs};
use super::Layer;
use crate::tensors::{names::ffn, Stored, Tensor};

/// `value relu(key xk)^2`, gated by the receptance where the version has one.
pub(super) fn channel_mix<F: Real>(layer: &Layer<'_>, tape: &mut Tape<'_, F>, xx: Var) -> Var {
    let (mix_k, mix_r) = layer.network.arch.table().channel_mixes();
    let shift = |tape: &mut Tape<'_, F>, mix: &Tensor| {
        let weighs = match mix.stored {
            Stored::Complement => Weighs::Previous,
            _ => Weighs::Current,
        };
        tape.shift(xx, layer.param(mix.name), weighs)
    };
    let xk = shift(tape, mix_k);
    let xr = mix_r.map(|mix_r| shift(tape, mix_r));
    let k = layer.product(tape, xk, ffn::KEY);
    let k = tape.relu2(k);
    let out = layer.product(tape, k, ffn::VALUE);
    let Some(xr) = xr else {
        return out;
    };
    let r = layer.product(tape, xr, ffn::RECEPTANCE);
    tape.gate(r, out)
}
