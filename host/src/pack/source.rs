//! The values of an image's parts, from a checkpoint's tensors.

use crate::model::{Model, ModelError, Version};
use crate::reference::{bonus_per_channel, decay, decay_per_channel, fold_ln0};
use kinglet::image::{Kind, Part};
use std::ops::Range;

/// Yields the values of parts, transformed as the engine wants them: `ln0`
/// folded into the embedding, decays applied in f64, mixes that weigh the
/// current token, matrices `[outputs, inputs]`.
pub(super) struct Source<'m> {
    model: &'m Model,
}

impl<'m> Source<'m> {
    pub fn new(model: &'m Model) -> Self {
        Self { model }
    }

    /// The tensor's name in the checkpoint.
    pub fn name(&self, layer: Option<usize>, part: &Part) -> String {
        let name = match (part.name, self.model.version()) {
            ("att.time_first", Version::V6) => "att.time_faaaa",
            (name, _) if shift_index(part).is_some() => {
                name.rsplit_once('.').map_or(name, |(tensor, _)| tensor)
            }
            (name, _) => name,
        };
        match layer {
            Some(layer) => self.model.name_in_layer(layer, name),
            None => name.to_owned(),
        }
    }

    /// The values of a part that is a vector.
    pub fn vector(&self, layer: Option<usize>, part: &Part) -> Result<Vec<f32>, ModelError> {
        let name = self.name(layer, part);
        let (version, channels) = (self.model.version(), self.model.dimensions().embd);
        if let ("att.time_first", Version::V5 | Version::V51 | Version::V52) = (part.name, version)
        {
            return bonus_per_channel(self.model, &name);
        }
        let values = self.model.load(&name)?.data;
        Ok(match (part.name, version) {
            ("att.time_decay", Version::V4) => values.into_iter().map(decay).collect(),
            ("att.time_decay", Version::V5 | Version::V51 | Version::V52) => {
                decay_per_channel(&values, channels)
            }
            (name, _) if weighs_previous(name) => values.into_iter().map(|mix| 1.0 - mix).collect(),
            _ => values,
        })
    }

    /// Rows of a part that is a matrix or a table, row-major.
    pub fn rows(
        &self,
        layer: Option<usize>,
        part: &Part,
        rows: Range<usize>,
    ) -> Result<Vec<f32>, ModelError> {
        let name = self.name(layer, part);
        if let Kind::Steer(..) = part.kind {
            return self.low_rank_rows(&name, shift_index(part), rows);
        }
        let mut values = self.model.load_rows(&name, rows)?.data;
        if part.name == "emb.weight" {
            fold_ln0(self.model, &mut values)?;
        }
        Ok(values)
    }

    /// Rows of a low-rank matrix, which checkpoints hold `[inputs, outputs]`,
    /// or of one of several. They are small enough to be read whole.
    fn low_rank_rows(
        &self,
        name: &str,
        index: Option<usize>,
        rows: Range<usize>,
    ) -> Result<Vec<f32>, ModelError> {
        let tensor = self.model.load(name)?;
        let outputs = tensor.shape.last().copied().unwrap_or(1).max(1);
        let matrix = match index {
            Some(index) => {
                let size = tensor.data.len() / SHIFTS.len();
                tensor.data.get(index * size..).unwrap_or(&[])
            }
            None => &tensor.data[..],
        };
        let inputs = match index {
            Some(_) => tensor.data.len() / SHIFTS.len() / outputs,
            None => tensor.data.len() / outputs,
        };
        let row = |output| (0..inputs).map(move |input| matrix[input * outputs + output]);
        Ok(rows.flat_map(row).collect())
    }
}

/// What the slices of RWKV-6's `time_maa_w2` shift, in their order.
const SHIFTS: [&str; 5] = ["w", "k", "v", "r", "g"];

/// Which of the slices a part is.
fn shift_index(part: &Part) -> Option<usize> {
    let which = part.name.strip_prefix("att.time_maa_w2.")?;
    SHIFTS.iter().position(|&name| name == which)
}

/// Mixes of RWKV-6 and 7 weigh the previous token, those of an image the
/// current one.
fn weighs_previous(name: &str) -> bool {
    name.contains(".time_maa_") || name.contains(".x_")
}
