//! The losses: of a target, and of a distribution.

use super::super::real::Real;
use super::{Back, Backward, Tape, Var};
use crate::simd::{sum, wide};

struct Divergence<F> {
    logits: Var,
    /// The gradient of the loss by the logits: probabilities, less those of
    /// what is to be learned; of a target that is one.
    slope: Vec<F>,
}

impl<F: Real> Backward<F> for Divergence<F> {
    fn kept(&mut self) -> Vec<F> {
        std::mem::take(&mut self.slope)
    }

    fn backward(&self, _: &[F], dy: Vec<F>, back: &mut Back<'_, F>) {
        let mut slope = back.buffer(self.slope.len());
        let cols = back.cols(self.logits);
        wide(
            #[inline(always)]
            || {
                let rows = self.slope.chunks_exact(cols).zip(&dy);
                for (out, (slope, &dy)) in slope.chunks_exact_mut(cols).zip(rows) {
                    out.iter_mut()
                        .zip(slope)
                        .for_each(|(out, &s)| *out = s * dy);
                }
            },
        );
        back.give(self.logits, slope);
        back.free(dy);
    }
}

impl<F: Real> Tape<'_, F> {
    /// `-ln p(target)` of each row of logits `[T, V]`: `[T, 1]`.
    pub fn cross_entropy(&mut self, logits: Var, targets: &[u32]) -> Var {
        let cols = self.cols(logits);
        let mut slope = self.pool.take(self.value(logits).len());
        let mut losses = self.pool.take(targets.len());
        let rows = self.value(logits).chunks_exact(cols);
        wide(
            #[inline(always)]
            || {
                let outs = slope.chunks_exact_mut(cols).zip(losses.iter_mut());
                for ((logits, &target), (slope, loss)) in rows.zip(targets).zip(outs) {
                    let target = target as usize;
                    *loss = softmax(logits, slope) - logits[target];
                    slope[target] = slope[target] - F::one();
                }
            },
        );
        self.push(1, losses, Divergence { logits, slope })
    }

    /// The Kullback-Leibler divergence of each row of logits `[T, V]` from one of `taught`
    /// `[T, V]`, logits too: `[T, 1]`.
    pub fn divergence(&mut self, logits: Var, taught: &[F]) -> Var {
        let cols = self.cols(logits);
        let mut slope = self.pool.take(taught.len());
        let mut losses = self.pool.take(taught.len() / cols);
        let mut wanted = self.pool.take(cols);
        let rows = self.value(logits).chunks_exact(cols);
        wide(
            #[inline(always)]
            || {
                let outs = slope.chunks_exact_mut(cols).zip(losses.iter_mut());
                for ((logits, taught), (slope, loss)) in
                    rows.zip(taught.chunks_exact(cols)).zip(outs)
                {
                    let own = softmax(logits, slope);
                    let other = softmax(taught, &mut wanted);
                    *loss = sum(cols, |c| wanted[c] * (taught[c] - logits[c])) + own - other;
                    for c in 0..cols {
                        slope[c] = slope[c] - wanted[c];
                    }
                }
            },
        );
        self.pool.give(wanted);
        self.push(1, losses, Divergence { logits, slope })
    }
}

/// The probabilities of logits; returns the logarithm of the sum that they were divided by.
#[inline(always)]
fn softmax<F: Real>(logits: &[F], probabilities: &mut [F]) -> F {
    let max = logits.iter().fold(F::neg_infinity(), |m, &l| m.max(l));
    let cols = logits.len();
    let probabilities = &mut probabilities[..cols];
    for c in 0..cols {
        probabilities[c] = (logits[c] - max).exp_fast();
    }
    let total = sum(cols, |c| probabilities[c]);
    let inverse = F::one() / total;
    probabilities.iter_mut().for_each(|p| *p *= inverse);
    total.ln() + max
}

#[cfg(test)]
mod tests {
    use super::super::{Param, Pool};
    use super::*;

    /// Two rows of four logits, by a head that reads ones; and what they are to become.
    const LOGITS: [f64; 4] = [0.3, -1.2, 2.0, 0.1];
    const TAUGHT: [f64; 8] = [1.0, 0.5, -0.7, 0.0, 1.3, -0.2, 3.0, 1.1];

    fn divergence(logits: &[f64], gradients: &mut [f64]) -> f64 {
        let mut pool = Pool::default();
        let mut tape = Tape::new(logits, &mut pool);
        let table = Param {
            offset: 0,
            rows: 1,
            cols: 4,
        };
        let rows = tape.embed(&[0, 0], table);
        let losses = tape.divergence(rows, &TAUGHT);
        let sum = tape.value(losses).iter().sum();
        tape.backward(losses, 1.0, gradients);
        sum
    }

    #[test]
    fn a_divergence_is_that_of_probabilities_and_has_its_slope() {
        let probabilities = |logits: &[f64]| -> Vec<f64> {
            let sum: f64 = logits.iter().map(|l| l.exp()).sum();
            logits.iter().map(|l| l.exp() / sum).collect()
        };
        let own = probabilities(&LOGITS);
        let expected: f64 = TAUGHT
            .chunks_exact(4)
            .flat_map(|taught| probabilities(taught).into_iter().zip(&own))
            .map(|(p, q)| p * (p / q).ln())
            .sum();
        let mut gradients = [0.0; 4];
        let found = divergence(&LOGITS, &mut gradients);
        assert!((found - expected).abs() < 1e-12, "{found} {expected}");
        for i in 0..4 {
            let at = |h: f64| {
                let mut logits = LOGITS;
                logits[i] += h;
                divergence(&logits, &mut [0.0; 4])
            };
            let slope = (at(1e-5) - at(-1e-5)) / 2e-5;
            assert!(
                (gradients[i] - slope).abs() < 1e-8,
                "{i}: {gradients:?} {slope}"
            );
        }
    }
}
