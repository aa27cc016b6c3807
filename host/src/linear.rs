//! Matrix products and a factorization with the same bits on every machine and
//! for any number of threads: each sum is taken in one order, and a product is rounded
//! before it is added. Libraries choose order and fused instructions by the
//! processor.

use num_traits::Float;
use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;
use std::ops::Range;

/// Columns that a tile sums at once.
const TILE_COLS: usize = 16;
/// Rows of it.
const TILE_ROWS: usize = 8;
/// Rows that a thread takes at once, and columns of a factor.
const BLOCK: usize = 64;
/// Summands of a panel, so that a tile's stay in the first cache.
const PANEL: usize = 256;

/// A number that products are made of.
pub(crate) trait Number: Float + Send + Sync {
    /// `sums[r] += sum_i a[r][i] b[i]`, in order of i, for each column.
    fn add_tile<S: Simd, const ROWS: usize>(
        simd: S,
        a: [&[Self]; ROWS],
        b: &[[Self; TILE_COLS]],
        sums: &mut [[Self; TILE_COLS]; ROWS],
    );
}

macro_rules! number {
    ($number:ty, $as_simd:ident, $as_mut_simd:ident, $splat:ident, $add:ident, $mul:ident) => {
        impl Number for $number {
            #[inline(always)]
            fn add_tile<S: Simd, const ROWS: usize>(
                simd: S,
                a: [&[Self]; ROWS],
                b: &[[Self; TILE_COLS]],
                sums: &mut [[Self; TILE_COLS]; ROWS],
            ) {
                let vectors = S::$as_simd(&sums[0]).0.len();
                for vector in 0..vectors {
                    let mut of_rows = [simd.$splat(0.0); ROWS];
                    for row in 0..ROWS {
                        of_rows[row] = S::$as_simd(&sums[row]).0[vector];
                    }
                    for (i, b) in b.iter().enumerate() {
                        let b = S::$as_simd(b).0[vector];
                        for row in 0..ROWS {
                            let product = simd.$mul(simd.$splat(a[row][i]), b);
                            of_rows[row] = simd.$add(of_rows[row], product);
                        }
                    }
                    for row in 0..ROWS {
                        S::$as_mut_simd(&mut sums[row]).0[vector] = of_rows[row];
                    }
                }
            }
        }
    };
}

number!(
    f32,
    as_simd_f32s,
    as_mut_simd_f32s,
    splat_f32s,
    add_f32s,
    mul_f32s
);
number!(
    f64,
    as_simd_f64s,
    as_mut_simd_f64s,
    splat_f64s,
    add_f64s,
    mul_f64s
);

/// Some columns of rows that lie one after the other, each `stride` long.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rows<'a, F> {
    data: &'a [F],
    stride: usize,
    first: usize,
    cols: usize,
}

impl<'a, F: Number> Rows<'a, F> {
    /// Whole rows of `cols`.
    pub fn new(data: &'a [F], cols: usize) -> Self {
        Self::part(data, cols, 0..cols)
    }

    /// The columns `cols` of rows of `stride`.
    pub fn part(data: &'a [F], stride: usize, cols: Range<usize>) -> Self {
        Self {
            data,
            stride,
            first: cols.start,
            cols: cols.len(),
        }
    }

    #[inline(always)]
    fn row(&self, row: usize) -> &'a [F] {
        &self.data[row * self.stride + self.first..][..self.cols]
    }

    fn len(&self) -> usize {
        self.data.len() / self.stride
    }

    /// The rows in strips of columns, one strip after the other, the last one padded.
    fn strips(&self) -> Vec<[F; TILE_COLS]> {
        let firsts = (0..self.cols).into_par_iter().step_by(TILE_COLS);
        let strip = |first: usize| {
            let cols = first..self.cols.min(first + TILE_COLS);
            (0..self.len()).map(move |row| {
                let mut strip = [F::zero(); TILE_COLS];
                strip[..cols.len()].copy_from_slice(&self.row(row)[cols.clone()]);
                strip
            })
        };
        firsts.flat_map_iter(strip).collect()
    }
}

/// Which elements of a product are wanted.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// All of them.
    All,
    /// Those on and below the diagonal, at least.
    Lower,
}

