//! One matrix, by what it reads.

use super::super::{quantize, quantize_weighed, Quantized};
use crate::linear::{add_product, factorize, substitute, substitute_back, turned, Rows, Wanted};
use kinglet::shape::{Bits, BLOCK_ROWS};

/// What a matrix reads, `[_, inputs]` each.
pub(super) struct Inputs<'a> {
    /// In the exact model.
    pub exact: &'a [f32],
    /// In the rounded one.
    pub rounded: &'a [f32],
}

/// Tokens that are summed up at a time: memory for their vectors in f64.
const CHUNK_TOKENS: usize = 512;

/// Weights whose rows are rounded at a time: memory for them in f64, three times.
const CHUNK_VALUES: usize = 1 << 22;

/// What is added to the diagonal of second moments, as a share of its mean: the text is
/// a sample.
const DAMPING: f64 = 0.1;

/// The matrix `[_, inputs]`, rounded so that its products with the rounded inputs are
/// near to those of the exact matrix with the exact inputs.
///
/// With second moments `H = X_r' X_r` and `C = X_e' X_r`, both damped, the nearest matrix
/// is `T = W C H^-1`. With `H = L L'` it is `Y L^-1`, where `Y = W C L'^-1`: column by column
/// from the last, `T[c] = (Y[c] - sum_{i > c} T[i] L[i, c]) / L[c, c]`. The rounded matrix is
/// what comes out where each column is rounded before the next one is computed: that
/// takes up the errors of those before. The columns of large moments are the first.
pub(super) fn compensated(
    matrix: &[f32],
    cols: usize,
    bits: Bits,
    inputs: &Inputs<'_>,
) -> Quantized {
    let n = cols;
    let (own, cross) = moments(inputs, n);
    let diagonal: Vec<f64> = own.iter().step_by(n + 1).copied().collect();
    let mean = diagonal.iter().sum::<f64>() / n as f64;
    let mut order: Vec<usize> = (0..n).collect();
    order.sort_by(|&a, &b| diagonal[a].total_cmp(&diagonal[b]).then(b.cmp(&a)));
    let Some(solver) = Solver::new(own, cross, DAMPING * mean, order) else {
        // Nothing comes in.
        return quantize(matrix, matrix.len() / n, n, bits);
    };
    let importance: Vec<f32> = diagonal.iter().map(|d| (d / mean) as f32).collect();
    let chunks = matrix.chunks((CHUNK_VALUES / n).next_multiple_of(BLOCK_ROWS) * n);
    let chunks = chunks.map(|rows| solver.round(rows, bits, &importance));
    chunks
        .reduce(Quantized::followed_by)
        .unwrap_or_else(|| quantize(&[], 0, n, bits))
}

/// Second moments `[n, n]`: of the rounded inputs, the lower half; and of the exact ones,
/// by row, with the rounded ones.
fn moments(inputs: &Inputs<'_>, n: usize) -> (Vec<f64>, Vec<f64>) {
    let (mut own, mut cross) = (vec![0.0; n * n], vec![0.0; n * n]);
    let chunk = CHUNK_TOKENS * n;
    for (exact, rounded) in inputs.exact.chunks(chunk).zip(inputs.rounded.chunks(chunk)) {
        let [exact, rounded] = [exact, rounded].map(wide);
        let tokens = rounded.len() / n;
        let by = Rows::new(&rounded, n);
        for (x, wanted, out) in [
            (&exact, Wanted::All, &mut cross),
            (&rounded, Wanted::Lower, &mut own),
        ] {
            let x = turned(Rows::new(x, n));
            add_product(Rows::new(&x, tokens), by, wanted, out, [n, 0]);
        }
    }
    (own, cross)
}

/// What all rows of a matrix share.
struct Solver {
    /// The columns, those of small moments first.
    order: Vec<usize>,
    /// L `[n, n]`, its columns in this order.
    factors: Vec<f64>,
    /// C `[n, n]`, likewise; its rows are in the matrix's order.
    cross: Vec<f64>,
}

impl Solver {
    /// Of second moments; `None` where no input is other than 0.
    fn new(own: Vec<f64>, mut cross: Vec<f64>, damping: f64, order: Vec<usize>) -> Option<Self> {
        let n = order.len();
        cross.iter_mut().step_by(n + 1).for_each(|d| *d += damping);
        let mut ordered = vec![0.0; n];
        for row in cross.chunks_exact_mut(n) {
            for (to, &col) in ordered.iter_mut().zip(&order) {
                *to = row[col];
            }
            row.copy_from_slice(&ordered);
        }
        let moment = |i: usize| {
            let (row, col) = (order[i / n], order[i % n]);
            let damped = if row == col { damping } else { 0.0 };
            own[row.max(col) * n + row.min(col)] + damped
        };
        let mut factors: Vec<f64> = (0..n * n).map(moment).collect();
        drop(own);
        factorize(&mut factors, n).then_some(Self {
            order,
            factors,
            cross,
        })
    }

