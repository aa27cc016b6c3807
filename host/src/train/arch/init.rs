//! Weights to begin with: those of the published training codes. Layers
//! start as near-identities, decays and mixes as ladders over the channels.

use super::{Arch, Entry, Network};
use crate::model::{Dimensions, Version};
use crate::random::Random;

/// The initial weights of a network, laid out as its layout says.
pub fn initial_weights(network: &Network, seed: u64) -> Vec<f32> {
    let mut random = Random::new(seed);
    let mut weights = vec![0.0; network.layout.len()];
    for entry in network.layout.entries() {
        let (layer, name) = layer_of(&entry.name);
        let rule = match network.arch {
            Arch::Gpt { .. } => gpt_rule(name, network.dimensions.layers),
            Arch::Rwkv(version) => Depth::of(layer, &network.dimensions).rule(version, name),
        };
        rule.fill(entry, &mut random, &mut weights[entry.range()]);
    }
    weights
}

/// The layer in a tensor's name, and the rest of the name.
fn layer_of(name: &str) -> (usize, &str) {
    let split = name
        .strip_prefix("blocks.")
        .and_then(|name| name.split_once('.'));
    match split {
        Some((layer, name)) => (layer.parse().unwrap_or(0), name),
        None => (0, name),
    }
}

/// How a tensor is filled.
enum Rule {
    Constant(f32),
    /// Evenly between minus and plus this over the root of its columns.
    Uniform(f32),
    /// The same, not divided.
    Flat(f32),
    /// Orthogonal rows or columns, of this length.
    Orthogonal(f32),
    /// The same, longer for tall matrices.
    Tall(f32),
    Normal(f32),
    /// A function of the channel, as a share of the last, and its index.
    Ladder(Box<dyn Fn(f32, usize) -> f32>),
}

impl Rule {
    fn fill(&self, entry: &Entry, random: &mut Random, out: &mut [f32]) {
        let cols = entry.shape.last().copied().unwrap_or(1);
        match self {
            Self::Constant(value) => out.fill(*value),
            Self::Uniform(bound) => {
                let bound = bound / (cols as f32).sqrt();
                out.iter_mut().for_each(|x| *x = bound * random.symmetric());
            }
            Self::Flat(bound) => out.iter_mut().for_each(|x| *x = bound * random.symmetric()),
            Self::Normal(deviation) => {
                out.iter_mut()
                    .for_each(|x| *x = deviation * random.normal());
            }
            Self::Orthogonal(gain) => orthogonal(out, entry.shape[0], cols, *gain, random),
            Self::Tall(gain) => {
                let rows = entry.shape[0];
                let gain = gain * (rows as f32 / cols as f32).sqrt().max(1.0);
                orthogonal(out, rows, cols, gain, random);
            }
            Self::Ladder(f) => {
                let last = (out.len() - 1).max(1) as f32;
                let values = out.iter_mut().enumerate();
                values.for_each(|(i, x)| *x = f(i as f32 / last, i));
            }
        }
    }
}

/// Random orthonormal rows (or columns, whichever are fewer), times `gain`,
/// by Gram and Schmidt's method.
fn orthogonal(out: &mut [f32], rows: usize, cols: usize, gain: f32, random: &mut Random) {
    let (count, len) = (rows.min(cols), rows.max(cols));
    let mut vectors: Vec<Vec<f64>> = Vec::with_capacity(count);
    while vectors.len() < count {
        let mut new: Vec<f64> = (0..len).map(|_| f64::from(random.normal())).collect();
        // Twice: once leaves a rest as large as the rounding of what it removed.
        for _ in 0..2 {
            for old in &vectors {
                let along: f64 = old.iter().zip(&new).map(|(a, b)| a * b).sum();
                new.iter_mut()
                    .zip(old)
                    .for_each(|(new, old)| *new -= along * old);
            }
        }
        let length = new.iter().map(|x| x * x).sum::<f64>().sqrt();
        if length > 1e-6 {
            new.iter_mut().for_each(|x| *x /= length);
            vectors.push(new);
        }
    }
    for row in 0..rows {
        for col in 0..cols {
            let value = match rows <= cols {
                true => vectors[row][col],
                false => vectors[col][row],
            };
            out[row * cols + col] = gain * value as f32;
        }
    }
}

/// How deep a layer lies: 0 for the first to 1 for the last, and 1 for the
/// first to almost 0.
struct Depth {
    up: f32,
    down: f32,
    layer: usize,
    layers: usize,
    head_size: usize,
}

fn ladder(f: impl Fn(f32, usize) -> f32 + 'static) -> Rule {
    Rule::Ladder(Box::new(f))
}

/// -0.5, 0, 0.5 over and over: neighbours begin with different bonuses.
fn zigzag(i: usize) -> f32 {
    0.5 * ((i + 1) % 3) as f32 - 0.5
}

/// The square of the place in a head, from -1 to 1, with its sign.
fn in_head(i: usize, head_size: usize) -> f32 {
    let half = 0.5 * (head_size - 1) as f32;
    let place = ((i % head_size) as f32 - half) / half;
    place * place.abs()
}

impl Depth {
    fn of(layer: usize, dimensions: &Dimensions) -> Self {
        let layers = dimensions.layers;
        Self {
            head_size: dimensions.head_size(),
            up: layer as f32 / (layers - 1).max(1) as f32,
            down: 1.0 - layer as f32 / layers as f32,
            layer,
            layers,
        }
    }

