//! Instructions of matrix x vector products.

use crate::random::Random;
use crate::room::{abs_max, weight_words, Room, LAYOUT};
use core::hint::black_box;
use half::bf16;
use kinglet::image::{Bits, Matrix};
use kinglet::kernels;
use kinglet_board::{say, since, ticks};
use kinglet_protocol::{Measure, MODEL_SHAPES, SHAPES};

/// Counts all shapes that there is room for.
pub fn run(room: &mut Room) {
    let mut random = Random::new(3);
    let words = room.weights.len();
    let cols = room.x.len();
    room.fill_weights(words, &mut random);
    room.fill_x(cols, &mut random);
    room.scales.fill(bf16::ONE);
    // The first use of the timer may start with a part of a tick.
    let empty = instructions(&mut || {});
    let empty = empty.min(instructions(&mut || {}));
    for bits in [Bits::Int8, Bits::Int4] {
        for &(rows, cols) in SHAPES.iter().chain(&MODEL_SHAPES) {
            if room.holds(bits, rows as usize, cols as usize) {
                count(room, bits, (rows, cols), empty);
            }
        }
    }
}

fn count(room: &mut Room, bits: Bits, (rows, cols): (u32, u32), empty: u64) {
    let (m, n) = (rows as usize, cols as usize);
    let matrix = Matrix {
        layout: LAYOUT,
        bits,
        rows: m,
        cols: n,
        weights: black_box(&room.weights[..weight_words(bits, m, n)]),
        scales: &room.scales[..m],
    };
    let x = &room.x[..n];
    let max = abs_max(x);
    let words = &mut room.words;
    let prepare = instructions(&mut || {
        black_box(kernels::prepare(x, max, &matrix, words));
    });
    let prepared = kernels::prepare(x, max, &matrix, words);
    let sums = instructions(&mut || {
        kernels::sums(&matrix, &prepared, &mut room.sums[..m]);
        black_box(&room.sums);
    });
    let scaled = instructions(&mut || {
        kernels::matvec(&matrix, &prepared, &mut room.y[..m]);
        black_box(&room.y);
    });
    say!(
        "{}",
        Measure::Kernel {
            bits: u32::from(bits.count()),
            rows,
            cols,
            sums: sums - empty,
            scaled: scaled - empty,
            prepare: prepare - empty,
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
