//! The step of a layer for one token, for each RWKV version.
//!
//! A layer is `x += time_mix(norm(x))`, then `x += channel_mix(norm(x))`, `x`
//! `[C]`. Both blocks mix their input with that of the token before (token
//! shift), which is a part of the state. Weights of matrices, and the vectors
//! that they multiply, are integers; all else are integers under a power of two.

mod channel_mix;
mod embedding;
mod heads;
pub(crate) mod pace;
#[cfg(feature = "v4")]
mod v4;
#[cfg(feature = "v5")]
mod v5;
#[cfg(feature = "v6")]
mod v6;
#[cfg(feature = "v7")]
mod v7;
pub(crate) mod work;

#[cfg(not(any(feature = "v4", feature = "v5", feature = "v6", feature = "v7")))]
compile_error!("choose an RWKV version: one of the features v4, v5, v6, v7, or `versions` for all");

pub(crate) use embedding::read_row;

use crate::image::Parts;
use crate::pieces::pieces_mut;
use crate::shape::{Shape, Version};
use pace::Pace;
use work::Work;

/// Makes the state of all layers that of an empty text.
pub(crate) fn reset(shape: &Shape, state: &mut [i32]) {
    state.fill(0);
    for state in pieces_mut(state, shape.layer_state_len()) {
        match shape.version {
            #[cfg(feature = "v4")]
            Version::V4 => v4::reset(shape, state),
            _ => heads::reset(shape, state),
        }
    }
}

/// Advances layer `index`, whose parts come next, by one token: `work.x` is
/// read and updated. An image of a version that the build lacks was
/// refused.
pub(crate) fn layer<P: Pace>(
    shape: &Shape,
    index: u32,
    parts: &mut Parts<'_>,
    state: &mut [i32],
    work: &mut Work<'_, '_>,
    pace: &mut P,
) -> Result<(), P::Break> {
    match shape.version {
        #[cfg(feature = "v4")]
        Version::V4 => v4::layer(shape, parts, state, work, pace),
        #[cfg(feature = "v5")]
        Version::V5 | Version::V52 => v5::layer(shape, parts, state, work, pace),
        #[cfg(feature = "v6")]
        Version::V6 => v6::layer(shape, parts, state, work, pace),
        #[cfg(feature = "v7")]
        Version::V7 => v7::layer(shape, index, parts, state, work, pace),
        #[allow(unreachable_patterns)]
        _ => Ok(()),
    }
}