/// `out += a b`: `[m, k]` x `[k, n]`, into the columns of `out`, rows of `stride`, from
/// `first` on.
pub(crate) fn add_product<F: Number>(
    a: Rows<'_, F>,
    b: Rows<'_, F>,
    wanted: Wanted,
    out: &mut [F],
    [stride, first]: [usize; 2],
) {
    let (k, n) = (a.cols, b.cols);
    if k == 0 || n == 0 {
        return;
    }
    let strips = b.strips();
    let tasks = out.par_chunks_mut(BLOCK * stride).enumerate();
    tasks.for_each(|(task, out)| {
        let rows = task * BLOCK;
        let cols = match wanted {
            Wanted::All => n,
            Wanted::Lower => n.min(rows + BLOCK),
        };
        Arch::new().dispatch(AddRows {
            a,
            from: rows,
            strips: &strips,
            n: cols,
            out,
            place: [stride, first],
        });
    });
}

/// The part of a product in rows of `a` from `from` on, and in the first `n` columns.
struct AddRows<'t, F> {
    a: Rows<'t, F>,
    from: usize,
    strips: &'t [[F; TILE_COLS]],
    n: usize,
    out: &'t mut [F],
    /// Stride of `out`, and the first of its columns.
    place: [usize; 2],
}

impl<F: Number> WithSimd for AddRows<'_, F> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { a, n, .. } = self;
        let [stride, first] = self.place;
        for panel in (0..a.cols).step_by(PANEL) {
            let panel = panel..a.cols.min(panel + PANEL);
            let strips = self.strips.chunks_exact(a.cols);
            for (strip, col) in strips.zip((0..n).step_by(TILE_COLS)) {
                let strip = &strip[panel.clone()];
                let cols = first + col..first + n.min(col + TILE_COLS);
                for (tile, out) in self.out.chunks_mut(TILE_ROWS * stride).enumerate() {
                    let row = self.from + tile * TILE_ROWS;
                    if out.len() == TILE_ROWS * stride {
                        let mut rows: [&[F]; TILE_ROWS] = [&[]; TILE_ROWS];
                        for (i, of) in rows.iter_mut().enumerate() {
                            *of = &a.row(row + i)[panel.clone()];
                        }
                        add_tile(simd, rows, strip, &cols, out, stride);
                    } else {
                        for (i, out) in out.chunks_exact_mut(stride).enumerate() {
                            let rows = [&a.row(row + i)[panel.clone()]];
                            add_tile(simd, rows, strip, &cols, out, stride);
                        }
                    }
                }
            }
        }
    }
}

/// Adds the products of rows of a panel with a strip.
#[inline(always)]
fn add_tile<F: Number, S: Simd, const ROWS: usize>(
    simd: S,
    a: [&[F]; ROWS],
    strip: &[[F; TILE_COLS]],
    cols: &Range<usize>,
    out: &mut [F],
    stride: usize,
) {
    let mut sums = [[F::zero(); TILE_COLS]; ROWS];
    for (sums, out) in sums.iter_mut().zip(out.chunks_exact(stride)) {
        sums[..cols.len()].copy_from_slice(&out[cols.clone()]);
    }
    F::add_tile(simd, a, strip, &mut sums);
    for (sums, out) in sums.iter().zip(out.chunks_exact_mut(stride)) {
        out[cols.clone()].copy_from_slice(&sums[..cols.len()]);
    }
}

/// `[rows, cols]` -> `[cols, rows]`, of some columns of rows.
pub(crate) fn turned<F: Number>(rows: Rows<'_, F>) -> Vec<F> {
    let column = |col: usize| (0..rows.len()).map(move |row| rows.row(row)[col]);
    let columns = (0..rows.cols).into_par_iter();
    columns.flat_map_iter(column).collect()
}

