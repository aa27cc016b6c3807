//! Choosing the next token from logits, all at once or block by block.

mod draw;
mod history;
mod keep;
#[cfg(test)]
mod tests;
pub(super) mod weight;

use crate::number::where_less;
use crate::{Pcg32, Sample};
use draw::Draw;
use heapless::binary_heap::{BinaryHeap, Min};
use heapless::Vec;
use history::{q16, History, Penalty};
use keep::{draw_top_p, keep_top_k};
use weight::Temperature;

/// How to choose the next token.
///
/// The settings apply in this order: repetition penalty, temperature, top-k,
/// top-p, draw.
///
/// # Example
/// ```
/// use kinglet::{Sampler, Sampling};
///
/// let settings = Sampling {
///     temperature: 0.8,
///     top_p: 0.9,
///     ..Sampling::greedy()
/// };
/// let mut logits = [0, 9 << 16, -2 << 16];
/// assert_eq!(Sampler::new(settings, 1).sample(&mut logits), 1);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Sampling {
    /// Logits are divided by this; 0 or less always takes the largest.
    /// Below 1 the likely tokens become likelier still; NaN is as 0.
    pub temperature: f32,
    /// Only the `top_k` likeliest tokens; 0 is no limit.
    /// Of equal logits the first ones count.
    pub top_k: u32,
    /// Only the likeliest tokens that together reach this share of the
    /// probability; 1 is no limit.
    /// The likeliest token stays where the share is 0; NaN is no limit.
    pub top_p: f32,
    /// Logits of the last 64 tokens are divided by this where positive and
    /// multiplied where negative (Keskar et al., arXiv 1909.05858). Above 1
    /// repetition becomes less likely; 1 is off, and so are 0, negative numbers
    /// and NaN.
    pub repetition_penalty: f32,
}

impl Sampling {
    /// Always the likeliest token.
    /// No limit and no penalty; the seed of the sampler then has no effect.
    pub const fn greedy() -> Self {
        Self {
            temperature: 0.0,
            top_k: 0,
            top_p: 1.0,
            repetition_penalty: 1.0,
        }
    }

    /// Whether the largest logit is taken, without a draw. A NaN is greedy.
    fn is_greedy(&self) -> bool {
        // The bits of positive numbers: those of 0, infinity and NaN are known.
        !(1..=f32::INFINITY.to_bits()).contains(&self.temperature.to_bits())
    }

    /// Whether top-p is on; a NaN is no limit.
    fn limits_share(&self) -> bool {
        self.share() < 1 << 16
    }

    /// What top-p keeps, in units of 2^-16; a NaN is no limit.
    fn share(&self) -> u32 {
        match self.top_p.to_bits() << 1 > f32::INFINITY.to_bits() << 1 {
            true => 1 << 16,
            false => q16(self.top_p.to_bits()),
        }
    }
}

/// Draws tokens: settings, random numbers, and what was drawn before.
///
/// Shown all logits as one block, it works in place: no memory but its own.
/// Shown several blocks, it draws the same tokens, with the same seed. Then
/// top-k takes room for the likeliest tokens so far, `K` at most: 8 bytes
/// each, and 8 more on the stack while it chooses. A larger top-k, and top-p
/// without a top-k, want all logits at once.
///
/// The cost per logit is a comparison when greedy, an exponential at most
/// when drawing from all tokens. With a top-k that there is room for it is a
/// comparison, and `log2(k)` more steps for a logit that enters the `k`
/// largest so far; how many do depends on their order, `k ln(V / k)` of `V` on
/// the average. In place top-k takes 32 passes, top-p about four.
#[derive(Clone, Debug)]
pub struct Sampler<const K: usize = 0> {
    settings: Sampling,
    random: Pcg32,
    history: History,
    /// The draw from the logits so far; with top-k they are in `top`.
    draw: Draw,
    /// The largest logits so far: [`key`]: a logit above the complement of the token,
    /// so that of equal ones the first is the largest.
    top: BinaryHeap<u64, Min, K>,
}

impl Sampler {
    /// A sampler whose draws follow from `seed` alone, with no room for a
    /// top-k in blocks.
    pub fn new(settings: Sampling, seed: u64) -> Self {
        Self::with_room(settings, seed)
    }
}

impl<const K: usize> Sampler<K> {
    /// A sampler whose draws follow from `seed` alone, with room for a top-k
    /// of `K` in blocks.
    pub fn with_room(settings: Sampling, seed: u64) -> Self {
        Self {
            settings,
            random: Pcg32::new(seed),
            history: History::default(),
            draw: Draw::new(0),
            top: BinaryHeap::new(),
        }
    }

    /// Chooses a token from all logits `[V]`, as [`Sample::choose`]. They are
    /// used up.
    pub fn sample(&mut self, logits: &mut [i32]) -> u32 {
        self.see(0, logits);
        self.choose()
    }

    /// Whether the likeliest tokens are kept apart.
    fn keeps_top(&self) -> bool {
        let Sampling { top_k, .. } = self.settings;
        K > 0 && !self.settings.is_greedy() && (1..=K).contains(&(top_k as usize))
    }
}

impl<const K: usize> Sample for Sampler<K> {
    fn wants_all(&self) -> bool {
        let settings = &self.settings;
        let limited = settings.top_k > 0 || settings.limits_share();
        limited && !settings.is_greedy() && !self.keeps_top()
    }

