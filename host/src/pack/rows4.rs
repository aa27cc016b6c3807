//! The `Rows4` layout: blocks of four rows, as the DSP kernels read them.
//! `docs/format.md` is normative; `kinglet::kernels::portable` is the reader.

use kinglet::image::{BLOCK_ROWS, GROUP_COLS, STEP_COLS};

/// Packs int8 weights `[rows, cols]`: for each step of four columns a word
/// per row, even bytes with 128 added.
pub(super) fn int8(weights: &[i8], rows: usize, cols: usize) -> Vec<u8> {
    let at = |row, col| weight(weights, rows, cols, row, col) as u8;
    let mut out = Vec::with_capacity(rows.next_multiple_of(BLOCK_ROWS) * cols.next_multiple_of(4));
    for block in (0..rows).step_by(BLOCK_ROWS) {
        for col in (0..cols).step_by(STEP_COLS) {
            for row in block..block + BLOCK_ROWS {
                let bytes = [
                    at(row, col),
                    at(row, col + 1),
                    at(row, col + 2),
                    at(row, col + 3),
                ];
                out.extend([bytes[0] ^ 0x80, bytes[1], bytes[2] ^ 0x80, bytes[3]]);
            }
        }
    }
    out
}

/// Packs int4 weights `[rows, cols]`: for each group of 32 columns and each
/// eight columns of it a word per row, all nibbles but the fourth of a half
/// word with 8 added; then the four rows' scales.
pub(super) fn int4(weights: &[i8], group_scales: &[u8], rows: usize, cols: usize) -> Vec<u8> {
    let groups = cols.div_ceil(GROUP_COLS);
    let mut out = Vec::new();
    for block in (0..rows).step_by(BLOCK_ROWS) {
        for group in 0..groups {
            for col in (group * GROUP_COLS..(group + 1) * GROUP_COLS).step_by(8) {
                for row in block..block + BLOCK_ROWS {
                    out.extend(
                        nibbles(|i| weight(weights, rows, cols, row, col + i)).to_le_bytes(),
                    );
                }
            }
            let scale = |row| group_scales.get(row * groups + group).copied().unwrap_or(0);
            out.extend((block..block + BLOCK_ROWS).map(scale));
        }
    }
    out
}

fn nibbles(weight: impl Fn(usize) -> i8) -> u32 {
    let word = (0..8).fold(0, |word, i| word | (weight(i) as u32 & 15) << (4 * i));
    word ^ 0x0888_0888
}

/// A weight, or zero outside the matrix.
fn weight(weights: &[i8], rows: usize, cols: usize, row: usize, col: usize) -> i8 {
    if row < rows && col < cols {
        weights[row * cols + col]
    } else {
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quantize::quantize;
    use half::bf16;
    use kinglet::image::{matrix_weight_bytes, Bits, Matrix};
    use kinglet::kernels::portable;
    use proptest::prelude::*;

    /// Row-major sums in i64: the reference of every layout and kernel.
    fn exact_sums(q: &crate::quantize::Quantized, x: &[i8]) -> Vec<i64> {
        let groups = q.cols.div_ceil(GROUP_COLS);
        (0..q.rows)
            .map(|row| {
                (0..q.cols)
                    .map(|col| {
                        let scale = match q.bits {
                            Bits::Int8 => 1,
                            Bits::Int4 => {
                                i64::from(q.group_scales[row * groups + col / GROUP_COLS])
                            }
                        };
                        scale * i64::from(q.weights[row * q.cols + col]) * i64::from(x[col])
                    })
                    .sum()
            })
            .collect()
    }

    fn packed_sums(q: &crate::quantize::Quantized, x: &[i8]) -> Vec<i64> {
        let bytes = match q.bits {
            Bits::Int8 => int8(&q.weights, q.rows, q.cols),
            Bits::Int4 => int4(&q.weights, &q.group_scales, q.rows, q.cols),
        };
        assert_eq!(
            bytes.len() as u64,
            matrix_weight_bytes(q.bits, q.rows, q.cols)
        );
        let word = |b: &[u8]| u32::from_le_bytes([b[0], b[1], b[2], b[3]]);
        let weights: Vec<u32> = bytes.chunks_exact(4).map(word).collect();
        let scales = vec![bf16::ONE; q.rows.next_multiple_of(BLOCK_ROWS)];
        let matrix = Matrix {
            bits: q.bits,
            rows: q.rows,
            cols: q.cols,
            weights: &weights,
            scales: &scales,
        };
        let mut columns = x.to_vec();
        columns.resize(q.cols.next_multiple_of(GROUP_COLS), 0);
        let words: Vec<u32> = columns
            .chunks_exact(4)
            .map(|c| word(&[c[0] as u8, c[1] as u8, c[2] as u8, c[3] as u8]))
            .collect();
        let mut sums = vec![0; q.rows.next_multiple_of(BLOCK_ROWS)];
        portable::sums(&matrix, &words, &mut sums);
        sums.into_iter().take(q.rows).map(i64::from).collect()
    }

    proptest! {
        #[test]
        fn packed_sums_are_exact(
            (rows, cols, data, x) in (1usize..10, 1usize..80).prop_flat_map(|(rows, cols)| (
                Just(rows), Just(cols),
                proptest::collection::vec(-1.0f32..1.0, rows * cols),
                proptest::collection::vec(-127i8..=127, cols),
            ))
        ) {
            for bits in [Bits::Int8, Bits::Int4] {
                let q = quantize(&data, rows, cols, bits);
                prop_assert_eq!(packed_sums(&q, &x), exact_sums(&q, &x));
            }
        }
    }

    #[test]
    fn the_largest_sums_do_not_overflow() {
        let cols = kinglet::image::MAX_COLS;
        let x = vec![-127i8; cols];
        for (bits, weight) in [(Bits::Int8, -128i8), (Bits::Int4, -8)] {
            let mut q = quantize(&vec![1.0; 5 * cols], 5, cols, bits);
            q.weights.fill(weight);
            q.group_scales.fill(255);
            assert_eq!(packed_sums(&q, &x), exact_sums(&q, &x));
        }
    }
}
