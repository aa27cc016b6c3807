//! RWKV-7: the time mix over all positions.

use super::super::real::Real;
use super::super::tape::{Tape, Var, Weighs};
use super::v6::low_rank;
use super::Layer;
use crate::tensors::names::att;

/// `first_values` are those of the first layer, which the others mix in.
pub(super) fn time_mix<F: Real>(
    layer: &Layer<'_>,
    tape: &mut Tape<'_, F>,
    xx: Var,
    first_values: &mut Option<Var>,
) -> Var {
    let size = layer.head_size();
    let [xr, xw, xk, xv, xa, xg] =
        att::X.map(|mix| tape.shift(xx, layer.param(mix), Weighs::Previous));
    let r = layer.product(tape, xr, att::RECEPTANCE);
    let k = layer.product(tape, xk, att::KEY);
    let mut v = layer.product(tape, xv, att::VALUE);
    match *first_values {
        None => *first_values = Some(v),
        Some(first) => {
            let lean = low_rank(layer, tape, xv, att::V, |_, hidden| hidden);
            let lean = tape.sigmoid(lean);
            v = tape.lerp(v, first, lean);
        }
    }
    let w = low_rank(layer, tape, xw, att::W, Tape::tanh);
    let w = tape.decay7(w);
    let a = low_rank(layer, tape, xa, att::A, |_, hidden| hidden);
    let a = tape.sigmoid(a);
    let kk = tape.mul_row(k, layer.param(att::K_K));
    let kk = tape.unit(kk, size);
    let k = tape.rated_keys(k, a, layer.param(att::K_A));
    let y = tape.wkv7([r, w, k, v, kk, a], size);
    let y = tape.group_norm(y, layer.norm(att::LN_X), size, layer.network.gn_eps);
    let bonus = tape.bonus([r, k, v], layer.param(att::R_K), size);
    let y = tape.add(y, bonus);
    let hidden = layer.product_left(tape, xg, layer.param(att::G[0]));
    let hidden = tape.sigmoid(hidden);
    let g = layer.product_left(tape, hidden, layer.param(att::G[1]));
    let out = tape.mul(y, g);
    layer.product(tape, out, att::OUTPUT)
}
