//! A draw in one pass that keeps one token.
//!
//! A token of weight `w` replaces the one chosen so far with probability
//! `w / sum`, the sum including its own (weighted reservoir of one: M. T.
//! Chao, "A general purpose unequal probability sampling plan", 1982); in the
//! end each has been chosen in proportion to its weight. It needs no
//! random number per token: the chosen one survives while the sum grows from
//! `s` to `t` with probability `s / t`, so one number gives the sum at which the
//! next replacement happens.

use crate::arch::exp;
use crate::Pcg32;

/// Below `ln 2^-24`: a weight that vanishes beside that of the likeliest
/// token, 1, in a sum of single precision.
const NEGLIGIBLE: f32 = -16.7;

/// `e^x` for `x <= 0`; 0 where that is negligible, and for NaN.
#[inline]
pub(super) fn weight(x: f32) -> f32 {
    if x > NEGLIGIBLE {
        exp(x)
    } else {
        0.0
    }
}

/// A draw under way.
/// A draw from `[V]` logits costs `V` exponentials at most, and no random number
/// but at a replacement.
#[derive(Clone, Debug)]
pub(super) struct Draw {
    /// The token chosen so far.
    pub chosen: u32,
    /// Its successor is the token that makes the sum exceed this.
    limit: f32,
    /// Sum of the weights so far, each `e^((logit - max) / temperature)`.
    sum: f32,
    /// The largest logit so far.
    pub max: f32,
}

impl Draw {
    /// Before the first token; `fallback` is chosen if none has a weight.
    pub(super) fn new(fallback: u32) -> Self {
        Self {
            chosen: fallback,
            limit: 0.0,
            sum: 0.0,
            max: f32::NEG_INFINITY,
        }
    }

    /// Sees the next token by its logit. `inverse` is `1 / temperature`.
    #[inline]
    pub(super) fn see(&mut self, token: u32, logit: f32, inverse: f32, random: &mut Pcg32) {
        let difference = (logit - self.max) * inverse;
        let weight = if logit > self.max {
            let shrink = weight(-difference);
            self.sum *= shrink;
            self.limit *= shrink;
            self.max = logit;
            1.0
        } else {
            weight(difference)
        };
        self.weigh(token, weight, random);
    }

    /// Sees the next token by its weight.
    #[inline]
    pub(super) fn weigh(&mut self, token: u32, weight: f32, random: &mut Pcg32) {
        self.sum += weight;
        if self.sum > self.limit {
            self.replace(token, random);
        }
    }

    /// Seldom: about `ln V` times in a draw from `V` tokens.
    #[inline(never)]
    fn replace(&mut self, token: u32, random: &mut Pcg32) {
        self.chosen = token;
        // In (0, 1], so that the limit is the sum at least.
        let share = 1.0 - random.next_f32();
        self.limit = self.sum / share;
    }
}
