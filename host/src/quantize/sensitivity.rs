//! What the rounding of each matrix costs: how far predictions move where nothing else is
//! rounded.
//!
//! A probe is a matrix with weights of four bits, or one that reads vectors of eight. The
//! exact model runs once; each probe runs its own layer, where the exact stream comes to
//! it, and all probes of a layer go on through the exact layers after it together.

use super::compensate::{Calibration, TEXT_TOKENS};
use super::{quantize, rounded_rows};
use crate::model::Model;
use crate::pack::StoredPart;
use crate::reference::{folded_embedding, head, output_norm, Exact, Layer, Matrix, Norm, Products};
use anyhow::Result;
use kinglet::shape::{Bits, Kind};

/// Texts that are read, and tokens of each.
const TEXTS: usize = 4;
const TOKENS: usize = 256;

/// Predictions are compared at every fifth token: a head can be most of a model. An
/// odd number, since every other token may say nothing, as of models that read two bytes
/// for a character.
const SCORED: usize = 5;

/// What it costs to round one matrix, in nats for each token: the mean divergence from
/// the exact model's predictions.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Sensitivity {
    /// With weights of four bits.
    pub weights: f64,
    /// With vectors of eight bits; 0 of the embedding, which reads none.
    pub vectors: f64,
}

/// The sensitivities of the parts that have a choice, in this order. `progress` is called
/// after each layer with the number done and the number there are.
///
/// # Errors
/// As [`Model::load`].
pub fn sensitivities(
    model: &Model,
    gn_eps: f32,
    parts: &[StoredPart],
    calibration: &Calibration,
    mut progress: impl FnMut(usize, usize),
) -> Result<Vec<Sensitivity>> {
    let layers = model.dimensions().layers;
    let probing = Probing::new(model, gn_eps, calibration)?;
    let mut found = Vec::new();
    let mut measured = None;
    for part in parts.iter().filter(|part| part.has_choice()) {
        let of_layer = match (part.layer, part.part.kind) {
            (_, Kind::Table(..)) => {
                found.push(probing.embedding()?);
                continue;
            }
            (None, _) => {
                found.push(probing.head(part.part.name)?);
                continue;
            }
            (Some(layer), _) => layer,
        };
        if measured.as_ref().is_none_or(|(of, _)| *of != of_layer) {
            let own = parts.iter().filter(|part| part.layer == Some(of_layer));
            let own = own.filter(|part| part.has_choice());
            let names: Vec<_> = own.map(|part| part.part.name).collect();
            let costs = probing.layer(of_layer, &names)?;
            let named = names.into_iter().zip(costs).collect::<Vec<_>>();
            measured = Some((of_layer, named));
            progress(of_layer + 1, layers);
        }
        let (_, named) = measured.as_ref().expect("measured before");
        let own = named.iter().find(|(name, _)| *name == part.part.name);
        found.push(own.map_or(Sensitivity::default(), |(_, cost)| *cost));
    }
    Ok(found)
}

/// Where the exact streams are.
struct Probing<'m> {
    model: &'m Model,
    gn_eps: f32,
    texts: usize,
    tokens: Vec<u32>,
    /// The residual stream before each layer, and after the last; with the values of
    /// RWKV-7's first layer.
    streams: Vec<Stream>,
    norm: Norm,
    head: Matrix,
    /// The logarithms of the exact model's probabilities, for each token that counts.
    exact: Vec<f64>,
}

#[derive(Clone, Default)]
struct Stream {
    x: Vec<f32>,
    v_first: Vec<f32>,
}

impl<'m> Probing<'m> {
    fn new(model: &'m Model, gn_eps: f32, calibration: &Calibration) -> Result<Self> {
        let texts = calibration.tokens.chunks_exact(TEXT_TOKENS).take(TEXTS);
        let texts: Vec<&[u32]> = texts.map(|text| &text[..TOKENS]).collect();
        let mut probing = Self {
            model,
            gn_eps,
            texts: texts.len(),
            tokens: texts.concat(),
            streams: Vec::new(),
            norm: output_norm(model)?,
            head: head(model)?,
            exact: Vec::new(),
        };
        let mut stream = probing.start(&folded_embedding(model)?);
        for index in 0..model.dimensions().layers {
            probing.streams.push(stream.clone());
            probing.step(&probing.layer_of(index)?, &mut stream, 1, &mut Exact);
        }
        probing.exact = probing.predictions(&stream.x, &mut Exact);
        probing.streams.push(stream);
        Ok(probing)
    }

    fn layer_of(&self, index: usize) -> Result<Layer> {
        Layer::load(self.model, index, self.gn_eps)
    }

    /// The stream before the first layer.
    fn start(&self, table: &[f32]) -> Stream {
        let cols = self.head.cols;
        let rows = self.tokens.iter().map(|&token| token as usize * cols);
        let rows = rows.flat_map(|row| &table[row..row + cols]);
        Stream {
            x: rows.copied().collect(),
            v_first: Vec::new(),
        }
    }

