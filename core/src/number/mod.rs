//! Plain arithmetic with the same result, bit for bit, on every core.
//!
//! Every function is a fixed sequence of IEEE single additions,
//! multiplications and divisions: no fused multiply-add, no `libm`, no order
//! of summation left to the compiler. So a run on the workstation has the
//! board's bits.

mod scalar;
mod vector;

pub(crate) use scalar::ROUND_MAGIC;
pub use scalar::{exp, half_to_f32, log2, rsqrt, scale_to_f32};
#[cfg(any(kinglet_soft, test))]
pub(crate) use scalar::{EXP_MAX, EXP_MIN, EXP_TERMS, LN2_LOW};
pub(crate) use vector::apply;
pub(crate) use vector::token_shift_less;
pub(crate) use vector::{abs_max, add_to, copy};
pub(crate) use vector::{dot, multiply};

/// The largest absolute value seen so far, as the bits of a positive float.
///
/// Positive floats are ordered like their bits, so a core without FPU compares
/// integers.
#[derive(Clone, Copy, Debug, Default)]
pub struct AbsMax(u32);

impl AbsMax {
    /// Takes one more value into account.
    #[inline(always)]
    pub fn see(&mut self, value: f32) {
        self.0 = self.0.max(value.to_bits() & 0x7fff_ffff);
    }

    /// No value seen.
    pub(crate) const ZERO: Self = Self(0);

    /// The maximum of one value.
    pub(crate) fn of(value: f32) -> Self {
        let mut max = Self::default();
        max.see(value);
        max
    }

    /// A maximum that was found elsewhere.
    #[cfg(kinglet_fpu)]
    pub(crate) fn from_bits(bits: u32) -> Self {
        Self(bits)
    }

    /// The largest absolute value; 0 where none was seen.
    #[inline]
    pub fn get(self) -> f32 {
        f32::from_bits(self.0)
    }
}
