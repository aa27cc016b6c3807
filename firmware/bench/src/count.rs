//! Instructions of matrix x vector products.

use crate::random::Random;
use crate::room::{abs_max, weight_words, Room, LAYOUT};
use core::hint::black_box;
use half::bf16;
use kinglet::arch;
use kinglet::shape::Bits;
use kinglet::shape::Matrix;
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
    room.fill_x(cols, &mut random);
    room.scales.fill(bf16::ONE);
    for bits in Bits::ALL {
        for &(rows, cols) in SHAPES.iter().chain(&MODEL_SHAPES) {
            if room.holds(bits, rows as usize, cols as usize) {
                count(room, bits, (rows, cols), counter);
            }
        }
    }
}

fn count(room: &mut Room, bits: Bits, (rows, cols): (u32, u32), counter: &Counter) {
    let (m, n) = (rows as usize, cols as usize);
    let matrix = Matrix::new(
        LAYOUT,
        bits,
        [m, n],
        black_box(&room.weights[..weight_words(bits, m, n)]),
        &room.scales[..m],
    );
    let x = &room.x[..n];
    let max = abs_max(x);
    let words = &mut room.words;
    let prepare = counter.count(&mut || {
        black_box(arch::prepare(x, max, &matrix, words));
    });
    let prepared = arch::prepare(x, max, &matrix, words);
    let sums = counter.count(&mut || {
        arch::sums(&matrix, &prepared, &mut room.sums[..m]);
        black_box(&room.sums);
    });
    let scaled = counter.count(&mut || {
        arch::matvec(&matrix, &prepared, &mut room.y[..m]);
        black_box(&room.y);
    });
    say!(
        "{}",
        Measure::Kernel {
            bits: u32::from(bits.count()),
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
