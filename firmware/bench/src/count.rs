//! Instructions of matrix x vector products.

use crate::random::Random;
use crate::room::{matrix, quantizer, Fine, Room, LAYOUT, MAX_ROWS};
use core::hint::black_box;
use kinglet::arch::{self, Native, Port};
use kinglet::shape::{prepared_words, Bits, BLOCK_ROWS};
use kinglet_machine::{say, since, ticks};
use kinglet_protocol::{Measure, MODEL_SHAPES, SHAPES};

/// Counts instructions, its own not among them.
pub struct Counter {
    empty: u64,
}

impl Counter {
    /// A counter that knows what counting itself takes.
    pub fn new() -> Self {
        // The first use of the timer may start with a part of a tick.
        let empty = instructions(&mut || {});
        let empty = empty.min(instructions(&mut || {}));
        Self { empty }
    }

    /// The instructions of a call.
    pub fn count(&self, work: &mut dyn FnMut()) -> u64 {
        instructions(work) - self.empty
    }
}

/// Counts all shapes that there is room for.
pub fn run(room: &mut Room, counter: &Counter) {
    let mut random = Random::new(3);
    let words = room.weights.len();
    let cols = room.x.len();
    room.fill_weights(words, &mut random);
    room.fill_x(cols, 29, &mut random);
    room.halves.fill(1 << 14);
    for bits in Bits::ALL {
        for &(rows, cols) in SHAPES.iter().chain(&MODEL_SHAPES) {
            if room.holds(bits, rows as usize, cols as usize) {
                count(room, bits, (rows, cols), counter);
            }
        }
    }
    for &(rows, cols) in SHAPES.iter().chain(&MODEL_SHAPES) {
        if room.holds_fine(rows as usize, cols as usize) {
            count_fine(room, (rows, cols), counter);
        }
    }
}

/// The largest magnitude of a vector, in 15 bits.
const MAX16: i32 = 30_000;

fn count(room: &mut Room, bits: Bits, (rows, cols): (u32, u32), counter: &Counter) {
    let (m, n) = (rows as usize, cols as usize);
    let matrix = matrix(bits, [m, n], black_box(&room.weights));
    let x = &room.x[..n];
    let quantizer = quantizer(x);
    let words = &mut room.words[..prepared_words(LAYOUT, bits, n)];
    let prepare = counter.count(&mut || Native::prepare(x, quantizer, bits, black_box(words)));
    let out = &mut room.sums[..m];
    let sums = counter.count(&mut || Native::sums(&matrix, words, black_box(out)));
    let factors = &room.halves[..m];
    let places = &[1; MAX_ROWS / BLOCK_ROWS][..m / BLOCK_ROWS];
    let mut scale = || match bits {
        Bits::Int8 => Native::scale_rows(black_box(factors), MAX16, 1, black_box(out)),
        _ => Native::scale_blocks(black_box(places), MAX16, 1, black_box(out)),
    };
    let scaled = sums + counter.count(&mut scale);
    say!(
        "{}",
        Measure::Kernel {
            bits: u32::from(bits.count()),
            vectors: 8,
            rows,
            cols,
            sums,
            scaled,
            prepare,
        }
    );
}

/// Counts a product of int8 with a vector of 16 bits.
fn count_fine(room: &mut Room, (rows, cols): (u32, u32), counter: &Counter) {
    let Fine {
        matrix,
        x,
        peak,
        words,
        sums: out,
        ..
    } = room.fine(rows as usize, cols as usize);
    let prepare = counter.count(&mut || {
        arch::prepare(x, black_box(peak), &matrix, words);
    });
    let prepared = arch::prepare(x, peak, &matrix, words);
    let scaled = counter.count(&mut || arch::matvec(&matrix, &prepared, black_box(out)));
    let factors = [1 << 14; MAX_ROWS];
    let factors = &factors[..rows as usize];
    let mut scale = || Native::scale_rows(black_box(factors), MAX16, 0, black_box(out));
    let sums = scaled - counter.count(&mut scale);
    say!(
        "{}",
        Measure::Kernel {
            bits: 8,
            vectors: 16,
            rows,
            cols,
            sums,
            scaled,
            prepare,
        }
    );
}

/// The instructions of a call, which nothing may move out of.
#[inline(never)]
fn instructions(work: &mut dyn FnMut()) -> u64 {
    let start = ticks();
    work();
    since(start)
}