    /// Some rows of the matrix, rounded.
    fn round(&self, rows: &[f32], bits: Bits, importance: &[f32]) -> Quantized {
        let Self { order, factors, .. } = self;
        let n = order.len();
        let mut values = vec![0.0; rows.len()];
        let weights = wide(rows);
        let (weights, cross) = (Rows::new(&weights, n), Rows::new(&self.cross, n));
        add_product(weights, cross, Wanted::All, &mut values, [n, 0]);
        substitute(factors, n, &mut values);
        let next = |row: &[f64], col: usize, sum: f64| (row[col] - sum) / factors[col * n + col];
        let mut target = values.clone();
        substitute_back(factors, n, &mut target, |_, col, sum, row| {
            next(row, col, sum)
        });
        let mut unordered = vec![0.0; target.len()];
        for (to, from) in unordered.chunks_exact_mut(n).zip(target.chunks_exact(n)) {
            let columns = order.iter().zip(from);
            columns.for_each(|(&col, &w)| to[col] = w as f32);
        }
        let mut out = quantize_weighed(&unordered, n, bits, importance);
        substitute_back(factors, n, &mut values, |row_index, col, sum, row| {
            let step = out.step(row_index, order[col]);
            out.nearest(next(row, col, sum) / step) * step
        });
        for (row, values) in values.chunks_exact(n).enumerate() {
            for (&col, value) in order.iter().zip(values) {
                out.weights[row * n + col] = out.nearest(value / out.step(row, col)) as i8;
            }
        }
        out
    }
}

fn wide(values: &[f32]) -> Vec<f64> {
    values.iter().map(|&x| f64::from(x)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use kinglet::Pcg32;

    /// Vectors whose numbers go together.
    fn inputs(rng: &mut Pcg32, tokens: usize, n: usize) -> Vec<f32> {
        let token = |_| {
            let common = rng.next_f32() - 0.5;
            let own = (0..n).map(|_| common + 0.3 * (rng.next_f32() - 0.5));
            own.collect::<Vec<_>>()
        };
        (0..tokens).flat_map(token).collect()
    }

    /// The squares of what products differ by.
    fn error(matrix: &[f32], q: &Quantized, inputs: &Inputs<'_>) -> f64 {
        let mut values = vec![0.0; matrix.len()];
        q.values(&mut values);
        let product = |row: &[f32], x: &[f32]| -> f64 {
            let products = row
                .iter()
                .zip(x)
                .map(|(w, x)| f64::from(*w) * f64::from(*x));
            products.sum()
        };
        let exact = inputs.exact.chunks_exact(q.cols);
        let tokens = exact.zip(inputs.rounded.chunks_exact(q.cols));
        let of_token = |(exact, rounded)| -> f64 {
            let rows = matrix.chunks_exact(q.cols).zip(values.chunks_exact(q.cols));
            let errors = rows.map(|(w, v)| product(w, exact) - product(v, rounded));
            errors.map(|error| error * error).sum()
        };
        tokens.map(of_token).sum()
    }

    #[test]
    fn products_are_nearer_than_those_of_rounded_weights() {
        let mut rng = Pcg32::new(4);
        let (rows, n) = (24, 80);
        let matrix: Vec<f32> = (0..rows * n).map(|_| rng.next_f32() - 0.5).collect();
        let (exact, fresh) = (inputs(&mut rng, 600, n), inputs(&mut rng, 200, n));
        // A stream that is off by a common share, as errors of earlier layers are.
        let off = |x: &[f32]| x.iter().map(|x| 0.95 * x).collect::<Vec<_>>();
        for (bits, share) in [(Bits::Int4, 0.2), (Bits::Int8, 0.05)] {
            let [rounded, fresh_rounded] = [&exact, &fresh].map(|x| off(x));
            let of = |exact, rounded| Inputs { exact, rounded };
            let q = compensated(&matrix, n, bits, &of(&exact, &rounded));
            let plain = quantize(&matrix, rows, n, bits);
            // On vectors that it was not made with.
            let fresh = of(&fresh, &fresh_rounded);
            let (own, plain) = (error(&matrix, &q, &fresh), error(&matrix, &plain, &fresh));
            assert!(own < share * plain, "{bits:?}: {own} of {plain}");
        }
    }

    /// However many blocks are rounded at a time.
    #[test]
    fn blocks_are_rounded_as_they_are_alone() {
        let mut rng = Pcg32::new(5);
        let (rows, n) = (9, 70);
        let matrix: Vec<f32> = (0..rows * n).map(|_| rng.next_f32() - 0.5).collect();
        let inputs_of_all = inputs(&mut rng, 200, n);
        let inputs = Inputs {
            exact: &inputs_of_all,
            rounded: &inputs_of_all,
        };
        for bits in Bits::ALL {
            let all = compensated(&matrix, n, bits, &inputs);
            let alone = matrix
                .chunks(BLOCK_ROWS * n)
                .map(|block| compensated(block, n, bits, &inputs));
            assert_eq!(alone.reduce(Quantized::followed_by).unwrap(), all);
        }
    }

    #[test]
    fn a_matrix_that_reads_nothing_is_rounded() {
        let matrix: Vec<f32> = (0..64).map(|i| i as f32).collect();
        let zeros = [0.0; 96];
        let inputs = Inputs {
            exact: &zeros,
            rounded: &zeros,
        };
        for bits in Bits::ALL {
            let plain = quantize(&matrix, 2, 32, bits);
            assert_eq!(compensated(&matrix, 32, bits, &inputs), plain);
        }
    }
}
