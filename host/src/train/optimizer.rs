//! AdamW (Loshchilov and Hutter, arXiv 1711.05101), and its learning rate.

use super::arch::Layout;
use crate::simd::{sum, wide};
use serde::{Deserialize, Serialize};

/// How weights are moved.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Optimizer {
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

/// The averages that AdamW keeps of each weight's gradient.
#[derive(Clone, Debug)]
pub struct Moments {
    /// Of the gradient.
    pub first: Vec<f32>,
    /// Of its square.
    pub second: Vec<f32>,
}

const EPSILON: f32 = 1e-8;

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
        let shorten = (f64::from(settings.clip) / length.max(1e-12)).min(1.0) as f32;
        let age = step as i32 + 1;
        let unbias = [settings.beta1, settings.beta2].map(|beta| 1.0 / (1.0 - beta.powi(age)));
        for entry in layout.entries() {
            let decay = match entry.tensor.is_matrix() {
                true => settings.weight_decay,
                false => 0.0,
            };
            let range = entry.range();
            let (w, g) = (&mut weights[range.clone()], &gradient[range.clone()]);
            let (m, v) = (&mut self.first[range.clone()], &mut self.second[range]);
            let (beta1, beta2) = (settings.beta1, settings.beta2);
            wide(
                #[inline(always)]
                || {
                    let moments = m.iter_mut().zip(v);
                    for ((w, &g), (m, v)) in w.iter_mut().zip(g).zip(moments) {
                        let g = g * shorten;
                        *m = beta1 * *m + (1.0 - beta1) * g;
                        *v = beta2 * *v + (1.0 - beta2) * g * g;
                        let step = *m * unbias[0] / ((*v * unbias[1]).sqrt() + EPSILON);
                        *w -= rate * (step + decay * *w);
                    }
                },
            );
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
