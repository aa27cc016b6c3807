//! Element-wise steps that several RWKV versions share. All slices have one
//! length; otherwise the shortest decides.

use super::scalar::half_to_f32;
use super::AbsMax;
use half::f16;

/// Token shift with a data-dependent mix, and its largest absolute value:
/// `out = x * (mix - less) + previous * (1 - mix + less)`.
#[cfg_attr(kinglet_fast, inline(never))]
pub(crate) fn token_shift_less(
    [x, previous]: [&[f32]; 2],
    mix: &[f16],
    less: &[f32],
    out: &mut [f32],
) -> AbsMax {
    let mut max = AbsMax::default();
    let inputs = x.iter().zip(previous).zip(mix.iter().zip(less));
    for (out, ((&x, &p), (&mix, &less))) in out.iter_mut().zip(inputs) {
        *out = p + (x - p) * (half_to_f32(mix) - less);
        max.see(*out);
    }
    max
}

/// `out = x * y`, and its largest absolute value.
#[cfg_attr(kinglet_fast, inline(never))]
pub(crate) fn multiply(x: &[f32], y: &[f32], out: &mut [f32]) -> AbsMax {
    let mut max = AbsMax::default();
    for ((out, &x), &y) in out.iter_mut().zip(x).zip(y) {
        *out = x * y;
        max.see(*out);
    }
    max
}

/// Applies `f` to each element, and finds the largest absolute value.
#[cfg_attr(kinglet_fast, inline(never))]
pub(crate) fn apply(x: &mut [f32], f: impl Fn(f32) -> f32) -> AbsMax {
    let mut max = AbsMax::default();
    for x in x {
        *x = f(*x);
        max.see(*x);
    }
    max
}

/// The sum of products, one after the other.
pub(crate) fn dot(x: &[f32], y: &[f32]) -> f32 {
    let mut sum = 0.0;
    for (&x, &y) in x.iter().zip(y) {
        sum += x * y;
    }
    sum
}

/// `to = from`.
pub(crate) fn copy(from: &[f32], to: &mut [f32]) {
    for (to, &from) in to.iter_mut().zip(from) {
        *to = from;
    }
}

/// `x += y`.
pub(crate) fn add_to(x: &mut [f32], y: &[f32]) {
    for (x, &y) in x.iter_mut().zip(y) {
        *x += y;
    }
}

/// The largest absolute value of `x`.
pub(crate) fn abs_max(x: &[f32]) -> AbsMax {
    let mut max = AbsMax::default();
    for &x in x {
        max.see(x);
    }
    max
}
