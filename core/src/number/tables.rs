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
pub(super) struct Parabola {
    /// Q30.
    pub base: u32,
    /// Q21.
    pub slope: u16,
    /// Q21.
    pub curve: u16,
}

/// `2^-x` for `x` in steps of 1/32: through both ends and the middle of a step.
pub(super) static POWERS: [Parabola; 32] = {
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

/// Places of a chord's `base`, and of its `slope` for a whole step.
const BASE_PLACES: u32 = 17;
const SLOPE_PLACES: u32 = 20;

/// Bits of a chord's `slope`, below its `base`.
const SLOPE_BITS: u32 = 14;

/// Steps from 0 to 1.
const CHORDS: usize = 128;

/// A rising function on [0, 1] by chords: `base << 14 | slope` in a word.
pub(super) type Chords = [u32; CHORDS + 1];

/// The chords of a function that is given at the nodes. They are lifted by half
/// of what the curve lies above its chord, so that the error is on both sides;
/// but at 0 it is what `start` says, in Q20.
const fn chords(at: [u128; CHORDS + 1], start: u128) -> Chords {
    let mut lifted = [start << (PLACES - SLOPE_PLACES); CHORDS + 1];
    let mut i = 1;
    while i <= CHORDS {
        let middle = if i < CHORDS { i } else { CHORDS - 1 };
        let bulge = (2 * at[middle] - at[middle - 1] - at[middle + 1]) / 8;
        lifted[i] = at[i] + bulge / 2;
        i += 1;
    }
    let mut table = [0; CHORDS + 1];
    let mut i = 0;
    while i <= CHORDS {
        let base = rounded(lifted[i], BASE_PLACES) as u32;
        let slope = if i < CHORDS {
            rounded(lifted[i + 1] - lifted[i], SLOPE_PLACES) as u32
        } else {
            0
        };
        table[i] = base << SLOPE_BITS | slope;
        i += 1;
    }
    table
}

/// `x / (1 + x)`.
pub(super) static SHARES: Chords = {
    let mut at = [0; CHORDS + 1];
    let mut i = 0;
    while i <= CHORDS {
        at[i] = ((i as u128) << PLACES) / (CHORDS + i) as u128;
        i += 1;
    }
    // So that 1 less a share, rounded, is below 1 in Q15.
    chords(at, 24)
};

/// `log2(e)`.
const LOG2_E: u128 = 1_663_314_137_230_540_311;

/// `log2(e)` in Q20.
pub(super) const LOG2_E_Q20: u32 = rounded(LOG2_E, SLOPE_PLACES) as u32;

/// `log2(1 + x)` for `x = i / CHORDS`: one binary digit after the other, by squaring.
const fn logarithm(i: usize) -> u128 {
    if i == CHORDS {
        return ONE;
    }
    let mut x = (((CHORDS + i) as u128) << PLACES) / CHORDS as u128;
    let (mut result, mut digit) = (0, PLACES);
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

/// `log2(e) - log2(1 + x) / x`, which is 0 at 0.
pub(super) static LOGARITHMS: Chords = {
    let mut at = [0; CHORDS + 1];
    let mut i = 1;
    while i <= CHORDS {
        at[i] = LOG2_E - logarithm(i) * CHORDS as u128 / i as u128;
        i += 1;
    }
    chords(at, 8)
};

/// The function at `x`, Q16 from 0 to 2^16, in Q20.
#[cfg_attr(kinglet_fast, inline(always))]
pub(super) fn along(table: &Chords, x: u32) -> u32 {
    let step = 16 - CHORDS.trailing_zeros();
    let chord = table.get((x >> step) as usize).copied().unwrap_or(0);
    let (base, slope) = (chord >> SLOPE_BITS, chord & ((1 << SLOPE_BITS) - 1));
    let t = x & ((1 << step) - 1);
    (base << (SLOPE_PLACES - BASE_PLACES)) + ((slope * t) >> step)
}
