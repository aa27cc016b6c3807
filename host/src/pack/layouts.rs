//! Arranging the weights of a matrix: one function per layout and precision.
//! `docs/format.md` is normative; `kinglet::arch::Portable` is the reader.

use crate::quantize::Quantized;
use kinglet::shape::{Bits, Layout, BLOCK_ROWS, GROUP_COLS};

/// The weights of `q` in `layout`, without row scales and padding.
pub(super) fn pack(q: &Quantized, layout: Layout) -> Vec<u8> {
    let blocks = (0..q.rows).step_by(BLOCK_ROWS);
    let mut out = Vec::new();
    for row in blocks {
        let block = Block { q, row };
        match (layout, q.bits) {
            (Layout::Rows4 | Layout::Pairs, Bits::Int8) => {
                block.words(&mut out, layout.flipped(q.bits));
            }
            (Layout::Lanes16, Bits::Int8) => block.vectors(&mut out),
            (Layout::Rows4, Bits::Int6) => block.groups(&mut out, Block::rows4_group6),
            (Layout::Pairs, Bits::Int6) => block.groups(&mut out, Block::pairs_group6),
            (Layout::Lanes16, Bits::Int6) => block.groups(&mut out, Block::lanes16_group6),
            (Layout::Rows4, Bits::Int4) => block.groups(&mut out, Block::rows4_group),
            (Layout::Pairs, Bits::Int4) => block.groups(&mut out, Block::pairs_group),
            (Layout::Lanes16, Bits::Int4) => block.groups(&mut out, Block::lanes16_group),
        }
    }
    out
}

/// Four rows of a matrix, from `row` on.
struct Block<'q> {
    q: &'q Quantized,
    row: usize,
}

