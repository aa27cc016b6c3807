//! A port's answers beside products and states, against `Portable`: the same
//! bits for every length and alignment.

use crate::check::Score;
use crate::random::Random;
use crate::room::Room;
use kinglet::arch::{Native, Port, Portable, Scaling};

/// The longest vector that is checked.
const MOST: usize = 40;

/// Vectors, each shorter than [`MOST`], and numbers.
struct Inputs<'a> {
    x: &'a [i32],
    previous: &'a [i32],
    weight: &'a [i16],
    bias: &'a [i16],
    mean: i32,
    scaling: Scaling,
    right: u32,
}

/// Whether all answers are those of `Portable`.
pub fn check(room: &mut Room) -> bool {
    let mut score = Score::default();
    let mut random = Random::new(9);
    for round in 0..16 * MOST {
        let (len, offset) = (round % MOST, round / MOST % 4);
        let bits = 1 + (random.next() >> 8) % 28;
        room.fill_x(2 * MOST, bits, &mut random);
        room.halves[..64].fill_with(|| random.of_bits(15) as i16);
        let inputs = Inputs {
            x: &room.x[..len],
            previous: &room.x[MOST..MOST + len],
            // Four places: two of them are no place for a word.
            weight: &room.halves[offset..offset + len],
            bias: &room.halves[offset / 2..offset / 2 + len],
            mean: random.of_bits(bits),
            scaling: scaling(bits, &mut random),
            right: (random.next() >> 8) % 32,
        };
        score.count(answers::<Native>(&inputs) == answers::<Portable>(&inputs));
        let places = [0; 3].map(|_| (random.next() >> 8) as i32 % 60 - 30);
        score.count(gated::<Native>(&inputs, places) == gated::<Portable>(&inputs, places));
        score.count(plain::<Native>(&inputs, places[0]) == plain::<Portable>(&inputs, places[0]));
    }
    score.tell("steps")
}

/// All results of `P` that only shift and add.
fn plain<P: Port>(inputs: &Inputs<'_>, places: i32) -> ([[i32; MOST]; 3], u32) {
    let Inputs {
        x, previous, right, ..
    } = *inputs;
    let mut found = [[0; MOST]; 3];
    let [copied, rounded, sum] = found.each_mut().map(|out| &mut out[..x.len()]);
    P::copy(x, copied);
    P::copy(previous, rounded);
    P::round_off(rounded, right);
    P::copy(previous, sum);
    let bits = P::add(sum, x, -places.abs(), right);
    (found, bits)
}

/// All results of `P` that have the logistic function in them, for these places of
/// arguments and of other vectors.
fn gated<P: Port>(inputs: &Inputs<'_>, [of_k, of_v, of_x]: [i32; 3]) -> ([[i32; MOST]; 4], u64) {
    let Inputs { x, previous, .. } = *inputs;
    let mut found = [[0; MOST]; 4];
    let [out, sum, average, weight] = found.each_mut().map(|out| &mut out[..x.len()]);
    sum.copy_from_slice(previous);
    // To the right only, and by one place: sums of two are below 2^30.
    let places = [of_k, -of_x.abs() - 1];
    let bits = P::add_gated(sum, [x, previous], places, inputs.right.max(1));
    P::shares(x, of_k, out);
    average.copy_from_slice(previous);
    weight.copy_from_slice(x);
    let state = [average, weight];
    // Decays are at most 0, averages lie among the values, and logarithms are below
    // 2^30.
    let of_v = -of_v.abs();
    let max = P::average(state, [previous, x], [x, previous], [of_k, of_v], out);
    (found, u64::from(bits) << 32 | u64::from(max))
}

/// That of differences of numbers of so many bits.
fn scaling(bits: u32, random: &mut Random) -> Scaling {
    Scaling {
        left: 29 - bits,
        root: (1 << 15) | (random.next() >> 17) as i32,
        right: (random.next() >> 8) % 32,
        bias: 1 << ((random.next() >> 8) % 29),
    }
}

/// All results of `P`.
fn answers<P: Port>(inputs: &Inputs<'_>) -> ([[i32; MOST]; 4], [u64; 4]) {
    let Inputs {
        x,
        previous,
        weight,
        bias,
        ..
    } = *inputs;
    let mut found = [[0; MOST]; 4];
    let [less, norm, shifted, squared] = found.each_mut().map(|out| &mut out[..x.len()]);
    let bits = P::less(x, inputs.mean, less);
    norm.copy_from_slice(less);
    // The largest takes 31 bits with its sign.
    let left = bits.leading_zeros().saturating_sub(2).min(30);
    let squares = P::squares(less, left);
    P::affine(inputs.scaling, weight, bias, norm);
    let max = P::token_shift(x, previous, weight, inputs.right, shifted);
    squared.copy_from_slice(x);
    let positive = P::positive_max(x);
    P::relu_squared(squared, (positive as u32 | 1).leading_zeros() - 1);
    let sums = P::sum(x) ^ P::dot(x, previous).rotate_left(32);
    (
        found,
        [
            sums as u64,
            bits.into(),
            squares,
            u64::from(max) << 32 | positive as u64,
        ],
    )
}
