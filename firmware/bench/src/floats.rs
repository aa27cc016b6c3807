//! A port's answers beside products and states, against `Portable`: the same
//! bits for every length and alignment.

use crate::check::Score;
use crate::random::{between, Random};
use crate::room::Room;
use half::f16;
use kinglet::arch::{Native, Port, Portable};

/// The longest vector that is checked.
const MOST: usize = 40;

/// Whether all answers are those of `Portable`.
pub fn check(room: &mut Room) -> bool {
    let mut score = Score::default();
    let mut random = Random::new(9);
    for round in 0..8 * MOST {
        let (len, offset) = (round % MOST, round / MOST % 4);
        room.x[..2 * MOST].fill_with(|| between(4.0, &mut random));
        room.halves[..64].fill_with(|| f16::from_f32(between(2.0, &mut random)));
        let (x, previous) = (&room.x[..len], &room.x[MOST..MOST + len]);
        // Four places: two of them are no place for a word.
        let weight = &room.halves[offset..offset + len];
        let bias = &room.halves[offset / 2..offset / 2 + len];
        let ours = answers::<Native>([x, previous], [weight, bias]);
        score.count(ours == answers::<Portable>([x, previous], [weight, bias]));
    }
    score.tell("floats")
}

/// Bits of all results of `P`.
fn answers<P: Port>([x, previous]: [&[f32]; 2], [weight, bias]: [&[f16]; 2]) -> [[u32; MOST]; 4] {
    let mut found = [[0; MOST]; 4];
    let [exp, norm, shift, squares] = &mut found;
    for (bits, &x) in exp.iter_mut().zip(x) {
        // Up to both ends of what is not clamped, and beyond.
        *bits = P::exp(24.0 * x).to_bits() ^ P::exp(x).to_bits();
    }
    let mut out = [0.0; MOST];
    let out = &mut out[..x.len()];
    P::norm(x, 1e-5, weight, bias, out);
    keep(out, 0, norm);
    let max = P::token_shift(x, previous, weight, out);
    keep(out, max.get().to_bits(), shift);
    let max = P::relu_squared(out);
    keep(out, max.get().to_bits(), squares);
    found
}

/// The bits of `out`, and another word in the last place.
fn keep(out: &[f32], last: u32, bits: &mut [u32; MOST]) {
    for (bits, out) in bits.iter_mut().zip(out) {
        *bits = out.to_bits();
    }
    bits[MOST - 1] ^= last;
}