    fn see(&mut self, first: u32, logits: &mut [i32]) {
        let settings = &self.settings;
        let penalty = Penalty::new(settings.repetition_penalty);
        self.history.penalize(penalty, first, logits);
        if settings.is_greedy() {
            let (at, logit) = largest(logits);
            if logit > self.draw.max {
                (self.draw.chosen, self.draw.max) = (first + at, logit);
            }
        } else if self.keeps_top() {
            keep_largest(&mut self.top, settings.top_k as usize, first, logits);
        } else {
            keep_top_k(logits, settings.top_k);
            draw_from(&mut self.draw, first.., logits, settings, &mut self.random);
        }
    }

    fn choose(&mut self) -> u32 {
        if self.keeps_top() {
            self.draw_from_top();
        }
        let token = self.draw.chosen;
        self.draw = Draw::new(0);
        self.history.remember(token);
        token
    }
}

/// Logits whose largest is found at once: its place among them is of interest
/// for one block.
const BLOCK: usize = 8;

/// The first of the largest values, and that value.
fn largest(logits: &[i32]) -> (u32, i32) {
    let larger = |[most]: [i32; 1], &x: &i32| where_less([most, x], [x], [most]);
    let largest_of = |logits: &[i32]| logits.iter().fold([i32::MIN], larger)[0];
    let (blocks, rest) = logits.as_chunks::<BLOCK>();
    let mut best = [0, i32::MIN];
    for (at, block) in (0..).step_by(BLOCK).zip(blocks) {
        let most = largest_of(block);
        best = where_less([best[1], most], [at, most], best);
    }
    let most = largest_of(rest);
    let last = logits.len().saturating_sub(BLOCK) as i32;
    let [first, most] = where_less([best[1], most], [last, most], best);
    // All before this block are smaller.
    let block = first as usize..first as usize + BLOCK;
    let block = logits.get(block).unwrap_or(logits);
    let places = block.iter().enumerate().rev();
    let [at] = places.fold([0], |[at], (i, &logit)| {
        where_less([logit, most], [at], [i as i32])
    });
    ((first + at) as u32, most)
}

/// Continues a draw with tokens, their ids ascending, and their logits.
/// `logits` become weights where top-p is on: there the draw begins anew, so all
/// logits must be there.
fn draw_from(
    draw: &mut Draw,
    tokens: impl Iterator<Item = u32> + Clone,
    logits: &mut [i32],
    settings: &Sampling,
    random: &mut Pcg32,
) {
    let temperature = Temperature::new(settings.temperature);
    if !settings.limits_share() {
        for (token, &logit) in tokens.zip(logits.iter()) {
            draw.see(token, logit, &temperature, random);
        }
        return;
    }
    let max = logits.iter().copied().fold(i32::MIN, i32::max);
    if max == i32::MIN {
        return;
    }
    let at = draw_top_p(logits, max, &temperature, settings.share(), random);
    *draw = Draw::new(tokens.clone().nth(at).unwrap_or(0));
}

impl<const K: usize> Sampler<K> {
    /// Draws as from a buffer in which all others are infinitely unlikely: in
    /// order of the ids.
    // Not inlined: the sorted candidates need not lie on the stack while the
    // model works.
    #[inline(never)]
    fn draw_from_top(&mut self) {
        let mut tokens: Vec<u32, K> = Vec::new();
        let mut logits: Vec<i32, K> = Vec::new();
        // The complements of the ids, from the largest down.
        let top = self.top.iter().copied();
        let mut next = top.clone().max_by_key(|&key| key as u32);
        while let Some(key) = next {
            // There is room: no more than K came in.
            let _ = tokens.push(!(key as u32));
            let _ = logits.push(unranked((key >> 32) as u32));
            let after = top.clone().filter(|&k| (k as u32) < key as u32);
            next = after.max_by_key(|&key| key as u32);
        }
        self.top.clear();
        let tokens = tokens.iter().copied();
        let (settings, random) = (&self.settings, &mut self.random);
        draw_from(&mut self.draw, tokens, &mut logits, settings, random);
    }
}

/// A number that orders logits as they are ordered, without a sign.
fn rank(logit: i32) -> u32 {
    logit as u32 ^ 1 << 31
}

/// The logit of a rank.
fn unranked(rank: u32) -> i32 {
    (rank ^ 1 << 31) as i32
}

/// Puts logits into the heap of the `k` largest.
/// A key is `rank(logit) << 32 | !token`: of equal logits that of the lowest id is
/// the largest.
fn keep_largest<const K: usize>(
    top: &mut BinaryHeap<u64, Min, K>,
    k: usize,
    first: u32,
    logits: &[i32],
) {
    // The rank to exceed: of equal logits the first ones stay, and the least
    // of all never enters.
    let floor = |top: &BinaryHeap<u64, Min, K>| match top.peek() {
        Some(least) if top.len() >= k => (least >> 32) as u32,
        _ => 0,
    };
    let mut least = floor(top);
    for (token, &logit) in (first..).zip(logits) {
        let rank = rank(logit);
        if rank > least {
            let key = u64::from(rank) << 32 | u64::from(!token);
            if top.len() < k {
                let _ = top.push(key);
            } else if let Some(mut least) = top.peek_mut() {
                *least = key;
            }
            least = floor(top);
        }
    }
}
