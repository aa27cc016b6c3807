//! The self-test: the kernels against their portable twins, and against the
//! sums that are known without either.

use crate::random::Random;
use crate::room::{weight_words, Room, LAYOUT, MAX_COLS};
use core::fmt::Write as _;
use kinglet::arch::{Native, Port, Portable};
use kinglet::shape::{Bits, Layout};
use kinglet_machine::say;
use kinglet_protocol::Measure;

/// All checks for all widths of weights; whether all passed.
pub fn run(room: &mut Room) -> bool {
    let mut right = true;
    for bits in Bits::ALL {
        right &= tails(room, bits) & random(room, bits) & extremes(room, bits);
    }
    right & fine(room) & rows(room)
}

/// Products compared, and how many were wrong.
#[derive(Default)]
pub struct Score {
    cases: u32,
    wrong: u32,
}

impl Score {
    /// Counts a comparison.
    pub fn count(&mut self, right: bool) {
        self.cases += 1;
        self.wrong += u32::from(!right);
    }

    /// Prints the score; whether nothing was wrong.
    pub fn tell(self, name: &str) -> bool {
        let (cases, wrong) = (self.cases, self.wrong);
        say!("{}", Measure::Check { name, cases, wrong });
        wrong == 0
    }

    /// The same for one width of weights.
    fn tell_of(self, bits: Bits, what: &str) -> bool {
        let mut name = heapless::String::<16>::new();
        let _ = write!(name, "{}-{what}", bits.name());
        self.tell(&name)
    }
}

/// Every way in which rows and columns can end.
fn tails(room: &mut Room, bits: Bits) -> bool {
    let mut score = Score::default();
    let mut random = Random::new(1);
    room.fill_weights(weight_words(bits, 12, 96), &mut random);
    room.fill_x(70, 29, &mut random);
    for rows in 1..=9 {
        for cols in 1..=70 {
            let right = room.agrees(bits, rows, cols).is_some();
            score.count(right);
        }
    }
    score.tell_of(bits, "tails")
}

/// Random weights and vectors, around and beyond the 512 columns that a
/// kernel may sum at a time, with random scales of groups and with the largest.
fn random(room: &mut Room, bits: Bits) -> bool {
    let mut score = Score::default();
    let mut random = Random::new(2);
    for cols in [64, 127, 256, 511, 512, 513, 1000, 1029, 2048, 4093, 4096] {
        for rows in [4, 7] {
            if !room.holds(bits, rows, cols) {
                continue;
            }
            let words = weight_words(bits, rows, cols);
            room.fill_weights(words, &mut random);
            // Of many bits and of few.
            room.fill_x(cols, 1 + cols as u32 % 29, &mut random);
            let right = room.agrees(bits, rows, cols).is_some();
            score.count(right);
            if has_groups(bits) {
                room.fill_group_scales(bits, words, u32::MAX);
                let right = room.agrees(bits, rows, cols).is_some();
                score.count(right);
            }
        }
    }
    score.tell_of(bits, "random")
}

/// Vectors of 16 bits: random ones, and the largest with the largest and smallest weights.
fn fine(room: &mut Room) -> bool {
    let mut score = Score::default();
    room.halves.fill(i16::MAX);
    for cols in [
        1, 2, 3, 4, 5, 63, 64, 127, 256, 511, 512, 513, 1000, 1023, 1024, 1025,
    ] {
        for rows in [1, 4, 7, 8] {
            if !room.holds_fine(rows, cols) {
                continue;
            }
            let words = weight_words(Bits::Int8, rows, cols);
            room.fill_weights(words, &mut Random::new(4));
            for bits in [2, 14, 29] {
                let fill = |x: &mut [i32]| {
                    let mut random = Random::new(cols as u32);
                    x.iter_mut().for_each(|x| *x = random.of_bits(bits));
                };
                score.count(room.agrees_finely(rows, cols, fill));
            }
            for (largest, x) in [(true, 1), (true, -1), (false, 1), (false, -1)] {
                room.weights[..words].fill(extreme_word(Bits::Int8, largest));
                score.count(room.agrees_finely(rows, cols, |all| all.fill(x << 20)));
            }
        }
    }
    score.tell("fine")
}