    fn rule(&self, version: Version, name: &str) -> Rule {
        let end = |ends: &[&str]| ends.iter().any(|end| name.ends_with(end));
        match name {
            "emb.weight" => Rule::Flat(1e-4),
            "head.weight" => Rule::Tall(0.5),
            "att.ln_x.weight" => {
                Rule::Constant(((1 + self.layer) as f32 / self.layers as f32).powf(0.7))
            }
            _ if name.contains("ln") && end(&[".weight"]) => Rule::Constant(1.0),
            _ if name.contains("ln") => Rule::Constant(0.0),
            _ => match version {
                Version::V7 => self.v7(name),
                Version::V6 => self.v6(name),
                Version::V5 | Version::V51 | Version::V52 => self.v5(name),
                Version::V4 => self.v4(name),
            },
        }
    }

    /// A mix that weighs the current row by `share ^ power`, plus `more`.
    fn mix(&self, power: f32, more: f32) -> Rule {
        // Shares count from 0 to almost 1 there; nearly the same.
        ladder(move |share, _| share.powf(power) + more)
    }

    /// The same where the previous row is weighed.
    fn mix_previous(&self, power: f32) -> Rule {
        ladder(move |share, _| 1.0 - share.powf(power))
    }

    fn v4(&self, name: &str) -> Rule {
        let up = self.up;
        match name {
            "att.time_mix_k" | "ffn.time_mix_k" | "ffn.time_mix_r" => self.mix(self.down, 0.0),
            "att.time_mix_v" => self.mix(self.down, 0.3 * up),
            "att.time_mix_r" | "att.time_mix_g" => self.mix(0.5 * self.down, 0.0),
            "att.time_decay" => ladder(move |share, _| -5.0 + 8.0 * share.powf(0.7 + 1.3 * up)),
            "att.time_first" => ladder(|_, i| 0.3f32.ln() + zigzag(i)),
            "att.value.weight" | "ffn.key.weight" => Rule::Tall(1.0),
            // Key, receptance, output and ffn.value: the layer does nothing yet.
            _ => Rule::Constant(0.0),
        }
    }

    /// As RWKV-4, but for what a matrix state asks: it is empty where keys
    /// are zero and unread where receptances are, and then neither of the two
    /// has a gradient. Only the output is zero.
    fn v5(&self, name: &str) -> Rule {
        let up = self.up;
        match name {
            "att.time_mix_g" => self.mix(0.5 * self.down, 0.0),
            "att.time_decay" => ladder(move |share, _| -6.0 + 5.0 * share.powf(0.7 + 1.3 * up)),
            "att.time_faaaa" => ladder(move |share, i| up * (1.0 - share) + 0.2 * zigzag(i)),
            "att.key.weight" | "att.gate.weight" => Rule::Orthogonal(0.1),
            "att.receptance.weight" | "att.value.weight" | "ffn.key.weight" => {
                Rule::Orthogonal(1.0)
            }
            _ => self.v4(name),
        }
    }

    fn v6(&self, name: &str) -> Rule {
        let (up, down) = (self.up, self.down);
        match name {
            "ffn.time_maa_k" | "ffn.time_maa_r" => self.mix_previous(down.powi(3)),
            "att.time_maa_v" => ladder(move |share, _| 1.0 - share.powf(down) - 0.3 * up),
            "att.time_maa_r" | "att.time_maa_g" => self.mix_previous(0.5 * down),
            _ if name.contains("time_maa_w1") || name.contains("decay_w1") => Rule::Constant(0.0),
            "att.time_maa_w2" | "att.time_decay_w2" => Rule::Flat(0.01),
            _ if name.contains("time_maa") => self.mix_previous(down),
            _ => self.v5(name),
        }
    }

    fn v7(&self, name: &str) -> Rule {
        let (up, down, head_size) = (self.up, self.down, self.head_size);
        match name {
            "att.x_r" | "att.x_g" => self.mix_previous(0.2 * down),
            "att.x_w" | "att.x_a" => self.mix_previous(0.9 * down),
            "att.x_k" | "att.x_v" => self.mix_previous(0.7 * down),
            "ffn.x_k" => self.mix_previous(down.powi(4)),
            "att.w0" => {
                let power = 1.0 + up.powf(0.3);
                ladder(move |share, i| -5.5 + 6.0 * share.powf(power) + 2.5 * in_head(i, head_size))
            }
            "att.a0" => ladder(move |share, i| -0.39 + 0.4 * share + 0.3 * in_head(i, head_size)),
            "att.v0" => ladder(|share, _| 0.93 - 0.4 * share),
            "att.w1" | "att.a1" | "att.v1" | "att.g1" => Rule::Constant(0.0),
            "att.w2" | "att.a2" | "att.v2" | "att.g2" => Rule::Tall(0.1),
            "att.k_k" => ladder(|share, _| 0.76 - 0.1 * share),
            "att.k_a" => Rule::Constant(1.02),
            "att.r_k" => Rule::Constant(-0.04),
            "att.receptance.weight" | "att.value.weight" | "ffn.key.weight" => Rule::Uniform(0.5),
            "att.key.weight" => Rule::Uniform(0.05),
            // Output and ffn.value.
            _ => Rule::Constant(0.0),
        }
    }
}

/// The usual start of small Transformers: normal numbers, smaller where a
/// block adds to the residual stream.
fn gpt_rule(name: &str, layers: usize) -> Rule {
    match name {
        _ if name.contains("ln") && name.ends_with("bias") => Rule::Constant(0.0),
        _ if name.contains("ln") => Rule::Constant(1.0),
        "att.output.weight" | "ffn.value.weight" => {
            Rule::Normal(0.02 / (2.0 * layers as f32).sqrt())
        }
        _ => Rule::Normal(0.02),
    }
}
