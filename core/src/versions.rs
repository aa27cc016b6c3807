//! One layer of whichever version the image has.

use crate::image::{Header, Parts, Version};
use crate::pace::Pace;
use crate::scratch::Work;

/// Makes the state of one layer that of an empty text.
pub(crate) fn reset(header: &Header, state: &mut [f32]) {
    match header.version {
        #[cfg(feature = "v4")]
        Version::V4 => crate::v4::reset(header, state),
        _ => state.fill(0.0),
    }
}

/// Advances layer `index`, whose parts come next, by one token: `work.x` is
/// read and updated. A version that the build does not have has been refused
/// with the image.
#[cfg_attr(not(feature = "v7"), allow(unused_variables))]
pub(crate) fn layer<P: Pace>(
    header: &Header,
    index: u32,
    parts: &mut Parts<'_>,
    state: &mut [f32],
    work: &mut Work<'_, '_>,
    pace: &mut P,
) -> Result<(), P::Break> {
    match header.version {
        #[cfg(feature = "v4")]
        Version::V4 => crate::v4::layer(header, parts, state, work, pace),
        #[cfg(feature = "v5")]
        Version::V5 | Version::V52 => crate::v5::layer(header, parts, state, work, pace),
        #[cfg(feature = "v6")]
        Version::V6 => crate::v6::layer(header, parts, state, work, pace),
        #[cfg(feature = "v7")]
        Version::V7 => crate::v7::layer(header, index, parts, state, work, pace),
        #[allow(unreachable_patterns)]
        _ => Ok(()),
    }
}
