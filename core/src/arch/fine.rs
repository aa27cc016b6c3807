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
//!
//! A port may multiply 128 q + p at once, where sums of these fit into 32 bits
//! ([`Port::FINE`]): its sums are 128 S + P, of which the same follows.

use super::product::{arrange, is_native, scale, sums, vector_words, Prepared, Quantizer, Scale};
use super::{Native, Port, Portable};
use crate::number::{divide, smaller, Peak};
use crate::shape::{Bits, Matrix, BLOCK_ROWS, FINE_COLS};

/// Steps of the largest magnitude.
const STEPS: u32 = 126;

/// Places of the low part.
const PLACES: u32 = 7;

/// Rows whose low sums are computed at a time.
const ROWS: usize = 8 * BLOCK_ROWS;

/// How a vector of 16 bits is quantized.
#[doc(hidden)]
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct FineQuantizer {
    /// Of the high part.
    pub high: Quantizer,
    /// Of what that leaves.
    pub low: Quantizer,
    /// A step of the high part, in 126ths of a unit of 16 bits.
    pub step: i32,
}

impl FineQuantizer {
    /// Of a vector with this largest magnitude.
    fn up_to(max: u32) -> Self {
        let (high, step) = Quantizer::up_to(max, STEPS);
        let inverse = divide(1 << (22 + PLACES), step as u32, 16) as i32;
        let low = Quantizer {
            left: 0,
            // Of 15 bits; 2^15 where the vector is nothing.
            inverse: smaller(inverse, 32_767),
        };
        Self { high, low, step }
    }

    /// What the high part leaves of an element, for the quantizer of the low one.
    #[inline(always)]
    fn rest(self, x: i32) -> i32 {
        // Half of a step at most, and rounding errors.
        let all = self.high.in_16_bits(x).wrapping_mul(STEPS as i32);
        all.wrapping_sub(self.high.of(x).wrapping_mul(self.step)) << 16
    }
}

/// As [`super::prepare`]: for a port that takes it so the whole vector, else the high
/// part, then the low one.
#[inline(never)]
pub(super) fn prepare<'a>(
    x: &mut [i32],
    peak: Peak,
    matrix: &Matrix<'_>,
    words: &'a mut [u32],
) -> Prepared<'a> {
    let quantizer = FineQuantizer::up_to(peak.max);
    if is_whole(matrix) {
        Native::prepare_fine(x, quantizer, words);
    } else {
        let (high, rest) = split(words, vector_words(matrix));
        arrange(x, quantizer.high, matrix, high);
        x.iter_mut().for_each(|x| *x = quantizer.rest(*x));
        let (low, _) = split(rest, vector_words(matrix));
        arrange(x, quantizer.low, matrix, low);
    }
    let scale = Scale::of(quantizer.high, quantizer.step, peak);
    Prepared::left_in(words, scale, matrix)
}

/// Whether the port of this build multiplies the whole vector at once.
#[inline(always)]
fn is_whole(matrix: &Matrix<'_>) -> bool {
    let fits = matrix.bits == Bits::Int8 && matrix.cols <= FINE_COLS;
    Native::FINE && is_native(matrix.layout) && fits
}

/// The first words, and those after them; none where there are too few.
fn split(words: &mut [u32], len: usize) -> (&mut [u32], &mut [u32]) {
    words.split_at_mut_checked(len).unwrap_or_default()
}

/// As [`super::matvec`], with a vector of 16 bits.
#[inline(never)]
pub(super) fn matvec(matrix: &Matrix<'_>, x: &Prepared<'_>, out: &mut [i32]) {
    if is_whole(matrix) {
        Native::fine_sums(matrix, x.words(), out);
        out.iter_mut()
            .for_each(|sum| *sum = shifted(*sum, matrix.shift));
    } else {
        let halves = x.words().split_at_checked(vector_words(matrix));
        let (high, low) = halves.unwrap_or_default();
        sums(matrix, high, out);
        add_low(matrix, out, |rows, out| sums(rows, low, out));
    }
    scale(matrix.scales, x.scale().max16, 0, out);
}

/// `S'` of a sum 128 S + P: `sum 2^shift / 128`, rounded.
#[inline(always)]
fn shifted(sum: i32, shift: u32) -> i32 {
    let (left, right) = (shift.saturating_sub(PLACES), PLACES.saturating_sub(shift));
    let half = 1i32.wrapping_shl(right) >> 1;
    (sum.wrapping_add(half) >> right).wrapping_shl(left)
}

/// Makes of the high part's sums those of the vector, after the shift. `sums` computes
/// the low part's of some rows.
fn add_low(matrix: &Matrix<'_>, out: &mut [i32], sums: impl Fn(&Matrix<'_>, &mut [i32])) {
    let mut rest = *matrix;
    let mut low_sums = [0; ROWS];
    let padded = matrix.rows.next_multiple_of(BLOCK_ROWS).min(out.len());
    let (rows_out, _) = out.split_at_mut_checked(padded).unwrap_or_default();
    for out in rows_out.chunks_mut(ROWS) {
        let (rows, next) = rest.split_at_block(ROWS / BLOCK_ROWS);
        sums(&rows, &mut low_sums);
        for (out, &low) in out.iter_mut().zip(&low_sums) {
            let low = low.wrapping_shl(matrix.shift);
            let low = low.wrapping_add(1 << (PLACES - 1)) >> PLACES;
            *out = out.wrapping_shl(matrix.shift).wrapping_add(low);
        }
        rest = next;
    }
}

/// What `prepare` and `matvec` give, by [`Portable`] in two parts: what a port that
/// takes the whole vector must equal. `words` hold a part.
#[doc(hidden)]
pub fn product_in_parts(
    x: &mut [i32],
    peak: Peak,
    matrix: &Matrix<'_>,
    words: &mut [u32],
    out: &mut [i32],
) {
    let quantizer = FineQuantizer::up_to(peak.max);
    Portable::prepare(x, quantizer.high, matrix.bits, words);
    Portable::sums(matrix, words, out);
    x.iter_mut().for_each(|x| *x = quantizer.rest(*x));
    Portable::prepare(x, quantizer.low, matrix.bits, words);
    add_low(matrix, out, |rows, out| Portable::sums(rows, words, out));
    scale(matrix.scales, quantizer.step, 0, out);
}

#[cfg(test)]
mod tests {
    use super::super::{matvec, prepare, product_exp, Peak};
    use super::shifted;
    use crate::shape::{matrix_weight_words, prepared_words, Bits, Layout, Matrix, Scales};
    use crate::Pcg32;
    use std::vec;
    use std::vec::Vec;

    /// A vector of 16 bits gives what the vector itself gives, to 2^-14 of its largest
    /// magnitude in each element, and one of eight bits to 2^-8; at any magnitude.
    #[test]
    fn a_fine_product_is_nearer_to_the_exact_one() {
        const COLS: usize = 100;
        const ROWS: usize = if cfg!(miri) { 10 } else { 70 };
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

    #[test]
    fn a_sum_of_the_whole_vector_is_shifted_as_those_of_its_parts() {
        let mut rng = Pcg32::new(8);
        for shift in 0..=20 {
            for _ in 0..1000 {
                let high = rng.next_u32() as i32 >> (9 + shift.max(4));
                let low = rng.next_u32() as i32 >> (10 + shift.max(4));
                let in_parts = (high << shift) + (((low << shift) + 64) >> 7);
                assert_eq!(shifted(128 * high + low, shift), in_parts, "{shift}");
            }
        }
    }
}
