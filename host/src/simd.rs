//! Loops that compilers can put into vector registers.

use num_traits::Float;
use std::ops::AddAssign;

/// Runs `f` compiled for the widest vector instructions of this machine.
/// Everything that `f` calls must be inlined into it to profit.
#[inline(always)]
pub fn wide<R>(f: impl FnOnce() -> R) -> R {
    pulp::Arch::new().dispatch(f)
}

/// Partial sums, enough for the vector registers of any machine.
const LANES: usize = 16;

/// The sum of `f` over the elements, in lanes.
#[inline(always)]
pub fn sum<F: Float + AddAssign>(len: usize, f: impl Fn(usize) -> F) -> F {
    let mut lanes = [F::zero(); LANES];
    let whole = len / LANES * LANES;
    for first in (0..whole).step_by(LANES) {
        for (lane, sum) in lanes.iter_mut().enumerate() {
            *sum += f(first + lane);
        }
    }
    let mut total = F::zero();
    for i in whole..len {
        total += f(i);
    }
    lanes.iter().fold(total, |total, &lane| total + lane)
}
