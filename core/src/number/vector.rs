//! Named element-wise steps that several RWKV versions share. All slices
//! are of one length; the shortest ends the work.

use super::scalar::half_to_f32;
#[cfg(any(feature = "v4", feature = "v5", feature = "v6"))]
use super::scalar::sigmoid;
use super::AbsMax;
use half::f16;

/// Token shift: `out = x * mix + previous * (1 - mix)`, and the largest
/// absolute value of the result, which its quantization needs next.
pub(crate) fn token_shift(x: &[f32], previous: &[f32], mix: &[f16], out: &mut [f32]) -> AbsMax {
    #[cfg(kinglet_fpu)]
    let (done, max) = crate::kernels::fpu::token_shift(x, previous, mix, out);
    #[cfg(not(kinglet_fpu))]
    let (done, max) = (0, 0);
    let mut max = AbsMax::from_bits(max);
    let inputs = x.iter().zip(previous).zip(mix);
    for (out, ((&x, &p), &mix)) in out.iter_mut().zip(inputs).skip(done) {
        // The same as x * mix + p * (1 - mix), in one product.
        *out = p + (x - p) * half_to_f32(mix);
        max.see(*out);
    }
    max
}

/// Token shift whose mix the data moves: `out = x * (mix - less) + previous *
/// (1 - mix + less)`, and its largest absolute value.
#[cfg(feature = "v6")]
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
#[cfg(feature = "v7")]
pub(crate) fn multiply(x: &[f32], y: &[f32], out: &mut [f32]) -> AbsMax {
    let mut max = AbsMax::default();
    for ((out, &x), &y) in out.iter_mut().zip(x).zip(y) {
        *out = x * y;
        max.see(*out);
    }
    max
}

/// `out = x * gate * sigmoid(gate)`, and its largest absolute value.
#[cfg(any(feature = "v5", feature = "v6"))]
pub(crate) fn multiply_silu(x: &[f32], gate: &[f32], out: &mut [f32]) -> AbsMax {
    let mut max = AbsMax::default();
    for ((out, &x), &gate) in out.iter_mut().zip(x).zip(gate) {
        *out = x * (gate * sigmoid(gate));
        max.see(*out);
    }
    max
}

/// Applies `f` to each element, and finds the largest absolute value.
#[cfg(any(feature = "v6", feature = "v7"))]
pub(crate) fn apply(x: &mut [f32], f: impl Fn(f32) -> f32) -> AbsMax {
    let mut max = AbsMax::default();
    for x in x {
        *x = f(*x);
        max.see(*x);
    }
    max
}

/// The sum of products, one after the other.
#[cfg(feature = "v7")]
pub(crate) fn dot(x: &[f32], y: &[f32]) -> f32 {
    let mut sum = 0.0;
    for (&x, &y) in x.iter().zip(y) {
        sum += x * y;
    }
    sum
}

/// `x = max(x, 0)^2`, and the largest value of the result.
pub(crate) fn relu_squared(x: &mut [f32]) -> AbsMax {
    #[cfg(kinglet_fpu)]
    let (done, max) = crate::kernels::fpu::relu_squared(x);
    #[cfg(not(kinglet_fpu))]
    let (done, max) = (0, 0);
    let mut max = AbsMax::from_bits(max);
    for x in x.iter_mut().skip(done) {
        let bits = x.to_bits();
        // All bits of a negative number are cleared by its sign.
        let positive = f32::from_bits(bits & !((bits as i32 >> 31) as u32));
        max.see(positive);
        *x = positive * positive;
    }
    // Rounding keeps the order: the square of the largest is the largest square.
    AbsMax::of(max.get() * max.get())
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

/// `x += sigmoid(gate) * y`.
#[cfg(any(feature = "v4", feature = "v5", feature = "v6"))]
pub(crate) fn add_gated(x: &mut [f32], gate: &[f32], y: &[f32]) {
    for ((x, &gate), &y) in x.iter_mut().zip(gate).zip(y) {
        *x += sigmoid(gate) * y;
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
