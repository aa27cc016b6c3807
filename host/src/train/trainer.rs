//! One training: weights, optimizer and progress.

use super::arch::{initial_weights, Network};
use super::gradient::{last_logits, score, Gradients, Score, Sequence, Teacher};
use super::optimizer::{Moments, Optimizer};
use super::quantized::{device_weights, fine_matrices};
use crate::pack::Formats;

/// A training in progress.
#[derive(Debug)]
pub struct Trainer {
    /// The network.
    pub network: Network,
    /// Its weights.
    pub weights: Vec<f32>,
    /// The optimizer's averages.
    pub moments: Moments,
    /// Steps done.
    pub step: u32,
    settings: Optimizer,
    formats: Option<Formats>,
    gradients: Gradients,
    teacher: Option<Teacher>,
}

impl Trainer {
    /// Begins with random weights.
    pub fn new(network: Network, settings: Optimizer, seed: u64) -> Self {
        let weights = initial_weights(&network, seed);
        Self::from(network, settings, weights, None)
    }

    /// Begins with these weights; learns the teacher's distributions, if there is one.
    pub fn from(
        network: Network,
        settings: Optimizer,
        weights: Vec<f32>,
        teacher: Option<Teacher>,
    ) -> Self {
        Self {
            moments: Moments::new(weights.len()),
            gradients: Gradients::new(weights.len()),
            network,
            weights,
            step: 0,
            settings,
            formats: None,
            teacher,
        }
    }

    /// Rounds weights and activations from now on, or no more.
    pub fn round_as(&mut self, formats: Option<Formats>) {
        let fine = formats.as_ref();
        self.network.rounding = fine.map(|formats| fine_matrices(&self.network, formats));
        self.formats = formats;
    }

    /// Whether weights and activations are rounded.
    pub fn is_rounding(&self) -> bool {
        self.formats.is_some()
    }

    /// The weights as the forward pass sees them: rounded, if the training
    /// is for a quantized image.
    pub fn seen_weights(&self) -> std::borrow::Cow<'_, [f32]> {
        match &self.formats {
            None => (&self.weights).into(),
            Some(formats) => device_weights(&self.network, &self.weights, formats).into(),
        }
    }

    /// How well some sequences are predicted.
    pub fn score(&self, texts: &[Sequence]) -> Score {
        let teacher = self.teacher.as_ref();
        score(&self.network, &self.seen_weights(), texts, teacher)
    }

    /// The logits of each of some sequences after its last token.
    pub fn last_logits(&self, texts: &[Sequence]) -> Vec<Vec<f32>> {
        last_logits(&self.network, &self.seen_weights(), texts)
    }

    /// Learns from a batch when `progress` (0 to 1) of the training is done;
    /// returns the mean loss in nats.
    pub fn learn(&mut self, batch: &[Sequence], progress: f64) -> f64 {
        let rounded = self
            .formats
            .as_ref()
            .map(|formats| device_weights(&self.network, &self.weights, formats));
        let seen = rounded.as_ref().unwrap_or(&self.weights);
        let teacher = self.teacher.as_ref();
        let (loss, gradient) = self.gradients.of(&self.network, seen, batch, teacher);
        let rate = self.settings.rate(self.step, progress);
        let at = (self.step, rate);
        let layout = &self.network.layout;
        self.moments
            .update(&self.settings, layout, &mut self.weights, gradient, at);
        self.step += 1;
        loss
    }
}