/// Factorizes in place the symmetric positive definite matrix `[n, n]`, of which the lower
/// half is read: `L L'`, L being lower. Returns false where a pivot is not positive.
pub(crate) fn factorize(data: &mut [f64], n: usize) -> bool {
    for from in (0..n).step_by(BLOCK) {
        let block = from..n.min(from + BLOCK);
        let (above, below) = data.split_at_mut(block.end * n);
        let diagonal = &mut above[from * n..];
        if !factorize_block(diagonal, n, &block) {
            return false;
        }
        divide(below, diagonal, n, &block);
        let panel = turned(Rows::part(below, n, block.clone()));
        subtract(below, n, &block, &panel, Wanted::Lower);
    }
    true
}

/// `b L'^-1` of each row b of n, in place.
pub(crate) fn substitute(l: &[f64], n: usize, rows: &mut [f64]) {
    for from in (0..n).step_by(BLOCK) {
        let block = from..n.min(from + BLOCK);
        divide(rows, &l[from * n..block.end * n], n, &block);
        let panel = turned(Rows::part(&l[block.end * n..], n, block.clone()));
        subtract(rows, n, &block, &panel, Wanted::All);
    }
}

/// The columns of a block, in rows that those left of it were subtracted from.
fn divide(rows: &mut [f64], diagonal: &[f64], n: usize, block: &Range<usize>) {
    rows.par_chunks_exact_mut(n).for_each(|row| {
        for col in block.clone() {
            let factors = &diagonal[(col - block.start) * n..];
            let known = (block.start..col).map(|i| row[i] * factors[i]);
            row[col] = (row[col] - known.sum::<f64>()) / factors[col];
        }
    });
}

/// Subtracts the columns of a block times `panel`, those columns of L below it, turned.
fn subtract(rows: &mut [f64], n: usize, block: &Range<usize>, panel: &[f64], wanted: Wanted) {
    let of_block = rows.par_chunks_exact(n);
    let less = of_block.flat_map_iter(|row| row[block.clone()].iter().map(|x| -x));
    let less: Vec<f64> = less.collect();
    let (a, b) = (
        Rows::new(&less, block.len()),
        Rows::new(panel, n - block.end),
    );
    add_product(a, b, wanted, rows, [n, block.end]);
}

/// Factorizes the rows of a block on the diagonal, whose columns left of it are done.
fn factorize_block(rows: &mut [f64], n: usize, block: &Range<usize>) -> bool {
    for row in 0..block.len() {
        let (done, own) = rows.split_at_mut(row * n);
        let own = &mut own[..n];
        for col in 0..=row {
            let at = block.start + col;
            let known = block.start..at;
            let factors = done.get(col * n..).unwrap_or_default();
            let sum: f64 = match col == row {
                true => known.map(|i| own[i] * own[i]).sum(),
                false => known.map(|i| own[i] * factors[i]).sum(),
            };
            let rest = own[at] - sum;
            if col < row {
                own[at] = rest / factors[at];
            } else if rest > 0.0 {
                own[at] = rest.sqrt();
            } else {
                return false;
            }
        }
    }
    true
}

