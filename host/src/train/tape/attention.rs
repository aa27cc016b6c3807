//! Causal self-attention: the Transformer that RWKV is compared with.

use super::super::real::Real;
use super::{Back, Backward, Tape, Var};
use crate::simd::{sum, wide};
use ndarray::linalg::general_mat_mul;
use ndarray::{ArrayView2, ArrayViewMut2, ShapeBuilder};
use std::ops::Range;

struct Attention<F> {
    inputs: [Var; 3],
    size: usize,
    /// The weights that each head and position gives to itself and those
    /// before, `[H, T, T]`.
    weights: Vec<F>,
}

/// Rows that are computed at once: their products are with all rows up to the last.
/// Few in tests, whose texts are to have several blocks.
const BLOCK: usize = if cfg!(test) { 4 } else { 64 };

/// All rows in ranges of [`BLOCK`]; the last may be shorter.
fn blocks(rows: usize) -> impl Iterator<Item = Range<usize>> {
    (0..rows)
        .step_by(BLOCK)
        .map(move |first| first..rows.min(first + BLOCK))
}

/// Some rows and columns of a matrix of `width` columns.
fn part<'d, F>(data: &'d [F], width: usize, [rows, cols]: [&Range<usize>; 2]) -> ArrayView2<'d, F> {
    let shape = (rows.len(), cols.len()).strides((width, 1));
    ArrayView2::from_shape(shape, &data[rows.start * width + cols.start..]).expect("a part")
}

/// The same, to be written.
fn part_mut<'d, F>(
    data: &'d mut [F],
    width: usize,
    [rows, cols]: [&Range<usize>; 2],
) -> ArrayViewMut2<'d, F> {
    let shape = (rows.len(), cols.len()).strides((width, 1));
    ArrayViewMut2::from_shape(shape, &mut data[rows.start * width + cols.start..]).expect("a part")
}

impl<F: Real> Tape<'_, F> {
    /// The values v `[T, C]` of all positions up to each, weighed by the
    /// softmax of q . k in heads of `size` channels.
    pub fn attention(&mut self, inputs: [Var; 3], size: usize) -> Var {
        let (rows, cols) = (self.rows(inputs[0]), self.cols(inputs[0]));
        let mut y = self.pool.take(rows * cols);
        let mut weights = self.pool.take(cols / size * rows * rows);
        let [q, k, v] = inputs.map(|input| self.value(input));
        let (one, scale) = (F::one(), F::one() / F::of(size as f64).sqrt());
        for (head, map) in weights.chunks_exact_mut(rows * rows).enumerate() {
            let head = head * size..(head + 1) * size;
            for own in blocks(rows) {
                let all = 0..own.end;
                let [k, v] = [k, v].map(|x| part(x, cols, [&all, &head]));
                let q = part(q, cols, [&own, &head]);
                let mut scores = part_mut(map, rows, [&own, &all]);
                general_mat_mul(scale, &q, &k.t(), F::zero(), &mut scores);
                for (t, mut row) in own.clone().zip(scores.rows_mut()) {
                    let (before, after) = row.as_slice_mut().expect("a row").split_at_mut(t + 1);
                    wide(|| softmax(before));
                    after.fill(F::zero());
                }
                let mut y = part_mut(&mut y, cols, [&own, &head]);
                general_mat_mul(one, &scores, &v, F::zero(), &mut y);
            }
        }
        let op = Attention {
            inputs,
            size,
            weights,
        };
        self.push(cols, y, op)
    }

    /// Rotary positions (Su et al., arXiv 2104.09864): in each head of `size`
    /// channels the pairs of a channel of the first half and one of the second,
    /// turned by the row's number times the pair's frequency.
    pub fn rotate(&mut self, x: Var, size: usize) -> Var {
        let cols = self.cols(x);
        let mut y = self.pool.take(self.value(x).len());
        y.copy_from_slice(self.value(x));
        let turns = turns(y.len() / cols, size);
        turn(&mut y, cols, &turns, F::one());
        self.push(cols, y, Rotate { x, turns })
    }
}

/// Cosine and sine of the turn of each pair at each position, `[T, size / 2]`.
fn turns<F: Real>(rows: usize, size: usize) -> Vec<[F; 2]> {
    let pairs = size / 2;
    let angle = |t: usize, i: usize| t as f64 * 1e4f64.powf(-(i as f64) / pairs as f64);
    let at = (0..rows).flat_map(|t| (0..pairs).map(move |i| angle(t, i)));
    at.map(|angle| [F::of(angle.cos()), F::of(angle.sin())])
        .collect()
}

/// Turns all pairs forwards, or back where `sign` is -1.
fn turn<F: Real>(x: &mut [F], cols: usize, turns: &[[F; 2]], sign: F) {
    let pairs = turns.len() / (x.len() / cols);
    for (row, turns) in x.chunks_exact_mut(cols).zip(turns.chunks_exact(pairs)) {
        for head in row.chunks_exact_mut(2 * pairs) {
            let (first, second) = head.split_at_mut(pairs);
            for (i, &[cos, sin]) in turns.iter().enumerate() {
                let (a, b, sin) = (first[i], second[i], sign * sin);
                first[i] = a * cos - b * sin;
                second[i] = a * sin + b * cos;
            }
        }
    }
}

