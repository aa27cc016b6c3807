//! How surprising a token is to the model.

use super::softmax::Softmax;

/// `-log2` of the probability that the softmax of `logits` gives to `token`, in
/// units of 2^-16: 0 where it was certain. The mean over a stream is its bits per
/// token, and a window far above the usual mean is an anomaly.
///
/// `logits` are all `[V]` of a step, unchanged by a sampler: those of
/// [`Session::step`](crate::Session::step).
///
/// `u32::MAX` for a token that has no logit.
///
/// # Example
/// ```
/// assert_eq!(kinglet::bits(&[98_304; 64], 7), 6 << 16);
/// assert_eq!(kinglet::bits(&[60 << 16, 0], 0), 0);
/// assert_eq!(kinglet::bits(&[60 << 16, 0], 2), u32::MAX);
/// ```
pub fn bits(logits: &[i32], token: u32) -> u32 {
    let Some(&own) = logits.get(token as usize) else {
        return u32::MAX;
    };
    Softmax::of(logits).bits(own)
}

#[cfg(test)]
mod tests {
    use super::bits;
    use crate::Pcg32;

    fn exact(logits: &[i32], token: usize) -> f64 {
        let value = |logit: i32| f64::from(logit) / 65536.0;
        let sum: f64 = logits.iter().map(|&x| value(x).exp()).sum();
        sum.log2() - value(logits[token]) * core::f64::consts::LOG2_E
    }

    #[test]
    fn bits_are_those_of_the_softmax() {
        let mut random = Pcg32::new(1);
        for places in [13, 16, 20] {
            let mut logit = || (random.next_u32() >> (32 - places)) as i32;
            let logits: [i32; 256] = core::array::from_fn(|_| logit());
            for token in 0..256 {
                let found = f64::from(bits(&logits, token)) / 65536.0;
                let exact = exact(&logits, token as usize);
                assert!(
                    (found - exact).abs() < 6e-5 + 1e-5 * exact,
                    "{places} {token}: {found} {exact}"
                );
            }
        }
    }

    #[test]
    fn certain_impossible_and_unknown_tokens() {
        assert_eq!(bits(&[3], 0), 0);
        assert_eq!(bits(&[0, 0], 1), 1 << 16);
        assert_eq!(bits(&[1000 << 16, 0], 0), 0);
        let found = f64::from(bits(&[1000 << 16, 0], 1)) / 65536.0;
        assert!((found - 1442.695).abs() < 0.05, "{found}");
        assert_eq!(bits(&[0, 0], 2), u32::MAX);
        assert_eq!(bits(&[], 0), u32::MAX);
    }
}
