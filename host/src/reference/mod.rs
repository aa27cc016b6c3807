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
pub(crate) use load::folded_embedding;
use load::{matrix, norm, Tensors};
pub(crate) use ops::{Exact, Matrix, Norm, Products};
use rayon::prelude::*;
use std::ops::Range;

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
pub(crate) struct Layer {
    head_size: usize,
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
/// the time mix: `[3, C]` for RWKV-4, else `[H, N, N]`; each for one text after the other.
#[derive(Clone, Debug)]
pub(crate) struct LayerState {
    att_x: Vec<f32>,
    ffn_x: Vec<f32>,
    wkv: Vec<f32>,
}

/// What a time mix reads: vectors `[C]` of the tokens of some texts, one text after the
/// other, all of one length.
struct Inputs<'a> {
    xx: &'a [f32],
    /// Those of the token before.
    previous: &'a [f32],
    /// The texts' states.
    wkv: &'a mut [f32],
    texts: usize,
    channels: usize,
}

impl Inputs<'_> {
    /// Calls `f` for the tokens of each text in order, with the text's state, where the
    /// token's vectors lie, and the output's, of zeros.
    fn each_token(&mut self, f: impl Fn(&mut [f32], Range<usize>, &mut [f32]) + Sync) -> Vec<f32> {
        let mut y = vec![0.0; self.xx.len()];
        let (text_len, state_len) = (y.len() / self.texts, self.wkv.len() / self.texts);
        let texts = y.par_chunks_exact_mut(text_len);
        let texts = texts
            .zip(self.wkv.par_chunks_exact_mut(state_len))
            .enumerate();
        texts.for_each(|(text, (y, state))| {
            for (token, y) in y.chunks_exact_mut(self.channels).enumerate() {
                let first = text * text_len + token * self.channels;
                f(state, first..first + self.channels, y);
            }
        });
        y
    }
}

impl Layer {
    /// Reads a layer's weights.
    pub(crate) fn load(model: &Model, index: usize, gn_eps: f32) -> Result<Self> {
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
            head_size: tensors.head_size(),
            ln1: tensors.norm(LN1)?,
            ln2: tensors.norm(LN2)?,
            time_mix,
            channel_mix: ChannelMix::load(&tensors)?,
        })
    }

    /// The state of `texts` empty texts.
    pub(crate) fn state(&self, texts: usize) -> LayerState {
        let channels = self.ln1.weight.len();
        let wkv = match &self.time_mix {
            TimeMix::V4(_) => v4::empty_state(channels),
            _ => vec![0.0; channels * self.head_size],
        };
        LayerState {
            att_x: vec![0.0; texts * channels],
            ffn_x: vec![0.0; texts * channels],
            wkv: wkv.repeat(texts),
        }
    }

    /// Advances by tokens of some texts: `x` is read and updated. `v_first` are the
    /// values of RWKV-7's first layer.
    pub(crate) fn step(
        &self,
        state: &mut LayerState,
        v_first: &mut Vec<f32>,
        x: &mut [f32],
        products: &mut dyn Products,
    ) {
        let channels = self.ln1.weight.len();
        let LayerState { att_x, ffn_x, wkv } = state;
        let xx = self.ln1.layer(x);
        let inputs = &mut Inputs {
            xx: &xx,
            previous: &delayed(&xx, att_x, channels),
            wkv,
            texts: att_x.len() / channels,
            channels,
        };
        let out = match &self.time_mix {
            TimeMix::V4(mix) => mix.step(inputs, products),
            TimeMix::V5(mix) => mix.step(inputs, products),
            TimeMix::V6(mix) => mix.step(inputs, products),
            TimeMix::V7(mix) => mix.step(inputs, v_first, products),
        };
        add(x, &out);
        let xx = self.ln2.layer(x);
        let previous = delayed(&xx, ffn_x, channels);
        add(x, &self.channel_mix.step(&xx, &previous, products));
    }
}

/// The vector before each of `x`, of some texts; `before` has those before the texts,
/// and becomes their last ones.
fn delayed(x: &[f32], before: &mut [f32], channels: usize) -> Vec<f32> {
    let mut out = Vec::with_capacity(x.len());
    let text_len = x.len() / (before.len() / channels);
    let texts = x.chunks_exact(text_len);
    for (x, before) in texts.zip(before.chunks_exact_mut(channels)) {
        out.extend_from_slice(before);
        let (rest, last) = x.split_at(text_len - channels);
        out.extend_from_slice(rest);
        before.copy_from_slice(last);
    }
    out
}

fn add(x: &mut [f32], y: &[f32]) {
    x.iter_mut().zip(y).for_each(|(x, y)| *x += y);
}

/// The norm before the head.
pub(crate) fn output_norm(model: &Model) -> Result<Norm> {
    norm(model, None, LN_OUT)
}

/// The head.
pub(crate) fn head(model: &Model) -> Result<Matrix> {
    matrix(model, None, HEAD)
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
            ln_out: output_norm(model)?,
            head: head(model)?,
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
        ReferenceState {
            layers: self.layers.iter().map(|layer| layer.state(1)).collect(),
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
            layer.step(layer_state, &mut v_first, &mut state.x, &mut Exact);
        }
    }

    /// The logits `[V]` after the last token read.
    pub fn logits<'s>(&self, state: &'s mut ReferenceState) -> &'s mut [f32] {
        state.logits = self.head.times(&self.ln_out.layer(&state.x));
        &mut state.logits
    }
}
