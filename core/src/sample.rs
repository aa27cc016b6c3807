//! Choosing the next token from logits, in place and without extra memory.

use crate::math::exp;
use crate::Pcg32;
use heapless::Deque;

/// Tokens that the repetition penalty looks back at.
const HISTORY: usize = 64;

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
}

/// Draws tokens: settings, random numbers, and what was drawn before.
#[derive(Clone, Debug)]
pub struct Sampler {
    settings: Sampling,
    random: Pcg32,
    history: Deque<u32, HISTORY>,
}

impl Sampler {
    /// A sampler whose draws follow from `seed` alone.
    pub fn new(settings: Sampling, seed: u64) -> Self {
        Self {
            settings,
            random: Pcg32::new(seed),
            history: Deque::new(),
        }
    }

    /// Chooses a token and remembers it. The logits `[V]` are used up: they
    /// hold relative probabilities after.
    ///
    /// Of equal logits the lowest id wins; NaN never wins. Without logits
    /// the answer is 0.
    pub fn sample(&mut self, logits: &mut [f32]) -> u32 {
        self.penalize(logits);
        let token = if self.settings.temperature > 0.0 {
            self.draw(logits)
        } else {
            largest(logits).0
        };
        self.remember(token);
        token
    }

    fn remember(&mut self, token: u32) {
        if self.history.is_full() {
            self.history.pop_front();
        }
        // There is room now.
        let _ = self.history.push_back(token);
    }

    fn penalize(&self, logits: &mut [f32]) {
        let penalty = self.settings.repetition_penalty;
        // Written so that a NaN switches the penalty off.
        let active = penalty > 0.0 && penalty != 1.0;
        if !active {
            return;
        }
        let tokens = || self.history.iter();
        for (i, &token) in tokens().enumerate() {
            let seen = tokens().take(i).any(|&earlier| earlier == token);
            if let (Some(logit), false) = (logits.get_mut(token as usize), seen) {
                *logit = if *logit > 0.0 {
                    *logit / penalty
                } else {
                    *logit * penalty
                };
            }
        }
    }

