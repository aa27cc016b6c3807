//! The sizes of a model, from the shapes of a few tensors.

use super::tensors::name_in_layer;
use super::{ModelError, Version, LABELS_KEY};
use crate::checkpoint::{Checkpoint, TensorInfo};

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

    /// Finds the sizes of a checkpoint.
    ///
    /// # Errors
    /// A tensor that tells a size is missing or has an unlikely shape.
    pub(super) fn of(checkpoint: &Checkpoint, version: Version) -> Result<Self, ModelError> {
        let shapes = Shapes { checkpoint };
        let [vocab, embd] = shapes.matrix("emb.weight")?;
        let [ffn, _] = shapes.matrix("blocks.0.ffn.key.weight")?;
        let layers = (0..)
            .take_while(|i| checkpoint.info(&format!("blocks.{i}.ln1.weight")).is_some())
            .count();
        let rank = |name| shapes.matrix(name).map(|[_, rank]| rank);
        let (heads, ranks) = match version {
            Version::V4 => (0, [0; 4]),
            Version::V5 | Version::V51 => (shapes.heads("blocks.0.att.time_decay", embd)?, [0; 4]),
            Version::V52 => {
                let bonus = name_in_layer(checkpoint, version, 0, "att.time_faaaa");
                (shapes.heads(&bonus, embd)?, [0; 4])
            }
            Version::V6 => {
                let shift = rank("blocks.0.att.time_maa_w1")? / 5;
                let decay = rank("blocks.0.att.time_decay_w1")?;
                let heads = shapes.heads("blocks.0.att.time_faaaa", embd)?;
                (heads, [decay, shift, 0, 0])
            }
            Version::V7 => {
                let value = match layers {
                    // The first layer has none, or one that is not used.
                    ..=1 => 0,
                    _ => rank("blocks.1.att.v1")?,
                };
                let (decay, rate) = (rank("blocks.0.att.w1")?, rank("blocks.0.att.a1")?);
                let heads = shapes.heads("blocks.0.att.r_k", embd)?;
                (heads, [decay, rate, value, rank("blocks.0.att.g1")?])
            }
        };
        Ok(Self {
            layers,
            embd,
            ffn,
            vocab,
            classes: checkpoint
                .metadata()
                .get(LABELS_KEY)
                .map_or(0, |labels| labels.lines().count()),
            heads,
            ranks,
        })
    }
}

struct Shapes<'c> {
    checkpoint: &'c Checkpoint,
}

impl Shapes<'_> {
    fn info(&self, name: &str) -> Result<&TensorInfo, ModelError> {
        self.checkpoint
            .info(name)
            .ok_or_else(|| ModelError::Missing {
                path: self.checkpoint.path().to_path_buf(),
                name: name.to_owned(),
            })
    }

    fn unlikely(&self, info: &TensorInfo, expected: &[usize]) -> ModelError {
        ModelError::Shape {
            path: self.checkpoint.path().to_path_buf(),
            name: info.name.clone(),
            found: info.shape.clone(),
            expected: expected.to_vec(),
        }
    }

    /// Rows and columns, neither of them zero.
    fn matrix(&self, name: &str) -> Result<[usize; 2], ModelError> {
        let info = self.info(name)?;
        match *info.shape {
            [rows, cols] if rows > 0 && cols > 0 => Ok([rows, cols]),
            _ => Err(self.unlikely(info, &[1, 1])),
        }
    }

    /// The first dimension, which must divide the channels.
    fn heads(&self, name: &str, embd: usize) -> Result<usize, ModelError> {
        let info = self.info(name)?;
        // [H], [H, N], also behind dimensions of one.
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