/// A word of the smallest weights, or of the largest; in `lanes16` with six bits those of
/// three rows.
fn extreme_word(bits: Bits, largest: bool) -> u32 {
    let bits_count = u32::from(bits.count());
    let smallest = match (LAYOUT, bits) {
        (Layout::Rows4, Bits::Int6) => 0x8000_8000,
        (Layout::Pairs, Bits::Int6) => 0,
        (Layout::Lanes16, Bits::Int6) => 0x8080_8080,
        _ => {
            let lowest_bits = u32::MAX / ((1 << bits_count) - 1);
            (lowest_bits << (bits_count - 1)) ^ LAYOUT.flipped(bits)
        }
    };
    // The largest is the complement of the smallest: 127 is !-128.
    if largest {
        !smallest
    } else {
        smallest
    }
}

/// The largest sums that there are: the smallest or the largest weight with 127
/// or -127 in all columns, and the largest scale for all groups.
fn extremes(room: &mut Room, bits: Bits) -> bool {
    let mut score = Score::default();
    for cols in [32, 256, 512, 513, 1024, MAX_COLS - 1, MAX_COLS] {
        if !room.holds(bits, 4, cols) {
            continue;
        }
        for largest in [false, true] {
            let words = weight_words(bits, 4, cols);
            room.weights[..words].fill(extreme_word(bits, largest));
            if has_groups(bits) {
                room.fill_group_scales(bits, words, u32::MAX);
            }
            for x in [1, -1] {
                // Of so many bits that what is rounded off matters to none.
                room.x[..cols].fill(x << 20);
                let sum = room.agrees(bits, 4, cols).map(i64::from);
                let known = known_sum(bits, largest, cols, x.into());
                // An image may not have scales with which 32 bits do not hold a sum.
                let known = match bits {
                    Bits::Int6 => (known as i32).into(),
                    _ => known,
                };
                score.count(sum == Some(known));
                // The signs of neighbours differ: what cancels in the sum
                // must not overflow on the way.
                room.x[..cols].iter_mut().step_by(2).for_each(|x| *x = -*x);
                let right = room.agrees(bits, 4, cols).is_some();
                score.count(right);
            }
        }
    }
    score.tell_of(bits, "extremes")
}

/// Values from sums: scales, shifts and sums up to their limits.
fn rows(room: &mut Room) -> bool {
    let mut score = Score::default();
    let mut random = Random::new(4);
    for round in 0..500 {
        let (shift, max16) = (round % 16, 1 + (random.next() >> 17) as i32);
        for (sum, expected) in room.sums.iter_mut().zip(&mut room.expected).take(64) {
            *sum = random.of_bits(30 - shift);
            *expected = *sum;
        }
        room.halves[..64].fill_with(|| random.of_bits(15) as i16);
        let rows = 4 * (1 + round as usize % 16);
        let scales = &room.halves[..rows];
        let (ours, plain) = (&mut room.sums[..rows], &mut room.expected[..rows]);
        Native::scale_rows(scales, max16, shift, ours);
        Portable::scale_rows(scales, max16, shift, plain);
        score.count(ours == plain);
        ours.copy_from_slice(plain);
        let mut places = [0; 16];
        places.fill_with(|| random.next() as u8 % 32);
        // What is scaled already leaves the shift its bits.
        let factor = scales[0].into();
        Native::scale_blocks(&places[..rows / 4], factor, shift, ours);
        Portable::scale_blocks(&places[..rows / 4], factor, shift, plain);
        score.count(ours == plain);
    }
    score.tell("rows")
}

/// The sum where all weights are the same and all activations `127 x`.
fn known_sum(bits: Bits, largest: bool, cols: usize, x: i64) -> i64 {
    let smallest = -1 << (bits.count() - 1);
    let weight = if largest { !smallest } else { smallest };
    let scale = if has_groups(bits) { 255 } else { 1 };
    weight * scale * 127 * x * cols as i64
}

/// Whether groups of weights have scales of their own.
fn has_groups(bits: Bits) -> bool {
    bits.groups(1) > 0
}
