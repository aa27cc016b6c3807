//! Finding the sizes of a model, from the shapes of a few tensors.

use super::accept::name_of;
use super::{missing, unlikely, Dimensions, Version, LABELS_KEY};
use crate::checkpoint::{Checkpoint, TensorInfo};
use crate::tensors::names::LN1;
use crate::tensors::{full_name, table, Placed, Size, Tensor};
use anyhow::Result;

/// Finds the sizes of a checkpoint, each in the first tensor of the
/// version's table that has it.
///
/// # Errors
/// A tensor that tells a size is missing or has an unlikely shape.
pub(super) fn dimensions(checkpoint: &Checkpoint, version: Version) -> Result<Dimensions> {
    let has = |layer| checkpoint.info(&full_name(Some(layer), LN1[0])).is_some();
    let layers = (0..).take_while(|&layer| has(layer)).count();
    let shapes = Shapes {
        checkpoint,
        version,
        layers,
    };
    let embd = shapes.embd()?;
    let labels = checkpoint.metadata().get(LABELS_KEY);
    let mut ranks = [0; 4];
    for (i, rank) in ranks.iter_mut().enumerate() {
        *rank = shapes.size(Size::Rank(i))?;
    }
    Ok(Dimensions {
        layers,
        embd,
        ffn: shapes.size(Size::Ffn)?,
        vocab: shapes.size(Size::Vocab)?,
        classes: labels.map_or(0, |labels| labels.lines().count()),
        heads: shapes.heads(embd)?,
        ranks,
    })
}

struct Shapes<'c> {
    checkpoint: &'c Checkpoint,
    version: Version,
    layers: usize,
}

impl Shapes<'_> {
    /// The first tensor of which the shape has this size, and at which axis.
    fn with(&self, size: Size) -> Result<Option<(&TensorInfo, &'static Tensor, usize)>> {
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
            None => Err(missing(self.checkpoint, &name)),
        }
    }

    /// A size of a matrix, which is not zero; 0 where no matrix has it.
    fn size(&self, size: Size) -> Result<usize> {
        let Some((info, tensor, axis)) = self.with(size)? else {
            return Ok(0);
        };
        let likely = info.shape.len() == tensor.sizes.len() && !info.shape.contains(&0);
        match likely {
            true => Ok(info.shape[axis]),
            false => Err(unlikely(
                self.checkpoint,
                info,
                &vec![1; tensor.sizes.len()],
            )),
        }
    }

    /// The channels, as many as a norm has.
    fn embd(&self) -> Result<usize> {
        let name = full_name(Some(0), LN1[0]);
        let info = self.checkpoint.info(&name);
        let info = info.ok_or_else(|| missing(self.checkpoint, &name))?;
        match info.shape.iter().product() {
            0 => Err(unlikely(self.checkpoint, info, &[1])),
            embd => Ok(embd),
        }
    }

    /// The heads, which must divide the channels; 0 where there are none.
    fn heads(&self, embd: usize) -> Result<usize> {
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
            Err(unlikely(self.checkpoint, info, &[1, embd]))
        }
    }
}
