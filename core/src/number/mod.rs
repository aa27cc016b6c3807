//! The arithmetic: integers, with the same result, bit for bit, on every core.
//!
//! A vector is a slice of `i32` mantissas under one power of two: element `i` is
//! `m[i] 2^exp`. Two products are all that there is between vectors: [`mulq`]
//! by a factor of 16 bits, and [`mulh`] by one of 32. Functions take and return
//! fixed-point numbers, and read tables that the compiler computes.
//!
//! `docs/arithmetic.md` is the definition: formats, ranges, rounding, errors.
//!
//! | name | unit | meaning |
//! |---|---|---|
//! | Q22 | 2^-22 | logarithms to base 2, arguments of functions |
//! | Q15, Q29 ... | 2^-15, 2^-29 ... | results between -1 and 1 |

#[cfg(test)]
mod bounds;
mod choice;
mod functions;
mod product;
mod tables;
mod vector;

pub(crate) use choice::{
    capped, larger, limited, normal, places, positive, smaller, where_less, zeros,
};
pub(crate) use functions::{
    divide, exp2, exp2_fraction, inverse_root, log2, sigmoid, Share, PLACES,
};
pub(crate) use product::{grown, halves, magnitude, mulh, mulq, Shift};
// For ports that look them up.
#[cfg(any(
    kinglet_mve,
    all(any(kinglet_armv7m, kinglet_dsp, kinglet_riscv), kinglet_fast)
))]
pub(crate) use tables::FRACTIONS;
#[cfg(any(all(kinglet_dsp, kinglet_fast), kinglet_mve))]
pub(crate) use tables::{SHARES, SHARE_OCTAVES, SHARE_STEPS};
pub(crate) use vector::{
    add, add_gated, apply, copy, dot, exp_in, multiply, multiply_silu, shares, times,
    token_shift_less, Function, Number, Residual, ToFixed, Vector, View,
};
pub use vector::{Factors, Peak};
