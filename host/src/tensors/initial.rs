//! Values that training begins with: those of the published trainers.
//! Layers start as near-identities, decays and mixes as ladders over the
//! channels.

use super::Dimensions;
use crate::random::Random;

/// How a tensor is filled.
#[allow(missing_debug_implementations)] // A function has no text.
pub enum Fill {
    /// This everywhere.
    Constant(f32),
    /// Evenly between minus and plus this over the root of its columns.
    Uniform(f32),
    /// The same, not divided.
    Flat(f32),
    /// Orthogonal rows or columns, whichever are fewer, of this length.
    Orthogonal(f32),
    /// The same, longer for tall matrices.
    Tall(f32),
    /// Normal numbers of this deviation.
    Normal(f32),
    /// A function of the channel, as a share of the last, and its index.
    Ladder(Box<dyn Fn(f32, usize) -> f32>),
}

impl Fill {
    /// Fills a tensor of this shape.
    pub fn fill(&self, shape: &[usize], random: &mut Random, out: &mut [f32]) {
        let cols = shape.last().copied().unwrap_or(1);
        let mut draw = |f: &dyn Fn(&mut Random) -> f32| out.iter_mut().for_each(|x| *x = f(random));
        match self {
            Self::Constant(value) => draw(&|_| *value),
            Self::Uniform(bound) => {
                let bound = bound / (cols as f32).sqrt();
                draw(&|random| bound * random.symmetric());
            }
            Self::Flat(bound) => draw(&|random| bound * random.symmetric()),
            Self::Normal(deviation) => draw(&|random| deviation * random.normal()),
            Self::Orthogonal(length) => orthogonal(out, cols, *length, random),
            Self::Tall(length) => {
                let rows = out.len() / cols;
                let length = length * (rows as f32 / cols as f32).sqrt().max(1.0);
                orthogonal(out, cols, length, random);
            }
            Self::Ladder(f) => {
                let last = (out.len() - 1).max(1) as f32;
                let values = out.iter_mut().enumerate();
                values.for_each(|(i, x)| *x = f(i as f32 / last, i));
            }
        }
    }
}

/// Random orthogonal rows (or columns, whichever are fewer) of this length,
/// by Gram and Schmidt's method.
fn orthogonal(out: &mut [f32], cols: usize, length: f32, random: &mut Random) {
    let rows = out.len() / cols;
    let (count, size) = (rows.min(cols), rows.max(cols));
    let mut vectors: Vec<Vec<f64>> = Vec::with_capacity(count);
    while vectors.len() < count {
        let mut new: Vec<f64> = (0..size).map(|_| f64::from(random.normal())).collect();
        // Twice: once leaves a rest as large as the rounding of what it removed.
        for _ in 0..2 {
            for old in &vectors {
                let along: f64 = old.iter().zip(&new).map(|(a, b)| a * b).sum();
                new.iter_mut()
                    .zip(old)
                    .for_each(|(new, old)| *new -= along * old);
            }
        }
        let norm = new.iter().map(|x| x * x).sum::<f64>().sqrt();
        if norm > 1e-6 {
            new.iter_mut().for_each(|x| *x /= norm);
            vectors.push(new);
        }
    }
    for row in 0..rows {
        for col in 0..cols {
            let value = match rows <= cols {
                true => vectors[row][col],
                false => vectors[col][row],
            };
            out[row * cols + col] = length * value as f32;
        }
    }
}

/// Where a layer lies, and how large its heads are.
#[derive(Clone, Copy, Debug)]
pub struct Depth {
    /// 0 for the first layer to 1 for the last.
    pub up: f32,
    /// 1 for the first to almost 0.
    pub down: f32,
    /// The layer's index; of tensors outside the layers, 0.
    pub layer: usize,
    /// Layers.
    pub layers: usize,
    /// Channels of a head.
    pub head_size: usize,
}

impl Depth {
    /// The place of a layer in a model of these sizes.
    pub fn new(layer: usize, dimensions: &Dimensions) -> Self {
        let layers = dimensions.layers;
        Self {
            up: layer as f32 / (layers - 1).max(1) as f32,
            down: 1.0 - layer as f32 / layers as f32,
            layer,
            layers,
            head_size: dimensions.head_size(),
        }
    }

    /// From `first` up by `height`, bent by `power`.
    pub(super) fn ladder(&self, first: f32, height: f32, power: f32) -> Fill {
        ladder(move |share, _| first + height * share.powf(power))
    }

    /// A mix that weighs the current token by `share ^ power`, plus `more`.
    /// Published shares count from 0 to almost 1; nearly the same.
    pub(super) fn mix(&self, power: f32, more: f32) -> Fill {
        ladder(move |share, _| share.powf(power) + more)
    }

    /// The same where the previous token is weighed.
    pub(super) fn mix_previous(&self, power: f32) -> Fill {
        ladder(move |share, _| 1.0 - share.powf(power))
    }
}

pub(super) const ZERO: fn(&Depth) -> Fill = |_| Fill::Constant(0.0);
pub(super) const ONE: fn(&Depth) -> Fill = |_| Fill::Constant(1.0);

pub(super) fn ladder(f: impl Fn(f32, usize) -> f32 + 'static) -> Fill {
    Fill::Ladder(Box::new(f))
}

/// -0.5, 0, 0.5 over and over: neighbours begin with different bonuses.
pub(super) fn zigzag(i: usize) -> f32 {
    0.5 * ((i + 1) % 3) as f32 - 0.5
}

/// The square of the place in a head, from -1 to 1, with its sign.
pub(super) fn in_head(i: usize, head_size: usize) -> f32 {
    let half = 0.5 * (head_size - 1) as f32;
    let place = ((i % head_size) as f32 - half) / half;
    place * place.abs()
}
