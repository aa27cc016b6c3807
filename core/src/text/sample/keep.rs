//! Top-k and top-p on a buffer, in place, where a sort would need memory.

use super::weight::Temperature;
use crate::Pcg32;

/// Keeps the `k` largest logits, of those equal to the last the first; the
/// others become the least there is.
///
/// The threshold is built from its highest bit down: a bit stays where enough
/// logits are at or above the candidate. That takes 32 passes, whatever
/// they are.
pub(super) fn keep_top_k(logits: &mut [i32], k: u32) {
    let k = k as usize;
    if k == 0 || logits.len() <= k {
        return;
    }
    let mut least = i32::MIN;
    for bit in (0..32).rev() {
        // From the lowest number up: without a carry the highest bit is added.
        let candidate = least.wrapping_add(1i32.wrapping_shl(bit));
        if count(logits, candidate) >= k {
            least = candidate;
        }
    }
    let above = logits.iter().filter(|&&logit| logit > least).count();
    let mut ties = k.saturating_sub(above);
    for logit in logits {
        if *logit == least && ties > 0 {
            ties -= 1;
        } else if *logit <= least {
            *logit = i32::MIN;
        }
    }
}

/// The logits that are at least this.
#[inline(never)]
fn count(logits: &[i32], least: i32) -> usize {
    logits.iter().filter(|&&logit| logit >= least).count()
}

/// Weights whose sum fits in 32 bits.
const SPAN: usize = 255;

/// Draws from the likeliest tokens whose weights together reach `share` of the
/// whole, in units of 2^-16, and from all that are as likely as the last of
/// them. `logits` become weights, `max` is the largest. Returns the index, 0 where
/// none is more than the least there is.
///
/// A token is drawn from all. If those that are likelier reach the share
/// already, it is none of the likeliest, and the draw is repeated among those
/// that are likelier than it: the set shrinks as in a search by random pivots,
/// and most draws are the first.
pub(super) fn draw_top_p(
    logits: &mut [i32],
    max: i32,
    temperature: &Temperature,
    share: u32,
    random: &mut Pcg32,
) -> usize {
    let mut sum = 0u64;
    for part in logits.chunks_mut(SPAN) {
        let of_part = part.iter_mut().fold(0, |sum, logit| {
            let weight = temperature.weight(super::weight::below(max, *logit));
            *logit = weight as i32;
            sum + weight
        });
        sum += u64::from(of_part);
    }
    let weights = logits;
    let enough = (sum * u64::from(share)) >> 16;
    let mut floor = 0;
    loop {
        let (at, weight) = pick(weights, floor, below(sum, random));
        let above = sum_above(weights, weight);
        if above < enough || above == 0 {
            return at;
        }
        (floor, sum) = (weight, above);
    }
}

/// The sum of the weights above `floor`.
#[inline(never)]
fn sum_above(weights: &[i32], floor: i32) -> u64 {
    let parts = weights.chunks(SPAN).map(|part| {
        let above = part.iter().filter(|&&weight| weight > floor);
        u64::from(above.fold(0, |sum, &weight| sum + weight as u32))
    });
    parts.sum()
}

/// The token at which the sum of the weights above `floor` exceeds `at`, and its
/// weight.
#[inline(never)]
fn pick(weights: &[i32], floor: i32, at: u64) -> (usize, i32) {
    let mut left = at;
    let mut last = (0, i32::MAX);
    for (i, &weight) in weights.iter().enumerate() {
        if weight > floor {
            last = (i, weight);
            if left < weight as u64 {
                break;
            }
            left -= weight as u64;
        }
    }
    last
}

/// A number below `sum`, which is less than 2^44.
fn below(sum: u64, random: &mut Pcg32) -> u64 {
    let random = u64::from(random.next_u32());
    let (high, low) = (sum >> 32, sum & u64::from(u32::MAX));
    high * random + ((low * random) >> 32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::vec;
    use std::vec::Vec;

    /// What top-k keeps, by sorting: the reference.
    fn sorted_top_k(logits: &[i32], k: usize) -> Vec<i32> {
        let mut order: Vec<usize> = (0..logits.len()).collect();
        order.sort_by_key(|&i| core::cmp::Reverse(logits[i]));
        let mut kept = vec![i32::MIN; logits.len()];
        order.iter().take(k).for_each(|&i| kept[i] = logits[i]);
        kept
    }

    proptest! {
        #[test]
        fn top_k_equals_a_stable_sort(
            logits in proptest::collection::vec(
                prop_oneof![any::<i32>(), -9..9, Just(i32::MIN), Just(i32::MAX)], 1..50),
            k in 1u32..60
        ) {
            let mut kept = logits.clone();
            keep_top_k(&mut kept, k);
            prop_assert_eq!(kept, sorted_top_k(&logits, k as usize));
        }

        #[test]
        fn top_p_draws_only_what_reaches_the_share(
            logits in proptest::collection::vec(-4i32 << 16..4 << 16, 1..50),
            share in 0u32..65536, seed in any::<u64>()
        ) {
            let max = *logits.iter().max().unwrap();
            let temperature = Temperature::new(1.0);
            let weight = |logit: i32| u64::from(temperature.weight((max - logit) as u32));
            let sum: u64 = logits.iter().map(|&l| weight(l)).sum();
            let mut random = Pcg32::new(seed);
            for _ in 0..20 {
                let mut used = logits.clone();
                let at = draw_top_p(&mut used, max, &temperature, share, &mut random);
                let own = weight(logits[at]);
                let likelier = logits.iter().map(|&l| weight(l)).filter(|&w| w > own);
                let above: u64 = likelier.sum();
                prop_assert!(above == 0 || above < (sum * u64::from(share)) >> 16);
            }
        }
    }
}
