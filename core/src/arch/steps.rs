//! The steps of a layer beside its products. All slices of a step have one
//! length; otherwise the shortest decides.

use super::{Native, Port};
use crate::number::{
    divide, exp_in, inverse_root, larger, limited, magnitude, mulq, normal, places, zeros, Factors,
    Peak, Shift, Vector, View,
};
use crate::pieces::{pieces, pieces_mut};

/// An epsilon that is added to a variance, `m 2^exp`, with `m` of 16 bits.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Epsilon {
    pub m: u16,
    pub exp: i32,
}

impl Epsilon {
    /// From a positive float, by integers.
    // Inlined, so that no register of a floating-point unit passes it on.
    #[inline(always)]
    pub(crate) fn from_f32(epsilon: f32) -> Self {
        let bits = epsilon.to_bits();
        Self {
            m: ((1 << 23 | bits & 0x7f_ffff) >> 8) as u16,
            exp: (bits >> 23) as i32 - 142,
        }
    }
}

/// That of every published RWKV layer norm, 1e-5.
const EPSILON: Epsilon = Epsilon {
    m: 42_950,
    exp: -32,
};

/// Bits of a norm's output before its bias: one more than a factor and the
/// largest normalized value need.
const NORM_BITS: i32 = 27;

/// Layer norm, with an epsilon of 1e-5: `out = (x - mean) / sqrt(variance +
/// epsilon) * weight + bias`, with the biased variance. All are `[C]`.
///
/// Its power of two depends on the weights alone: it is the same for every token.
pub(crate) fn layer_norm(x: View<'_>, affine: [Factors<'_>; 2], out: &mut Vector<'_>) {
    let exp = norm_exp(x.m.len(), affine);
    norm(x, EPSILON, affine, exp, out.m());
    out.set_exp(exp);
}

