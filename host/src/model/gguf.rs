//! A GGUF file of llama.cpp's, seen as BlinkDL's: its converter renames tensors,
//! transposes low-rank matrices, joins mixes, flattens RWKV-7's bonus and halves
//! matrices of RWKV-6 after every few layers.

use super::Version;
use crate::checkpoint::gguf::{ARCHITECTURE, EPSILON, HEAD_SIZE, RESCALED};
use crate::checkpoint::{excerpt, Checkpoint, SeenAs, TensorInfo};
use crate::tensors::gguf::{mixes, original, split, FUSED};
use crate::tensors::names::{att, ffn};
use crate::tensors::{full_name, table, Tensor};
use anyhow::{anyhow, Result};
use std::str::FromStr;

/// The epsilon of the layer norms of every version.
const LAYER_NORM: f32 = 1e-5;

/// Gives tensors the names and forms of BlinkDL's files.
///
/// # Errors
/// The file lacks the size of heads, or norms otherwise.
pub fn names(checkpoint: &mut Checkpoint) -> Result<()> {
    let file = File::new(checkpoint)?;
    checkpoint.view(|info| file.views(info))?;
    Ok(())
}

/// What the file says of the model.
struct File {
    version: Version,
    head_size: usize,
    /// After how many layers llama.cpp halves all activations; 0 for never.
    rescaled: usize,
}

impl File {
    fn new(checkpoint: &Checkpoint) -> Result<Self> {
        let path = checkpoint.path().display();
        let architecture = checkpoint.metadata().get(ARCHITECTURE);
        let architecture = architecture.map_or("", |name| name);
        let key = |end: &str| format!("{architecture}{end}");
        let epsilon = number(checkpoint, &key(EPSILON)).unwrap_or(LAYER_NORM);
        if epsilon != LAYER_NORM {
            return Err(anyhow!(
                "{path}: `{}` is {epsilon}, but layer norms of RWKV have {LAYER_NORM}: no image would compute the same",
                key(EPSILON)
            ));
        }
        let head_size = number(checkpoint, &key(HEAD_SIZE));
        let head_size = head_size.ok_or_else(|| {
            let key = key(HEAD_SIZE);
            anyhow!(
                "{path}: has no number `{}`: convert the model again with a current llama.cpp",
                excerpt(&key)
            )
        })?;
        let version = match architecture {
            "rwkv6" => Version::V6,
            _ => Version::V7,
        };
        let rescaled = number(checkpoint, &key(RESCALED)).filter(|_| version == Version::V6);
        Ok(Self {
            version,
            head_size,
            rescaled: rescaled.unwrap_or(0),
        })
    }

    /// The views of a tensor; none where its name is unknown.
    fn views(&self, info: &TensorInfo) -> Vec<SeenAs> {
        let (layer, name) = split(&info.name);
        let mixes = mixes(self.version);
        if layer.is_some() && name == FUSED && info.shape.first() == Some(&mixes.len()) {
            let rows = mixes.iter().enumerate();
            return rows
                .map(|(row, mix)| SeenAs::named(full_name(layer, mix)).row(row))
                .collect();
        }
        let Some(name) = original(self.version, layer.is_some(), name) else {
            return Vec::new();
        };
        let row = table(self.version).find(layer.is_some(), name);
        vec![SeenAs {
            turned: row.is_some_and(Tensor::is_turned),
            cut: (name == att::R_K).then_some(self.head_size),
            times: self.times(layer, name),
            ..SeenAs::named(full_name(layer, name))
        }]
    }

    /// What the converter has divided the values by: a power of two.
    fn times(&self, layer: Option<usize>, name: &str) -> f32 {
        let halved = match name {
            att::OUTPUT | ffn::VALUE => layer.and_then(|layer| layer.checked_div(self.rescaled)),
            _ => None,
        };
        let halved = i32::try_from(halved.unwrap_or(0)).unwrap_or(i32::MAX);
        2f32.powi(halved)
    }
}

/// A number that the file has under this key.
fn number<T: FromStr>(checkpoint: &Checkpoint, key: &str) -> Option<T> {
    checkpoint.metadata().get(key)?.parse().ok()
}
