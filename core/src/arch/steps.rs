//! The steps of a layer beside its products. All slices of a step have one
//! length; otherwise the shortest decides.

use super::{Bonus, Cell, Delta, Native, Port};
use crate::number::AbsMax;
use crate::pieces::{pieces, pieces_mut};
use half::f16;

/// Added to the variance (EPS of every published RWKV layer norm).
const EPS: f32 = 1e-5;

/// `e^x`, with `x` clamped to [-87, 88].
#[inline]
pub(crate) fn exp(x: f32) -> f32 {
    Native::exp(x)
}

/// The logistic function `1 / (1 + e^-x)`, always inside [0, 1].
#[inline]
pub(crate) fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

/// The hyperbolic tangent, always inside [-1, 1].
#[inline]
pub(crate) fn tanh(x: f32) -> f32 {
    // e^-2|x| cannot overflow, and the sign is put back at the end.
    let e = exp(-2.0 * x.abs());
    let y = (1.0 - e) / (1.0 + e);
    f32::from_bits(y.to_bits() | x.to_bits() & 1 << 31)
}

/// Layer norm, with an epsilon of 1e-5: see [`Port::norm`].
pub(crate) fn layer_norm(x: &[f32], weight: &[f16], bias: &[f16], out: &mut [f32]) {
    Native::norm(x, EPS, weight, bias, out);
}

/// The same for each group of `size` channels separately, with the model's
/// epsilon. All slices are `[C]`.
#[cfg_attr(kinglet_fast, inline(never))]
pub(crate) fn group_norm(
    x: &[f32],
    size: usize,
    eps: f32,
    [weight, bias]: [&[f16]; 2],
    out: &mut [f32],
) {
    let affine = pieces(weight, size).zip(pieces(bias, size));
    let groups = pieces(x, size).zip(pieces_mut(out, size));
    for ((x, out), (weight, bias)) in groups.zip(affine) {
        Native::norm(x, eps, weight, bias, out);
    }
}

/// Token shift: see [`Port::token_shift`]. Quantizing the result takes its
/// largest absolute value.
pub(crate) fn token_shift(x: &[f32], previous: &[f32], mix: &[f16], out: &mut [f32]) -> AbsMax {
    Native::token_shift(x, previous, mix, out)
}

/// `x = max(x, 0)^2` (So et al., arXiv 2109.08668), and the largest value of the
/// result.
pub(crate) fn relu_squared(x: &mut [f32]) -> AbsMax {
    Native::relu_squared(x)
}

/// `out = x * silu(gate)` with `silu(g) = g * sigmoid(g)` (Elfwing et al.,
/// arXiv 1702.03118), and its largest absolute value.
#[cfg_attr(kinglet_fast, inline(never))]
pub(crate) fn multiply_silu(x: &[f32], gate: &[f32], out: &mut [f32]) -> AbsMax {
    let mut max = AbsMax::default();
    for ((out, &x), &gate) in out.iter_mut().zip(x).zip(gate) {
        *out = x * (gate * sigmoid(gate));
        max.see(*out);
    }
    max
}

/// `x += sigmoid(gate) * y`.
// As a separate function it keeps its constants in registers.
#[cfg_attr(kinglet_fast, inline(never))]
pub(crate) fn add_gated(x: &mut [f32], gate: &[f32], y: &[f32]) {
    for ((x, &gate), &y) in x.iter_mut().zip(gate).zip(y) {
        *x += sigmoid(gate) * y;
    }
}

/// A step of a head's state, RWKV-5 and 6: see [`Port::bonus`].
pub(crate) fn bonus<S: Cell>(state: &mut [S], head: &Bonus<'_>, y: &mut [f32]) {
    // SAFETY: a head of a session's state, whose channels `Image::new` has
    // checked; its floats and, for an even N, its half floats are whole words.
    unsafe { Native::bonus(state, head, y) }
}

/// A step of a head's state, RWKV-7: see [`Port::delta`].
pub(crate) fn delta<S: Cell>(state: &mut [S], head: &Delta<'_>, y: &mut [f32], sa: &mut [f32]) {
    // SAFETY: as above.
    unsafe { Native::delta(state, head, y, sa) }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Miri is for the ports: these would take it minutes.
    #[test]
    #[cfg_attr(miri, ignore)]
    fn sigmoid_stays_between_zero_and_one() {
        for i in -2000..=2000 {
            let y = sigmoid(i as f32 * 0.1);
            assert!(
                (0.0..=1.0).contains(&y),
                "sigmoid({}) = {y}",
                i as f32 * 0.1
            );
        }
        assert_eq!(sigmoid(0.0), 0.5);
    }

    #[test]
    #[cfg_attr(miri, ignore)]
    fn tanh_is_odd_bounded_and_right() {
        for i in -20_000..=20_000 {
            let x = i as f32 * 1e-3;
            let y = tanh(x);
            assert!((f64::from(y) - f64::from(x).tanh()).abs() < 2e-7, "{x}");
            assert_eq!(y, -tanh(-x));
            assert!(y.abs() <= 1.0);
        }
        assert_eq!(tanh(0.0), 0.0);
        assert_eq!(tanh(1e30), 1.0);
    }
}
