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
    }
    score.tell("steps")
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
    let sum = P::sum(x) as u64;
    (
        found,
        [
            sum,
            bits.into(),
            squares,
            u64::from(max) << 32 | positive as u64,
        ],
    )
}
