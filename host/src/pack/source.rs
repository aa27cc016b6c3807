//! The values of an image's parts, from a checkpoint's tensors.

use crate::model::Model;
use crate::reference::fold_ln0;
use crate::tensors::{table, Stored, Tensor};
use anyhow::Result;
use kinglet::shape::Part;
use std::ops::Range;

/// Yields the values of parts as the table of the model's version says: `ln0`
/// folded into the embedding, decays applied in f64, mixes that weigh the
/// current token, matrices `[outputs, inputs]`.
pub(super) struct Source<'m> {
    pub model: &'m Model,
}

impl Source<'_> {
    fn tensor(&self, layer: Option<usize>, part: &Part) -> (&'static Tensor, Option<usize>) {
        table(self.model.version()).of_part(layer.is_some(), part.name)
    }

    /// The tensor's name in the checkpoint.
    pub fn name(&self, layer: Option<usize>, part: &Part) -> String {
        self.model.name_of(layer, self.tensor(layer, part).0)
    }

    /// What the values of the part are multiplied by.
    pub fn times(&self, layer: Option<usize>, part: &Part) -> f64 {
        self.tensor(layer, part).0.times
    }

    /// What is added to them then.
    pub fn plus(&self, layer: Option<usize>, part: &Part) -> f64 {
        self.tensor(layer, part).0.plus
    }

    /// The values of a part that is a vector.
    pub fn vector(&self, layer: Option<usize>, part: &Part) -> Result<Vec<f32>> {
        self.model.load_stored(layer, self.tensor(layer, part).0)
    }

    /// Rows of a part that is a matrix or a table, row-major.
    pub fn rows(&self, layer: Option<usize>, part: &Part, rows: Range<usize>) -> Result<Vec<f32>> {
        let (tensor, index) = self.tensor(layer, part);
        let name = self.model.name_of(layer, tensor);
        match tensor.stored {
            // Low-rank matrices are small enough to be read whole.
            Stored::Transposed | Stored::Slices(_) => {
                let values = self.model.load(&name)?.data;
                let dimensions = self.model.dimensions();
                let (turned, cols) = tensor.stored_matrix(values, index, &dimensions);
                Ok(turned[rows.start * cols..rows.end * cols].to_vec())
            }
            Stored::Normalized => {
                let mut values = self.model.load_rows(&name, rows)?.data;
                fold_ln0(self.model, &mut values)?;
                Ok(values)
            }
            _ => Ok(self.model.load_rows(&name, rows)?.data),
        }
    }
}
