//! All memory that the bench works in, and the products that it computes.

use crate::random::Random;
use kinglet::arch::{self, Native, Peak, Port, Portable, Quantizer};
use kinglet::shape::{
    matrix_weight_words, prepared_words, Bits, Layout, Matrix, Scales, BLOCK_ROWS,
};
use kinglet_machine::MACHINE;

/// The layout that this machine's port reads.
pub const LAYOUT: Layout = Native::LAYOUT;

/// Words of weights, columns, rows: the most that a machine has room for.
const LIMITS: (usize, usize, usize) = if MACHINE.ram.bytes > 100 << 10 {
    (1024 * 256 / 4, 4096, 1024)
} else {
    (64 * 64 / 4, 256, 64)
};

/// The longest row that there is room for.
pub const MAX_COLS: usize = LIMITS.1;

const WEIGHT_WORDS: usize = LIMITS.0;
/// The most rows that there is room for.
pub const MAX_ROWS: usize = LIMITS.2;

/// The most words that a prepared vector takes, at any width of weights.
const PREPARED_WORDS: usize = {
    let (mut most, mut i) = (0, 0);
    while i < Bits::ALL.len() {
        let words = prepared_words(LAYOUT, Bits::ALL[i], MAX_COLS);
        most = if words > most { words } else { most };
        i += 1;
    }
    most
};

/// Weights, a vector, and results.
pub struct Room {
    /// Any bits are weights, in every layout.
    pub weights: [u32; WEIGHT_WORDS],
    /// The vector.
    pub x: [i32; MAX_COLS],
    /// The scales of rows, and other numbers of 16 bits.
    pub halves: [i16; MAX_ROWS],
    /// The prepared vector.
    pub words: [u32; PREPARED_WORDS],
    /// The vector as the portable kernels want it.
    plain: [u32; MAX_COLS / 4],
    /// Results of the kernels.
    pub sums: [i32; MAX_ROWS],
    /// Results of the portable kernels.
    pub expected: [i32; MAX_ROWS],
}

/// A product of a matrix with a vector of 16 bits.
pub struct Fine<'r> {
    /// The matrix.
    pub matrix: Matrix<'r>,
    /// The vector.
    pub x: &'r mut [i32],
    /// Its largest magnitude.
    pub peak: Peak,
    /// Room for the prepared vector.
    pub words: &'r mut [u32],
    /// Room for whole blocks of results.
    pub sums: &'r mut [i32],
    /// The same again.
    pub expected: &'r mut [i32],
}

/// Words of the weights of a matrix.
pub fn weight_words(bits: Bits, rows: usize, cols: usize) -> usize {
    matrix_weight_words(LAYOUT, bits, rows, cols)
}

/// How a vector is quantized.
pub fn quantizer(x: &[i32]) -> Quantizer {
    let max = x.iter().fold(0, |max, x| x.unsigned_abs().max(max));
    Quantizer::up_to(max, 127).0
}

/// A matrix `[rows, cols]` of weights, without scales.
pub fn matrix(bits: Bits, [rows, cols]: [usize; 2], weights: &[u32]) -> Matrix<'_> {
    let weights = &weights[..weight_words(bits, rows, cols)];
    Matrix::new(LAYOUT, bits, [rows, cols], weights, Scales::Rows(&[]))
}

impl Room {
    /// All zeros, so that it takes no flash.
    pub const fn new() -> Self {
        Self {
            weights: [0; WEIGHT_WORDS],
            x: [0; MAX_COLS],
            halves: [0; MAX_ROWS],
            words: [0; PREPARED_WORDS],
            plain: [0; MAX_COLS / 4],
            sums: [0; MAX_ROWS],
            expected: [0; MAX_ROWS],
        }
    }

    /// Whether there is room for such a matrix and its vector.
    pub fn holds(&self, bits: Bits, rows: usize, cols: usize) -> bool {
        weight_words(bits, rows, cols) <= WEIGHT_WORDS && cols <= MAX_COLS && rows <= MAX_ROWS
    }

