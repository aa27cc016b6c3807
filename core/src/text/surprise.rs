//! How surprising a token is to the model.

use crate::arch::exp;
use crate::number::log2;

/// `-log2` of the probability that the softmax of `logits` gives to `token`:
/// 0 where it was certain. The mean over a stream is its bits per token, and
/// a window far above the usual mean is an anomaly.
///
/// `logits` are all `[V]` of a step, unchanged by a sampler: those of
/// [`Session::step`](crate::Session::step).
///
/// Infinite for a token that has no logit, never below 0. A logit 87 or more
/// below the largest adds to the sum as if it were 87 below.
///
/// # Example
/// ```
/// assert_eq!(kinglet::bits(&[1.5; 64], 7), 6.0);
/// assert_eq!(kinglet::bits(&[60.0, 0.0], 0), 0.0);
/// assert_eq!(kinglet::bits(&[60.0, 0.0], 2), f32::INFINITY);
/// ```
pub fn bits(logits: &[f32], token: u32) -> f32 {
    let Some(&own) = logits.get(token as usize) else {
        return f32::INFINITY;
    };
    let mut best = own;
    for &logit in logits {
        if logit > best {
            best = logit;
        }
    }
    let mut sum = 0.0;
    for &logit in logits {
        sum += exp(logit - best);
    }
    let bits = log2(sum) + (best - own) * core::f32::consts::LOG2_E;
    if bits > 0.0 {
        bits
    } else {
        0.0
    }
}

#[cfg(test)]
mod tests {
    use super::bits;
    use crate::Pcg32;

    fn exact(logits: &[f32], token: usize) -> f64 {
        let sum: f64 = logits.iter().map(|&x| f64::from(x).exp()).sum();
        sum.log2() - f64::from(logits[token]) * core::f64::consts::LOG2_E
    }

    #[test]
    fn bits_are_those_of_the_softmax() {
        let mut random = Pcg32::new(1);
        for scale in [0.1, 1.0, 10.0] {
            let mut logit = || (random.next_u32() >> 8) as f32 / (1 << 24) as f32;
            let logits: [f32; 256] = core::array::from_fn(|_| scale * (logit() - 0.5));
            for token in 0..256 {
                let error = f64::from(bits(&logits, token)) - exact(&logits, token as usize);
                assert!(error.abs() < 4e-6, "{scale} {token}: {error}");
            }
        }
    }

    #[test]
    fn certain_impossible_and_unknown_tokens() {
        assert_eq!(bits(&[3.0], 0), 0.0);
        assert_eq!(bits(&[0.0, 0.0], 1), 1.0);
        assert!(bits(&[1000.0, 0.0], 0) < 1e-6);
        assert!((bits(&[1000.0, 0.0], 1) - 1442.695).abs() < 1e-3);
        assert_eq!(bits(&[0.0, 0.0], 2), f32::INFINITY);
        assert_eq!(bits(&[], 0), f32::INFINITY);
    }

    #[test]
    fn other_logits_give_some_answer() {
        for odd in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            for token in 0..2 {
                assert!(bits(&[odd, 1.0], token) >= 0.0);
            }
        }
    }
}