#[inline(always)]
fn softmax<F: Real>(map: &mut [F]) {
    let max = map.iter().fold(F::neg_infinity(), |m, &w| m.max(w));
    map.iter_mut().for_each(|w| *w = (*w - max).exp_fast());
    let inverse = F::one() / sum(map.len(), |i| map[i]);
    map.iter_mut().for_each(|w| *w *= inverse);
}

impl<F: Real> Backward<F> for Attention<F> {
    fn kept(&mut self) -> Vec<F> {
        std::mem::take(&mut self.weights)
    }

    fn backward(&self, y: &[F], dy: Vec<F>, back: &mut Back<'_, F>) {
        let size = self.size;
        let cols = back.cols(self.inputs[0]);
        let rows = y.len() / cols;
        let [q, k, v] = self.inputs.map(|input| back.value(input));
        let mut slopes: [Vec<F>; 3] = std::array::from_fn(|_| back.zeros(y.len()));
        let [dq, dk, dv] = slopes.each_mut();
        let mut buffer = back.buffer(BLOCK * rows);
        let (one, scale) = (F::one(), F::one() / F::of(size as f64).sqrt());
        for (head, map) in self.weights.chunks_exact(rows * rows).enumerate() {
            let head = head * size..(head + 1) * size;
            for own in blocks(rows) {
                let all = 0..own.end;
                let [k, v] = [k, v].map(|x| part(x, cols, [&all, &head]));
                let [q, y, dy] = [q, y, &dy].map(|x| part(x, cols, [&own, &head]));
                let map = part(map, rows, [&own, &all]);
                let mut dmap = part_mut(&mut buffer, all.len(), [&(0..own.len()), &all]);
                general_mat_mul(one, &dy, &v.t(), F::zero(), &mut dmap);
                for (t, mut slopes) in dmap.rows_mut().into_iter().enumerate() {
                    let along = y.row(t).dot(&dy.row(t));
                    slopes.zip_mut_with(&map.row(t), |slope, &weight| {
                        *slope = scale * weight * (*slope - along);
                    });
                }
                let mut dq = part_mut(dq, cols, [&own, &head]);
                general_mat_mul(one, &dmap, &k, F::zero(), &mut dq);
                let [mut dk, mut dv] =
                    [&mut *dk, &mut *dv].map(|x| part_mut(x, cols, [&all, &head]));
                general_mat_mul(one, &dmap.t(), &q, one, &mut dk);
                general_mat_mul(one, &map.t(), &dy, one, &mut dv);
            }
        }
        back.free(buffer);
        back.give_all(self.inputs, slopes);
        back.free(dy);
    }
}

struct Rotate<F> {
    x: Var,
    turns: Vec<[F; 2]>,
}

impl<F: Real> Backward<F> for Rotate<F> {
    fn backward(&self, _: &[F], mut dy: Vec<F>, back: &mut Back<'_, F>) {
        turn(&mut dy, back.cols(self.x), &self.turns, -F::one());
        back.give(self.x, dy);
    }
}

#[cfg(test)]
mod tests {
    use super::super::Pool;
    use super::*;

    #[test]
    fn a_turned_product_depends_on_the_distance_alone() {
        const SIZE: usize = 8;
        const ROWS: usize = 6;
        let row = |first: f64| (0..SIZE).map(move |i| (first + i as f64).sin());
        // Queries and keys of all rows are alike; two heads, one of each.
        let values: Vec<f64> = (0..ROWS).flat_map(|_| row(1.0).chain(row(5.0))).collect();
        let mut pool = Pool::default();
        let mut tape = Tape::new(&[], &mut pool);
        let x = tape.push(2 * SIZE, values.clone(), Given);
        let y = tape.rotate(x, SIZE);
        let y = tape.value(y);
        assert_eq!(
            y[..2 * SIZE],
            values[..2 * SIZE],
            "position 0 is not turned"
        );
        let product = |t: usize, s: usize| {
            let (q, k) = (&y[2 * SIZE * t..], &y[2 * SIZE * s + SIZE..]);
            sum(SIZE, |i| q[i] * k[i])
        };
        for distance in 0..ROWS {
            for s in 0..ROWS - distance {
                let error = product(s + distance, s) - product(distance, 0);
                assert!(error.abs() < 1e-12, "{s} + {distance}: {error}");
            }
        }
        assert!((1..ROWS).any(|t| (product(t, 0) - product(0, 0)).abs() > 0.1));
    }

    struct Given;

    impl Backward<f64> for Given {
        fn backward(&self, _: &[f64], _: Vec<f64>, _: &mut Back<'_, f64>) {}
    }
}
