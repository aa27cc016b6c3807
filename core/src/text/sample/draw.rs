//! A draw in one pass that keeps one token.
//!
//! A token of weight `w` replaces the one chosen so far with probability
//! `w / sum`, the sum including its own (weighted reservoir of one: M. T.
//! Chao, "A general purpose unequal probability sampling plan", 1982); in the
//! end each has been chosen in proportion to its weight. It needs no
//! random number per token: the chosen one survives while the sum grows from
//! `s` to `t` with probability `s / t`, so one number gives the sum at which the
//! next replacement happens.

use super::weight::{below, Temperature, ONE};
use crate::number::{divide, normal, zeros};
use crate::Pcg32;

/// A draw under way.
/// A draw from `[V]` logits costs `V` exponentials at most, and no random number
/// but at a replacement.
// In this order, both sums are not zeroed by a function of the compiler's.
#[derive(Clone, Debug)]
#[repr(C)]
pub(super) struct Draw {
    /// Its successor is the token that makes the sum exceed this.
    limit: u64,
    /// The token chosen so far.
    pub chosen: u32,
    /// The largest logit so far.
    pub max: i32,
    /// Sum of the weights so far, beside that of the largest logit.
    sum: u64,
}

impl Draw {
    /// Before the first token; `fallback` is chosen if none has a weight.
    pub(super) fn new(fallback: u32) -> Self {
        Self {
            chosen: fallback,
            limit: 0,
            sum: 0,
            max: i32::MIN,
        }
    }

    /// Sees the next token by its logit.
    #[inline]
    pub(super) fn see(
        &mut self,
        token: u32,
        logit: i32,
        temperature: &Temperature,
        random: &mut Pcg32,
    ) {
        // Not even a weight beside an equal one.
        if logit == i32::MIN {
            return;
        }
        let weight = if logit > self.max {
            let share = temperature.weight(below(logit, self.max));
            self.sum = scaled(self.sum, share);
            self.limit = scaled(self.limit, share);
            self.max = logit;
            ONE
        } else {
            temperature.weight(below(self.max, logit))
        };
        self.sum += u64::from(weight);
        if self.sum > self.limit {
            self.replace(token, random);
        }
    }

    /// Seldom: about `ln V` times in a draw from `V` tokens.
    #[inline(never)]
    fn replace(&mut self, token: u32, random: &mut Pcg32) {
        self.chosen = token;
        // A share in (0, 1], of 16 bits and halvings of it, so that the limit is the
        // sum at least.
        let share = random.next_u32() | 1;
        let halvings = zeros(share);
        let share = (share << halvings >> 16) + 1;
        let (sum, places) = normal(self.sum);
        // Of 17 bits.
        let quotient = divide(sum, share, 32);
        let places = places + 16 + halvings;
        let limit = match places {
            31.. => LARGEST,
            // A product: shifts of 64 bits are a function on many cores.
            0.. => u64::from(quotient) * u64::from((1u32 << 30) >> (30 - places)),
            _ => u64::from(quotient >> (-places).min(31)),
        };
        // Rounded down, it may be below the sum.
        self.limit = limit.max(self.sum);
    }
}

/// Larger limits are never reached.
const LARGEST: u64 = 1 << 47;

/// `x share`, with a share of at most [`ONE`].
fn scaled(x: u64, share: u32) -> u64 {
    ((x >> 8) * u64::from(share)) >> 16
}
