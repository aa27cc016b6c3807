//! The sizes of a model, from the shapes of a few tensors.

use super::{ModelError, Version, LABELS_KEY};
use crate::checkpoint::{Checkpoint, TensorInfo};
use crate::tensors::names::LN1;
use crate::tensors::{full_name, name_of, table, Placed, Size, Tensor};

/// The sizes of a model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dimensions {
    /// Layers, L.
    pub layers: usize,
    /// Channels, C.
    pub embd: usize,
    /// Hidden channels of the channel mix, F.
    pub ffn: usize,
    /// Vocabulary entries, V.
    pub vocab: usize,
    /// Classes of a model that answers with a label; 0 where the head's rows
    /// are the vocabulary.
    pub classes: usize,
    /// Heads, H; 0 for RWKV-4.
    pub heads: usize,
    /// Ranks of the low-rank matrices: decay (RWKV-6 and 7), token shift (6)
    /// or learning rate (7), value (7), gate (7); 0 where there is none.
    pub ranks: [usize; 4],
    /// Positions of the Transformer that is trained to compare with; else 0.
    pub positions: usize,
}

impl Dimensions {
    /// Channels of a head, N; 0 for RWKV-4.
    pub fn head_size(&self) -> usize {
        self.embd.checked_div(self.heads).unwrap_or(0)
    }

    /// Rows of the head: the vocabulary's entries, or the classes.
    pub fn outputs(&self) -> usize {
        match self.classes {
            0 => self.vocab,
            classes => classes,
        }
    }

    /// One of the sizes that tensors have.
    pub fn size(&self, size: Size) -> usize {
        match size {
            Size::Vocab => self.vocab,
            Size::Outputs => self.outputs(),
            Size::Embd => self.embd,
            Size::Ffn => self.ffn,
            Size::Heads => self.heads,
            Size::HeadSize => self.head_size(),
            Size::Rank(rank) => self.ranks[rank],
            Size::FiveRanks(rank) => 5 * self.ranks[rank],
            Size::Five => 5,
            Size::Positions => self.positions,
        }
    }

    /// Finds the sizes of a checkpoint, each in the first tensor of the
    /// version's table that has it.
    ///
    /// # Errors
    /// A tensor that tells a size is missing or has an unlikely shape.
    pub(super) fn of(checkpoint: &Checkpoint, version: Version) -> Result<Self, ModelError> {
        let has = |layer| checkpoint.info(&full_name(Some(layer), LN1[0])).is_some();
        let layers = (0..).take_while(|&layer| has(layer)).count();
        let shapes = Shapes {
            checkpoint,
            version,
            layers,
        };
        let embd = shapes.size(Size::Embd)?;
        let labels = checkpoint.metadata().get(LABELS_KEY);
        let mut ranks = [0; 4];
        for (i, rank) in ranks.iter_mut().enumerate() {
            *rank = shapes.size(Size::Rank(i))?;
        }
        Ok(Self {
            layers,
            embd,
            ffn: shapes.size(Size::Ffn)?,
            vocab: shapes.size(Size::Vocab)?,
            classes: labels.map_or(0, |labels| labels.lines().count()),
            heads: shapes.heads(embd)?,
            ranks,
            positions: 0,
        })
    }
}

struct Shapes<'c> {
    checkpoint: &'c Checkpoint,
    version: Version,
    layers: usize,
}

impl Shapes<'_> {
    /// The first tensor of which the shape has this size, and at which axis.
    fn with(
        &self,
        size: Size,
    ) -> Result<Option<(&TensorInfo, &'static Tensor, usize)>, ModelError> {
        // Two layers have all kinds of tensors.
        let mut tensors = table(self.version).tensors(self.layers.min(2));
        let found = tensors.find_map(|placed| {
            let axis = placed.tensor.sizes.iter().position(|&own| own == size)?;
            Some((placed, axis))
        });
        let Some((Placed { layer, tensor }, axis)) = found else {
            return Ok(None);
        };
        let name = name_of(self.checkpoint, layer, tensor);
        match self.checkpoint.info(&name) {
            Some(info) => Ok(Some((info, tensor, axis))),
            None => Err(ModelError::Missing {
                path: self.checkpoint.path().to_path_buf(),
                name,
            }),
        }
    }

    fn unlikely(&self, info: &TensorInfo, expected: &[usize]) -> ModelError {
        ModelError::Shape {
            path: self.checkpoint.path().to_path_buf(),
            name: info.name.clone(),
            found: info.shape.clone(),
            expected: expected.to_vec(),
        }
    }

    /// A size of a matrix, which is not zero; 0 where no matrix has it.
    fn size(&self, size: Size) -> Result<usize, ModelError> {
        let Some((info, tensor, axis)) = self.with(size)? else {
            return Ok(0);
        };
        let likely = info.shape.len() == tensor.sizes.len() && !info.shape.contains(&0);
        match likely {
            true => Ok(info.shape[axis]),
            false => Err(self.unlikely(info, &vec![1; tensor.sizes.len()])),
        }
    }

    /// The heads, which must divide the channels; 0 where there are none.
    fn heads(&self, embd: usize) -> Result<usize, ModelError> {
        let Some((info, ..)) = self.with(Size::Heads)? else {
            return Ok(0);
        };
        // [H], [H, N], also after dimensions of one.
        let sizes = info.shape.iter().skip_while(|&&size| size == 1);
        let heads = sizes.copied().next().unwrap_or(1);
        // One head: what follows the ones is its channels.
        let heads = match info.shape.first() {
            Some(1) if heads == embd => 1,
            _ => heads,
        };
        if heads > 0 && embd.is_multiple_of(heads) {
            Ok(heads)
        } else {
            Err(self.unlikely(info, &[1, embd]))
        }
    }
}
