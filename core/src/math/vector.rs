//! Named element-wise steps that several RWKV versions share. All slices
//! are of one length; the shortest ends the work.

use super::scalar::{half_to_f32, sigmoid};
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
