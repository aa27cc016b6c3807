//! The self-test: the kernels against their portable twins, and against the
//! sums that are known without either.

use crate::random::Random;
use crate::room::{weight_words, Room, LAYOUT, MAX_COLS};
use core::fmt::Write as _;
use half::bf16;
use kinglet::shape::Bits;
use kinglet_machine::say;
use kinglet_protocol::Measure;

/// All checks for all widths of weights; whether all passed.
pub fn run(room: &mut Room) -> bool {
    let mut right = true;
    for bits in Bits::ALL {
        right &= tails(room, bits) & random(room, bits) & extremes(room, bits);
    }
    right & values(room)
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
    room.fill_x(70, &mut random);
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
            room.fill_x(cols, &mut random);
            let right = room.agrees(bits, rows, cols).is_some();
            score.count(right);
            if has_groups(bits) {
                room.fill_group_scales(words, u32::MAX);
                let right = room.agrees(bits, rows, cols).is_some();
                score.count(right);
            }
        }
    }
    score.tell_of(bits, "random")
}

/// A word of the smallest weights, or of the largest.
fn extreme_word(bits: Bits, largest: bool) -> u32 {
    let bits_count = u32::from(bits.count());
    let lowest_bits = u32::MAX / ((1 << bits_count) - 1);
    let smallest = (lowest_bits << (bits_count - 1)) ^ LAYOUT.flipped(bits);
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
                room.fill_group_scales(words, u32::MAX);
            }
            for x in [1, -1] {
                room.x[..cols].fill(x as f32);
                let sum = room.agrees(bits, 4, cols).map(i64::from);
                score.count(sum == Some(known_sum(bits, largest, cols, x)));
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

/// Quantization and scaling, which some cores do in integers or vectors,
/// against float operations: with values halfway between integers, and scales
/// of which the products are ordinary, subnormal, infinite.
fn values(room: &mut Room) -> bool {
    let mut score = Score::default();
    let mut random = Random::new(4);
    for round in 0..2000 {
        let bits = Bits::ALL[round % Bits::ALL.len()];
        let words = weight_words(bits, 64, 8);
        room.fill_weights(words, &mut random);
        let unit = f32::from_bits([127, 127, 100, 150, 21, 240][round % 6] << 23);
        for x in &mut room.x[..8] {
            let half = (random.next() >> 8) % 254;
            let near = (half as f32 * 0.5 * unit).to_bits() + (random.next() >> 16) % 3;
            let sign = random.next() & 1 << 31;
            *x = f32::from_bits(sign | near.saturating_sub(1));
        }
        // So that the factor is exact and halves stay halves, or not.
        room.x[round % 8] = [127.0, 126.3][round / 6 % 2] * unit;
        for scale in &mut room.scales[..64] {
            let bits = random.next();
            let exponent = [bits >> 8, 120, 1, 240][bits as usize >> 20 & 3] % 255;
            *scale = bf16::from_bits((bits & 0x807f | exponent << 7) as u16);
        }
        score.count(room.values_agree(bits, 64, 8));
    }
    score.tell("values")
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
