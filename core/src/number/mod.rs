//! Plain arithmetic with the same result, bit for bit, on every core.
//!
//! Every function is a fixed sequence of IEEE single additions,
//! multiplications and divisions: no fused multiply-add, no `libm`, no order
//! of summation left to the compiler. So a run on the workstation has the
//! board's bits.
//!
//! [`exp`], [`log2`] and [`rsqrt`] are the definitions of these functions: a
//! port may compute them in another way, to the same bits. `docs/arithmetic.md`
//! has the rules for all other floats.
//!
//! ```
//! use kinglet::number::{exp, log2, AbsMax};
//!
//! assert_eq!((exp(0.0), log2(8.0)), (1.0, 3.0));
//! let mut max = AbsMax::default();
//! [1.5, -4.0, 2.0].into_iter().for_each(|x| max.see(x));
//! assert_eq!(max.get(), 4.0);
//! ```

mod scalar;
mod vector;

pub(crate) use scalar::ROUND_MAGIC;
pub use scalar::{exp, half_to_f32, log2, rsqrt, scale_to_f32};
#[cfg(any(kinglet_soft, test))]
pub(crate) use scalar::{EXP_MAX, EXP_MIN, EXP_TERMS, LN2_LOW};
pub(crate) use vector::{abs_max, add_to, apply, copy, dot, multiply, token_shift_less};

/// The largest absolute value seen so far, as the bits of a positive float.
///
/// Positive floats are ordered like their bits, so a core without FPU compares
/// integers.
/// A NaN is larger than any number.
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
