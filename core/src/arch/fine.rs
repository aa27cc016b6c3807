//! Vectors of 16 bits in products with vectors of eight.
//!
//! ```text
//! q[c] = round(126 x[c] / max)                      the high part
//! p[c] = round(128 (126 x[c] / max - q[c]))         the low part, |p| <= 66
//! S'[r] = S[r] 2^shift + P[r] 2^shift / 128
//! ```
//!
//! with sums `S` and `P` of a row with `q` and `p`, of the kernels for eight bits; `S'` is
//! scaled as a sum after its shift. The vector takes 126 steps, not 127, so that with its
//! low part it has no more than these: the shift that the packer found leaves room for both.

use super::product::{arrange, scale, sums, vector_words, Prepared, Quantizer, Scale};
use crate::number::{divide, smaller, Peak};
use crate::shape::{Matrix, BLOCK_ROWS};

/// Steps of the largest magnitude.
const STEPS: u32 = 126;

/// Places of the low part.
const PLACES: u32 = 7;

/// Rows whose low sums are computed at a time.
const ROWS: usize = 8 * BLOCK_ROWS;

/// As [`super::prepare`]: the high part, then the low one.
#[inline(never)]
pub(super) fn prepare<'a>(
    x: &mut [i32],
    peak: Peak,
    matrix: &Matrix<'_>,
    words: &'a mut [u32],
) -> Prepared<'a> {
    let (quantizer, max16) = Quantizer::up_to(peak.max, STEPS);
    let (high, rest) = split(words, vector_words(matrix));
    arrange(x, quantizer, matrix, high);
    let of_rest = leave_rest(quantizer, max16, x);
    let (low, _) = split(rest, vector_words(matrix));
    arrange(x, of_rest, matrix, low);
    Prepared::left_in(words, Scale::of(quantizer, max16, peak), matrix)
}

/// The first words, and those after them; none where there are too few.
fn split(words: &mut [u32], len: usize) -> (&mut [u32], &mut [u32]) {
    words.split_at_mut_checked(len).unwrap_or_default()
}

/// Puts into `x` what the high part leaves of it, and returns the quantizer of that.
fn leave_rest(quantizer: Quantizer, max16: i32, x: &mut [i32]) -> Quantizer {
    for x in x {
        // In 126ths of a unit of 16 bits: half of max16 at most, and rounding errors.
        let all = quantizer.in_16_bits(*x).wrapping_mul(STEPS as i32);
        let rest = all.wrapping_sub(quantizer.of(*x).wrapping_mul(max16));
        *x = rest << 16;
    }
    let inverse = divide(1 << (22 + PLACES), max16 as u32, 16) as i32;
    Quantizer {
        left: 0,
        // Of 15 bits; 2^15 where the vector is nothing.
        inverse: smaller(inverse, 32_767),
    }
}

/// As [`super::matvec`], with a vector of two parts.
#[inline(never)]
pub(super) fn matvec(matrix: &Matrix<'_>, x: &Prepared<'_>, out: &mut [i32]) {
    let halves = x.words().split_at_checked(vector_words(matrix));
    let (high, low) = halves.unwrap_or_default();
    sums(matrix, high, out);
    let mut rest = *matrix;
    let mut low_sums = [0; ROWS];
    let padded = matrix.rows.next_multiple_of(BLOCK_ROWS).min(out.len());
    let (rows_out, _) = out.split_at_mut_checked(padded).unwrap_or_default();
    for out in rows_out.chunks_mut(ROWS) {
        let (rows, next) = rest.split_at_block(ROWS / BLOCK_ROWS);
        sums(&rows, low, &mut low_sums);
        for (out, &low) in out.iter_mut().zip(&low_sums) {
            let low = low.wrapping_shl(matrix.shift);
            let low = low.wrapping_add(1 << (PLACES - 1)) >> PLACES;
            *out = out.wrapping_shl(matrix.shift).wrapping_add(low);
        }
        rest = next;
    }
    scale(matrix.scales, x.scale().max16, 0, out);
}

#[cfg(test)]
mod tests {
    use super::super::{matvec, prepare, product_exp, Peak};
    use crate::shape::{matrix_weight_words, prepared_words, Bits, Layout, Matrix, Scales};
    use crate::Pcg32;
    use std::vec;
    use std::vec::Vec;

    /// A vector of 16 bits gives what the vector itself gives, to 2^-14 of its largest
    /// magnitude in each element, and one of eight bits to 2^-8; at any magnitude.
    #[test]
    fn a_fine_product_is_nearer_to_the_exact_one() {
        const COLS: usize = 100;
        const ROWS: usize = 70;
        let layout = Layout::Lanes16;
        let mut rng = Pcg32::new(7);
        for (shift, places) in [(1, 6), (12, 0), (30, 11)] {
            let words = matrix_weight_words(layout, Bits::Int8, ROWS, COLS);
            let weights: Vec<u32> = (0..words).map(|_| rng.next_u32()).collect();
            let scales = vec![32_767; ROWS.next_multiple_of(4)];
            let factors = Scales::Rows(&scales);
            let mut matrix = Matrix::new(layout, Bits::Int8, [ROWS, COLS], &weights, factors);
            matrix.shift = places;
            let x: Vec<i32> = (0..COLS).map(|_| rng.next_u32() as i32 >> shift).collect();
            let max = x.iter().map(|x| x.unsigned_abs()).max().unwrap();
            // Four rows by sixteen columns lie together, row by row.
            let bytes: &[i8] = bytemuck::cast_slice(&weights);
            let weight = |row: usize, col: usize| {
                let block = row / 4 * 4 * COLS.next_multiple_of(16);
                f64::from(bytes[block + col / 16 * 64 + row % 4 * 16 + col % 16])
            };
            let exact = |row: usize| -> f64 {
                (0..COLS)
                    .map(|col| weight(row, col) * f64::from(x[col]))
                    .sum()
            };
            let largest = (0..ROWS).fold(0.0f64, |most, row| most.max(exact(row).abs()));
            let error = |matrix: Matrix<'_>, steps: f64| {
                let mut words = vec![0; 2 * prepared_words(layout, Bits::Int8, COLS)];
                let mut out = vec![0; scales.len()];
                let prepared = prepare(&mut x.clone(), Peak { max, exp: 0 }, &matrix, &mut words);
                matvec(&matrix, &prepared, &mut out);
                let unit = f64::from(product_exp(&matrix, prepared.scale())).exp2();
                let unit = unit * f64::from(1 << (31 - 15)) / f64::from(1 << places) / 0.99997;
                let errors = (0..ROWS).map(|row| {
                    let value = f64::from(out[row]) * unit / steps;
                    (value - exact(row)).abs() / largest
                });
                errors.fold(0.0, f64::max)
            };
            let (coarse, fine) = (error(matrix, 127.0), error(matrix.with_fine(), 126.0));
            assert!(fine < 2e-4 && coarse > 1e-3, "{shift}: {fine} {coarse}");
        }
    }
}
