//! RWKV-6: the time mix over all positions.

use super::super::real::Real;
use super::super::tape::{Param, Tape, Var, Weighs};
use super::v5::read_out;
use super::Layer;
use crate::tensors::names::att;

pub(super) fn time_mix<F: Real>(layer: &Layer<'_>, tape: &mut Tape<'_, F>, xx: Var) -> Var {
    let mixed = tape.shift(xx, layer.param(att::TIME_MAA_X), Weighs::Previous);
    let z = layer.product_left(tape, mixed, layer.param(att::TIME_MAA_W1));
    let z = tape.tanh(z);
    let mut index = 0;
    let [xw, xk, xv, xr, xg] = att::TIME_MAA.map(|mix| {
        let moved = moved(layer, tape, z, index);
        index += 1;
        tape.shift_by(xx, layer.param(mix), Some(moved), Weighs::Previous)
    });
    let w = low_rank(layer, tape, xw, att::DECAY, Tape::tanh);
    let w = tape.decay6(w);
    let r = layer.product(tape, xr, att::RECEPTANCE);
    let k = layer.product(tape, xk, att::KEY);
    let v = layer.product(tape, xv, att::VALUE);
    let g = layer.product(tape, xg, att::GATE);
    read_out(layer, tape, [r, k, v, w], Some(g))
}

/// `base + f(x M1) M2`.
pub(super) fn low_rank<'p, F: Real>(
    layer: &Layer<'_>,
    tape: &mut Tape<'p, F>,
    x: Var,
    names: [&str; 3],
    f: impl FnOnce(&mut Tape<'p, F>, Var) -> Var,
) -> Var {
    let [base, first, second] = names.map(|name| layer.param(name));
    let hidden = layer.product_left(tape, x, first);
    let hidden = f(tape, hidden);
    let moved = layer.product_left(tape, hidden, second);
    tape.add_row(moved, base)
}

/// The part added to the mix of input `index`: a block of z through its own matrix.
fn moved<F: Real>(layer: &Layer<'_>, tape: &mut Tape<'_, F>, z: Var, index: usize) -> Var {
    let rank = layer.network.dimensions.ranks[1];
    let block = tape.columns(z, index * rank, rank);
    // [5, R, C] is five matrices.
    let all = layer.param(att::TIME_MAA_W2);
    let own = Param {
        offset: all.offset + index * rank * all.cols,
        rows: rank,
        cols: all.cols,
    };
    layer.product_left(tape, block, own)
}