/// The same for each group of `size` channels separately, with the model's
/// epsilon. All are `[C]`; each group of `x` has a power of two of its own.
#[cfg_attr(kinglet_fast, inline(never))]
pub(crate) fn group_norm(
    x: &[i32],
    exps: &[i32],
    epsilon: Epsilon,
    [weight, bias]: [Factors<'_>; 2],
    out: &mut Vector<'_>,
) {
    let size = x.len().checked_div(exps.len()).unwrap_or(0);
    let exp = norm_exp(size, [weight, bias]);
    let affine = pieces(weight.m, size).zip(pieces(bias.m, size));
    let groups = pieces(x, size)
        .zip(exps.chunks(1))
        .zip(pieces_mut(out.m(), size));
    for (((m, x_exp), out), (w, b)) in groups.zip(affine) {
        let affine = [Factors { m: w, ..weight }, Factors { m: b, ..bias }];
        norm(
            View {
                m,
                exp: exp_in(x_exp),
            },
            epsilon,
            affine,
            exp,
            out,
        );
    }
    out.set_exp(exp);
}

/// The power of two of a norm's output: a normalized value is at most
/// `sqrt(C)`.
fn norm_exp(channels: usize, [weight, bias]: [Factors<'_>; 2]) -> i32 {
    let root_bits = (33 - zeros(channels.saturating_sub(1) as u32)) / 2;
    (weight.exp + root_bits).max(bias.exp) + 15 - NORM_BITS
}

/// A norm's output for the power of two `exp`.
fn norm(x: View<'_>, epsilon: Epsilon, affine: [Factors<'_>; 2], exp: i32, out: &mut [i32]) {
    let [weight, bias] = affine;
    let channels = x.m.len() as u32;
    let inverse = divide(1 << 31, channels.max(1), 32);
    let mean = mean(Native::sum(x.m), inverse, channels);
    let bits = Native::less(x.m, mean, out);
    // The largest difference takes 30 bits.
    let left = room_of(bits);
    let (squares, squares_exp) = normal(Native::squares(out, left));
    // Both in units of squares: 2^(2 (exp + 15 - left)).
    let epsilon_exp = epsilon.exp - 2 * (x.exp + 15 - left as i32);
    let (epsilon, places_of_epsilon) = normal(u64::from(epsilon.m) * u64::from(channels));
    let epsilon_exp = epsilon_exp + places_of_epsilon;

    let sum_exp = larger(squares_exp, epsilon_exp) + 1;
    let sum =
        (squares >> places(sum_exp - squares_exp)) + (epsilon >> places(sum_exp - epsilon_exp));
    let (mean, mean_exp) = normal(u64::from(sum) * u64::from(inverse));
    let (square, half) = even(mean, sum_exp + mean_exp - 31);
    let root = inverse_root(square);
    // 1 / sqrt(mean) = root 2^(-31 - half): a factor of 16 bits.
    let mulq_exp = weight.exp - half - 14;
    let scaling = Scaling {
        left,
        root: root as i32,
        right: places(exp - mulq_exp),
        // 12 places more at most: see `norm_exp`.
        bias: (1 << 28) >> limited(12 + exp - bias.exp, 28),
    };
    Native::affine(scaling, weight.m, bias.m, out);
}

/// Gives each group of `size` channels the length one; returns the power of two of
/// all. A group of zeros stays one.
pub(crate) fn unit_length(size: usize, x: &mut [i32]) -> i32 {
    for x in pieces_mut(x, size) {
        let bits = x.iter().fold(0, |bits, &x| bits | magnitude(x));
        let left = room_of(bits);
        let (square, exp) = normal(Native::squares(x, left));
        let (square, half) = even(square, exp);
        let root = (inverse_root(square) >> 1) as i32;
        // x 2^-15 root 2^(-30 - half), of which mulq leaves out 2^-16.
        let to_unit = Shift::by(-29 - half - UNIT_EXP);
        for x in x {
            *x = to_unit.of(mulq(*x << left, root));
        }
    }
    UNIT_EXP
}

/// How far numbers with these bits go to the left to take 30 bits.
fn room_of(bits: u32) -> u32 {
    limited(zeros(bits) - 2, 29) as u32
}

/// `x 2^exp` as `square 2^(2 half)`, with 2^30 and more for the square.
fn even(x: u32, exp: i32) -> (u32, i32) {
    let odd = exp & 1;
    // Of nothing the root is that of the least.
    ((x | 1 << 31) >> odd, (exp + odd) >> 1)
}

/// The power of two of vectors of length one.
const UNIT_EXP: i32 = -28;

/// How differences from the mean become a norm's output:
/// `mulq(d << left, (root w + 2^15) >> 16) >> right + mulq(bias, b)`.
///
/// `|d << left|` is below 2^30, `root` from 2^15 to 2^16, `right` at most 31, and
/// `bias` a power of two, 2^28 at most.
#[doc(hidden)]
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Scaling {
    pub left: u32,
    pub root: i32,
    pub right: u32,
    pub bias: i32,
}

/// The mean of numbers of this sum, whose count has this reciprocal, in units
/// of 2^-31: what the first product leaves out, a second one brings.
fn mean(sum: i64, inverse: u32, channels: u32) -> i32 {
    let first = ((sum >> 13) * i64::from(inverse)) >> 18;
    let rest = sum - first * i64::from(channels);
    (first + ((rest * i64::from(inverse) + (1 << 30)) >> 31)) as i32
}

/// Token shift: `out = previous + (x - previous) mix`, and its largest
/// magnitude. All are `[C]`; `x` and `previous` have one power of two.
#[inline(never)]
pub(crate) fn token_shift(
    x: View<'_>,
    previous: &[i32],
    mix: Factors<'_>,
    out: &mut [i32],
) -> Peak {
    // Mixes have 14 places; those of large ones are fewer, and so are those
    // of the result.
    let right = places(mix.exp + 14);
    Peak {
        max: Native::token_shift(x.m, previous, mix.m, right, out),
        exp: x.exp + right as i32,
    }
}

/// `x = max(x, 0)^2` (So et al., arXiv 2109.08668), and the largest value of the
/// result. `exp` is the power of two of `x`.
pub(crate) fn relu_squared(x: &mut [i32], exp: i32) -> Peak {
    let max = Native::positive_max(x);
    // At 2^31 it would have no sign left.
    let left = zeros(max as u32 | 1) as u32 - 1;
    Native::relu_squared(x, left);
    let top = (max << left >> 16) as u32;
    Peak {
        max: top * top,
        exp: 2 * (exp + 16 - left as i32),
    }
}
