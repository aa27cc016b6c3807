//! The values of an image's parts, from a checkpoint's tensors.

use crate::model::{Model, ModelError};
use crate::reference::{decay, folded_embedding};
use kinglet::image::Part;

/// Yields the values of parts, transformed as the engine wants them: `ln0`
/// folded into the embedding, decays computed in f64.
pub(super) struct Source<'m> {
    model: &'m Model,
}

impl<'m> Source<'m> {
    pub fn new(model: &'m Model) -> Self {
        Self { model }
    }

    /// The tensor's name in the checkpoint.
    pub fn name(&self, layer: Option<usize>, part: &Part) -> String {
        match layer {
            Some(layer) => format!("blocks.{layer}.{}", part.name),
            None => part.name.to_owned(),
        }
    }

    /// The part's values, row-major.
    pub fn values(&self, layer: Option<usize>, part: &Part) -> Result<Vec<f32>, ModelError> {
        match part.name {
            "emb.weight" => folded_embedding(self.model),
            "att.time_decay" => {
                let values = self.model.load(&self.name(layer, part))?.data;
                Ok(values.into_iter().map(decay).collect())
            }
            _ => Ok(self.model.load(&self.name(layer, part))?.data),
        }
    }
}