    /// Runs a layer on some streams, one after the other.
    fn step(&self, layer: &Layer, stream: &mut Stream, streams: usize, by: &mut dyn Products) {
        let mut state = layer.state(streams * self.texts);
        layer.step(&mut state, &mut stream.v_first, &mut stream.x, by);
    }

    /// Runs the exact layers from `first` on; the divergence of each of the streams.
    fn finish(&self, first: usize, streams: Vec<Stream>) -> Result<Vec<f64>> {
        let count = streams.len();
        let len = self.streams[0].x.len();
        let mut all = Stream::default();
        for stream in streams {
            all.x.extend(stream.x);
            all.v_first.extend(stream.v_first);
        }
        for index in first..self.streams.len() - 1 {
            self.step(&self.layer_of(index)?, &mut all, count, &mut Exact);
        }
        let of = |x: &[f32]| self.divergence(&self.predictions(x, &mut Exact));
        Ok(all.x.chunks_exact(len).map(of).collect())
    }

    /// The costs of a layer's matrices.
    fn layer(&self, index: usize, names: &[&'static str]) -> Result<Vec<Sensitivity>> {
        let layer = self.layer_of(index)?;
        let probes = names.iter().flat_map(|&part| {
            [Rounded::Weights, Rounded::Vectors].map(|rounded| Probe { part, rounded })
        });
        let streams = probes.map(|mut probe| {
            let mut stream = self.streams[index].clone();
            self.step(&layer, &mut stream, 1, &mut probe);
            stream
        });
        let streams: Vec<Stream> = streams.collect();
        let costs = self.finish(index + 1, streams)?;
        let (pairs, _) = costs.as_chunks::<2>();
        let cost = |&[weights, vectors]: &[f64; 2]| Sensitivity { weights, vectors };
        Ok(pairs.iter().map(cost).collect())
    }

    fn embedding(&self) -> Result<Sensitivity> {
        let mut table = folded_embedding(self.model)?;
        let cols = self.head.cols;
        quantize(&table, table.len() / cols, cols, LEAST).values(&mut table);
        let costs = self.finish(0, vec![self.start(&table)])?;
        Ok(Sensitivity {
            weights: costs[0],
            vectors: 0.0,
        })
    }

    fn head(&self, part: &'static str) -> Result<Sensitivity> {
        let x = &self.streams[self.streams.len() - 1].x;
        let cost = |rounded| {
            let mut probe = Probe { part, rounded };
            self.divergence(&self.predictions(x, &mut probe))
        };
        Ok(Sensitivity {
            weights: cost(Rounded::Weights),
            vectors: cost(Rounded::Vectors),
        })
    }

    /// The logarithms of the probabilities of the tokens that count, `[_, V]`.
    fn predictions(&self, x: &[f32], by: &mut dyn Products) -> Vec<f64> {
        let tokens = x.chunks_exact(self.head.cols);
        let scored: Vec<f32> = tokens
            .skip(SCORED - 1)
            .step_by(SCORED)
            .flatten()
            .copied()
            .collect();
        let logits = by.of(&self.head, &self.norm.layer(&scored));
        let mut logits: Vec<f64> = logits.into_iter().map(f64::from).collect();
        let outputs = self.head.data.len() / self.head.cols;
        for logits in logits.chunks_exact_mut(outputs) {
            let max = logits.iter().fold(f64::MIN, |max, &x| max.max(x));
            let sum: f64 = logits.iter().map(|x| libm::exp(x - max)).sum();
            let log = max + libm::log(sum);
            logits.iter_mut().for_each(|x| *x -= log);
        }
        logits
    }

    /// The mean divergence from the exact predictions.
    fn divergence(&self, predictions: &[f64]) -> f64 {
        let pairs = self.exact.iter().zip(predictions);
        let term = |(&p, &q): (&f64, &f64)| libm::exp(p) * (p - q);
        let outputs = self.head.data.len() / self.head.cols;
        let tokens = self.exact.len() / outputs;
        pairs.map(term).sum::<f64>().max(0.0) / tokens as f64
    }
}

/// The bits of a probe.
const LEAST: Bits = Bits::Int4;

/// One matrix is rounded, or what it reads.
struct Probe {
    part: &'static str,
    rounded: Rounded,
}

#[derive(Clone, Copy)]
enum Rounded {
    Weights,
    Vectors,
}

impl Products for Probe {
    fn of(&mut self, matrix: &Matrix, x: &[f32]) -> Vec<f32> {
        let cols = matrix.cols;
        match self.rounded {
            _ if matrix.part != self.part => matrix.times(x),
            Rounded::Weights => {
                let mut data = vec![0.0; matrix.data.len()];
                quantize(&matrix.data, data.len() / cols, cols, LEAST).values(&mut data);
                Matrix { data, ..*matrix }.times(x)
            }
            Rounded::Vectors => matrix.times(&rounded_rows(x, cols, false)),
        }
    }
}
