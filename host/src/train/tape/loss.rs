//! The loss.

use super::super::real::Real;
use super::{Back, Backward, Tape, Var};
use crate::simd::{sum, wide};

struct CrossEntropy<F> {
    logits: Var,
    /// The gradient of the loss by the logits: probabilities, less one at
    /// the target.
    slope: Vec<F>,
}

impl<F: Real> Backward<F> for CrossEntropy<F> {
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
                    let max = logits.iter().fold(F::neg_infinity(), |m, &l| m.max(l));
                    for c in 0..cols {
                        slope[c] = (logits[c] - max).exp_fast();
                    }
                    let total = sum(cols, |c| slope[c]);
                    let target = target as usize;
                    *loss = total.ln() + max - logits[target];
                    let inverse = F::one() / total;
                    slope.iter_mut().for_each(|slope| *slope *= inverse);
                    slope[target] = slope[target] - F::one();
                }
            },
        );
        self.push(1, losses, CrossEntropy { logits, slope })
    }
}
