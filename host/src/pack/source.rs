//! The values of an image's parts, from a checkpoint's tensors.

use crate::model::{Model, ModelError};
use crate::reference::{decay, folded_embedding};
use kinglet::image::{Kind, Part, Version};

/// Yields the values of parts, transformed as the engine wants them: `ln0`
/// folded into the embedding, decays applied in f64, mixes that weigh the
/// current token, matrices `[outputs, inputs]`.
pub(super) struct Source<'m> {
    model: &'m Model,
    version: Version,
    channels: usize,
}

impl<'m> Source<'m> {
    pub fn new(model: &'m Model, version: Version) -> Self {
        let channels = model.dimensions().embd;
        Self {
            model,
            version,
            channels,
        }
    }

    /// The tensor's name in the checkpoint.
    pub fn name(&self, layer: Option<usize>, part: &Part) -> String {
        let Some(layer) = layer else {
            return part.name.to_owned();
        };
        let name = |tensor: &str| format!("blocks.{layer}.{tensor}");
        match part.name.split_once("time_maa_w2.") {
            Some(_) => name("att.time_maa_w2"),
            // The bonus changed its name with the meaning of its values.
            None if part.name == "att.time_first" => [name("att.time_faaaa"), name(part.name)]
                .into_iter()
                .find(|name| self.model.checkpoint().info(name).is_some())
                .unwrap_or_else(|| name(part.name)),
            None => name(part.name),
        }
    }

    /// The part's values, row-major.
    pub fn values(&self, layer: Option<usize>, part: &Part) -> Result<Vec<f32>, ModelError> {
        if part.name == "emb.weight" {
            return folded_embedding(self.model);
        }
        let name = self.name(layer, part);
        let tensor = self.model.load(&name)?;
        let cols = tensor.shape.last().copied().unwrap_or(1);
        let values = tensor.data;
        if let Some((_, which)) = part.name.split_once("time_maa_w2.") {
            return Ok(self.shift_matrix(&values, which));
        }
        Ok(match (part.kind, part.name) {
            // Low-rank matrices are stored [inputs, outputs].
            (Kind::Steer(..), _) => transposed(&values, cols),
            (_, "att.time_decay") => self.decays(values),
            (_, "att.time_first") => self.bonuses(&name, values),
            _ if is_previous_mix(part.name) => values.into_iter().map(|maa| 1.0 - maa).collect(),
            _ => values,
        })
    }

    /// RWKV-4 adds its decay in log space, RWKV-5 multiplies, and RWKV-6
    /// computes it from these values and the data.
    fn decays(&self, values: Vec<f32>) -> Vec<f32> {
        match self.version {
            Version::V4 => values.into_iter().map(decay).collect(),
            Version::V5 | Version::V52 => {
                let decays = values
                    .into_iter()
                    .map(|v| (-f64::from(v).exp()).exp() as f32);
                self.per_channel(&decays.collect::<Vec<_>>())
            }
            Version::V6 | Version::V7 => values,
        }
    }

    /// RWKV-5.0 and 5.1 store the logarithm of one bonus per head.
    fn bonuses(&self, name: &str, values: Vec<f32>) -> Vec<f32> {
        if self.version == Version::V4 || name.ends_with("faaaa") {
            return self.per_channel(&values);
        }
        let bonuses = values.into_iter().map(|v| f64::from(v).exp() as f32);
        self.per_channel(&bonuses.collect::<Vec<_>>())
    }

    /// One value per head becomes one per channel.
    fn per_channel(&self, values: &[f32]) -> Vec<f32> {
        let times = self.channels / values.len().max(1);
        let repeat = |&value| std::iter::repeat_n(value, times);
        values.iter().flat_map(repeat).collect()
    }

    /// A slice of `time_maa_w2` `[5, R, C]`, transposed.
    fn shift_matrix(&self, values: &[f32], which: &str) -> Vec<f32> {
        let order = ["w", "k", "v", "r", "g"];
        let at = order.iter().position(|&name| name == which).unwrap_or(0);
        let size = values.len() / order.len();
        transposed(&values[at * size..][..size], self.channels)
    }
}

/// Mixes of RWKV-6 and 7 weigh the previous token, those of an image the
/// current one.
fn is_previous_mix(name: &str) -> bool {
    name.contains("time_maa_") || name.contains(".x_")
}

/// `[rows, cols]` -> `[cols, rows]`.
fn transposed(values: &[f32], cols: usize) -> Vec<f32> {
    let column = |col| values.iter().skip(col).step_by(cols.max(1)).copied();
    (0..cols).flat_map(column).collect()
}

#[cfg(test)]
mod tests {
    use super::transposed;

    #[test]
    fn transposes() {
        assert_eq!(
            transposed(&[1., 2., 3., 4., 5., 6.], 3),
            [1., 4., 2., 5., 3., 6.]
        );
        assert_eq!(transposed(&[], 3), []);
    }
}
