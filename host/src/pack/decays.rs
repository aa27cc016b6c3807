//! Which decays are too slow for a state of integers.

use crate::model::Model;
use crate::tensors::table;
use anyhow::Result;
use kinglet::shape::StateFormat;

/// Slower ones lose memory to rounding. A row of the state is rounded at each
/// token, in units of its largest value: the errors of as many tokens as it remembers
/// add up.
pub fn least_loss(state: StateFormat) -> f64 {
    match state {
        StateFormat::I16 => 1.0 / 16_384.0,
        StateFormat::I8 => 1.0 / 64.0,
    }
}

/// How many decays (channels of layers, or heads where those have one) are
/// too slow for such a state, and how many there are. RWKV-6's and 7's are
/// those without the data's part in them.
///
/// # Errors
/// As [`Model::load`].
pub fn slow_decays(model: &Model, state: StateFormat) -> Result<(usize, usize)> {
    let decay = table(model.version()).decay;
    let (mut slow, mut all) = (0, 0);
    for layer in 0..model.dimensions().layers {
        let values = model.load_layer(layer, decay.name)?.data;
        all += values.len();
        let losses = values.iter().map(|&v| 1.0 - (decay.left)(v.into()));
        slow += losses.filter(|&loss| loss < least_loss(state)).count();
    }
    Ok((slow, all))
}
