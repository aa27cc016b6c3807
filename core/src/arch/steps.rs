//! The steps of a layer beside its products. All slices of a step have one
//! length; otherwise the shortest decides.

use super::{Native, Port};
use crate::number::{exp_in, divide, inverse_root, magnitude, mulq, Factors, Peak, Shift, Vector, View};
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
    let groups = pieces(x, size).zip(exps.chunks(1)).zip(pieces_mut(out.m(), size));
    for (((m, x_exp), out), (w, b)) in groups.zip(affine) {
        let affine = [Factors { m: w, ..weight }, Factors { m: b, ..bias }];
        norm(View { m, exp: exp_in(x_exp) }, epsilon, affine, exp, out);
    }
    out.set_exp(exp);
}

/// The power of two of a norm's output: a normalized value is at most
/// `sqrt(C)`.
fn norm_exp(channels: usize, [weight, bias]: [Factors<'_>; 2]) -> i32 {
    let root_bits = (channels.next_power_of_two().trailing_zeros() as i32 + 1) / 2;
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
    let left = bits.leading_zeros().saturating_sub(2).min(30);
    let squares = Native::squares(out, left);
    // Both in units of squares: 2^(2 (exp + 15 - left)).
    let epsilon_places = epsilon.exp - 2 * (x.exp + 15 - left as i32);
    let epsilon = u64::from(epsilon.m) * u64::from(channels);
    // An epsilon has 29 bits: where it would leave 63, both give up pairs of places.
    let pairs = ((epsilon_places - 33).max(0) / 2) as u32;
    let epsilon = match epsilon_places - 2 * pairs as i32 {
        places @ 0.. => epsilon << places,
        places => epsilon >> (-places).min(63),
    };
    let sum = ((squares >> (2 * pairs).min(63)) + epsilon).max(1);
    // The mean of the squares is `top 2^shift / 2^31`, with 2^30 and more for
    // `top` once the channels are divided out.
    let zeros = sum.leading_zeros();
    let top = (sum << zeros >> 32) as u32;
    let product = u64::from(top) * u64::from(inverse);
    let more = product.leading_zeros();
    let product = product << more;
    // sum / C = product 2^(32 - zeros - 31 - more), product of 64 bits.
    let shift = 1 - zeros as i32 - more as i32 + 32;
    // An even power of two has a root.
    let odd = shift & 1;
    let square = (product >> 32 >> odd) as u32;
    let half = (shift + odd) / 2 + pairs as i32;
    let root = inverse_root(square);
    // 1 / sqrt(mean) = root 2^(-31 - half): a factor of 16 bits.
    let mulq_exp = weight.exp - half - 14;
    let scaling = Scaling {
        left,
        root: root as i32,
        right: (exp - mulq_exp).clamp(0, 31) as u32,
        // 12 places more at most: see `norm_exp`.
        bias: 1 << (16 + bias.exp - exp).clamp(0, 28),
    };
    Native::affine(scaling, weight.m, bias.m, out);
}

/// Gives each group of `size` channels the length one; returns the power of two of
/// all. A group of zeros stays one.
pub(crate) fn unit_length(size: usize, x: &mut [i32]) -> i32 {
    for x in pieces_mut(x, size) {
        let bits = x.iter().fold(0, |bits, &x| bits | magnitude(x));
        let left = bits.leading_zeros().saturating_sub(2).min(30);
        let sum = Native::squares(x, left).max(1);
        // sum = square 2^(2 half), with 2^30 and more for the square.
        let shift = 32 - sum.leading_zeros() as i32;
        let odd = shift & 1;
        let square = ((sum << sum.leading_zeros()) >> 32) as u32 >> odd;
        let half = (shift + odd) / 2;
        let root = (inverse_root(square) >> 1) as i32;
        // x 2^-15 root 2^(-30 - half), of which mulq leaves out 2^-16.
        let to_unit = Shift::by(-29 - half - UNIT_EXP);
        for x in x {
            *x = to_unit.of(mulq(*x << left, root));
        }
    }
    UNIT_EXP
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
pub(crate) fn token_shift(
    x: View<'_>,
    previous: &[i32],
    mix: Factors<'_>,
    out: &mut [i32],
) -> Peak {
    // Mixes have 14 places; those of large ones are fewer, and so are those
    // of the result.
    let right = (mix.exp + 14).clamp(0, 31) as u32;
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
    let left = (max as u32 | 1).leading_zeros() - 1;
    Native::relu_squared(x, left);
    let top = (max << left >> 16) as u32;
    Peak {
        max: top * top,
        exp: 2 * (exp + 16 - left as i32),
    }
}