/// From the last column to the first: `x[c] = f(row, c, sum_{i > c} x[i] L[i, c])`, for
/// each row of n, in place; `f` is given the row before, but for what is done.
pub(crate) fn substitute_back(
    l: &[f64],
    n: usize,
    rows: &mut [f64],
    f: impl Fn(usize, usize, f64, &[f64]) -> f64 + Sync,
) {
    let count = rows.len() / n;
    for from in (0..n).step_by(BLOCK).rev() {
        let block = from..n.min(from + BLOCK);
        let mut sums = vec![0.0; count * block.len()];
        let done = Rows::part(rows, n, block.end..n);
        let factors = &l[block.end * n..];
        let factors = Rows::part(factors, n, block.clone());
        add_product(done, factors, Wanted::All, &mut sums, [block.len(), 0]);
        let sums = sums.par_chunks_exact_mut(block.len());
        let rows = rows.par_chunks_exact_mut(n).zip(sums).enumerate();
        rows.for_each(|(index, (row, sums))| {
            for at in (0..block.len()).rev() {
                let col = from + at;
                let x = f(index, col, sums[at], row);
                row[col] = x;
                let factors = &l[col * n + from..][..at];
                let sums = sums.iter_mut().zip(factors);
                sums.for_each(|(sum, factor)| *sum += x * factor);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kinglet::Pcg32;

    fn random(rng: &mut Pcg32, len: usize) -> Vec<f64> {
        (0..len).map(|_| f64::from(rng.next_f32()) - 0.5).collect()
    }

    /// `a b`, in the plainest way.
    fn product(a: &[f64], b: &[f64], k: usize, n: usize) -> Vec<f64> {
        let element = |i: usize| -> f64 {
            let (row, col) = (i / n, i % n);
            (0..k).map(|j| a[row * k + j] * b[j * n + col]).sum()
        };
        (0..a.len() / k * n).map(element).collect()
    }

    fn close(a: &[f64], b: &[f64]) {
        assert_eq!(a.len(), b.len());
        let error = a.iter().zip(b).map(|(a, b)| (a - b).abs());
        assert!(error.fold(0.0, f64::max) < 1e-9);
    }

    #[test]
    fn products_are_those_of_the_definition() {
        let mut rng = Pcg32::new(1);
        for [m, k, n] in [[1, 1, 1], [3, 5, 2], [70, 300, 40], [130, 17, 33]] {
            let (a, b) = (random(&mut rng, m * k), random(&mut rng, k * n));
            let mut out = vec![0.0; m * (n + 3)];
            let (rows, cols) = (Rows::new(&a, k), Rows::new(&b, n));
            add_product(rows, cols, Wanted::All, &mut out, [n + 3, 2]);
            let got: Vec<f64> = out
                .chunks(n + 3)
                .flat_map(|row| row[2..n + 2].to_vec())
                .collect();
            close(&got, &product(&a, &b, k, n));
            assert!(out
                .chunks(n + 3)
                .all(|row| row[0] == 0.0 && row[n + 2] == 0.0));
        }
    }

    /// The sums of a product do not depend on which rows are computed together.
    #[test]
    fn a_row_has_the_same_bits_alone() {
        let mut rng = Pcg32::new(2);
        let (k, n) = (700, 50);
        let (a, b) = (random(&mut rng, 131 * k), random(&mut rng, k * n));
        let mut all = vec![0.0; 131 * n];
        add_product(
            Rows::new(&a, k),
            Rows::new(&b, n),
            Wanted::All,
            &mut all,
            [n, 0],
        );
        for (row, all) in a.chunks(k).zip(all.chunks(n)) {
            let mut one = vec![0.0; n];
            add_product(
                Rows::new(row, k),
                Rows::new(&b, n),
                Wanted::All,
                &mut one,
                [n, 0],
            );
            assert_eq!(one, all);
        }
    }

    /// On a machine without vectors, too.
    #[test]
    fn products_have_the_same_bits_without_vectors() {
        let mut rng = Pcg32::new(4);
        let (k, n) = (300, 40);
        let (a, b) = (random(&mut rng, 21 * k), random(&mut rng, k * n));
        let (rows, cols) = (Rows::new(&a, k), Rows::new(&b, n));
        let [mut wide, mut plain] = [vec![0.0; 21 * n], vec![0.0; 21 * n]];
        add_product(rows, cols, Wanted::All, &mut wide, [n, 0]);
        AddRows {
            a: rows,
            from: 0,
            strips: &cols.strips(),
            n,
            out: &mut plain,
            place: [n, 0],
        }
        .with_simd(pulp::Scalar::new());
        assert_eq!(wide, plain);
    }

    #[test]
    fn factors_solve_equations() {
        let mut rng = Pcg32::new(3);
        for n in [1, 7, 64, 65, 200] {
            let x = random(&mut rng, 2 * n * n);
            let mut h = product(&turned(Rows::new(&x, n)), &x, 2 * n, n);
            (0..n).for_each(|i| h[i * n + i] += 0.1);
            let b = random(&mut rng, 5 * n);
            let (mut l, mut solved) = (h.clone(), b.clone());
            assert!(factorize(&mut l, n));
            substitute(&l, n, &mut solved);
            substitute_back(&l, n, &mut solved, |_, col, sum, row| {
                (row[col] - sum) / l[col * n + col]
            });
            close(&product(&solved, &h, n, n), &b);
        }
        assert!(!factorize(&mut [1.0, 0.0, 2.0, 1.0], 2));
    }
}
