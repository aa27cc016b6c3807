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
//! | `armv6m` | Cortex-M0, M0+ | `pairs` | `MULS`, 32 bits | `portable` |
//! | `armv7m` | Cortex-M3 | `pairs` | `MLA`, 32 bits | `portable` |
//! | `dsp` | Cortex-M4, M7, M33 | `rows4` | `SMLAD`, two of 16 bits | `portable` |
//! | `mve` | Cortex-M55 | `lanes16` | `VMLADAVA`, 16 of 8 bits | `portable` |
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
mod fine;
// Long, and without code that Miri is there for.
#[cfg(all(test, not(miri)))]
mod bounds;
mod opaque;
mod product;
mod shared;
mod state;
mod steps;
#[cfg(test)]
mod tests;
#[cfg(kinglet_wrong_bit)]
mod wrong;

pub(crate) use opaque::opaque;
pub use product::{matvec, prepare, Executor, Prepared};
pub(crate) use product::{product_exp, Scale, Serial};
pub(crate) use state::{
    advance, reset as reset_rows, Head, Inputs as HeadInputs, Room, LEAST_DECAY,
};
pub(crate) use steps::{group_norm, layer_norm, relu_squared, token_shift, unit_length, Epsilon};

// For the self-test and the counts of `firmware/bench`, not for users.
#[doc(hidden)]
pub use crate::number::Peak;
#[doc(hidden)]
pub use fine::{product_in_parts, FineQuantizer};
#[doc(hidden)]
pub use portable::Portable;
#[doc(hidden)]
pub use product::Quantizer;
#[doc(hidden)]
pub use state::{Mantissa, Narrow, Write};
#[doc(hidden)]
pub use steps::Scaling;

use crate::shape::{Bits, Layout, Matrix};

/// The port of this target.
#[cfg(kinglet_armv6m)]
type Own = armv6m::Armv6m;
#[cfg(kinglet_armv7m)]
type Own = armv7m::Armv7m;
#[cfg(kinglet_dsp)]
type Own = dsp::Dsp;
#[cfg(kinglet_mve)]
type Own = mve::Mve;
#[cfg(kinglet_neon)]
type Own = neon::Neon;
#[cfg(kinglet_riscv)]
type Own = riscv::Riscv;
#[cfg(kinglet_x86)]
type Own = x86::X86;
#[cfg(kinglet_portable)]
type Own = Portable;

/// The port of this build.
#[cfg(not(kinglet_wrong_bit))]
#[doc(hidden)]
pub type Native = Own;
/// The port of this build.
#[cfg(kinglet_wrong_bit)]
#[doc(hidden)]
pub type Native = wrong::Wrong<Own>;

/// What a port may define. All of it gives the bits that [`Portable`] gives,
/// and takes slices of any length: the shortest bounds the work.
#[doc(hidden)]
pub trait Port {
    /// Answers for what the port does not define.
    type Base: Port;

    /// The arrangement of weights that `prepare` and `sums` are for; matrices
    /// of another one are left to [`Portable`].
    const LAYOUT: Layout = Self::Base::LAYOUT;

    /// Quantizes `x` `[cols]` to [`Quantizer::of`], in [-127, 127], and
    /// arranges it for `sums`. `words` are as many as [`prepared_words`] says.
    ///
    /// [`prepared_words`]: crate::shape::prepared_words
    fn prepare(x: &[i32], quantizer: Quantizer, bits: Bits, words: &mut [u32]) {
        Self::Base::prepare(x, quantizer, bits, words);
    }

    /// The exact sums `[rows]` of `matrix` `[rows, cols]` with a vector that
    /// `prepare` arranged. `sums` must hold whole blocks of four rows.
    fn sums(matrix: &Matrix<'_>, words: &[u32], sums: &mut [i32]) {
        Self::Base::sums(matrix, words, sums);
    }

    /// Whether the port multiplies int8 matrices of up to [`FINE_COLS`] columns with a
    /// vector of 16 bits at once.
    ///
    /// [`FINE_COLS`]: crate::shape::FINE_COLS
    const FINE: bool = Self::Base::FINE;

    /// Quantizes `x` `[cols]` to 16 bits and arranges it for `fine_sums`. `words` are twice
    /// as many as [`prepared_words`] says.
    ///
    /// [`prepared_words`]: crate::shape::prepared_words
    fn prepare_fine(x: &[i32], quantizer: FineQuantizer, words: &mut [u32]) {
        Self::Base::prepare_fine(x, quantizer, words);
    }

