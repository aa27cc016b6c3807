//! Rounding that makes up for itself: each weight's error is moved into the weights of
//! its row that are rounded later, by how the inputs go together in a text.
//! Second-order rounding (Frantar et al., *GPTQ*, arXiv 2210.17323), against what the
//! exact model computes (Li et al., *GPTAQ*, arXiv 2504.02692).
//!
//! Two streams of vectors go through the layers side by side: the exact model's, and
//! that of the model as far as it is rounded, which reads vectors of 8 bits. A matrix
//! is rounded where the second stream comes to it.

mod matrix;
mod writing;

use super::{quantize, rounded_rows, Quantized};
use crate::model::Model;
use crate::pack::{Format, StoredPart};
use crate::reference::{
    folded_embedding, head, output_norm, Exact, Layer, LayerState, Matrix, Products,
};
use crate::tensors::names::EMB;
use anyhow::Result;
use kinglet::shape::Bits;
use matrix::{compensated, Inputs};
use std::collections::HashMap;
pub use writing::{writer, Calibration, TEXTS, TEXT_TOKENS};

/// Rounds the matrices of a model, layer by layer.
pub(crate) struct Compensator<'m> {
    model: &'m Model,
    gn_eps: f32,
    /// The formats of the matrices that have a choice, by layer and name.
    formats: HashMap<(Option<usize>, &'static str), Format>,
    texts: usize,
    exact: Stream,
    rounded: Stream,
    next_layer: usize,
    ready: HashMap<&'static str, Quantized>,
}

/// The residual stream of all tokens, and the values of RWKV-7's first layer.
struct Stream {
    x: Vec<f32>,
    v_first: Vec<f32>,
}

impl<'m> Compensator<'m> {
    /// Before the first layer: the embedding is rounded.
    ///
    /// # Errors
    /// As [`Model::load`].
    pub fn new(
        model: &'m Model,
        gn_eps: f32,
        parts: &[StoredPart],
        calibration: &Calibration,
    ) -> Result<Self> {
        let chosen = parts.iter().filter(|part| part.has_choice());
        let chosen = chosen.map(|part| ((part.layer, part.part.name), part.format()));
        let mut formats: HashMap<_, _> = chosen.collect();
        let embedding = formats.remove(&(None, EMB));
        let embedding = embedding.map_or(Bits::Int8, |format| format.bits);
        let cols = model.dimensions().embd;
        let mut table = folded_embedding(model)?;
        let stream = |table: &[f32]| {
            let rows = calibration
                .tokens
                .iter()
                .map(|&token| token as usize * cols);
            Stream {
                x: rows
                    .flat_map(|row| &table[row..row + cols])
                    .copied()
                    .collect(),
                v_first: Vec::new(),
            }
        };
        let exact = stream(&table);
        quantize(&table, table.len() / cols, cols, embedding).values(&mut table);
        Ok(Self {
            model,
            gn_eps,
            formats,
            texts: calibration.texts,
            exact,
            rounded: stream(&table),
            next_layer: 0,
            ready: HashMap::new(),
        })
    }

    /// The rounded matrix of a part, if it is one of those with a choice. Parts are
    /// asked for in the order of an image.
    ///
    /// # Errors
    /// As [`Model::load`].
    pub fn take(&mut self, layer: Option<usize>, part: &str) -> Result<Option<Quantized>> {
        if layer == Some(self.next_layer) {
            self.next_layer += 1;
            self.round_layer(self.next_layer - 1)?;
        }
        if layer.is_none() && self.formats.contains_key(&(None, part)) {
            self.round_head()?;
        }
        Ok(self.ready.remove(part))
    }

    fn round_layer(&mut self, index: usize) -> Result<()> {
        let layer = Layer::load(self.model, index, self.gn_eps)?;
        let mut listening = Listening {
            rounding: self.rounding(Some(index)),
        };
        let texts = self.texts;
        let step = |stream: &mut Stream, products: &mut dyn Products| {
            let mut state: LayerState = layer.state(texts);
            layer.step(&mut state, &mut stream.v_first, &mut stream.x, products);
        };
        step(&mut self.exact, &mut listening);
        let mut rounding = listening.rounding;
        step(&mut self.rounded, &mut rounding);
        self.ready = rounding.ready;
        Ok(())
    }

    fn round_head(&mut self) -> Result<()> {
        let (norm, head) = (output_norm(self.model)?, head(self.model)?);
        let mut rounding = self.rounding(None);
        let x = norm.layer(&self.exact.x);
        rounding.exact.insert(head.part, x);
        let (_, q) = rounding.round(&head, &norm.layer(&self.rounded.x));
        self.ready = HashMap::from([(head.part, q)]);
        Ok(())
    }

    fn rounding(&self, layer: Option<usize>) -> Rounding {
        let own = self.formats.iter().filter(|((of, _), _)| *of == layer);
        Rounding {
            formats: own.map(|((_, part), &format)| (*part, format)).collect(),
            exact: HashMap::new(),
            ready: HashMap::new(),
        }
    }
}

/// Keeps what the exact model's matrices read.
struct Listening {
    rounding: Rounding,
}

impl Products for Listening {
    fn of(&mut self, matrix: &Matrix, x: &[f32]) -> Vec<f32> {
        if self.rounding.formats.contains_key(matrix.part) {
            self.rounding.exact.insert(matrix.part, x.to_vec());
        }
        Exact.of(matrix, x)
    }
}

/// Rounds each matrix when it is first multiplied by.
struct Rounding {
    formats: HashMap<&'static str, Format>,
    exact: HashMap<&'static str, Vec<f32>>,
    ready: HashMap<&'static str, Quantized>,
}

impl Products for Rounding {
    fn of(&mut self, matrix: &Matrix, x: &[f32]) -> Vec<f32> {
        let (x, q) = self.round(matrix, x);
        let mut data = vec![0.0; matrix.data.len()];
        q.values(&mut data);
        if self.formats.contains_key(matrix.part) {
            self.ready.insert(matrix.part, q);
        }
        let rounded = Matrix { data, ..*matrix };
        rounded.times(&x)
    }
}

impl Rounding {
    /// The vectors in 8 or 16 bits, and the rounded matrix.
    fn round(&mut self, matrix: &Matrix, x: &[f32]) -> (Vec<f32>, Quantized) {
        let cols = matrix.cols;
        let format = self.formats.get(matrix.part);
        let rounded = rounded_rows(x, cols, format.is_some_and(|format| format.fine));
        let exact = self.exact.remove(matrix.part);
        let q = match (format, exact) {
            (Some(format), Some(exact)) => {
                let inputs = Inputs {
                    exact: &exact,
                    rounded: &rounded,
                };
                compensated(&matrix.data, cols, format.bits, &inputs)
            }
            // The matrices of low rank.
            _ => quantize(&matrix.data, matrix.data.len() / cols, cols, Bits::Int8),
        };
        (rounded, q)
    }
}
