//! Weights where they lie, with what has to be known to read them.

use super::scales::split;
use super::{matrix_weight_words, Bits, Layout, Scales, BLOCK_ROWS, MAX_COLS, MAX_VOCAB};

/// A matrix `[rows, cols]` of quantized weights in blocks of four rows.
///
/// It acts as `y[r] = sum_c w[r,c] x[c]`: rows are outputs. The kernels accept
/// slices of any length and do nothing where one is too short.
#[derive(Clone, Copy, Debug)]
pub struct Matrix<'a> {
    /// Arrangement of the weights.
    pub layout: Layout,
    /// Bits of a weight.
    pub bits: Bits,
    /// Whether vectors have 16 bits, in two products with eight each.
    pub(crate) fine: bool,
    /// Outputs.
    pub(crate) rows: usize,
    /// Inputs.
    pub(crate) cols: usize,
    /// The weights, in the layout of the image.
    /// They take [`matrix_weight_words`].
    pub weights: &'a [u32],
    /// Scales of the rows, in whole blocks.
    pub scales: Scales<'a>,
    /// The power of two of all scales, with those of the sums' shift and of
    /// the products' 31 places: a product has that of its vector, times this.
    pub exp: i32,
    /// Places that a sum is shifted to the left before it is multiplied: 30
    /// bits and a sign hold the largest one.
    pub shift: u32,
}

impl<'a> Matrix<'a> {
    /// A matrix `[rows, cols]`; an empty one where there are more rows than
    /// [`MAX_VOCAB`] or more columns than [`MAX_COLS`], whose number of weights a
    /// word might not hold.
    pub fn new(
        layout: Layout,
        bits: Bits,
        [rows, cols]: [usize; 2],
        weights: &'a [u32],
        scales: Scales<'a>,
    ) -> Self {
        let [rows, cols] = match rows <= MAX_VOCAB && cols <= MAX_COLS {
            true => [rows, cols],
            false => [0; 2],
        };
        Self {
            layout,
            bits,
            fine: false,
            rows,
            cols,
            weights,
            scales,
            exp: 0,
            shift: 0,
        }
    }

    /// The same, for vectors of 16 bits.
    #[cfg(feature = "fine")]
    pub fn with_fine(self) -> Self {
        Self { fine: true, ..self }
    }

    /// Whether vectors have 16 bits, in two products with eight each.
    #[inline(always)]
    pub fn is_fine(&self) -> bool {
        cfg!(feature = "fine") && self.fine
    }

    /// Outputs.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Inputs.
    pub fn cols(&self) -> usize {
        self.cols
    }

    /// Splits the matrix after `blocks` blocks of four rows, or at its end where
    /// there are fewer: two threads can have one part each.
    pub fn split_at_block(&self, blocks: usize) -> (Self, Self) {
        let blocks = blocks.min(self.rows.div_ceil(BLOCK_ROWS));
        let rows = (blocks * BLOCK_ROWS).min(self.rows);
        let words = matrix_weight_words(self.layout, self.bits, rows, self.cols);
        let (weights, more_weights) = split(self.weights, words);
        let (scales, more_scales) = self.scales.split_at_block(blocks);
        let first = Self {
            rows,
            weights,
            scales,
            ..*self
        };
        let rest = Self {
            rows: self.rows - rows,
            weights: more_weights,
            scales: more_scales,
            ..*self
        };
        (first, rest)
    }
}

/// A table `[rows, cols]` of quantized weights, stored row by row.
#[derive(Clone, Copy, Debug)]
pub struct Table<'a> {
    /// Bits of a weight.
    pub bits: Bits,
    /// Columns of a row.
    pub cols: usize,
    /// The rows, one after the other, without padding.
    pub rows: &'a [u8],
    /// Scales of the rows.
    pub scales: Scales<'a>,
    /// The power of two of all scales.
    pub exp: i32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_matrix_is_larger_than_its_kernels_count() {
        let size = |rows, cols| {
            let matrix = Matrix::new(
                Layout::Pairs,
                Bits::Int8,
                [rows, cols],
                &[],
                Scales::Rows(&[]),
            );
            (matrix.rows(), matrix.cols())
        };
        assert_eq!(size(MAX_VOCAB, MAX_COLS), (MAX_VOCAB, MAX_COLS));
        for (rows, cols) in [(MAX_VOCAB + 1, 4), (4, MAX_COLS + 1), (2, 1 << 31)] {
            assert_eq!(size(rows, cols), (0, 0));
        }
        let words = matrix_weight_words(Layout::Pairs, Bits::Int8, MAX_VOCAB, MAX_COLS);
        assert!(u32::try_from(words).is_ok(), "{words}");
    }
}
