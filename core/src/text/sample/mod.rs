//! Choosing the next token from logits, in place and without extra memory.
//!
//! [`Sampler`] wants all logits in a buffer, [`BlockSampler`] sees them block
//! by block. Both draw the same tokens.

mod blocks;
mod draw;
mod history;
mod keep;
#[cfg(test)]
mod tests;

pub use blocks::{BlockSampler, NotInBlocks};

use crate::{Pcg32, Sample};
use draw::{weight, Draw};
use history::History;
use keep::{keep_top_k, keep_top_p};

/// How to choose the next token.
///
/// The settings apply in this order: repetition penalty, temperature, top-k,
/// top-p, draw.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Sampling {
    /// Logits are divided by this; 0 or less always takes the largest.
    pub temperature: f32,
    /// Only the `top_k` likeliest tokens; 0 is no limit.
    pub top_k: u32,
    /// Only the likeliest tokens that together reach this share of the
    /// probability; 1 is no limit.
    pub top_p: f32,
    /// Logits of the last 64 tokens are divided by this where positive and
    /// multiplied where negative (Keskar et al., arXiv 1909.05858); 1 is off.
    pub repetition_penalty: f32,
}

impl Sampling {
    /// Always the likeliest token.
    pub const fn greedy() -> Self {
        Self {
            temperature: 0.0,
            top_k: 0,
            top_p: 1.0,
            repetition_penalty: 1.0,
        }
    }

    fn is_greedy(&self) -> bool {
        // Written so that a NaN is greedy.
        let warm = self.temperature > 0.0;
        !warm
    }

    /// Whether top-p is on; a NaN is no limit.
    fn limits_share(&self) -> bool {
        self.top_p < 1.0
    }

    fn inverse_temperature(&self) -> f32 {
        1.0 / self.temperature
    }
}

/// Draws tokens: settings, random numbers, and what was drawn before.
#[derive(Clone, Debug)]
pub struct Sampler {
    settings: Sampling,
    random: Pcg32,
    history: History,
    /// What was chosen from the logits that were seen last.
    chosen: u32,
}

impl Sampler {
    /// A sampler whose draws follow from `seed` alone.
    pub fn new(settings: Sampling, seed: u64) -> Self {
        Self {
            settings,
            random: Pcg32::new(seed),
            history: History::default(),
            chosen: 0,
        }
    }

    /// Chooses a token from all logits `[V]` and remembers it. The logits are
    /// used up.
    ///
    /// Of equal logits the lowest id wins; NaN never wins. Without logits
    /// the answer is 0.
    pub fn sample(&mut self, logits: &mut [f32]) -> u32 {
        let settings = &self.settings;
        self.history
            .penalize(settings.repetition_penalty, 0, logits);
        let token = if settings.is_greedy() {
            largest(logits).0
        } else {
            keep_top_k(logits, settings.top_k);
            draw_from(0.., logits, settings, &mut self.random)
        };
        self.history.remember(token);
        token
    }
}

impl Sample for Sampler {
    fn wants_all(&self) -> bool {
        true
    }

    fn see(&mut self, _: u32, logits: &mut [f32]) {
        self.chosen = self.sample(logits);
    }

    fn choose(&mut self) -> u32 {
        core::mem::take(&mut self.chosen)
    }
}

/// The first of the largest values, and that value.
fn largest(logits: &[f32]) -> (u32, f32) {
    let mut best = (0, f32::NEG_INFINITY);
    for (token, &logit) in (0..).zip(logits) {
        if logit > best.1 {
            best = (token, logit);
        }
    }
    best
}

/// Draws one of the tokens, whose ids ascend, from their logits.
fn draw_from(
    tokens: impl Iterator<Item = u32> + Clone,
    logits: &mut [f32],
    settings: &Sampling,
    random: &mut Pcg32,
) -> u32 {
    let inverse = settings.inverse_temperature();
    if !settings.limits_share() {
        let mut draw = Draw::new(0);
        for (token, &logit) in tokens.zip(logits.iter()) {
            draw.see(token, logit, inverse, random);
        }
        return draw.chosen;
    }
    let (likeliest, max) = largest(logits);
    for logit in logits.iter_mut() {
        *logit = weight((*logit - max) * inverse);
    }
    keep_top_p(logits, settings.top_p);
    let mut draw = Draw::new(tokens.clone().nth(likeliest as usize).unwrap_or(0));
    for (token, &weight) in tokens.zip(logits.iter()) {
        draw.weigh(token, weight, random);
    }
    draw.chosen
}
