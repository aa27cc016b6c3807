//! The state of versions 5 to 7: the vectors of a layer's state, and the loop
//! over its heads.

use super::pace::Pace;
use crate::arch::{bonus, Bonus, Cell};
use crate::pieces::{pieces, pieces_mut};
use crate::shape::vectors::HeadState;
use crate::shape::{Shape, StateFormat};
use half::f16;

/// The state of one layer: the last inputs of both blocks, each `[C]`, and a
/// matrix `[N, N]` per head, by key channel.
///
/// `S[i,j]` is row `i`, the key channel, and column `j`, the value channel, in all
/// versions: a value channel is summed alone, so lanes of a vector never mix.
pub(crate) struct LayerState<'s> {
    /// Input of the time mix at the token before, normalized.
    pub att_x: &'s mut [f32],
    /// Input of the channel mix at the token before, normalized.
    pub ffn_x: &'s mut [f32],
    /// `[H, N, N]`, head by head.
    pub matrices: Matrices<'s>,
}

/// The matrices of all heads, as the image's state format says.
pub(crate) enum Matrices<'s> {
    F32(&'s mut [f32]),
    F16(&'s mut [f16]),
}

impl<'s> LayerState<'s> {
    /// Divides the state of a layer, `Shape::layer_state_len` floats.
    pub(crate) fn split(shape: &Shape, state: &'s mut [f32]) -> Self {
        let HeadState {
            att_x,
            ffn_x,
            matrices,
        } = HeadState::split(shape, state);
        let matrices = match shape.state {
            StateFormat::F32 => Matrices::F32(matrices),
            StateFormat::F16 => Matrices::F16(bytemuck::cast_slice_mut(matrices)),
        };
        Self {
            att_x,
            ffn_x,
            matrices,
        }
    }
}

/// The inputs of the heads of RWKV-5 and 6: receptance, key, value, decay and
/// bonus, each `[C]`.
pub(crate) struct Inputs<'a> {
    pub r: &'a [f32],
    pub k: &'a [f32],
    pub v: &'a [f32],
    pub w: &'a [f32],
    pub u: &'a [f32],
}

/// Reads the state into `y` `[C]` and advances it by one token: a part for
/// each head.
///
/// For each head `y[j] = sum_i r[i] (u[i] k[i] v[j] + S[i,j])` with the old
/// state. The first term is `(sum_i r[i] u[i] k[i]) v[j]`: a number per head,
/// times `v`.
pub(crate) fn read_and_update<P: Pace>(
    matrices: &mut Matrices<'_>,
    head_size: usize,
    inputs: &Inputs<'_>,
    y: &mut [f32],
    pace: &mut P,
) -> Result<(), P::Break> {
    match matrices {
        Matrices::F32(cells) => bonus_heads(cells, head_size, inputs, y, pace),
        Matrices::F16(cells) => bonus_heads(cells, head_size, inputs, y, pace),
    }
}

fn bonus_heads<S: Cell, P: Pace>(
    cells: &mut [S],
    head_size: usize,
    inputs: &Inputs<'_>,
    y: &mut [f32],
    pace: &mut P,
) -> Result<(), P::Break> {
    let heads = pieces_mut(cells, head_size * head_size).zip(pieces_mut(y, head_size));
    let of_heads = |channels| pieces(channels, head_size);
    let keys = of_heads(inputs.r).zip(of_heads(inputs.k));
    let decays = of_heads(inputs.w).zip(of_heads(inputs.u));
    let inputs = keys.zip(of_heads(inputs.v)).zip(decays);
    for ((state, y), (((r, k), v), (w, u))) in heads.zip(inputs) {
        pace.part(|| {
            let mut sum = 0.0;
            for ((&r, &k), &u) in r.iter().zip(k).zip(u) {
                sum += r * u * k;
            }
            let head = Bonus {
                r,
                k,
                v,
                w,
                bonus: sum,
            };
            bonus(state, &head, y);
        })?;
    }
    Ok(())
}
