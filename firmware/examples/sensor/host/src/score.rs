//! Scores of a stream by a model and by a classical method, window by window.

use super::process::{Fault, FIRST, LEVELS, NORMAL};
use anyhow::{ensure, Context, Result};
use kinglet::{bits, Image, Session};
use std::cmp::Ordering;
use std::path::Path;

/// Samples of a window; the firmware has the same.
pub const WINDOW: usize = 64;

/// Percent of normal windows below the threshold.
const NORMAL_PERCENT: usize = 99;

/// Mean bits per sample of each window, in units of 2^-16. The first sample is not
/// scored: the first window begins after it.
pub fn model(path: &Path, samples: &[u8]) -> Result<Vec<u32>> {
    let read = || format!("cannot read the image {}", path.display());
    let file = std::fs::read(path).with_context(read)?;
    // An image is read where it lies, at a multiple of 16.
    let mut room = vec![0; file.len() + 15];
    let start = room.as_ptr().align_offset(16);
    let place = room.get_mut(start..start + file.len()).with_context(read)?;
    place.copy_from_slice(&file);
    let image = Image::new(place).with_context(|| path.display().to_string())?;
    let mut state = vec![0; image.shape().state_len()];
    let mut scratch = vec![0; image.shape().scratch_len()];
    let mut session = Session::new(&image, &mut state, &mut scratch)?;
    let pairs: Vec<_> = samples.iter().zip(&samples[1..]).collect();
    let windows = pairs.chunks_exact(WINDOW).map(|window| {
        let mut sum = 0;
        for (&last, &next) in window {
            sum += u64::from(bits(session.step(last.into())?, next.into()));
        }
        Ok((sum / WINDOW as u64) as u32)
    });
    windows.collect()
}

/// Bits from units of 2^-16.
pub fn in_bits(units: u32) -> f64 {
    f64::from(units) / 65_536.0
}

/// The score that `NORMAL_PERCENT` of normal windows stay below.
pub fn threshold<T: Copy + PartialOrd>(normal: &[T]) -> Result<T> {
    let mut sorted = normal.to_vec();
    sorted.sort_by(|a, b| a.partial_cmp(b).unwrap_or(Ordering::Equal));
    let rank = sorted.len() * NORMAL_PERCENT / 100;
    let threshold = sorted.get(rank);
    threshold.copied().context("there is no normal window")
}

/// The kind of a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Normal,
    /// At least half of it.
    Faulty(Fault),
    /// Less than half of it is faulty: neither to be found nor a false alarm.
    Edge,
}

/// The kind of each window.
pub fn kinds(labels: &[u8]) -> Vec<Kind> {
    let windows = labels.get(1..).unwrap_or_default().chunks_exact(WINDOW);
    windows.map(kind).collect()
}

fn kind(labels: &[u8]) -> Kind {
    let count = |letter: u8| labels.iter().filter(|label| **label == letter).count();
    if count(NORMAL) == WINDOW {
        return Kind::Normal;
    }
    let faulty = |fault: &Fault| 2 * count(fault.letter()) >= WINDOW;
    let fault = Fault::ALL.into_iter().find(faulty);
    fault.map_or(Kind::Edge, Kind::Faulty)
}

/// The area under the ROC curve: how often a window of `high` scores above
/// one of `low`; a tie is half.
pub fn auc(high: &[f64], low: &[f64]) -> f64 {
    let wins: f64 = high
        .iter()
        .flat_map(|h| low.iter().map(move |l| h.total_cmp(l)))
        .map(|order| f64::from(order as i8) * 0.5 + 0.5)
        .sum();
    wins / (high.len() * low.len()) as f64
}

/// Samples that the linear prediction looks back.
const ORDER: usize = 32;

/// Its weights and the constant.
const WEIGHTS: usize = ORDER + 1;

/// Linear prediction, the usual way: the next sample is a weighted sum of the
/// last ones, by least squares, with a normal error.
pub struct Linear {
    weights: [f64; WEIGHTS],
    variance: f64,
}

