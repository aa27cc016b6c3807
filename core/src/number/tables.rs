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

/// `2^-x` for `x` from 0 to 1 by chords: their starts in Q31, of 19 bits, and how much
/// they fall, in Q19, in the lower 13 bits. A chord lies half of its sag lower, and the
/// word is the start, without a correction.
pub(crate) static FRACTIONS: [u32; 64] = {
    let mut table = [0; 64];
    let mut i = 0;
    while i < 64 {
        let (start, end) = (power(i as u32), power(i as u32 + 1));
        let sag = (start + end) / 2 - root(start * end);
        let slope = rounded(start - end, 19);
        let base = rounded(start - sag / 2, 31) - slope;
        table[i] = (((base + (1 << 12)) & !0x1fff) + slope) as u32;
        i += 1;
    }
    table
};

/// Steps of the shares in which an argument grows by one.
pub(crate) const SHARE_STEPS: usize = 8;

/// Growths by one that the shares' table has: in later ones next to nothing changes.
pub(crate) const SHARE_OCTAVES: usize = 12;

/// A step of two functions of `x`, with `n` the whole part of `x`.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub(crate) struct Step {
    /// `2^n / (1 + 2^x)` by a chord: its start in Q16, in the upper half, and how much
    /// it rises, in Q18, with a sign. The word is the start, without a correction.
    pub share: u32,
    /// `2^n log2(1 + 2^-x)` at the start, Q31. Its derivative is minus the share.
    pub logarithm: u32,
}

/// The steps for `x` from 0 on.
pub(crate) static SHARES: [Step; SHARE_STEPS * SHARE_OCTAVES] = {
    let mut table = [Step {
        share: 0,
        logarithm: 0,
    }; SHARE_STEPS * SHARE_OCTAVES];
    let mut i = 0;
    while i < table.len() {
        // The last octave stands for those that follow, where half of what p still
        // changes is missing or too much.
        let octave = i / SHARE_STEPS;
        let tail = octave + 1 == SHARE_OCTAVES;
        let start = shares(8 * i, octave, tail);
        let middle = shares(8 * i + 4, octave, tail);
        let end = shares(8 * i + 8, octave, tail);
        table[i] = Step {
            share: chord(start[0], middle[0], end[0]),
            logarithm: rounded(start[1] / 2, 32) as u32,
        };
        i += 1;
    }
    table
};

/// `2^octave / (1 + 2^x)` and `2^octave log2(1 + 2^-x)` at `x = i / 64`.
const fn shares(i: usize, octave: usize, tail: bool) -> [u128; 2] {
    let (whole, part) = (i / 64, i % 64);
    // 2^(octave - x).
    let power = power(part as u32) >> (whole - octave);
    let small = power >> octave;
    if tail {
        let power = (power << PLACES) / (ONE + small / 2);
        return [power, (power * LOG2_E) >> PLACES];
    }
    [
        (power << PLACES) / (ONE + small),
        logarithm(ONE + small) << octave,
    ]
}

/// A chord from the function at both ends of a step and in its middle, lowered by
/// half of what it lies above the curve: the error is on both sides.
const fn chord(start: u128, middle: u128, end: u128) -> u32 {
    let sag = (start + end - 2 * middle) / 4;
    let slope = (rounded(start - end, 18) as u16).wrapping_neg();
    let base = rounded(start - sag - ((slope as u128) << (PLACES - 32)), 16);
    (base as u32) << 16 | slope as u32
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
