//! The tables of the functions, computed by the compiler from square roots of
//! integers.

/// Places of the numbers that the tables are computed with.
const PLACES: u32 = 60;
const ONE: u128 = 1 << PLACES;

/// `floor(sqrt(x))`.
const fn root(x: u128) -> u128 {
    let (mut low, mut high) = (0u128, 1u128 << 63);
    while high - low > 1 {
        let middle = (low + high) / 2;
        if middle * middle <= x {
            low = middle;
        } else {
            high = middle;
        }
    }
    low
}

/// `2^(-i / 64)`.
const fn power(i: u32) -> u128 {
    // 2^(-1/2), 2^(-1/4) ... 2^(-1/64): those of the binary digits of `i`.
    let mut step = ONE / 2;
    let mut result = ONE;
    let mut digit = 32;
    while digit > 0 {
        step = root(step << PLACES);
        if i & digit != 0 {
            result = (result * step) >> PLACES;
        }
        digit /= 2;
    }
    if i == 64 {
        return ONE / 2;
    }
    result
}

/// `x`, of [`PLACES`] places, rounded to `places`.
const fn rounded(x: u128, places: u32) -> u128 {
    (x + (1 << (PLACES - places - 1))) >> (PLACES - places)
}

/// A piece of a curve between two nodes: `base - (slope - curve t) t`, with `t`
/// from 0 to 1.
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct Parabola {
    /// Q30.
    pub base: u32,
    /// Q21.
    pub slope: u16,
    /// Q21.
    pub curve: u16,
}

/// `2^-x` for `x` in steps of 1/32: through both ends and the middle of a step.
pub(crate) static POWERS: [Parabola; 32] = {
    let mut table = [Parabola {
        base: 0,
        slope: 0,
        curve: 0,
    }; 32];
    let mut i = 0;
    while i < 32 {
        let at = 2 * i as u32;
        let (start, middle, end) = (power(at), power(at + 1), power(at + 2));
        let curve = 2 * (start + end - 2 * middle);
        table[i] = Parabola {
            base: rounded(start, 30) as u32,
            slope: rounded(start - end + curve, 21) as u16,
            curve: rounded(curve, 21) as u16,
        };
        i += 1;
    }
    table
};

/// Steps of the shares in which an argument grows by one.
pub(super) const SHARE_STEPS: usize = 16;

/// Growths by one that the shares' table has: in later ones nothing changes.
pub(super) const SHARE_OCTAVES: usize = 16;

/// What a function is at the start of a step in Q16, in the upper half, and how
/// much it falls within it, in Q20. The word is the start, without a correction.
type Chord = u32;

/// `2^n / (1 + 2^x)` and `2^n log2(1 + 2^-x) / 2` for `x` from 0 to 16, with `n` its
/// whole part, by chords.
pub(crate) static SHARES: [[Chord; 2]; SHARE_STEPS * SHARE_OCTAVES] = {
    let mut table = [[0; 2]; SHARE_STEPS * SHARE_OCTAVES];
    let mut i = 0;
    while i < table.len() {
        // The last octave stands for those that follow, where 1 + p is 1.
        let octave = i / SHARE_STEPS;
        let tail = octave + 1 == SHARE_OCTAVES;
        let start = shares(4 * i, octave, tail);
        let middle = shares(4 * i + 2, octave, tail);
        let end = shares(4 * i + 4, octave, tail);
        table[i] = [
            chord(start[0], middle[0], end[0]),
            chord(start[1] / 2, middle[1] / 2, end[1] / 2),
        ];
        i += 1;
    }
    table
};

/// `2^octave / (1 + 2^x)` and `2^octave log2(1 + 2^-x)` at `x = i / 64`.
const fn shares(i: usize, octave: usize, tail: bool) -> [u128; 2] {
    let (whole, part) = (i / 64, i % 64);
    // 2^(octave - x).
    let power = power(part as u32) >> (whole - octave);
    if tail {
        return [power, (power * LOG2_E) >> PLACES];
    }
    let small = power >> octave;
    [
        (power << PLACES) / (ONE + small),
        logarithm(ONE + small) << octave,
    ]
}

/// A chord from the function at both ends of a step and in its middle, lowered by
/// half of what it lies above the curve: the error is on both sides.
const fn chord(start: u128, middle: u128, end: u128) -> Chord {
    let sag = (start + end - 2 * middle) / 4;
    let slope = rounded(start - end, 20);
    let base = rounded(start - sag - (slope << (PLACES - 32)), 16);
    (base << 16 | slope) as u32
}

/// `log2(e)`.
const LOG2_E: u128 = 1_663_314_137_230_540_311;

/// `log2(x)` for `x` from 1 to 2: one binary digit after the other, by squaring.
const fn logarithm(mut x: u128) -> u128 {
    let (mut result, mut digit) = (0, PLACES);
    if x == 2 * ONE {
        return ONE;
    }
    while digit > 0 {
        digit -= 1;
        x = (x * x) >> PLACES;
        if x >= 2 * ONE {
            x /= 2;
            result |= 1 << digit;
        }
    }
    result
}