impl Block<'_> {
    /// A weight, or zero outside the matrix.
    fn weight(&self, row: usize, col: usize) -> i8 {
        let row = self.row + row;
        if row < self.q.rows && col < self.q.cols {
            self.q.weights[row * self.q.cols + col]
        } else {
            0
        }
    }

    /// int8: for each step of four columns a word per row, some bits flipped.
    fn words(&self, out: &mut Vec<u8>, flipped: u32) {
        for col in (0..self.q.cols).step_by(4) {
            for row in 0..BLOCK_ROWS {
                let word = [0, 1, 2, 3].map(|i| self.weight(row, col + i) as u8);
                out.extend((u32::from_le_bytes(word) ^ flipped).to_le_bytes());
            }
        }
    }

    /// int8: for each step of 16 columns a vector per row.
    fn vectors(&self, out: &mut Vec<u8>) {
        for col in (0..self.q.cols).step_by(16) {
            for row in 0..BLOCK_ROWS {
                out.extend((col..col + 16).map(|col| self.weight(row, col) as u8));
            }
        }
    }

    /// int4 and int6: for each group of 32 columns what `write` makes of it, then the
    /// scales of the four rows.
    fn groups(&self, out: &mut Vec<u8>, write: fn(&Self, &mut Vec<u8>, usize)) {
        let groups = self.q.cols.div_ceil(GROUP_COLS);
        for group in 0..groups {
            write(self, out, group * GROUP_COLS);
            let rows = self.row..self.row + BLOCK_ROWS;
            let scale = |row| self.q.group_scales.get(row * groups + group).copied();
            out.extend(rows.map(|row| scale(row).unwrap_or(0)));
        }
    }

    /// Nibbles from `col` on, the first in the lowest bits.
    fn nibbles(&self, row: usize, col: usize, count: usize) -> u32 {
        let nibble = |i| (self.weight(row, col + i) as u32 & 15) << (4 * i);
        (0..count).map(nibble).sum()
    }

    /// For each eight columns a word per row.
    fn rows4_group(&self, out: &mut Vec<u8>, group: usize) {
        for col in (group..group + GROUP_COLS).step_by(8) {
            for row in 0..BLOCK_ROWS {
                let word = self.nibbles(row, col, 8) ^ Layout::Rows4.flipped(Bits::Int4);
                out.extend(word.to_le_bytes());
            }
        }
    }

    /// For each four columns a word per two rows, a row in each half.
    fn pairs_group(&self, out: &mut Vec<u8>, group: usize) {
        for col in (group..group + GROUP_COLS).step_by(4) {
            for row in (0..BLOCK_ROWS).step_by(2) {
                let word = self.nibbles(row, col, 4) | self.nibbles(row + 1, col, 4) << 16;
                let word = word ^ Layout::Pairs.flipped(Bits::Int4);
                out.extend(word.to_le_bytes());
            }
        }
    }

    /// For each row 16 bytes: a column in the low nibble, the one 16 after
    /// it in the high one.
    fn lanes16_group(&self, out: &mut Vec<u8>, group: usize) {
        for row in 0..BLOCK_ROWS {
            for col in group..group + GROUP_COLS / 2 {
                let (low, high) = (self.weight(row, col), self.weight(row, col + 16));
                out.push(low as u8 & 15 | (high as u8) << 4);
            }
        }
    }

    /// Eight weights of six bits from `col` on, 32 added.
    fn eight(&self, row: usize, col: usize) -> [u32; 8] {
        [0, 1, 2, 3, 4, 5, 6, 7].map(|i| (i32::from(self.weight(row, col + i)) + 32) as u32)
    }

    /// For each 16 columns three times a word per row, a lane for each eight: two edges,
    /// then the middle. The upper field of a lane is in two's complement.
    fn rows4_group6(&self, out: &mut Vec<u8>, group: usize) {
        const SIGN: u32 = 0x8000_8000;
        let lane = |row, col| {
            let [a, b, c, d, e, f, g, h] = self.eight(row, col);
            [
                a << 10 | b << 4 | g & 15,
                e << 10 | f << 4 | h & 15,
                c << 10 | (h >> 4) << 8 | d << 2 | g >> 4,
            ]
        };
        for col in (group..group + GROUP_COLS).step_by(16) {
            for stage in 0..3 {
                for row in 0..BLOCK_ROWS {
                    let word = lane(row, col)[stage] | lane(row, col + 8)[stage] << 16;
                    out.extend((word ^ SIGN).to_le_bytes());
                }
            }
        }
    }

    /// For each eight columns three times a word per two rows, a row in each half: two
    /// edges, then the middle.
    fn pairs_group6(&self, out: &mut Vec<u8>, group: usize) {
        let half = |row, col| {
            let [a, b, c, d, e, f, g, h] = self.eight(row, col);
            [
                a << 10 | b << 4 | g & 15,
                e << 10 | f << 4 | h & 15,
                c << 10 | d << 4 | (h >> 4) << 2 | g >> 4,
            ]
        };
        for col in (group..group + GROUP_COLS).step_by(8) {
            for stage in 0..3 {
                for row in (0..BLOCK_ROWS).step_by(2) {
                    let word = half(row, col)[stage] | half(row + 1, col)[stage] << 16;
                    out.extend(word.to_le_bytes());
                }
            }
        }
    }

    /// For each 16 columns 16 bytes of each of three rows: a weight in the upper six bits,
    /// two bits of the fourth row's in the lower ones.
    fn lanes16_group6(&self, out: &mut Vec<u8>, group: usize) {
        for first in (group..group + GROUP_COLS).step_by(16) {
            for row in 0..BLOCK_ROWS - 1 {
                for col in first..first + 16 {
                    let last = self.weight(BLOCK_ROWS - 1, col) as u8;
                    out.push((self.weight(row, col) as u8) << 2 | last >> (2 * row) & 3);
                }
            }
        }
    }
}

