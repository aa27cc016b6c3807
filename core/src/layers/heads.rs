//! The state of versions 5 to 7: the vectors of a layer's state, and the loop
//! over its heads.

use super::pace::Pace;
use crate::arch::{advance, reset_rows, Head, HeadInputs, Mantissa, Room};
use crate::number::{dot, times, Factors, View};
use crate::pieces::{pieces, pieces_mut};
use crate::shape::vectors::HeadState;
use crate::shape::{Shape, StateFormat};

/// Makes the state of one layer, all zeros, that of an empty text.
pub(crate) fn reset(shape: &Shape, state: &mut [i32]) {
    let state = HeadState::split(shape, state);
    reset_rows(state.lam, state.bounds);
}

/// The parts of a head's inputs, as a version computes them: what is left is in
/// [`HeadInputs`].
pub(crate) trait Inputs {
    /// Those of the head with these channels.
    fn of_head(&self, channels: core::ops::Range<usize>) -> HeadInputs<'_>;
}

/// Advances the matrices of a layer by one token and reads them into `y` `[C]`: a part
/// for each head, whose `y` has a power of two of its own, in `exps` `[H]`.
pub(crate) fn heads<P: Pace>(
    shape: &Shape,
    state: &mut HeadState<'_>,
    inputs: &impl Inputs,
    room: &mut [i32],
    (y, exps): (&mut [i32], &mut [i32]),
    pace: &mut P,
) -> Result<(), P::Break> {
    match shape.state {
        StateFormat::I16 => heads_of::<i16, P>(shape, state, inputs, room, (y, exps), pace),
        StateFormat::I8 => heads_of::<i8, P>(shape, state, inputs, room, (y, exps), pace),
    }
}

fn heads_of<M: Mantissa, P: Pace>(
    shape: &Shape,
    state: &mut HeadState<'_>,
    inputs: &impl Inputs,
    room: &mut [i32],
    (y, exps): (&mut [i32], &mut [i32]),
    pace: &mut P,
) -> Result<(), P::Break> {
    let size = shape.head_size();
    let phase = state.phase.first().copied().unwrap_or(0) as usize & 15;
    let mantissas: &mut [M] = bytemuck::cast_slice_mut(state.matrices);
    let rows = pieces_mut(state.lam, size).zip(pieces_mut(state.bounds, size));
    let heads = pieces_mut(mantissas, size * size).zip(rows);
    let outputs = pieces_mut(y, size).zip(exps);
    for (index, ((mantissas, (lam, bounds)), (y, exp))) in heads.zip(outputs).enumerate() {
        pace.part(|| {
            let mut head = Head {
                mantissas,
                lam,
                bounds,
                phase,
                room: Room::split(size, room),
            };
            let inputs = inputs.of_head(index * size..(index + 1) * size);
            *exp = advance(&mut head, &inputs, y);
        })?;
    }
    pace.part(|| {
        if let Some(next) = state.phase.first_mut() {
            *next = (phase as i32 + 1) & 15;
        }
    })
}

/// The inputs of RWKV-5 and 6: receptance, key and value, each `[C]`, the decay's
/// logarithm, and `r u` for the bonus.
pub(crate) struct BonusInputs<'a> {
    pub r: View<'a>,
    pub k: View<'a>,
    pub v: View<'a>,
    pub w: &'a [i32],
    pub ru: View<'a>,
}

impl Inputs for BonusInputs<'_> {
    /// `y[i] = sum_j r[j] (u[j] k[j] v[i] + S[j,i])` with the old state. The first
    /// term is `(sum_j r[j] u[j] k[j]) v[i]`: a number per head, times `v`.
    fn of_head(&self, channels: core::ops::Range<usize>) -> HeadInputs<'_> {
        let [r, k, v, ru] = [self.r, self.k, self.v, self.ru].map(|x| x.part(channels.clone()));
        HeadInputs {
            r,
            k,
            v,
            w: self.w.get(channels).unwrap_or_default(),
            of_v: dot(ru, k),
            delta: None,
        }
    }
}

/// `ru = r u`; returns its power of two.
pub(crate) fn bonus(r: View<'_>, u: Factors<'_>, ru: &mut [i32]) -> i32 {
    times(r, u, ru)
}

/// Pieces of a head's channels, of all heads.
pub(crate) fn of_heads<T>(channels: &[T], size: usize) -> impl Iterator<Item = &[T]> {
    pieces(channels, size)
}
