//! Element-wise steps.

use crate::number::{half_to_f32, AbsMax};
use half::f16;

/// The token shift of the channels from `done` on; `max` is that of those
/// before.
#[inline(always)]
pub(in crate::arch) fn token_shift_from(
    (done, mut max): (usize, AbsMax),
    x: &[f32],
    previous: &[f32],
    mix: &[f16],
    out: &mut [f32],
) -> AbsMax {
    let inputs = x.iter().zip(previous).zip(mix);
    for (out, ((&x, &p), &mix)) in out.iter_mut().zip(inputs).skip(done) {
        // The same as x * mix + p * (1 - mix), in one product.
        *out = p + (x - p) * half_to_f32(mix);
        max.see(*out);
    }
    max
}

/// The squares of the channels from `done` on; `max` is the largest of those
/// before, not squared.
#[inline(always)]
pub(in crate::arch) fn relu_squared_from(
    (done, mut max): (usize, AbsMax),
    x: &mut [f32],
) -> AbsMax {
    for x in x.iter_mut().skip(done) {
        let bits = x.to_bits();
        // The sign of a negative number clears all its bits.
        let positive = f32::from_bits(bits & !((bits as i32 >> 31) as u32));
        max.see(positive);
        *x = positive * positive;
    }
    // Rounding is monotonic: the square of the largest is the largest square.
    AbsMax::of(max.get() * max.get())
}
