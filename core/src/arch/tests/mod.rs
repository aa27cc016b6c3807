//! One test for every port that can run here: its sums equal those of an
//! `i64` reference that decodes each weight separately, and its other answers
//! are those of `Portable`, bit for bit.
//!
//! The ports for Cortex-M are tested in the same way where their instructions
//! exist: in QEMU, by the self-test of `firmware/bench`.

mod state;
mod steps;

use super::{Native, Port, Portable, Quantizer};
use crate::shape::{
    prepared_words, round_up, Bits, Layout, Matrix, Scales, BLOCK_ROWS, GROUP_COLS,
};
use crate::Pcg32;
use std::vec;
use std::vec::Vec;

/// A byte of the weights of a block.
fn byte(block: &[u32], at: usize) -> u8 {
    block[at / 4].to_le_bytes()[at % 4]
}

/// A weight times its group scale, straight from `docs/format.md`.
fn weight(layout: Layout, bits: Bits, block: &[u32], row: usize, col: usize) -> i64 {
    let (group, g) = (
        &block[(col / GROUP_COLS * bits.group_bytes() / 4).min(block.len())..],
        col % GROUP_COLS,
    );
    let nibble = |word: usize, i: usize| (group[word] >> (4 * i) & 15) as i64;
    let signed = |n: i64| if n < 8 { n } else { n - 16 };
    let scale = || i64::from(byte(group, bits.group_bytes() - BLOCK_ROWS + row));
    match (layout, bits) {
        (Layout::Lanes16, Bits::Int8) => {
            i64::from(byte(block, col / 16 * 64 + row * 16 + col % 16) as i8)
        }
        (_, Bits::Int8) => {
            let offset = match layout {
                Layout::Rows4 => col.is_multiple_of(2),
                _ => col % 4 != 3,
            };
            let stored = byte(block, col / 4 * 16 + row * 4 + col % 4);
            if offset {
                i64::from(stored) - 128
            } else {
                i64::from(stored as i8)
            }
        }
        (Layout::Rows4, Bits::Int4) => {
            let n = nibble(g / 8 * 4 + row, g % 8);
            scale() * if g % 4 == 3 { signed(n) } else { n - 8 }
        }
        (Layout::Pairs, Bits::Int4) => {
            scale() * (nibble(g / 4 * 2 + row / 2, row % 2 * 4 + g % 4) - 8)
        }
        #[cfg(feature = "int6")]
        (_, Bits::Int6) => scale() * six_bits(layout, group, row, g),
        (Layout::Lanes16, Bits::Int4) => {
            let both = byte(group, row * 16 + g % 16);
            scale() * signed(i64::from(if g < 16 { both & 15 } else { both >> 4 }))
        }
    }
}

/// A weight of six bits, straight from `docs/format.md`.
#[cfg(feature = "int6")]
fn six_bits(layout: Layout, group: &[u32], row: usize, col: usize) -> i64 {
    let bits = |word: usize, at: usize, count: u32| {
        i64::from(group[word] >> at & (u32::MAX >> (32 - count)))
    };
    let signed = |n: i64| if n < 32 { n } else { n - 64 };
    if layout == Layout::Lanes16 {
        let vector = |i: usize| i64::from(byte(group, col / 16 * 48 + i * 16 + col % 16));
        let last = vector(0) % 4 + vector(1) % 4 * 4 + vector(2) % 4 * 16;
        return signed(if row < 3 { vector(row) / 4 } else { last });
    }
    // The first of three words, from one to the next, and the first bit.
    let (first, step, half) = match layout {
        Layout::Rows4 => (col / 16 * 12 + row, 4, col / 8 % 2 * 16),
        _ => (col / 8 * 6 + row / 2, 2, row % 2 * 16),
    };
    let (edge, other, middle) = (first, first + step, first + 2 * step);
    let is_dsp = layout == Layout::Rows4;
    let [of_d, of_h] = if is_dsp { [2, 8] } else { [4, 2] };
    let top = |n: i64| if is_dsp { signed(n) } else { n - 32 };
    match col % 8 {
        0 => top(bits(edge, half + 10, 6)),
        1 => bits(edge, half + 4, 6) - 32,
        2 => top(bits(middle, half + 10, 6)),
        3 => bits(middle, half + of_d, 6) - 32,
        4 => top(bits(other, half + 10, 6)),
        5 => bits(other, half + 4, 6) - 32,
        6 => bits(edge, half, 4) + 16 * bits(middle, half, 2) - 32,
        _ => bits(other, half, 4) + 16 * bits(middle, half + of_h, 2) - 32,
    }
}

fn block_words(layout: Layout, bits: Bits, cols: usize) -> usize {
    match bits {
        Bits::Int8 => round_up(cols, layout.step_cols()),
        _ => cols.div_ceil(GROUP_COLS) * bits.group_bytes() / 4,
    }
}