    /// As [`Port::sums`], with what `prepare_fine` arranged.
    fn fine_sums(matrix: &Matrix<'_>, words: &[u32], sums: &mut [i32]) {
        Self::Base::fine_sums(matrix, words, sums);
    }

    /// Turns sums `[rows]` into values in place:
    /// `mulq(sum << shift, scale max16 >> 15)`. Whole blocks of four rows.
    fn scale_rows(scales: &[i16], max16: i32, shift: u32, out: &mut [i32]) {
        Self::Base::scale_rows(scales, max16, shift, out);
    }

    /// Likewise with a factor of 16 bits for all rows, and for each block of four the
    /// places by which it goes to the right, 31 at most:
    /// `mulh(sum << shift, factor << 16 >> places)`.
    fn scale_blocks(places: &[u8], factor: i32, shift: u32, out: &mut [i32]) {
        Self::Base::scale_blocks(places, factor, shift, out);
    }

    /// The sum of `x` `[C]`.
    fn sum(x: &[i32]) -> i64 {
        Self::Base::sum(x)
    }

    /// `out = x - mean`, and a number with the bits of all their magnitudes.
    fn less(x: &[i32], mean: i32, out: &mut [i32]) -> u32 {
        Self::Base::less(x, mean, out)
    }

    /// The sum of the squares of `x << left >> 15`, which have 16 bits.
    fn squares(x: &[i32], left: u32) -> u64 {
        Self::Base::squares(x, left)
    }

    /// The sum of `floor(a b / 2^16)`, of numbers below 2^30 in magnitude. Both are `[N]`.
    fn dot(a: &[i32], b: &[i32]) -> i64 {
        Self::Base::dot(a, b)
    }

    /// A norm's output, in place of the differences from the mean: see
    /// [`Scaling`]. All slices are `[C]`.
    fn affine(scaling: Scaling, weight: &[i16], bias: &[i16], x: &mut [i32]) {
        Self::Base::affine(scaling, weight, bias, x);
    }

    /// `out = (previous >> right) + 4 mulq(x - previous, mix)`, and the largest
    /// magnitude of the result. All slices are `[C]`.
    fn token_shift(x: &[i32], previous: &[i32], mix: &[i16], right: u32, out: &mut [i32]) -> u32 {
        Self::Base::token_shift(x, previous, mix, right, out)
    }

    /// The largest element of `x`; 0 where none is positive.
    fn positive_max(x: &[i32]) -> i32 {
        Self::Base::positive_max(x)
    }

    /// Reads the state of a head: `sums[i] = sum_j c[j] M[j,i]`. All are `[N]`,
    /// `mantissas` `[N, N]`: rows in pairs, element by element, and a last one alone.
    fn read<M: Mantissa>(mantissas: &[M], c: &[Narrow], sums: &mut [i32]) {
        Self::Base::read(mantissas, c, sums);
    }

    /// Whether two reads at once are less work than one after the other.
    const BOTH: bool = Self::Base::BOTH;

    /// Two reads of a state.
    fn read_both<M: Mantissa>(mantissas: &[M], c: &[[Narrow; 2]], sums: &mut [[i32; 2]]) {
        Self::Base::read_both(mantissas, c, sums);
    }

    /// Writes it: `M[j,i] = (M[j,i] w[j] + k[j] v[i] + b[j] sa[i]) / 2^14`, rounded as
    /// [`Mantissa::store`] does it; `values` are `v` and `sa`.
    fn write<M: Mantissa>(mantissas: &mut [M], writes: &[Write], values: &[[Narrow; 2]]) {
        Self::Base::write(mantissas, writes, values);
    }

    /// `to = from`.
    fn copy(from: &[i32], to: &mut [i32]) {
        Self::Base::copy(from, to);
    }

    /// `x = x / 2^right`, rounded.
    fn round_off(x: &mut [i32], right: u32) {
        Self::Base::round_off(x, right);
    }

    /// `x = x 2^places + y >> right`, and a number with the bits of all magnitudes.
    fn add(x: &mut [i32], y: &[i32], places: i32, right: u32) -> u32 {
        Self::Base::add(x, y, places, right)
    }

    /// Moves the scales of a state's rows by the logarithms of their decays.
    fn decay(lam: &mut [i32], bounds: &mut [i32], w: &[i32]) {
        Self::Base::decay(lam, bounds, w);
    }

