//! AdamW (Loshchilov and Hutter, arXiv 1711.05101) and Muon for matrices, and their
//! learning rate.

use super::arch::{Entry, Layout};
use super::muon;
use crate::simd::{sum, wide};
use crate::tensors::names::{EMB, HEAD};
use ndarray::ArrayView2;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// What moves the matrices of layers. Embedding, head and vectors have AdamW.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Rule {
    /// AdamW: each weight by its own gradients.
    AdamW,
    /// Muon: a matrix as a whole.
    Muon,
}

/// How weights are moved.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Optimizer {
    /// What moves the matrices of layers.
    pub matrices: Rule,
    /// The highest learning rate.
    pub learning_rate: f32,
    /// Steps until it is reached.
    pub warm_up: u32,
    /// The last learning rate, as a share of the highest.
    pub last: f32,
    /// Decay of the gradient's average.
    pub beta1: f32,
    /// Decay of the squared gradient's average.
    pub beta2: f32,
    /// Decay of matrices, times the learning rate.
    pub weight_decay: f32,
    /// Gradients are clipped to this norm.
    pub clip: f32,
}

impl Default for Optimizer {
    fn default() -> Self {
        Self {
            matrices: Rule::AdamW,
            learning_rate: 3e-3,
            warm_up: 50,
            last: 0.05,
            beta1: 0.9,
            beta2: 0.99,
            weight_decay: 0.01,
            clip: 1.0,
        }
    }
}

impl Optimizer {
    /// The learning rate of step `step` when `progress` (0 to 1) of the
    /// training is done: linear warm-up, then cosine decay.
    pub fn rate(&self, step: u32, progress: f64) -> f32 {
        let ramp = (f64::from(step) + 1.0) / f64::from(self.warm_up.max(1));
        let cosine = 0.5 + 0.5 * (std::f64::consts::PI * progress.clamp(0.0, 1.0)).cos();
        let share = f64::from(self.last) + (1.0 - f64::from(self.last)) * cosine;
        (f64::from(self.learning_rate) * share * ramp.min(1.0)) as f32
    }
}

/// The averages that are kept of each weight's gradient.
#[derive(Clone, Debug)]
pub struct Moments {
    /// Of the gradient.
    pub first: Vec<f32>,
    /// Of its square; 0 for a matrix that Muon moves.
    pub second: Vec<f32>,
}

const EPSILON: f32 = 1e-8;

/// The decay of a gradient's average for Muon.
const MUON_BETA: f32 = 0.95;

/// A tensor, and what is kept of it.
struct Moved<'m> {
    entry: &'m Entry,
    weights: &'m mut [f32],
    gradient: &'m [f32],
    first: &'m mut [f32],
    second: &'m mut [f32],
}

/// One step of all weights.
struct Step<'s> {
    settings: &'s Optimizer,
    rate: f32,
    /// What gradients are multiplied by: their norm is clipped.
    shorten: f32,
    /// What the averages of AdamW are multiplied by, since they began at 0.
    unbias: [f32; 2],
}

impl Moments {
    /// Those of `len` weights before the first step.
    pub fn new(len: usize) -> Self {
        Self {
            first: vec![0.0; len],
            second: vec![0.0; len],
        }
    }

    /// Moves `weights` against `gradient` by the learning rate `rate`; step 0
    /// is the first.
    pub fn update(
        &mut self,
        settings: &Optimizer,
        layout: &Layout,
        weights: &mut [f32],
        gradient: &[f32],
        (step, rate): (u32, f32),
    ) {
        let squares = wide(
            #[inline(always)]
            || {
                gradient
                    .chunks(4096)
                    .map(|g| f64::from(sum(g.len(), |i| g[i] * g[i])))
                    .sum::<f64>()
            },
        );
        let length = squares.sqrt();
        let age = step as i32 + 1;
        let step = Step {
            settings,
            rate,
            shorten: (f64::from(settings.clip) / length.max(1e-12)).min(1.0) as f32,
            unbias: [settings.beta1, settings.beta2].map(|beta| 1.0 / (1.0 - beta.powi(age))),
        };
        let (mut weights, mut gradient) = (weights, gradient);
        let (mut first, mut second) = (&mut self.first[..], &mut self.second[..]);
        let mut all = Vec::new();
        for entry in layout.entries() {
            let len = entry.len();
            all.push(Moved {
                entry,
                weights: weights.split_off_mut(..len).expect("all of the layout"),
                gradient: gradient.split_off(..len).expect("all of the layout"),
                first: first.split_off_mut(..len).expect("all of the layout"),
                second: second.split_off_mut(..len).expect("all of the layout"),
            });
        }
        all.into_par_iter().for_each(|moved| step.take(moved));
    }
}

impl Step<'_> {
    fn take(&self, moved: Moved<'_>) {
        let tensor = moved.entry.tensor;
        let of_layer = tensor.is_matrix() && ![EMB, HEAD].contains(&tensor.name);
        match self.settings.matrices {
            Rule::Muon if of_layer => self.muon(moved),
            _ => self.adamw(moved),
        }
    }

    fn adamw(&self, moved: Moved<'_>) {
        let decay = match moved.entry.tensor.is_matrix() {
            true => self.settings.weight_decay,
            false => 0.0,
        };
        let (beta1, beta2) = (self.settings.beta1, self.settings.beta2);
        wide(
            #[inline(always)]
            || {
                let moments = moved.first.iter_mut().zip(moved.second);
                let weights = moved.weights.iter_mut().zip(moved.gradient);
                for ((w, &g), (m, v)) in weights.zip(moments) {
                    let g = g * self.shorten;
                    *m = beta1 * *m + (1.0 - beta1) * g;
                    *v = beta2 * *v + (1.0 - beta2) * g * g;
                    let step = *m * self.unbias[0] / ((*v * self.unbias[1]).sqrt() + EPSILON);
                    *w -= self.rate * (step + decay * *w);
                }
            },
        );
    }

    fn muon(&self, moved: Moved<'_>) {
        let [.., rows, cols] = *moved.entry.shape else {
            unreachable!("a matrix has rows and columns");
        };
        // The average as it will be after another such gradient (Nesterov).
        let average = moved.first.iter_mut().zip(moved.gradient);
        let ahead: Vec<f32> = average
            .map(|(m, &g)| {
                *m = MUON_BETA * *m + (1.0 - MUON_BETA) * g;
                MUON_BETA * *m + (1.0 - MUON_BETA) * g
            })
            .collect();
        let decay = 1.0 - self.rate * self.settings.weight_decay;
        let len = rows * cols;
        for (weights, ahead) in moved.weights.chunks_mut(len).zip(ahead.chunks(len)) {
            let average = ArrayView2::from_shape((rows, cols), ahead).expect("one matrix");
            let steps = muon::step(average);
            for (w, step) in weights.iter_mut().zip(&steps) {
                *w = decay * *w - self.rate * step;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_ramps_and_falls() {
        let settings = Optimizer::default();
        assert!((settings.rate(0, 0.0) - 3e-3 / 50.0).abs() < 1e-9);
        assert!((settings.rate(49, 0.0) - 3e-3).abs() < 1e-9);
        assert!((settings.rate(1000, 1.0) - 1.5e-4).abs() < 1e-9);
        assert!((settings.rate(1000, 0.5) - 3e-3 * 0.525).abs() < 1e-7);
    }
}
