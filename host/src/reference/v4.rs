//! RWKV-4 in f32, one token at a time. Letters as in `kinglet`'s `v4.rs`.

use super::ops::{shift, sigmoid, LayerNorm, Matrix};
use crate::model::{Dimensions, Model, ModelError};

/// The weights of a model in f32.
#[derive(Debug)]
pub struct Reference {
    dimensions: Dimensions,
    /// `[V, C]`, with ln0 applied.
    embedding: Vec<f32>,
    layers: Vec<Layer>,
    ln_out: LayerNorm,
    head: Matrix,
}

#[derive(Debug)]
struct Layer {
    ln1: LayerNorm,
    ln2: LayerNorm,
    att_mix_k: Vec<f32>,
    att_mix_v: Vec<f32>,
    att_mix_r: Vec<f32>,
    ffn_mix_k: Vec<f32>,
    ffn_mix_r: Vec<f32>,
    w: Vec<f32>,
    u: Vec<f32>,
    att_key: Matrix,
    att_value: Matrix,
    att_receptance: Matrix,
    att_output: Matrix,
    ffn_key: Matrix,
    ffn_receptance: Matrix,
    ffn_value: Matrix,
}

/// The recurrent state and the working vectors.
#[derive(Clone, Debug)]
pub struct ReferenceState {
    layers: Vec<LayerState>,
    x: Vec<f32>,
    xx: Vec<f32>,
    mixed: Vec<f32>,
    k: Vec<f32>,
    v: Vec<f32>,
    r: Vec<f32>,
    hidden: Vec<f32>,
    logits: Vec<f32>,
}

#[derive(Clone, Debug)]
struct LayerState {
    att_x: Vec<f32>,
    ffn_x: Vec<f32>,
    aa: Vec<f32>,
    bb: Vec<f32>,
    pp: Vec<f32>,
}

/// The decay that the recurrence adds: `-exp(time_decay)`, computed in f64.
pub(crate) fn decay(time_decay: f32) -> f32 {
    -f64::from(time_decay).exp() as f32
}

/// The embedding `[V, C]` with ln0 applied to each row.
pub(crate) fn folded_embedding(model: &Model) -> Result<Vec<f32>, ModelError> {
    let ln0 = layer_norm(model, "blocks.0.ln0")?;
    let mut embedding = model.load("emb.weight")?.data;
    let mut row = vec![0.0; model.dimensions().embd];
    for out in embedding.chunks_exact_mut(row.len()) {
        row.copy_from_slice(out);
        ln0.apply(&row, out);
    }
    Ok(embedding)
}

fn layer_norm(model: &Model, name: &str) -> Result<LayerNorm, ModelError> {
    Ok(LayerNorm {
        weight: model.load(&format!("{name}.weight"))?.data,
        bias: model.load(&format!("{name}.bias"))?.data,
    })
}

fn load_layer(model: &Model, index: usize) -> Result<Layer, ModelError> {
    let Dimensions { embd, ffn, .. } = model.dimensions();
    let vector = |name: &str| Ok::<_, ModelError>(model.load_layer(index, name)?.data);
    let matrix = |name: &str, cols| {
        Ok::<_, ModelError>(Matrix {
            cols,
            data: vector(name)?,
        })
    };
    Ok(Layer {
        ln1: layer_norm(model, &format!("blocks.{index}.ln1"))?,
        ln2: layer_norm(model, &format!("blocks.{index}.ln2"))?,
        att_mix_k: vector("att.time_mix_k")?,
        att_mix_v: vector("att.time_mix_v")?,
        att_mix_r: vector("att.time_mix_r")?,
        ffn_mix_k: vector("ffn.time_mix_k")?,
        ffn_mix_r: vector("ffn.time_mix_r")?,
        w: vector("att.time_decay")?.into_iter().map(decay).collect(),
        u: vector("att.time_first")?,
        att_key: matrix("att.key.weight", embd)?,
        att_value: matrix("att.value.weight", embd)?,
        att_receptance: matrix("att.receptance.weight", embd)?,
        att_output: matrix("att.output.weight", embd)?,
        ffn_key: matrix("ffn.key.weight", embd)?,
        ffn_receptance: matrix("ffn.receptance.weight", embd)?,
        ffn_value: matrix("ffn.value.weight", ffn)?,
    })
}

impl Reference {
    /// Reads all weights into memory.
    ///
    /// # Errors
    /// As [`Model::load`].
    pub fn new(model: &Model) -> Result<Self, ModelError> {
        let dimensions = model.dimensions();
        Ok(Self {
            dimensions,
            embedding: folded_embedding(model)?,
            layers: (0..dimensions.layers)
                .map(|i| load_layer(model, i))
                .collect::<Result<_, _>>()?,
            ln_out: layer_norm(model, "ln_out")?,
            head: Matrix {
                cols: dimensions.embd,
                data: model.load("head.weight")?.data,
            },
        })
    }