    /// The largest of the logarithms of scales, and no less than `least`.
    fn most(lam: &[i32], least: i32) -> i32 {
        Self::Base::most(lam, least)
    }

    /// [`Port::decay`], then [`Port::coefficients`].
    fn decayed_coefficients(
        x: &[i32],
        w: &[i32],
        rows: [&mut [i32]; 2],
        most_and_sign: [i32; 2],
        scaled: &mut [i32],
        out: (&mut [Narrow], usize),
    ) -> i32 {
        Self::Base::decayed_coefficients(x, w, rows, most_and_sign, scaled, out)
    }

    /// Coefficients of a read, of 16 bits, times a sign, and the power of two by which `x`
    /// became smaller; rows are `lam` and `bounds`, whose scales are below `2 2^most`,
    /// `scaled` is room. All are `[N]`; those in `out` are a step apart, of 1 or 2.
    fn coefficients(
        x: &[i32],
        rows: [&[i32]; 2],
        most_and_sign: [i32; 2],
        scaled: &mut [i32],
        out: (&mut [Narrow], usize),
    ) -> i32 {
        Self::Base::coefficients(x, rows, most_and_sign, scaled, out)
    }

    /// A vector in 16 bits, rounded, up to 2^14, times a sign, into one of two places of
    /// each of `out`; the power of two by which it became smaller. The elements
    /// of the vector are a step apart in `x`, of 1 or 2.
    fn to_16_bits(x: (&[i32], usize), sign: i32, out: &mut [[Narrow; 2]], place: usize) -> i32 {
        Self::Base::to_16_bits(x, sign, out, place)
    }

    /// The parts of a state's rows in the write, and their new scales and bounds, `lam`
    /// and `bounds`: products of a coefficient with a vector of 16 bits are added, whose
    /// powers of two are `exps`. The second may be none, an empty slice. `slack` is that
    /// of the mantissas.
    fn plan(
        rows: [&mut [i32]; 2],
        products: [&[i32]; 2],
        exps: [i32; 2],
        slack: u32,
        writes: &mut [Write],
    ) {
        Self::Base::plan(rows, products, exps, slack, writes);
    }

    /// `y = (sum >> by_sum) + (v of_v >> by_v) + (sa of_sa >> by_sa)`, with weights of 16
    /// bits for both of `values`; the sums are a step apart, of 1 or 2.
    fn add_values(
        sums: (&[i32], usize),
        values: &[[Narrow; 2]],
        weights: [i32; 2],
        right: [u32; 3],
        y: &mut [i32],
    ) {
        Self::Base::add_values(sums, values, weights, right, y);
    }

    /// Where bits of the halves of words differ from those below them, in any of the words.
    /// The lowest bit of the upper half says nothing.
    fn differences(words: &[u32]) -> u32 {
        Self::Base::differences(words)
    }

    /// `out = sigmoid(gate 2^places)` as factors in Q15, with arguments in Q22, to
    /// base 2. Both are `[C]`.
    fn shares(gate: &[i32], places: i32, out: &mut [i32]) {
        Self::Base::shares(gate, places, out);
    }

    /// `x = x 2^of_x + sigmoid(gate 2^of_gate) y >> right`, and a number with the bits
    /// of all magnitudes. Inputs are `gate` and `y`; all slices are `[C]`.
    fn add_gated(x: &mut [i32], inputs: [&[i32]; 2], places: [i32; 2], right: u32) -> u32 {
        Self::Base::add_gated(x, inputs, places, right)
    }

    /// RWKV-4's weighted average: `out = out wkv`, with factors in Q15 for `out`, and
    /// the largest magnitude of the result; the state, averages and logarithms of their
    /// weights, advances by a token. `fixed` are `w` and `u`, `inputs` `k` and `v`
    /// with the places that bring them to Q22 and to the averages, the latter at most
    /// 0. All are `[C]`.
    fn average(
        state: [&mut [i32]; 2],
        fixed: [&[i32]; 2],
        inputs: [&[i32]; 2],
        places: [i32; 2],
        out: &mut [i32],
    ) -> u32 {
        Self::Base::average(state, fixed, inputs, places, out)
    }

    /// `x = (max(x, 0) << left >> 16)^2`.
    fn relu_squared(x: &mut [i32], left: u32) {
        Self::Base::relu_squared(x, left);
    }
}
