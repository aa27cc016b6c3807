//! The answer of a model of labels: the likeliest class and how likely it is.

use crate::math::exp;

/// A class and its probability.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Answer {
    /// The class, a row of the head; `Metadata::label` has its name.
    pub class: u32,
    /// Its share of the softmax of all logits, 0 to 1.
    pub probability: f32,
}

impl Answer {
    /// The likeliest class of logits `[classes]`, the first among equals;
    /// class 0 with probability 0 where there are none.
    pub fn of(logits: &[f32]) -> Self {
        let mut best = (0, f32::NEG_INFINITY);
        for (class, &logit) in (0..).zip(logits) {
            if logit > best.1 {
                best = (class, logit);
            }
        }
        let sum = logits
            .iter()
            .fold(0.0, |sum, logit| sum + exp(logit - best.1));
        Self {
            class: best.0,
            probability: if sum > 0.0 { 1.0 / sum } else { 0.0 },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Answer;

    #[test]
    fn the_likeliest_class_answers() {
        let answer = Answer::of(&[0.0, 2.0, 2.0, -1.0]);
        assert_eq!(answer.class, 1);
        let expected = 2.0f64.exp() / (1.0 + 2.0 * 2.0f64.exp() + (-1.0f64).exp());
        assert!((f64::from(answer.probability) - expected).abs() < 1e-6);
        assert_eq!(Answer::of(&[-3.0]).probability, 1.0);
        assert_eq!(Answer::of(&[]).probability, 0.0);
    }
}
