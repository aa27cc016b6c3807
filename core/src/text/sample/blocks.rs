//! Choosing the next token while the logits are computed, block by block:
//! memory for the `k` likeliest, not for the vocabulary.

use super::draw::Draw;
use super::history::History;
use super::keep::{rank, unrank};
use super::{draw_from, largest, Sampling};
use crate::{Pcg32, Sample};
use heapless::binary_heap::{BinaryHeap, Min};
use heapless::Vec;

/// Settings that cannot be carried out without all logits at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum NotInBlocks {
    /// `top_k` exceeds what the sampler has room for: its parameter `K`.
    TopK(usize),
    /// `top_p` needs a `top_k` beside it.
    TopP,
}

impl core::fmt::Display for NotInBlocks {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::TopK(room) => write!(f, "in blocks top-k can be {room} at most"),
            Self::TopP => f.write_str("in blocks top-p needs a top-k beside it"),
        }
    }
}

impl core::error::Error for NotInBlocks {}

/// A [`Sampler`](super::Sampler) that needs no buffer of all logits: it sees
/// them block by block, and of the same seed and settings it draws the same
/// tokens.
///
/// `K` is the largest `top_k` that it has room for: 8 bytes each, and 8 more
/// on the stack while it chooses.
///
/// The cost per logit is a comparison when greedy, an exponential at most
/// when drawing from all tokens. With top-k it is a comparison, and
/// `log2(k)` more steps for a logit that enters the `k` largest so far; how
/// many do depends on their order, `k ln(V / k)` of `V` on the average.
#[derive(Clone, Debug)]
pub struct BlockSampler<const K: usize = 64> {
    settings: Sampling,
    random: Pcg32,
    history: History,
    seen: Seen<K>,
}

/// What the logits so far come to.
#[derive(Clone, Debug)]
enum Seen<const K: usize> {
    /// Greedy: the first of the largest.
    Largest(u32, f32),
    /// All tokens can be drawn.
    Draw(Draw),
    /// Of the largest, their [`rank`] above the complement of their id, so
    /// that of equal ones the first is the largest.
    Top(BinaryHeap<u64, Min, K>),
}

impl<const K: usize> Seen<K> {
    fn new(settings: &Sampling) -> Self {
        if settings.is_greedy() {
            Self::Largest(0, f32::NEG_INFINITY)
        } else if settings.top_k == 0 {
            Self::Draw(Draw::new(0))
        } else {
            Self::Top(BinaryHeap::new())
        }
    }

    /// Before the first block.
    fn clear(&mut self) {
        match self {
            Self::Largest(token, max) => (*token, *max) = (0, f32::NEG_INFINITY),
            Self::Draw(draw) => *draw = Draw::new(0),
            Self::Top(top) => top.clear(),
        }
    }
}

impl<const K: usize> BlockSampler<K> {
    /// A sampler whose draws follow from `seed` alone.
    ///
    /// # Errors
    /// [`NotInBlocks`]; greedy sampling always can be done.
    pub fn new(settings: Sampling, seed: u64) -> Result<Self, NotInBlocks> {
        if !settings.is_greedy() {
            if settings.top_k as usize > K {
                return Err(NotInBlocks::TopK(K));
            }
            if settings.limits_share() && settings.top_k == 0 {
                return Err(NotInBlocks::TopP);
            }
        }
        Ok(Self {
            settings,
            random: Pcg32::new(seed),
            history: History::default(),
            seen: Seen::new(&settings),
        })
    }

    /// Sees the next block of logits: those from token `first` on. They may
    /// be changed in place. Blocks must come in order, each once.
    pub fn see(&mut self, first: u32, logits: &mut [f32]) {
        let penalty = self.settings.repetition_penalty;
        self.history.penalize(penalty, first, logits);
        match &mut self.seen {
            Seen::Largest(token, max) => {
                let (at, logit) = largest(logits);
                if logit > *max {
                    (*token, *max) = (first + at, logit);
                }
            }
            Seen::Draw(draw) => {
                let inverse = self.settings.inverse_temperature();
                for (token, &logit) in (first..).zip(logits.iter()) {
                    draw.see(token, logit, inverse, &mut self.random);
                }
            }
            Seen::Top(top) => keep_largest(top, self.settings.top_k as usize, first, logits),
        }
    }

    /// Chooses a token from the blocks seen since the last choice, and
    /// remembers it. Without logits the answer is 0.
    pub fn choose(&mut self) -> u32 {
        let token = match &mut self.seen {
            Seen::Largest(token, _) => *token,
            Seen::Draw(draw) => draw.chosen,
            Seen::Top(top) => {
                // Taken in any order: the ids bring them into theirs.
                let top = top.iter().copied();
                draw_from_top::<K>(top, &self.settings, &mut self.random)
            }
        };
        self.seen.clear();
        self.history.remember(token);
        token
    }
}

/// Draws as from a buffer in which all others are infinitely unlikely: in
/// order of the ids.
fn draw_from_top<const K: usize>(
    top: impl Iterator<Item = u64> + Clone,
    settings: &Sampling,
    random: &mut Pcg32,
) -> u32 {
    let mut tokens: Vec<u32, K> = Vec::new();
    let mut logits: Vec<f32, K> = Vec::new();
    // The complements of the ids, from the largest down.
    let mut next = top.clone().max_by_key(|&key| key as u32);
    while let Some(key) = next {
        // There is room: no more than K came in.
        let _ = tokens.push(!(key as u32));
        let _ = logits.push(unrank((key >> 32) as u32));
        let behind = top.clone().filter(|&k| (k as u32) < key as u32);
        next = behind.max_by_key(|&key| key as u32);
    }
    draw_from(tokens.iter().copied(), &mut logits, settings, random)
}

impl<const K: usize> Sample for BlockSampler<K> {
    fn wants_all(&self) -> bool {
        false
    }

    fn see(&mut self, first: u32, logits: &mut [f32]) {
        BlockSampler::see(self, first, logits);
    }

    fn choose(&mut self) -> u32 {
        BlockSampler::choose(self)
    }
}

/// Puts logits into the heap of the `k` largest.
fn keep_largest<const K: usize>(
    top: &mut BinaryHeap<u64, Min, K>,
    k: usize,
    first: u32,
    logits: &[f32],
) {
    // What a rank must exceed: those equal to the least come too late, and
    // what is infinitely unlikely need not come at all.
    let floor = |top: &BinaryHeap<u64, Min, K>| match top.peek() {
        Some(least) if top.len() >= k => (least >> 32) as u32,
        _ => rank(f32::NEG_INFINITY),
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
