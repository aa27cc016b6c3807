//! The arithmetic that special instructions speed up on some processors.
//!
//! [`Port`] lists what a port may define. [`Portable`] defines all of it, in
//! the plainest way; a port defines what it is faster at and takes the rest
//! from its base. The same bits come out everywhere: the tests compare each
//! port with `Portable` where its instructions exist, on the workstation and
//! in QEMU.
//!
//! A new port is a file or folder here, its module and its line in the
//! choice of [`Native`] below, and its cfg in `build.rs`.
//!
//! The engine calls the functions of this module, which ask `Native`.
//!
//! | port | cores | layout | products by | base |
//! |---|---|---|---|---|
//! | `armv6m` | Cortex-M0, M0+ | `pairs` | `MULS`, 32 bits | `soft` |
//! | `armv7m` | Cortex-M3 | `pairs` | `MLA`, 32 bits | `soft` |
//! | `dsp` | Cortex-M4, M7, M33 | `rows4` | `SMLAD`, two of 16 bits | `fpu` or `soft` |
//! | `mve` | Cortex-M55 | `lanes16` | `VMLADAVA`, 16 of 8 bits | `fpu` |
//! | `neon` | AArch64 | `rows4` | `SDOT`, or `SMULL` | `portable` |
//! | `riscv` | RV32IM, also with A and C | `pairs` | `MUL` and `MULH`, 32 bits | `portable` |
//! | `x86` | x86-64 | `rows4` | `VPDPBUSD`, `VPMADDWD` or `VPMADDUBSW` | `portable` |
//! | `portable` | any | all | plain Rust | |
//!
//! `docs/performance.md` has the cost of each.

// Ports.
#[cfg(kinglet_armv6m)]
mod armv6m;
#[cfg(kinglet_armv7m)]
mod armv7m;
#[cfg(kinglet_dsp)]
mod dsp;
#[cfg(kinglet_mve)]
mod mve;
#[cfg(kinglet_neon)]
mod neon;
mod portable;
#[cfg(kinglet_riscv)]
mod riscv;
#[cfg(kinglet_x86)]
mod x86;

// The interface.
mod product;
mod shared;
mod state;
mod steps;
#[cfg(test)]
mod tests;

pub(crate) use product::Serial;
pub use product::{matvec, prepare, sums, Executor, Prepared};
pub(crate) use steps::{
    add_gated, bonus, delta, exp, group_norm, layer_norm, multiply_silu, relu_squared, sigmoid,
    tanh, token_shift,
};

// For the self-test and the counts of `firmware/bench`, not for users.
#[doc(hidden)]
pub use portable::Portable;
#[doc(hidden)]
pub use state::{Bonus, Cell, Delta};

use crate::number::AbsMax;
use crate::shape::{Bits, Layout, Matrix};
use half::{bf16, f16};

/// The port of this build.
#[cfg(kinglet_armv6m)]
#[doc(hidden)]
pub type Native = armv6m::Armv6m;
#[cfg(kinglet_armv7m)]
#[doc(hidden)]
pub type Native = armv7m::Armv7m;
#[cfg(kinglet_dsp)]
#[doc(hidden)]
pub type Native = dsp::Dsp;
#[cfg(kinglet_mve)]
#[doc(hidden)]
pub type Native = mve::Mve;
#[cfg(kinglet_neon)]
#[doc(hidden)]
pub type Native = neon::Neon;
#[cfg(kinglet_riscv)]
#[doc(hidden)]
pub type Native = riscv::Riscv;
#[cfg(kinglet_x86)]
#[doc(hidden)]
pub type Native = x86::X86;
#[cfg(kinglet_portable)]
#[doc(hidden)]
pub type Native = Portable;

/// What a port may define. All of it gives the bits that [`Portable`] gives,
/// and takes slices of any length: the shortest bounds the work.
#[doc(hidden)]
pub trait Port {
    /// Answers for what the port does not define.
    type Base: Port;