    /// The sizes.
    pub fn dimensions(&self) -> Dimensions {
        self.dimensions
    }

    /// The state of an empty text.
    pub fn state(&self) -> ReferenceState {
        let Dimensions {
            layers,
            embd,
            ffn,
            vocab,
            ..
        } = self.dimensions;
        let layer = LayerState {
            att_x: vec![0.0; embd],
            ffn_x: vec![0.0; embd],
            aa: vec![0.0; embd],
            bb: vec![0.0; embd],
            pp: vec![-1e30; embd],
        };
        ReferenceState {
            layers: vec![layer; layers],
            x: vec![0.0; embd],
            xx: vec![0.0; embd],
            mixed: vec![0.0; embd],
            k: vec![0.0; embd],
            v: vec![0.0; embd],
            r: vec![0.0; embd],
            hidden: vec![0.0; ffn],
            logits: vec![0.0; vocab],
        }
    }

    /// Reads one token, which must be below the vocabulary's size; see
    /// [`Reference::logits`] for what comes next.
    pub fn advance(&self, token: u32, state: &mut ReferenceState) {
        let from = token as usize * self.dimensions.embd;
        state
            .x
            .copy_from_slice(&self.embedding[from..from + self.dimensions.embd]);
        for (index, layer) in self.layers.iter().enumerate() {
            layer.time_mix(index, state);
            layer.channel_mix(index, state);
        }
    }

    /// The logits `[V]` after the last token read.
    pub fn logits<'s>(&self, state: &'s mut ReferenceState) -> &'s mut [f32] {
        self.ln_out.apply(&state.x, &mut state.xx);
        self.head.times(&state.xx, &mut state.logits);
        &mut state.logits
    }
}

impl Layer {
    fn time_mix(&self, index: usize, s: &mut ReferenceState) {
        let layer = &mut s.layers[index];
        self.ln1.apply(&s.x, &mut s.xx);
        shift(&s.xx, &layer.att_x, &self.att_mix_k, &mut s.mixed);
        self.att_key.times(&s.mixed, &mut s.k);
        shift(&s.xx, &layer.att_x, &self.att_mix_v, &mut s.mixed);
        self.att_value.times(&s.mixed, &mut s.v);
        shift(&s.xx, &layer.att_x, &self.att_mix_r, &mut s.mixed);
        self.att_receptance.times(&s.mixed, &mut s.r);
        layer.att_x.copy_from_slice(&s.xx);
        for c in 0..s.x.len() {
            let wkv = layer.weighted_average(c, s.k[c], s.v[c], self.w[c], self.u[c]);
            s.mixed[c] = sigmoid(s.r[c]) * wkv;
        }
        self.att_output.times(&s.mixed, &mut s.xx);
        s.x.iter_mut().zip(&s.xx).for_each(|(x, y)| *x += y);
    }

    fn channel_mix(&self, index: usize, s: &mut ReferenceState) {
        let layer = &mut s.layers[index];
        self.ln2.apply(&s.x, &mut s.xx);
        shift(&s.xx, &layer.ffn_x, &self.ffn_mix_k, &mut s.mixed);
        self.ffn_key.times(&s.mixed, &mut s.hidden);
        shift(&s.xx, &layer.ffn_x, &self.ffn_mix_r, &mut s.mixed);
        self.ffn_receptance.times(&s.mixed, &mut s.r);
        layer.ffn_x.copy_from_slice(&s.xx);
        s.hidden.iter_mut().for_each(|h| *h = h.max(0.0).powi(2));
        self.ffn_value.times(&s.hidden, &mut s.v);
        for ((x, &r), &v) in s.x.iter_mut().zip(&s.r).zip(&s.v) {
            *x += sigmoid(r) * v;
        }
    }
}

impl LayerState {
    /// The weighted average of channel `c`, whose state moves on.
    fn weighted_average(&mut self, c: usize, k: f32, v: f32, w: f32, u: f32) -> f32 {
        let (aa, bb, pp) = (&mut self.aa[c], &mut self.bb[c], &mut self.pp[c]);
        let q = pp.max(u + k);
        let (e1, e2) = ((*pp - q).exp(), (u + k - q).exp());
        let wkv = (e1 * *aa + e2 * v) / (e1 * *bb + e2);
        let q = (*pp + w).max(k);
        let (e1, e2) = ((*pp + w - q).exp(), (k - q).exp());
        *aa = e1 * *aa + e2 * v;
        *bb = e1 * *bb + e2;
        *pp = q;
        wkv
    }
}
