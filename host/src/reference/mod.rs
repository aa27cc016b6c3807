//! The float forward pass, in recurrent mode: what a quantized image is
//! measured against. One file per version, letters as in `kinglet`'s.

mod channel_mix;
mod load;
mod ops;
mod v4;
mod v5;
mod v6;
mod v7;

use crate::model::{Dimensions, Model, Version};
use crate::tensors::names::{HEAD, LN1, LN2, LN_OUT};
use anyhow::Result;
use channel_mix::ChannelMix;
pub(crate) use load::fold_ln0;
use load::{folded_embedding, norm, Tensors};
use ops::Matrix;
pub(crate) use ops::Norm;

/// The epsilon of the group norm that published RWKV-5 to 7 models are
/// trained with.
pub const DEFAULT_GN_EPS: f32 = 64e-5;

/// The weights of a model in f32.
#[derive(Debug)]
pub struct Reference {
    dimensions: Dimensions,
    /// `[V, C]`, with ln0 applied.
    embedding: Vec<f32>,
    layers: Vec<Layer>,
    ln_out: Norm,
    head: Matrix,
    /// The state of each layer's time mix that texts start from, if it was tuned.
    start: Option<Vec<Vec<f32>>>,
}

#[derive(Debug)]
struct Layer {
    ln1: Norm,
    ln2: Norm,
    time_mix: TimeMix,
    channel_mix: ChannelMix,
}

#[derive(Debug)]
enum TimeMix {
    V4(v4::TimeMix),
    V5(v5::TimeMix),
    V6(v6::TimeMix),
    V7(Box<v7::TimeMix>),
}

/// The recurrent state, and the output of the last step.
#[derive(Clone, Debug)]
pub struct ReferenceState {
    layers: Vec<LayerState>,
    /// `[C]` residual stream.
    x: Vec<f32>,
    logits: Vec<f32>,
}

/// The state of a layer: the last inputs of both blocks `[C]`, and that of
/// the time mix: `[3, C]` for RWKV-4, else `[H, N, N]`.
#[derive(Clone, Debug)]
struct LayerState {
    att_x: Vec<f32>,
    ffn_x: Vec<f32>,
    wkv: Vec<f32>,
}

impl Layer {
    fn load(model: &Model, index: usize, gn_eps: f32) -> Result<Self> {
        let tensors = Tensors { model, index };
        let time_mix = match model.version() {
            Version::V4 => TimeMix::V4(v4::TimeMix::load(&tensors)?),
            Version::V5 | Version::V51 | Version::V52 => {
                TimeMix::V5(v5::TimeMix::load(&tensors, gn_eps)?)
            }
            Version::V6 => TimeMix::V6(v6::TimeMix::load(&tensors, gn_eps)?),
            Version::V7 => TimeMix::V7(Box::new(v7::TimeMix::load(&tensors, gn_eps)?)),
        };
        Ok(Self {
            ln1: tensors.norm(LN1)?,
            ln2: tensors.norm(LN2)?,
            time_mix,
            channel_mix: ChannelMix::load(&tensors)?,
        })
    }

    /// Advances by a token: `x` is read and updated. `v_first` are the
    /// values of RWKV-7's first layer.
    fn step(&self, state: &mut LayerState, v_first: &mut Vec<f32>, x: &mut [f32]) {
        let LayerState { att_x, ffn_x, wkv } = state;
        let xx = self.ln1.layer(x);
        let out = match &self.time_mix {
            TimeMix::V4(mix) => mix.step(&xx, att_x, wkv),
            TimeMix::V5(mix) => mix.step(&xx, att_x, wkv),
            TimeMix::V6(mix) => mix.step(&xx, att_x, wkv),
            TimeMix::V7(mix) => mix.step(&xx, att_x, wkv, v_first),
        };
        *att_x = xx;
        add(x, &out);
        let xx = self.ln2.layer(x);
        add(x, &self.channel_mix.step(&xx, ffn_x));
        *ffn_x = xx;
    }
}

fn add(x: &mut [f32], y: &[f32]) {
    x.iter_mut().zip(y).for_each(|(x, y)| *x += y);
}

impl Reference {
    /// Reads all weights into memory. `gn_eps` is the epsilon of the group
    /// norm; RWKV-4 has none.
    ///
    /// # Errors
    /// As [`Model::load`].
    pub fn new(model: &Model, gn_eps: f32) -> Result<Self> {
        let dimensions = model.dimensions();
        let layers = (0..dimensions.layers).map(|i| Layer::load(model, i, gn_eps));
        let start = model.tuned_state()?.map(|tuned| {
            let layer = |layer| match model.version() {
                Version::V7 => tuned.by_value(layer),
                _ => tuned.by_key(layer),
            };
            (0..dimensions.layers).map(layer).collect()
        });
        Ok(Self {
            dimensions,
            embedding: folded_embedding(model)?,
            layers: layers.collect::<Result<_, _>>()?,
            ln_out: norm(model, None, LN_OUT)?,
            head: Matrix {
                cols: dimensions.embd,
                data: model.load(HEAD)?.data,
            },
            start,
        })
    }

    /// The sizes.
    pub fn dimensions(&self) -> Dimensions {
        self.dimensions
    }

    /// The state of an empty text.
    pub fn state(&self) -> ReferenceState {
        let embd = self.dimensions.embd;
        let layer = |layer: &Layer| LayerState {
            att_x: vec![0.0; embd],
            ffn_x: vec![0.0; embd],
            wkv: match &layer.time_mix {
                TimeMix::V4(_) => v4::empty_state(embd),
                _ => vec![0.0; embd * self.dimensions.head_size()],
            },
        };
        ReferenceState {
            layers: self.layers.iter().map(layer).collect(),
            x: vec![0.0; embd],
            logits: vec![0.0; self.dimensions.outputs()],
        }
    }

    /// The state that was tuned for texts to start from, if there is one.
    pub fn start_state(&self) -> Option<ReferenceState> {
        let mut state = self.state();
        for (layer, wkv) in state.layers.iter_mut().zip(self.start.as_ref()?) {
            layer.wkv.clone_from(wkv);
        }
        Some(state)
    }

    /// Reads one token, which must be below the vocabulary's size; see
    /// [`Reference::logits`] for what comes next.
    pub fn advance(&self, token: u32, state: &mut ReferenceState) {
        let from = token as usize * self.dimensions.embd;
        let row = &self.embedding[from..from + self.dimensions.embd];
        state.x.copy_from_slice(row);
        let mut v_first = Vec::new();
        for (layer, layer_state) in self.layers.iter().zip(&mut state.layers) {
            layer.step(layer_state, &mut v_first, &mut state.x);
        }
    }

    /// The logits `[V]` after the last token read.
    pub fn logits<'s>(&self, state: &'s mut ReferenceState) -> &'s mut [f32] {
        state.logits = self.head.times(&self.ln_out.layer(&state.x));
        &mut state.logits
    }
}