    fn draw(&mut self, logits: &mut [f32]) -> u32 {
        let (likeliest, max) = largest(logits);
        softmax_numerators(logits, max, self.settings.temperature);
        keep_top_k(logits, self.settings.top_k);
        keep_top_p(logits, self.settings.top_p);
        let target = self.random.next_f32() * logits.iter().sum::<f32>();
        let mut sum = 0.0;
        for (token, &p) in (0..).zip(logits.iter()) {
            sum += p;
            if sum > target {
                return token;
            }
        }
        likeliest
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

/// `p = e^((logit - max) / temperature)`: 1 for the likeliest token.
fn softmax_numerators(logits: &mut [f32], max: f32, temperature: f32) {
    let inverse = 1.0 / temperature;
    for logit in logits {
        let p = exp((*logit - max) * inverse);
        // False for NaN too: such a token has no chance.
        *logit = if p > 0.0 && p <= 1.0 { p } else { 0.0 };
    }
}

/// Keeps the `k` largest values; of those equal to the last, the first.
fn keep_top_k(p: &mut [f32], k: u32) {
    if k == 0 || p.len() <= k as usize {
        return;
    }
    let k = k as usize;
    // Counts are exact in a float: a vocabulary has at most 2^20 entries.
    let threshold = largest_threshold(p, k as f32, |_| 1.0);
    let above = p.iter().filter(|&&p| p > threshold).count();
    let mut ties = k - above.min(k);
    for p in p {
        if *p == threshold && ties > 0 {
            ties -= 1;
        } else if *p <= threshold {
            *p = 0.0;
        }
    }
}

/// Keeps the largest values whose sum reaches `share` of the whole; all of
/// those equal to the last.
fn keep_top_p(p: &mut [f32], share: f32) {
    // Written so that a NaN is no limit.
    let limited = share < 1.0;
    if !limited {
        return;
    }
    let enough = share * p.iter().sum::<f32>();
    let threshold = largest_threshold(p, enough, |p| p);
    // With a share of 0 the likeliest token still stays: its value is 1.
    let threshold = threshold.min(1.0);
    for p in p {
        if *p < threshold {
            *p = 0.0;
        }
    }
}

/// The largest `t` in [0, 2) for which the values from `t` up weigh `enough`;
/// 0 if all together do not. Positive floats are ordered like their bits: 30
/// halvings find the exact one, in place of a sort and its memory.
fn largest_threshold(p: &[f32], enough: f32, weight: fn(f32) -> f32) -> f32 {
    let mut bits = 0u32;
    for bit in (0..30).rev() {
        let candidate = f32::from_bits(bits | 1 << bit);
        let above = p.iter().filter(|&&p| p >= candidate);
        if above.map(|&p| weight(p)).sum::<f32>() >= enough {
            bits = candidate.to_bits();
        }
    }
    f32::from_bits(bits)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::vec;
    use std::vec::Vec;

    fn settings(temperature: f32, top_k: u32, top_p: f32) -> Sampling {
        Sampling {
            temperature,
            top_k,
            top_p,
            repetition_penalty: 1.0,
        }
    }

    #[test]
    fn greedy_takes_the_first_of_the_largest() {
        let mut sampler = Sampler::new(Sampling::greedy(), 0);
        assert_eq!(sampler.sample(&mut [0.0, 3.0, f32::NAN, 3.0]), 1);
        assert_eq!(sampler.sample(&mut []), 0);
        assert_eq!(sampler.sample(&mut [f32::NAN, f32::NAN]), 0);
    }

    #[test]
    fn draws_follow_the_distribution() {
        let mut sampler = Sampler::new(settings(0.5, 0, 1.0), 1);
        let mut counts = [0u32; 3];
        for _ in 0..20_000 {
            // At temperature 0.5 the odds are 1 : 4 : 16.
            let mut logits = [0.0, 2f32.ln(), 4f32.ln()];
            counts[sampler.sample(&mut logits) as usize] += 1;
        }
        for (count, share) in counts.into_iter().zip([1.0, 4.0, 16.0]) {
            let expected = 20_000.0 * share / 21.0;
            assert!(
                (f64::from(count) - expected).abs() < 4.0 * f64::sqrt(expected),
                "{counts:?}"
            );
        }
    }

    #[test]
    fn the_same_seed_draws_the_same_tokens() {
        let draw = |seed| -> Vec<u32> {
            let mut sampler = Sampler::new(settings(1.0, 40, 0.9), seed);
            (0..50)
                .map(|_| sampler.sample(&mut [0.1, 0.5, 0.2, 0.9, 0.3]))
                .collect()
        };
        assert_eq!(draw(3), draw(3));
        assert_ne!(draw(3), draw(4));
    }

    #[test]
    fn a_penalty_makes_room_for_others() {
        let penalty = Sampling {
            repetition_penalty: 2.0,
            ..Sampling::greedy()
        };
        let mut sampler = Sampler::new(penalty, 0);
        let logits = [1.0, 1.5, -1.0];
        let drawn: Vec<u32> = (0..3)
            .map(|_| sampler.sample(&mut logits.clone()))
            .collect();
        // 1.5 / 2 < 1, then 1 / 2 < 1.5 / 2.
        assert_eq!(drawn, [1, 0, 1]);
    }

    #[test]
    fn infinite_logits_do_not_panic() {
        let mut sampler = Sampler::new(settings(1.0, 2, 0.5), 0);
        assert!(sampler.sample(&mut [f32::INFINITY, 0.0, f32::NEG_INFINITY]) < 3);
        assert!(sampler.sample(&mut [f32::NAN; 3]) < 3);
    }

    /// What top-k keeps, by sorting: the reference.
    fn sorted_top_k(p: &[f32], k: usize) -> Vec<f32> {
        let mut order: Vec<usize> = (0..p.len()).collect();
        order.sort_by(|&a, &b| p[b].total_cmp(&p[a]));
        let mut kept = vec![0.0; p.len()];
        order.iter().take(k).for_each(|&i| kept[i] = p[i]);
        kept
    }

    proptest! {
        #[test]
        fn top_k_equals_a_stable_sort(
            p in proptest::collection::vec(prop_oneof![0.0f32..=1.0, Just(0.25)], 1..50), k in 1u32..60
        ) {
            let mut kept = p.clone();
            keep_top_k(&mut kept, k);
            prop_assert_eq!(kept, sorted_top_k(&p, k as usize));
        }

        #[test]
        fn top_p_keeps_enough_and_no_more(
            p in proptest::collection::vec(0.001f32..=1.0, 1..50), share in 0.0f32..1.0
        ) {
            let mut kept = p.clone();
            keep_top_p(&mut kept, share);
            let total: f32 = p.iter().sum();
            let sum: f32 = kept.iter().sum();
            let least = kept.iter().copied().filter(|&p| p > 0.0).fold(2.0, f32::min);
            prop_assert!(sum > 0.0 && sum >= share * total * 0.9999);
            let ties = kept.iter().filter(|&&p| p == least).count() as f32;
            prop_assert!(sum - ties * least < share * total + 1e-3);
        }
    }
}