    /// The arrangement of weights that `prepare` and `sums` are for; matrices
    /// of another one are left to [`Portable`].
    const LAYOUT: Layout = Self::Base::LAYOUT;

    /// Quantizes `x` `[cols]` to `round(x * inverse)`, in [-127, 127], and
    /// arranges it for `sums`. `words` are as many as [`prepared_words`] says.
    fn prepare(x: &[f32], inverse: f32, bits: Bits, words: &mut [u32]) {
        Self::Base::prepare(x, inverse, bits, words);
    }

    /// The exact sums `[rows]` of `matrix` `[rows, cols]` with a vector that
    /// `prepare` arranged. `sums` must hold whole blocks of four rows.
    fn sums(matrix: &Matrix<'_>, words: &[u32], sums: &mut [i32]) {
        Self::Base::sums(matrix, words, sums);
    }

    /// Turns sums `[rows]` into values in place: an `i32` in each word of
    /// `out` becomes the float `sum * scale * x_scale`, rounded after the
    /// conversion and after each product. Whole blocks of four rows.
    fn scale_rows(scales: &[bf16], x_scale: f32, out: &mut [f32]) {
        Self::Base::scale_rows(scales, x_scale, out);
    }

    /// `e^x`: see [`number::exp`](crate::number::exp).
    #[inline]
    fn exp(x: f32) -> f32 {
        Self::Base::exp(x)
    }

    /// `out = (x - mean) / sqrt(variance + eps) * weight + bias`, with the
    /// biased variance. All slices are `[C]`.
    fn norm(x: &[f32], eps: f32, weight: &[f16], bias: &[f16], out: &mut [f32]) {
        Self::Base::norm(x, eps, weight, bias, out);
    }

    /// `out = x * mix + previous * (1 - mix)`, and the largest absolute value
    /// of the result. All slices are `[C]`.
    fn token_shift(x: &[f32], previous: &[f32], mix: &[f16], out: &mut [f32]) -> AbsMax {
        Self::Base::token_shift(x, previous, mix, out)
    }

    /// `x = max(x, 0)^2`, and the largest value of the result.
    fn relu_squared(x: &mut [f32]) -> AbsMax {
        Self::Base::relu_squared(x)
    }

    /// Reads the state `[N, N]` of a head of RWKV-5 and 6,
    /// `y[j] = bonus v[j] + sum_i r[i] S[i,j]`, and moves it on:
    /// `S[i,j] = S[i,j] w[i] + k[i] v[j]`. `y` is `[N]`.
    ///
    /// # Safety
    /// N is at most [`MAX_COLS`](crate::shape::MAX_COLS); where it is even, the
    /// state is aligned to words.
    unsafe fn bonus<S: Cell>(state: &mut [S], head: &Bonus<'_>, y: &mut [f32]) {
        // SAFETY: promised by the caller.
        unsafe { Self::Base::bonus(state, head, y) }
    }

    /// Moves the state `[N, N]` of a head of RWKV-7 on and reads the new one.
    /// With `i` the value and `j` the key channel:
    ///
    /// ```text
    /// sa[i]  = sum_j read[j] S[j,i]
    /// S[j,i] = S[j,i] w[j] + b[j] sa[i] + k[j] v[i]
    /// y[i]   = sum_j r[j] S[j,i]      = sum_j w[j] r[j] S_old[j,i] + br sa[i] + kr v[i]
    /// ```
    ///
    /// The right-hand form reads the old state, in the same pass as `sa`.
    /// `y` is `[N]`, and so is `sa`, which is scratch.
    ///
    /// # Safety
    /// As for [`Port::bonus`].
    unsafe fn delta<S: Cell>(state: &mut [S], head: &Delta<'_>, y: &mut [f32], sa: &mut [f32]) {
        // SAFETY: promised by the caller.
        unsafe { Self::Base::delta(state, head, y, sa) }
    }
}
