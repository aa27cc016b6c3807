//! RWKV-5: the time mix over all positions.

use super::super::real::Real;
use super::super::tape::{Tape, Var, Weighs};
use super::{Arch, Layer};
use crate::model::Version;
use crate::tensors::names::att;

pub(super) fn time_mix<F: Real>(layer: &Layer<'_>, tape: &mut Tape<'_, F>, xx: Var) -> Var {
    let mut mixed = |(mix, matrix)| {
        let mixed = tape.shift(xx, layer.param(mix), Weighs::Current);
        layer.product(tape, mixed, matrix)
    };
    let names = [
        (att::TIME_MIX_R, att::RECEPTANCE),
        (att::TIME_MIX_K, att::KEY),
        (att::TIME_MIX_V, att::VALUE),
    ];
    let [r, k, v] = names.map(&mut mixed);
    let has_gate = layer.network.arch != Arch::Rwkv(Version::V5);
    let g = has_gate.then(|| mixed((att::TIME_MIX_G, att::GATE)));
    let w = tape.decay5(layer.param(att::TIME_DECAY), k);
    read_out(layer, tape, [r, k, v, w], g)
}

/// The state's read-out, normalized, gated where there is a gate, and projected:
/// versions 5 and 6.
pub(super) fn read_out<F: Real>(
    layer: &Layer<'_>,
    tape: &mut Tape<'_, F>,
    inputs: [Var; 4],
    g: Option<Var>,
) -> Var {
    let size = layer.head_size();
    let bonus = match layer.network.arch {
        Arch::Rwkv(Version::V5 | Version::V51) => att::TIME_FIRST,
        _ => att::TIME_FAAAA,
    };
    let bonus = tape.bonus5(layer.param(bonus), layer.network.dimensions.embd);
    let y = tape.wkv6(inputs, bonus, size);
    let y = tape.group_norm(y, layer.norm(att::LN_X), size, layer.network.gn_eps);
    let out = match g {
        None => y,
        Some(g) => {
            let g = tape.silu(g);
            tape.mul(y, g)
        }
    };
    layer.product(tape, out, att::OUTPUT)
}
