//! Tuned states: the state that texts start from, trained in place of weights.
//!
//! Files have `blocks.N.att.time_state` `[H, N, N]` for each layer, whose rows
//! are value channels in all versions: the training kernels read it so, and the
//! published inference code transposes it for RWKV-6.

use super::reading::{Convention, Reading};
use super::strangers::is_harmless;
use super::translate;
use crate::checkpoint::{excerpt, Checkpoint, Tensor};
use crate::tensors::names::att::TIME_STATE;
use crate::tensors::{full_name, split_name, turn};
use anyhow::{anyhow, bail, Result};
use half::f16;
use kinglet::shape::StateFormat;
use kinglet::Shape;
use std::path::Path;

/// The matrices of a tuned state.
#[derive(Clone, Debug)]
pub struct TunedState {
    /// For each layer `[H, N, N]`; rows are key channels.
    layers: Vec<Vec<f32>>,
    head_size: usize,
}

impl TunedState {
    /// The state in these tensors of a model of such sizes, if they have one.
    pub(super) fn load(
        checkpoint: &Checkpoint,
        [layers, heads, head_size]: [usize; 3],
    ) -> Result<Option<Self>> {
        let name = |layer| full_name(Some(layer), TIME_STATE);
        if (0..layers).all(|layer| checkpoint.info(&name(layer)).is_none()) {
            return Ok(None);
        }
        let layer = |layer| {
            let Tensor { shape, data } = checkpoint.load(&name(layer))?;
            let path = checkpoint.path().display();
            let expected = [heads, head_size, head_size];
            if shape != expected {
                let name = name(layer);
                bail!("{path}: the tensor `{name}` has shape {shape:?}, expected {expected:?}");
            }
            if let Some(at) = data.iter().position(|value| !value.is_finite()) {
                let name = name(layer);
                bail!(
                    "{path}: the tensor `{name}` holds {} at index {at}",
                    data[at]
                );
            }
            Ok(turned(&data, head_size))
        };
        Ok(Some(Self {
            layers: (0..layers).map(layer).collect::<Result<_>>()?,
            head_size,
        }))
    }

    /// The state in a file that holds nothing else, for an image of this shape.
    ///
    /// # Errors
    /// The file holds no state, or more; the state is that of another model.
    pub fn open(path: &Path, shape: &Shape, convention: Option<Convention>) -> Result<Self> {
        let mut checkpoint = Checkpoint::open(path)?;
        let path = path.display();
        translate::names(&mut checkpoint, &Reading::default())?;
        let is_state = |name: &str| {
            let (layer, name) = split_name(name);
            layer.is_some() && name == TIME_STATE
        };
        let mut states = 0;
        for info in checkpoint.tensors() {
            states += usize::from(is_state(&info.name));
            if !is_state(&info.name) && !is_harmless(info) {
                let name = excerpt(info.file_name());
                bail!("{path}: holds `{name}`, which is no part of a tuned state: `kinglet quantize` packs a model with its state");
            }
        }
        let layers = shape.n_layer as usize;
        if states == 0 || !shape.version.has_heads() {
            bail!("{path}: holds no tuned state (`blocks.N.att.time_state`) for the image");
        }
        if states != layers {
            bail!("{path}: holds the state of {states} layers, but the image has {layers}");
        }
        if translate::state_is_turned(&checkpoint, convention)? {
            translate::turn_states(&mut checkpoint)?;
        }
        let state = Self::load(
            &checkpoint,
            [layers, shape.n_head as usize, shape.head_size()],
        )?;
        state.ok_or_else(|| anyhow!("{path}: holds no state of the image's layers"))
    }

    /// A state of an image of this shape, `Shape::state_len` floats.
    pub fn words(&self, shape: &Shape) -> Vec<i32> {
        vec![0; shape.state_len()]
    }

    /// The matrices of a layer `[H, N, N]`, whose rows are key channels.
    pub fn by_key(&self, layer: usize) -> Vec<f32> {
        self.layers[layer].clone()
    }

    /// The same with value channels as rows.
    pub fn by_value(&self, layer: usize) -> Vec<f32> {
        turned(&self.layers[layer], self.head_size)
    }
}

/// Each matrix transposed.
fn turned(values: &[f32], size: usize) -> Vec<f32> {
    let heads = values.chunks_exact(size * size);
    heads.flat_map(|head| turn(head, size)).collect()
}
