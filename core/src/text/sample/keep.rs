//! Top-k and top-p on a buffer, in place: thresholds found bit by bit, where
//! a sort would need memory.
//!
//! Logits are compared by [`rank`], an integer of 32 bits in their order. The
//! threshold is built from its highest bit down: a bit stays where enough values
//! (top-k) or enough weight (top-p) are at or above the candidate. That takes 32
//! passes for top-k and 30 for top-p, whatever the values are.

/// Keeps the `k` largest logits, of those equal to the last the first; the
/// others become infinitely unlikely.
pub(super) fn keep_top_k(logits: &mut [f32], k: u32) {
    let k = k as usize;
    if k == 0 || logits.len() <= k {
        return;
    }
    let mut least = 0;
    for bit in (0..32).rev() {
        let candidate = least | 1 << bit;
        if count(logits, candidate) >= k {
            least = candidate;
        }
    }
    let mut ties = k.saturating_sub(count(logits, least.saturating_add(1)));
    for logit in logits {
        let rank = rank(*logit);
        if rank == least && ties > 0 {
            ties -= 1;
        } else if rank <= least {
            *logit = f32::NEG_INFINITY;
        }
    }
}

/// The logits of this rank and above.
#[inline(never)]
fn count(logits: &[f32], least: u32) -> usize {
    logits.iter().filter(|&&logit| rank(logit) >= least).count()
}

/// A number that orders logits as `<` does: equal for both zeros; 0, below
/// all others, for NaN.
pub(super) fn rank(logit: f32) -> u32 {
    const SIGN: u32 = 1 << 31;
    let bits = logit.to_bits();
    let magnitude = bits & !SIGN;
    if magnitude > f32::INFINITY.to_bits() {
        0
    } else if bits < SIGN {
        SIGN + bits
    } else {
        SIGN - magnitude
    }
}

/// The logit of a rank that is not 0.
pub(super) fn unrank(rank: u32) -> f32 {
    let signed = rank.wrapping_sub(1 << 31) as i32;
    let magnitude = f32::from_bits(signed.unsigned_abs());
    if signed < 0 {
        -magnitude
    } else {
        magnitude
    }
}

/// Keeps the largest weights whose sum reaches `share` of the whole; all of
/// those equal to the last. The largest weight is 1.
pub(super) fn keep_top_p(weights: &mut [f32], share: f32) {
    let enough = share * weights.iter().sum::<f32>();
    // With a share of 0 the likeliest token still stays.
    let threshold = largest_threshold(weights, enough).min(1.0);
    for weight in weights {
        if *weight < threshold {
            *weight = 0.0;
        }
    }
}

/// The largest `t` in [0, 2) for which the weights from `t` up reach `enough`;
/// 0 if all together do not. Positive floats are ordered like their bits.
fn largest_threshold(weights: &[f32], enough: f32) -> f32 {
    let mut bits = 0u32;
    for bit in (0..30).rev() {
        let candidate = f32::from_bits(bits | 1 << bit);
        let above = weights.iter().filter(|&&weight| weight >= candidate);
        if above.sum::<f32>() >= enough {
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

    /// What top-k keeps, by sorting: the reference.
    fn sorted_top_k(logits: &[f32], k: usize) -> Vec<f32> {
        let mut order: Vec<usize> = (0..logits.len()).collect();
        order.sort_by(|&a, &b| logits[b].partial_cmp(&logits[a]).unwrap());
        let mut kept = vec![f32::NEG_INFINITY; logits.len()];
        order.iter().take(k).for_each(|&i| kept[i] = logits[i]);
        kept
    }

    #[test]
    fn ranks_order_all_logits() {
        let order = [
            f32::NEG_INFINITY,
            -3.0,
            -1e-45,
            0.0,
            1e-45,
            2.0,
            f32::INFINITY,
        ];
        for pair in order.windows(2) {
            assert!(rank(f32::NAN) < rank(pair[0]) && rank(pair[0]) < rank(pair[1]));
        }
        for logit in order {
            assert_eq!(unrank(rank(logit)).to_bits(), logit.to_bits());
        }
        assert_eq!(rank(-0.0), rank(0.0));
        assert_eq!(rank(-f32::NAN), 0);
    }

    #[test]
    fn top_k_with_too_few_numbers_keeps_them() {
        let mut logits = [f32::NAN, 1.0, f32::NAN, 2.0];
        keep_top_k(&mut logits, 3);
        assert_eq!([logits[1], logits[3]], [1.0, 2.0]);
    }

    proptest! {
        #[test]
        fn top_k_equals_a_stable_sort(
            logits in proptest::collection::vec(prop_oneof![-1.0f32..=1.0, Just(0.25), Just(-0.0), Just(0.0)], 1..50),
            k in 1u32..60
        ) {
            let mut kept = logits.clone();
            keep_top_k(&mut kept, k);
            prop_assert_eq!(kept, sorted_top_k(&logits, k as usize));
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
