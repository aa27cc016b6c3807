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
use kinglet::shape::{HeadState, StateFormat, FIXED_BITS};
use kinglet::Shape;
use std::path::Path;

/// The power of two of a row of zeros, as in an empty state.
const LEAST_EXP: i32 = -300;

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

    /// A state of an image of this shape, `Shape::state_len` words.
    pub fn words(&self, shape: &Shape) -> Vec<i32> {
        let mut words = vec![0; shape.state_len()];
        let layers = words.chunks_exact_mut(shape.state_len() / shape.n_layer as usize);
        for (layer, values) in layers.zip(&self.layers) {
            // A text has had no last inputs of the blocks yet.
            let mut state = HeadState::split(shape, layer);
            for (index, row) in values.chunks_exact(self.head_size).enumerate() {
                store_row(&mut state, shape.state, index, row);
            }
        }
        words
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

/// Writes a row of a layer's matrices, by its number in the layer: integers under
/// a power of two of its own, which its largest value decides.
fn store_row(state: &mut HeadState<'_>, format: StateFormat, index: usize, row: &[f32]) {
    let size = row.len();
    let largest = row.iter().fold(0.0f32, |max, value| max.max(value.abs()));
    // The range of the mantissas, and how many of their units are stored.
    let (most, unit) = match format {
        StateFormat::I16 => (i16::MAX, 1),
        StateFormat::I8 => (i8::MAX as i16 * 256, 256),
    };
    let exp = match largest > 0.0 {
        true => (f64::from(largest) / f64::from(most)).log2().ceil() as i32,
        false => LEAST_EXP,
    };
    let scale = f64::from(-exp).exp2() / f64::from(unit);
    let mantissa = |value: f32| (f64::from(value) * scale).round() as i16;
    let bound = row
        .iter()
        .map(|&value| mantissa(value).unsigned_abs() * unit as u16);
    state.lam[index] = exp << FIXED_BITS;
    // The fraction of the scale is one.
    state.bounds[index] = 1 << 31 | i32::from(bound.max().unwrap_or(0));
    let (first, step) = row_place(size, index % size);
    let places = (index / size * size * size + first..).step_by(step);
    let bytes: &mut [u8] = bytemuck::cast_slice_mut(state.matrices);
    let width = format.bytes();
    for (place, &value) in places.zip(row) {
        let stored = mantissa(value).to_le_bytes();
        bytes[place * width..][..width].copy_from_slice(&stored[..width]);
    }
}

/// Where the mantissas of a row of a head of `size` channels lie: the first, and
/// the way from one to the next. Rows lie in pairs, element by element.
fn row_place(size: usize, row: usize) -> (usize, usize) {
    if row | 1 < size {
        ((row & !1) * size + (row & 1), 2)
    } else {
        (row * size, 1)
    }
}

/// Each matrix transposed.
fn turned(values: &[f32], size: usize) -> Vec<f32> {
    let heads = values.chunks_exact(size * size);
    heads.flat_map(|head| turn(head, size)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;
    use kinglet::shape::{BitsSet, Layout, Version};

    const HEADS: usize = 3;

    fn shape(state: StateFormat, head_size: usize) -> Shape {
        Shape {
            version: Version::V52,
            layout: Layout::Rows4,
            formats: BitsSet::INT8,
            state,
            n_layer: 2,
            n_embd: (HEADS * head_size) as u32,
            n_ffn: 8,
            n_vocab: 8,
            n_class: 0,
            n_head: HEADS as u32,
            gn_eps: 1e-5,
            ranks: [0; 4],
        }
    }

    /// The value of a mantissa in a layer's state, as docs/format.md says.
    fn stored(shape: &Shape, layer: &[i32], [head, key, value]: [usize; 3]) -> f64 {
        let (channels, size) = (shape.n_embd as usize, shape.head_size());
        let row = head * size + key;
        let lam = layer[2 * channels + 1 + row];
        let mantissas: &[i8] = bytemuck::cast_slice(&layer[4 * channels + 1..]);
        // Rows in pairs; the last of an odd number alone.
        let place = match key ^ 1 < size {
            true => key / 2 * 2 * size + 2 * value + key % 2,
            false => key * size + value,
        };
        let place = head * size * size + place;
        let mantissa = match shape.state {
            StateFormat::I16 => {
                let [low, high] = [mantissas[2 * place], mantissas[2 * place + 1]];
                i16::from_le_bytes([low as u8, high as u8])
            }
            StateFormat::I8 => i16::from(mantissas[place]) << 8,
        };
        f64::from(mantissa) * (f64::from(lam) / f64::from(1 << FIXED_BITS)).exp2()
    }

    #[test]
    fn a_tuned_state_is_stored_within_half_a_unit() {
        let mut random = Random::new(3);
        for format in StateFormat::ALL {
            // Of 2^15 or 2^7 steps, of which a row uses half at least.
            let most_error = match format {
                StateFormat::I16 => 1.0 / 32_700.0,
                StateFormat::I8 => 1.0 / 127.0,
            };
            for head_size in [4, 7] {
                let shape = shape(format, head_size);
                let mut row = |index: usize| -> Vec<f32> {
                    // A row of zeros, and rows far apart.
                    let scale = if index == 2 {
                        0.0
                    } else {
                        (5.0 * index as f32 - 60.0).exp2()
                    };
                    (0..head_size).map(|_| scale * random.normal()).collect()
                };
                let rows = HEADS * head_size;
                let mut layer = || (0..rows).flat_map(&mut row).collect();
                let tuned = TunedState {
                    layers: vec![layer(), layer()],
                    head_size,
                };
                let words = tuned.words(&shape);
                let layers = words.chunks_exact(words.len() / 2);
                for (state, values) in layers.zip(&tuned.layers) {
                    for (index, row) in values.chunks_exact(head_size).enumerate() {
                        let largest = row.iter().fold(0.0f32, |max, v| max.max(v.abs()));
                        for (i, &value) in row.iter().enumerate() {
                            let place = [index / head_size, index % head_size, i];
                            let error = (stored(&shape, state, place) - f64::from(value)).abs();
                            assert!(
                                error <= f64::from(largest) * most_error,
                                "{format:?} {error}"
                            );
                        }
                    }
                }
            }
        }
    }
}