impl Linear {
    /// Learns from normal samples.
    pub fn learn(samples: &[u8]) -> Result<Self> {
        let mut sums = [[0.0; WEIGHTS + 1]; WEIGHTS];
        let mut squares = 0.0;
        for window in samples.windows(ORDER + 1) {
            let (input, next) = inputs(window);
            for (row, &a) in sums.iter_mut().zip(&input) {
                for (sum, &b) in row.iter_mut().zip(input.iter().chain([&next])) {
                    *sum += a * b;
                }
            }
            squares += next * next;
        }
        let count = samples.len().saturating_sub(ORDER);
        ensure!(count > WEIGHTS, "too few samples for a linear prediction");
        let moments: Vec<f64> = sums.iter().map(|row| row[WEIGHTS]).collect();
        let weights = solve(sums);
        let explained: f64 = weights.iter().zip(&moments).map(|(w, m)| w * m).sum();
        let variance = ((squares - explained) / count as f64).max(1e-9);
        Ok(Self { weights, variance })
    }

    /// Mean bits per sample of each window.
    pub fn score(&self, samples: &[u8]) -> Vec<f64> {
        let bits: Vec<f64> = (1..samples.len())
            .map(|at| self.bits(samples, at))
            .collect();
        let mean = |window: &[f64]| window.iter().sum::<f64>() / WINDOW as f64;
        bits.chunks_exact(WINDOW).map(mean).collect()
    }

    /// Before there are enough samples it has no opinion.
    fn bits(&self, samples: &[u8], at: usize) -> f64 {
        let Some(start) = at.checked_sub(ORDER) else {
            return f64::from(LEVELS).log2();
        };
        let (input, next) = inputs(&samples[start..=at]);
        let predicted: f64 = input.iter().zip(&self.weights).map(|(x, w)| x * w).sum();
        let error = next - predicted;
        let normal = (std::f64::consts::TAU * self.variance).log2() / 2.0;
        normal + error * error / (2.0 * self.variance) * std::f64::consts::LOG2_E
    }
}

/// The last samples and a 1, and the next sample.
fn inputs(window: &[u8]) -> ([f64; WEIGHTS], f64) {
    let level = |sample: u8| f64::from(sample) - f64::from(FIRST + LEVELS / 2);
    let mut input = [1.0; WEIGHTS];
    for (input, &sample) in input.iter_mut().zip(&window[..ORDER]) {
        *input = level(sample);
    }
    (input, level(window[ORDER]))
}

/// Gauss-Jordan elimination of a positive definite system; its right side is
/// the last column.
fn solve(mut rows: [[f64; WEIGHTS + 1]; WEIGHTS]) -> [f64; WEIGHTS] {
    for pivot in 0..WEIGHTS {
        let scale = rows[pivot][pivot];
        let scaled = rows[pivot].map(|value| value / scale);
        for (at, row) in rows.iter_mut().enumerate() {
            let factor = row[pivot];
            if at == pivot {
                *row = scaled;
            } else {
                row.iter_mut()
                    .zip(scaled)
                    .for_each(|(x, y)| *x -= factor * y);
            }
        }
    }
    rows.map(|row| row[WEIGHTS])
}

#[cfg(test)]
mod tests {
    use super::super::process;
    use super::*;

    #[test]
    fn areas_are_shares_of_pairs() {
        assert_eq!(auc(&[2.0, 3.0], &[0.0, 1.0]), 1.0);
        assert_eq!(auc(&[0.0], &[1.0, 2.0]), 0.0);
        assert_eq!(auc(&[1.0, 1.0], &[1.0]), 0.5);
        assert_eq!(auc(&[1.0, 3.0], &[2.0]), 0.5);
    }

    #[test]
    fn a_window_is_faulty_from_half_on() {
        let windows = [("k", 32), ("s", 31), (".", 64)].map(|(letter, count)| {
            let (fault, rest) = (letter.repeat(count), ".".repeat(WINDOW - count));
            fault + &rest
        });
        let labels = format!(".{}...", windows.concat());
        let expected = [Kind::Faulty(Fault::Knock), Kind::Edge, Kind::Normal];
        assert_eq!(kinds(labels.as_bytes()), expected);
    }

    #[test]
    fn a_threshold_leaves_one_in_a_hundred() {
        let normal: Vec<u32> = (0..200).collect();
        assert_eq!(threshold(&normal).unwrap(), 198);
        assert!(threshold::<u32>(&[]).is_err());
    }

    #[test]
    fn linear_prediction_learns_the_process() {
        let linear = Linear::learn(&process::normal(50_000, 1)).unwrap();
        let scores = linear.score(&process::normal(10_000, 2));
        let mean = scores[1..].iter().sum::<f64>() / (scores.len() - 1) as f64;
        // Bits of a level at random: 6.
        assert!((2.0..3.5).contains(&mean), "{mean}");
    }
}
