//! The softmax of all logits, in floats.

use super::softmax::Softmax;

/// The probabilities that the softmax of `logits` `[V]` gives to its tokens, `[V]`.
///
/// They are quotients of integer weights, within 0.15 % of the value and 2e-7. The
/// floats are the caller's: a program that does not ask for them has none of their
/// code.
///
/// # Example
/// ```
/// let probabilities: Vec<f32> = kinglet::probabilities(&[1 << 16, 1 << 16]).collect();
/// assert_eq!(probabilities, [0.5, 0.5]);
/// ```
// Inlined, as the iterator is: the library itself has no floating point.
#[inline]
pub fn probabilities(logits: &[i32]) -> impl ExactSizeIterator<Item = f32> + '_ {
    let softmax = Softmax::of(logits);
    let weights = softmax.weights(logits);
    weights.map(move |weight| weight as f32 / softmax.sum() as f32)
}

#[cfg(test)]
mod tests {
    use super::probabilities;
    use crate::Pcg32;

    #[test]
    fn probabilities_are_those_of_the_softmax() {
        let mut random = Pcg32::new(1);
        for places in [10, 16, 19, 25] {
            let mut logit = || (random.next_u32() >> (32 - places)) as i32 - (1 << 16);
            let logits: [i32; 256] = core::array::from_fn(|_| logit());
            let value = |logit: i32| f64::from(logit) / 65536.0;
            let max = logits.iter().fold(i32::MIN, |max, &logit| max.max(logit));
            let weights = logits.map(|logit| value(logit - max).exp());
            let sum: f64 = weights.iter().sum();
            for (found, weight) in probabilities(&logits).zip(weights) {
                let error = (f64::from(found) - weight / sum).abs();
                assert!(error < 1.5e-3 * weight / sum + 2e-7, "{places}: {found}");
            }
            let total: f32 = probabilities(&logits).sum();
            assert!((total - 1.0).abs() < 1e-5, "{places}: {total}");
        }
    }

    #[test]
    fn extremes_have_probabilities() {
        let of = |logits| probabilities(logits).collect::<std::vec::Vec<f32>>();
        assert_eq!(of(&[]), []);
        assert_eq!(of(&[-5]), [1.0]);
        assert_eq!(of(&[i32::MIN, i32::MAX]), [0.0, 1.0]);
        assert_eq!(of(&[i32::MIN; 4]), [0.25; 4]);
    }
}
