//! Reading the weights of a model.

use super::ops::{Matrix, Norm};
use crate::model::{Model, ModelError};

/// The embedding `[V, C]` with ln0 applied to each row.
pub(super) fn folded_embedding(model: &Model) -> Result<Vec<f32>, ModelError> {
    let mut embedding = model.load("emb.weight")?.data;
    fold_ln0(model, &mut embedding)?;
    Ok(embedding)
}

/// Applies ln0 to rows `[_, C]` of the embedding.
pub(crate) fn fold_ln0(model: &Model, rows: &mut [f32]) -> Result<(), ModelError> {
    let ln0 = norm(model, "blocks.0.ln0")?;
    for row in rows.chunks_exact_mut(model.dimensions().embd) {
        row.copy_from_slice(&ln0.layer(row));
    }
    Ok(())
}

/// A norm outside the layers.
pub(super) fn norm(model: &Model, name: &str) -> Result<Norm, ModelError> {
    Ok(Norm {
        weight: model.load(&format!("{name}.weight"))?.data,
        bias: model.load(&format!("{name}.bias"))?.data,
    })
}

/// The tensors of a layer.
pub(super) struct Tensors<'m> {
    pub model: &'m Model,
    pub index: usize,
}

impl Tensors<'_> {
    /// A norm, by the name before `.weight` and `.bias`.
    pub fn norm(&self, name: &str) -> Result<Norm, ModelError> {
        norm(self.model, &format!("blocks.{}.{name}", self.index))
    }

    /// A vector, flattened.
    pub fn vector(&self, name: &str) -> Result<Vec<f32>, ModelError> {
        Ok(self.model.load_layer(self.index, name)?.data)
    }

    /// A matrix as it is stored.
    pub fn matrix(&self, name: &str) -> Result<Matrix, ModelError> {
        let tensor = self.model.load_layer(self.index, name)?;
        Ok(Matrix {
            cols: tensor.shape.last().copied().unwrap_or(1).max(1),
            data: tensor.data,
        })
    }

    /// Channels of a head, N.
    pub fn head_size(&self) -> usize {
        self.model.dimensions().head_size()
    }
}