/// Weights of all kinds: random bits, and the two extremes.
fn weights(words: usize, kind: u32, rng: &mut Pcg32) -> Vec<u32> {
    let extreme = [0, 0, 0, u32::MAX, 0x7f80_7f80];
    (0..words)
        .map(|_| match kind {
            0..=2 => rng.next_u32(),
            _ => extreme[kind as usize],
        })
        .collect()
}

/// Changes nothing of numbers of 8 bits.
const AS_IT_IS: Quantizer = Quantizer {
    left: 16,
    inverse: 1 << 22,
};

/// Compares the sums of all shapes with the reference.
fn check(
    layout: Layout,
    prepare: impl Fn(&[i32], Quantizer, Bits, &mut [u32]),
    sums: impl Fn(&Matrix<'_>, &[u32], &mut [i32]),
) {
    let mut rng = Pcg32::new(1);
    for (rows, cols) in shapes() {
        for bits in Bits::ALL {
            for kind in 0..5 {
                // Integers in [-127, 127], those that are rounded to them; for the
                // extremes +-127.
                let places = rng.next_u32() % 31;
                let x: Vec<i32> = (0..cols)
                    .map(|c| match kind {
                        0 => (rng.next_u32() % 255) as i32 - 127,
                        1..=2 => rng.next_u32() as i32 >> places,
                        3 => -127,
                        _ => [127, -127][c % 2],
                    })
                    .collect();
                let quantizer = match kind {
                    1..=2 => Quantizer::up_to(u32::MAX >> 1 >> places, 127).0,
                    _ => AS_IT_IS,
                };
                let block = block_words(layout, bits, cols);
                let blocks = rows.div_ceil(BLOCK_ROWS);
                let weights = weights(block * blocks, kind, &mut rng);
                let none = Scales::Rows(&[]);
                let matrix = Matrix::new(layout, bits, [rows, cols], &weights, none);
                let mut words = vec![u32::MAX; prepared_words(layout, bits, cols)];
                prepare(&x, quantizer, bits, &mut words);
                let mut out = vec![0; blocks * BLOCK_ROWS];
                sums(&matrix, &words, &mut out);
                for (row, &sum) in out.iter().enumerate().take(rows) {
                    let block = &weights[row / BLOCK_ROWS * block..][..block];
                    let exact: i64 = (0..cols)
                        .map(|c| {
                            let q = quantizer.of(x[c]);
                            weight(layout, bits, block, row % BLOCK_ROWS, c) * i64::from(q)
                        })
                        .sum();
                    // Scales that an image may not have sum up to more than 32 bits.
                    let is_too_large = bits.count() == 6 && cols > 1024;
                    let exact = if is_too_large {
                        (exact as i32).into()
                    } else {
                        exact
                    };
                    assert_eq!(
                        i64::from(sum),
                        exact,
                        "{layout:?} {bits:?} {rows}x{cols} row {row}"
                    );
                }
            }
        }
    }
}

/// Every tail, and rows that are longer than what a port sums at once.
fn shapes() -> Vec<(usize, usize)> {
    // Miri is a thousand times slower.
    if cfg!(miri) {
        return vec![(1, 1), (4, 31), (5, 33)];
    }
    let tails = (1..10).flat_map(|rows| (1..70).step_by(3).map(move |cols| (rows, cols)));
    tails
        .chain([
            (8, 128),
            (5, 512),
            (5, 513),
            (4, 1024),
            (4, 4096),
            (1, 8192),
        ])
        .collect()
}

#[test]
fn portable_sums_are_exact_in_every_layout() {
    for layout in Layout::ALL {
        check(layout, Portable::prepare, Portable::sums);
    }
}

#[test]
fn native_sums_are_exact() {
    check(Native::LAYOUT, Native::prepare, Native::sums);
}

/// Both levels, where the processor has them.
#[cfg(kinglet_x86)]
#[test]
fn sums_are_exact_at_every_level() {
    use super::x86::Level;
    for (name, level) in [("AVX2", Level::avx2()), ("VNNI", Level::vnni())] {
        let Some(level) = level else {
            std::eprintln!("skipped: the processor lacks {name}");
            continue;
        };
        check(
            Layout::Rows4,
            |x, quantizer, bits, words| level.prepare(x, quantizer, bits, words),
            |matrix, words, out| level.sums(matrix, words, out),
        );
    }
}

#[cfg(kinglet_neon)]
mod neon {
    use super::super::neon::NeonAlone;
    use super::*;
    use std::arch::is_aarch64_feature_detected;

    /// A job that names a processor expects certain instructions to be tested.
    #[test]
    fn the_processor_has_what_the_job_says() {
        if let Ok(expected) = std::env::var("KINGLET_EXPECT_SDOT") {
            let found = is_aarch64_feature_detected!("dotprod");
            assert_eq!(expected.parse(), Ok(found));
        }
    }

    #[test]
    fn sums_without_sdot_are_exact() {
        check(NeonAlone::LAYOUT, NeonAlone::prepare, NeonAlone::sums);
    }
}
