//! All memory that the bench works in, and the products that it computes.

use crate::random::Random;
use half::{bf16, f16};
use kinglet::arch::{self, Native, Port, Portable};
use kinglet::number::AbsMax;
use kinglet::shape::{matrix_weight_bytes, prepared_words, Bits, Layout, Matrix, GROUP_BYTES};
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
    pub x: [f32; MAX_COLS],
    /// The scales of rows.
    pub scales: [bf16; MAX_ROWS],
    /// Weights and biases of a norm.
    pub halves: [f16; MAX_ROWS],
    /// The prepared vector.
    pub words: [u32; PREPARED_WORDS],
    /// The vector as the portable kernels want it.
    plain: [u32; MAX_COLS / 4],
    /// Results of the kernels.
    pub sums: [i32; MAX_ROWS],
    /// Results of the portable kernels.
    expected: [i32; MAX_ROWS],
    /// Results with scales.
    pub y: [f32; MAX_ROWS],
}

/// Words of the weights of a matrix.
pub fn weight_words(bits: Bits, rows: usize, cols: usize) -> usize {
    matrix_weight_bytes(LAYOUT, bits, rows, cols) as usize / 4
}

/// The largest absolute value.
pub fn abs_max(x: &[f32]) -> AbsMax {
    let mut max = AbsMax::default();
    x.iter().for_each(|&x| max.see(x));
    max
}

impl Room {
    /// All zeros, so that it takes no flash.
    pub const fn new() -> Self {
        Self {
            weights: [0; WEIGHT_WORDS],
            x: [0.0; MAX_COLS],
            scales: [bf16::ZERO; MAX_ROWS],
            halves: [f16::ZERO; MAX_ROWS],
            words: [0; PREPARED_WORDS],
            plain: [0; MAX_COLS / 4],
            sums: [0; MAX_ROWS],
            expected: [0; MAX_ROWS],
            y: [0.0; MAX_ROWS],
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

    /// Gives all groups of int4 weights four scales.
    pub fn fill_group_scales(&mut self, words: usize, scales: u32) {
        let groups = self.weights.chunks_exact_mut(GROUP_BYTES / 4);
        for group in groups.take(words * 4 / GROUP_BYTES) {
            if let Some(last) = group.last_mut() {
                *last = scales;
            }
        }
    }

    /// Fills the vector at random.
    pub fn fill_x(&mut self, cols: usize, random: &mut Random) {
        let x = self.x.iter_mut().take(cols);
        x.for_each(|x| *x = (random.next() as i32 >> 8) as f32);
    }

    /// Multiplies with both kernels and compares; returns the first sum if
    /// all are the same.
    pub fn agrees(&mut self, bits: Bits, rows: usize, cols: usize) -> Option<i32> {
        let x = &self.x[..cols];
        let max = abs_max(x);
        let matrix = Matrix::new(
            LAYOUT,
            bits,
            [rows, cols],
            &self.weights[..weight_words(bits, rows, cols)],
            &[],
        );
        // Whole blocks of rows, whole words and groups of columns.
        let (padded_rows, padded_cols) = (rows.next_multiple_of(4), cols.next_multiple_of(32));
        let (sums, expected) = (
            &mut self.sums[..padded_rows],
            &mut self.expected[..padded_rows],
        );
        let prepared = arch::prepare(x, max, &matrix, &mut self.words);
        arch::sums(&matrix, &prepared, sums);
        let plain = &mut self.plain[..padded_cols / 4];
        Portable::prepare(x, 127.0 / max.get(), bits, plain);
        Portable::sums(&matrix, plain, expected);
        (sums[..rows] == expected[..rows]).then_some(sums[0])
    }

    /// Quantizes, multiplies and scales, and compares with float operations:
    /// `round(x * 127 / max)` and `sum * scale * (max / 127)`.
    pub fn values_agree(&mut self, bits: Bits, rows: usize, cols: usize) -> bool {
        let sums_agree = self.agrees(bits, rows, cols).is_some();
        let x = &self.x[..cols];
        let max = abs_max(x);
        // Adding 1.5 * 2^23 leaves the integer in the low bits.
        let rounded = |x: f32| (x * (127.0 / max.get()) + 12_582_912.0).to_bits() as u8;
        let columns = self.plain.iter().flat_map(|word| word.to_le_bytes());
        let columns_agree = columns.zip(x).all(|(column, &x)| column == rounded(x));
        let matrix = Matrix::new(
            LAYOUT,
            bits,
            [rows, cols],
            &self.weights[..weight_words(bits, rows, cols)],
            &self.scales[..rows],
        );
        let prepared = arch::prepare(x, max, &matrix, &mut self.words);
        let y = &mut self.y[..rows];
        arch::matvec(&matrix, &prepared, y);
        let x_scale = max.get() * (1.0 / 127.0);
        let value = |sum: i32, scale: bf16| sum as f32 * f32::from(scale) * x_scale;
        let mut sums_and_scales = self.sums.iter().zip(&self.scales).zip(y);
        let y_agrees =
            sums_and_scales.all(|((&sum, &scale), y)| y.to_bits() == value(sum, scale).to_bits());
        sums_agree && columns_agree && y_agrees
    }
}
