//! Which decays are too slow for a state of half floats.

use crate::model::Model;
use crate::tensors::table;
use anyhow::Result;

/// A half float that loses less than this share of itself may round back to
/// what it was.
const LEAST_LOSS: f64 = 1.0 / 2048.0;

/// How many decays (channels of layers, or heads where those have one) are
/// too slow for half floats, and how many there are. RWKV-6's and 7's are
/// those without the data's part in them.
///
/// # Errors
/// As [`Model::load`].
pub fn slow_decays(model: &Model) -> Result<(usize, usize)> {
    let decay = table(model.version()).decay;
    let (mut slow, mut all) = (0, 0);
    for layer in 0..model.dimensions().layers {
        let values = model.load_layer(layer, decay.name)?.data;
        all += values.len();
        let losses = values.iter().map(|&v| 1.0 - (decay.left)(v.into()));
        slow += losses.filter(|&loss| loss < LEAST_LOSS).count();
    }
    Ok((slow, all))
}