    /// Fills the weights of a matrix at random.
    pub fn fill_weights(&mut self, words: usize, random: &mut Random) {
        let weights = self.weights.iter_mut().take(words);
        weights.for_each(|word| *word = random.next());
    }

    /// Gives all groups of weights four scales.
    pub fn fill_group_scales(&mut self, bits: Bits, words: usize, scales: u32) {
        let group_words = bits.group_bytes() / 4;
        let groups = self.weights.chunks_exact_mut(group_words);
        for group in groups.take(words / group_words) {
            if let Some(last) = group.last_mut() {
                *last = scales;
            }
        }
    }

    /// Fills the vector at random with numbers of at most so many bits.
    pub fn fill_x(&mut self, cols: usize, bits: u32, random: &mut Random) {
        let x = self.x.iter_mut().take(cols);
        x.for_each(|x| *x = random.of_bits(bits));
    }

    /// Whether there is room for an int8 matrix and its vector of 16 bits.
    pub fn holds_fine(&self, rows: usize, cols: usize) -> bool {
        let words = 2 * prepared_words(LAYOUT, Bits::Int8, cols);
        self.holds(Bits::Int8, rows, cols) && words <= PREPARED_WORDS
    }

    /// A product of an int8 matrix with a vector of 16 bits.
    pub fn fine(&mut self, rows: usize, cols: usize) -> Fine<'_> {
        let padded = rows.next_multiple_of(BLOCK_ROWS);
        let weights = &self.weights[..weight_words(Bits::Int8, rows, cols)];
        let scales = Scales::Rows(&self.halves[..padded]);
        let matrix = Matrix::new(LAYOUT, Bits::Int8, [rows, cols], weights, scales);
        let x = &mut self.x[..cols];
        let max = x.iter().fold(0, |max, x| x.unsigned_abs().max(max));
        Fine {
            matrix: matrix.with_fine(),
            x,
            peak: Peak { max, exp: 0 },
            words: &mut self.words,
            sums: &mut self.sums[..padded],
            expected: &mut self.expected[..padded],
        }
    }

    /// Multiplies with the vector of 16 bits that `fill` gives, by the port and by the
    /// portable kernels, and compares.
    pub fn agrees_finely(&mut self, rows: usize, cols: usize, fill: impl Fn(&mut [i32])) -> bool {
        // A product may leave something else of the vector.
        fill(&mut self.x[..cols]);
        let fine = self.fine(rows, cols);
        // Whole groups of columns.
        let plain = &mut [0; MAX_COLS / 4][..cols.next_multiple_of(32) / 4];
        arch::product_in_parts(fine.x, fine.peak, &fine.matrix, plain, fine.expected);
        fill(&mut self.x[..cols]);
        let fine = self.fine(rows, cols);
        let prepared = arch::prepare(fine.x, fine.peak, &fine.matrix, fine.words);
        arch::matvec(&fine.matrix, &prepared, fine.sums);
        fine.sums[..rows] == fine.expected[..rows]
    }

    /// Quantizes and multiplies with both kernels and compares; returns the first
    /// sum if all are the same.
    pub fn agrees(&mut self, bits: Bits, rows: usize, cols: usize) -> Option<i32> {
        let x = &self.x[..cols];
        let quantizer = quantizer(x);
        let matrix = matrix(bits, [rows, cols], &self.weights);
        // Whole blocks of rows, whole words and groups of columns.
        let (padded_rows, padded_cols) = (rows.next_multiple_of(4), cols.next_multiple_of(32));
        let (sums, expected) = (
            &mut self.sums[..padded_rows],
            &mut self.expected[..padded_rows],
        );
        let words = &mut self.words[..prepared_words(LAYOUT, bits, cols)];
        Native::prepare(x, quantizer, bits, words);
        Native::sums(&matrix, words, sums);
        let plain = &mut self.plain[..padded_cols / 4];
        Portable::prepare(x, quantizer, bits, plain);
        Portable::sums(&matrix, plain, expected);
        (sums[..rows] == expected[..rows]).then_some(sums[0])
    }
}
