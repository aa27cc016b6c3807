//! Where the weights of a network lie in one flat vector.

use super::super::tape::Param;
use super::Arch;
use crate::model::{layer_tensors, shared_tensors, Dimensions};
use std::collections::HashMap;

/// A tensor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its name, as published checkpoints have it.
    pub name: String,
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

    /// Whether it enters a matrix product.
    pub fn is_matrix(&self) -> bool {
        // The bonus and r_k of heads are vectors that come as [H, N].
        let of_heads = self.name.ends_with("time_faaaa")
            || self.name.ends_with("r_k")
            || self.name.ends_with("time_decay");
        self.shape.len() > 1 && !of_heads
    }
}

/// All tensors of a network, one behind the other.
#[derive(Clone, Debug)]
pub struct Layout {
    entries: Vec<Entry>,
    by_name: HashMap<String, usize>,
}

impl Layout {
    /// The tensors of a network.
    pub(super) fn new(arch: Arch, dimensions: &Dimensions) -> Self {
        let mut layout = Self {
            entries: Vec::new(),
            by_name: HashMap::new(),
        };
        match arch {
            Arch::Rwkv(version) => {
                for (name, shape) in shared_tensors(dimensions) {
                    layout.add(name.to_owned(), shape);
                }
                for index in 0..dimensions.layers {
                    for (name, shape) in layer_tensors(version, dimensions, index) {
                        layout.add(format!("blocks.{index}.{name}"), shape);
                    }
                }
            }
            Arch::Gpt { positions } => {
                for (name, shape) in super::gpt::tensors(dimensions, positions) {
                    layout.add(name, shape);
                }
            }
        }
        layout
    }

    fn add(&mut self, name: String, shape: Vec<usize>) {
        let offset = self.len();
        self.by_name.insert(name.clone(), self.entries.len());
        self.entries.push(Entry {
            name,
            shape,
            offset,
        });
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

    /// The tensor of a name that the network has: a matrix as `[rows, cols]`,
    /// all else as a vector.
    pub(super) fn param(&self, name: &str) -> Param {
        let entry = &self.entries[self.by_name[name]];
        let rows = match entry.is_matrix() {
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
    pub(super) fn norm(&self, name: &str) -> [Param; 2] {
        ["weight", "bias"].map(|part| self.param(&format!("{name}.{part}")))
    }
}