/// A table is the same for all cores.
pub(super) fn table(q: &Quantized, _: Layout) -> Vec<u8> {
    match q.bits {
        Bits::Int8 => q.weights.iter().map(|&w| w as u8).collect(),
        bits => grouped_table(q, bits.count().into()),
    }
}

/// Row by row: the group scales, then weights of `bits` bits in two's complement, the
/// first in the lowest.
fn grouped_table(q: &Quantized, bits: usize) -> Vec<u8> {
    let groups = q.cols.div_ceil(GROUP_COLS);
    let rows = q
        .weights
        .chunks_exact(q.cols)
        .zip(q.group_scales.chunks_exact(groups));
    let mut out = Vec::new();
    for (row, scales) in rows {
        out.extend(scales);
        let weight = |col: usize| row.get(col).map_or(0, |&w| w as u32 & ((1 << bits) - 1));
        for first in (0..groups * GROUP_COLS).step_by(4) {
            let word: u32 = (0..4).map(|i| weight(first + i) << (bits * i)).sum();
            out.extend_from_slice(&word.to_le_bytes()[..bits / 2]);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quantize::quantize;
    use kinglet::arch::{Port, Portable};
    use kinglet::shape::matrix_weight_words;
    use kinglet::shape::{Matrix, Scales};
    use proptest::prelude::*;

    /// Row-major sums in i64: the reference of every layout and kernel.
    fn exact_sums(q: &Quantized, x: &[i8]) -> Vec<i64> {
        let groups = q.cols.div_ceil(GROUP_COLS);
        (0..q.rows)
            .map(|row| {
                (0..q.cols)
                    .map(|col| {
                        let scale = match q.bits {
                            Bits::Int8 => 1,
                            _ => i64::from(q.group_scales[row * groups + col / GROUP_COLS]),
                        };
                        scale * i64::from(q.weights[row * q.cols + col]) * i64::from(x[col])
                    })
                    .sum()
            })
            .collect()
    }

    fn packed_sums(q: &Quantized, layout: Layout, x: &[i8]) -> Vec<i64> {
        let bytes = pack(q, layout);
        let expected = 4 * matrix_weight_words(layout, q.bits, q.rows, q.cols);
        assert_eq!(bytes.len(), expected);
        let word = |b: &[u8]| u32::from_le_bytes([b[0], b[1], b[2], b[3]]);
        let weights: Vec<u32> = bytes.chunks_exact(4).map(word).collect();
        let none = Scales::Rows(&[]);
        let matrix = Matrix::new(layout, q.bits, [q.rows, q.cols], &weights, none);
        let mut columns: Vec<u8> = x.iter().map(|&x| x as u8).collect();
        columns.resize(q.cols.next_multiple_of(GROUP_COLS), 0);
        let words: Vec<u32> = columns.chunks_exact(4).map(word).collect();
        let mut sums = vec![0; q.rows.next_multiple_of(BLOCK_ROWS)];
        Portable::sums(&matrix, &words, &mut sums);
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
            for bits in Bits::ALL {
                let q = quantize(&data, rows, cols, bits);
                for layout in Layout::ALL {
                    prop_assert_eq!(packed_sums(&q, layout, &x), exact_sums(&q, &x));
                }
            }
        }
    }

    #[test]
    fn the_largest_sums_do_not_overflow() {
        let cols = kinglet::shape::MAX_COLS;
        let x = vec![-127i8; cols];
        // The sum of a row's scales has a limit at six bits: 32 in each of 256 groups.
        for (bits, weight, scale) in [
            (Bits::Int8, -128i8, 0),
            (Bits::Int6, -32, 32),
            (Bits::Int4, -8, 255),
        ] {
            let mut q = quantize(&vec![1.0; 5 * cols], 5, cols, bits);
            q.weights.fill(weight);
            q.group_scales.fill(scale);
            for layout in Layout::ALL {
                assert_eq!(packed_sums(&q, layout, &x), exact_sums(&q, &x));
            }
        }
    }
}
