//! Reading the weights of a model.

use super::ops::{Matrix, Norm};
use crate::model::Model;
use crate::tensors::names::{self, EMB, LN0};
use crate::tensors::{full_name, table};
use anyhow::Result;

/// The embedding `[V, C]` with ln0 applied to each row.
pub(crate) fn folded_embedding(model: &Model) -> Result<Vec<f32>> {
    let mut embedding = model.load(EMB)?.data;
    fold_ln0(model, &mut embedding)?;
    Ok(embedding)
}

/// Applies ln0 to rows `[_, C]` of the embedding.
pub(crate) fn fold_ln0(model: &Model, rows: &mut [f32]) -> Result<()> {
    let normed = norm(model, None, LN0)?.layer(rows);
    rows.copy_from_slice(&normed);
    Ok(())
}

/// A norm, in a layer or outside.
pub(super) fn norm(
    model: &Model,
    layer: Option<usize>,
    [weight, bias]: names::Norm,
) -> Result<Norm> {
    let load = |name| anyhow::Ok(model.load(&full_name(layer, name))?.data);
    Ok(Norm {
        weight: load(weight)?,
        bias: load(bias)?,
    })
}

/// The matrix that is this part of an image, `[outputs, inputs]`.
pub(super) fn matrix(model: &Model, layer: Option<usize>, part: &'static str) -> Result<Matrix> {
    let (tensor, index) = table(model.version()).of_part(layer.is_some(), part);
    let values = model.load(&model.name_of(layer, tensor))?.data;
    let (data, cols) = tensor.stored_matrix(values, index, &model.dimensions());
    Ok(Matrix { part, cols, data })
}

/// The tensors of a layer.
pub(super) struct Tensors<'m> {
    pub model: &'m Model,
    pub index: usize,
}

impl Tensors<'_> {
    /// A norm.
    pub fn norm(&self, names: names::Norm) -> Result<Norm> {
        norm(self.model, Some(self.index), names)
    }

    /// A vector as images have it: decays applied, bonuses for each channel.
    pub fn stored(&self, name: &str) -> Result<Vec<f32>> {
        let row = table(self.model.version()).find(true, name);
        let row = row.expect("the version has this tensor");
        self.model.load_stored(Some(self.index), row)
    }

    /// A vector, flattened.
    pub fn vector(&self, name: &str) -> Result<Vec<f32>> {
        Ok(self.model.load_layer(self.index, name)?.data)
    }

    /// The matrix that is this part of an image.
    pub fn matrix(&self, part: &'static str) -> Result<Matrix> {
        matrix(self.model, Some(self.index), part)
    }

    /// Channels of a head, N.
    pub fn head_size(&self) -> usize {
        self.model.dimensions().head_size()
    }
}
