//! Where the weights of a network lie in one flat vector.

use super::super::tape::Param;
use crate::model::Dimensions;
use crate::tensors::names::Norm;
use crate::tensors::{full_name, Table, Tensor};
use std::collections::HashMap;

/// A tensor.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Its whole name, as published checkpoints have it.
    pub name: String,
    /// The layer, if it is a layer's.
    pub layer: Option<usize>,
    /// Its row in the table of tensors.
    pub tensor: &'static Tensor,
    /// Its shape.
    pub shape: Vec<usize>,
    /// Its first element in the flat vector.
    pub offset: usize,
}

impl Entry {
    /// Elements.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Whether it has no elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Where it lies in the flat vector.
    pub fn range(&self) -> std::ops::Range<usize> {
        self.offset..self.offset + self.len()
    }
}

/// All tensors of a network, one after the other.
#[derive(Clone, Debug)]
pub struct Layout {
    entries: Vec<Entry>,
    by_name: HashMap<String, usize>,
}

impl Layout {
    /// The tensors of a network.
    pub(super) fn new(table: &'static Table, dimensions: &Dimensions) -> Self {
        let mut entries = Vec::new();
        let mut offset = 0;
        for placed in table.tensors(dimensions.layers) {
            let entry = Entry {
                name: placed.name(),
                layer: placed.layer,
                tensor: placed.tensor,
                shape: placed.tensor.shape(dimensions),
                offset,
            };
            offset += entry.len();
            entries.push(entry);
        }
        let names = entries.iter().enumerate();
        let by_name = names.map(|(i, entry)| (entry.name.clone(), i)).collect();
        Self { entries, by_name }
    }

    /// The tensors.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Elements of all tensors.
    pub fn len(&self) -> usize {
        self.entries.last().map_or(0, |last| last.range().end)
    }

    /// Whether there is no tensor.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// A tensor that the network has.
    pub fn entry(&self, layer: Option<usize>, name: &str) -> &Entry {
        &self.entries[self.by_name[&full_name(layer, name)]]
    }

    /// The same: a matrix as `[rows, cols]`, all else as a vector.
    pub(super) fn param(&self, layer: Option<usize>, name: &str) -> Param {
        let entry = self.entry(layer, name);
        let rows = match entry.tensor.is_matrix() {
            true => entry.shape[..entry.shape.len() - 1].iter().product(),
            false => 1,
        };
        Param {
            offset: entry.offset,
            rows,
            cols: entry.len() / rows,
        }
    }

    /// Weight and bias of a norm.
    pub(super) fn norm(&self, layer: Option<usize>, names: Norm) -> [Param; 2] {
        names.map(|name| self.param(layer, name))
    }
}
