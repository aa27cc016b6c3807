//! The softmax of logits that are seen one after the other.
//!
//! The sum is accumulated in one pass: where a larger logit appears, the sum so
//! far shrinks by `e^(old - new)` (Milakov and Gimelshein, arXiv 1805.02867).

use super::sample::weight::{below, Temperature, ONE};
use crate::number::{divide, log2};

/// `log2(e)` in units of 2^-16.
const LOG2_E: u64 = 94_548;

/// The largest logit so far, and the sum of all weights beside its own.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub(super) struct Softmax {
    max: i32,
    /// In units of 2^-24.
    sum: u64,
}

impl Softmax {
    /// No logit seen.
    pub(super) const fn new() -> Self {
        Self {
            max: i32::MIN,
            sum: 0,
        }
    }

    /// That of all logits.
    pub(super) fn of(logits: &[i32]) -> Self {
        let mut softmax = Self::new();
        let _ = softmax.see(logits);
        softmax
    }

    /// Sees the next logits; returns the first of those that are larger than all
    /// before, if there are any.
    pub(super) fn see(&mut self, logits: &[i32]) -> Option<usize> {
        let scale = Temperature::new(1.0);
        let mut largest = None;
        for (i, &logit) in logits.iter().enumerate() {
            if self.sum == 0 || logit > self.max {
                let share = u64::from(scale.weight(below(logit, self.max)));
                self.sum = (((self.sum >> 8) * share) >> 16) + u64::from(ONE);
                self.max = logit;
                largest = Some(i);
            } else {
                self.sum += u64::from(scale.weight(below(self.max, logit)));
            }
        }
        largest
    }

    /// The weights of logits that were seen, in the units of the sum.
    pub(super) fn weights<'l>(&self, logits: &'l [i32]) -> impl ExactSizeIterator<Item = u32> + 'l {
        let (scale, max) = (Temperature::new(1.0), self.max);
        logits
            .iter()
            .map(move |&logit| scale.weight(below(max, logit)))
    }

    /// The sum of all weights; 0 where no logit was seen.
    pub(super) fn sum(&self) -> u64 {
        self.sum
    }

    /// The share of the largest logit, in units of 2^-16; 0 where none was seen.
    pub(super) fn likeliest(&self) -> u32 {
        // It is at least 2^24, and 2^44 where all of the largest vocabulary are
        // alike.
        match (self.sum >> 12) as u32 {
            0 => 0,
            sum => divide((u64::from(ONE) << 4) as u32 + (sum >> 1), sum, 17).min(1 << 16),
        }
    }

    /// `-log2` of the share of a logit, in units of 2^-16.
    pub(super) fn bits(&self, logit: i32) -> u32 {
        let less = (u64::from(below(self.max, logit)) * LOG2_E) >> 16;
        let bits = i64::from(log2(self.sum)) - (24 << 16) + less as i64;
        bits.clamp(0, u32::MAX.into()) as u32
    }
}
