//! A port with a wrong bit, for the test that `kinglet verify` finds it: only in builds with
//! `--cfg kinglet_wrong_bit`.
//!
//! The program has room for the name of a kernel, which is empty. The test writes one into
//! the program's file; of that kernel's result the first element has a wrong bit, at every
//! call. So one build is right, and wrong in all ways.

use super::{FineQuantizer, Mantissa, Narrow, Port, Quantizer, Scaling, Write};
use crate::shape::{Bits, Matrix};
use core::marker::PhantomData;

/// The name of the kernel that is wrong, and zeros; which bit is in the last byte.
#[used]
#[no_mangle]
pub static KINGLET_WRONG_BIT: [u8; 32] = [0; 32];

/// Spoils the first element of a result, if it is this kernel's that is to be wrong.
fn spoil(kernel: &str, result: &mut [impl bytemuck::Pod]) {
    // SAFETY: it is a static. The compiler is not to know what is in it.
    let [name @ .., bit] = unsafe { core::ptr::read_volatile(&raw const KINGLET_WRONG_BIT) };
    let Some([0, ..]) = name.strip_prefix(kernel.as_bytes()) else {
        return;
    };
    let first = result
        .first_mut()
        .map_or(&mut [][..], bytemuck::bytes_of_mut);
    if let Some(byte) = first.get_mut(usize::from(bit / 8)) {
        *byte ^= 1 << (bit % 8);
    }
}

/// The same of a number.
fn spoiled<T: bytemuck::Pod>(kernel: &str, mut result: T) -> T {
    spoil(kernel, core::slice::from_mut(&mut result));
    result
}

/// The name of a kernel for states of 16 bits, or of 8.
fn of_state<M>(wide: &'static str, narrow: &'static str) -> &'static str {
    match size_of::<M>() {
        1 => narrow,
        _ => wide,
    }
}

/// The port `P`, but for one bit.
#[derive(Debug)]
pub struct Wrong<P>(PhantomData<P>);

impl<P: Port> Port for Wrong<P> {
    type Base = P;

    fn prepare(x: &[i32], quantizer: Quantizer, bits: Bits, words: &mut [u32]) {
        P::prepare(x, quantizer, bits, words);
        // The first word may be for a whole row.
        spoil("prepare", words.get_mut(1..).unwrap_or_default());
    }

    fn sums(matrix: &Matrix<'_>, words: &[u32], sums: &mut [i32]) {
        P::sums(matrix, words, sums);
        match matrix.bits {
            Bits::Int8 => spoil("sums int8", sums),
            #[cfg(feature = "int6")]
            Bits::Int6 => spoil("sums int6", sums),
            Bits::Int4 => spoil("sums int4", sums),
        }
    }

    fn prepare_fine(x: &[i32], quantizer: FineQuantizer, words: &mut [u32]) {
        P::prepare_fine(x, quantizer, words);
        spoil("prepare_fine", words.get_mut(1..).unwrap_or_default());
    }

    fn fine_sums(matrix: &Matrix<'_>, words: &[u32], sums: &mut [i32]) {
        P::fine_sums(matrix, words, sums);
        spoil("fine_sums", sums);
    }

    fn scale_rows(scales: &[i16], max16: i32, shift: u32, out: &mut [i32]) {
        P::scale_rows(scales, max16, shift, out);
        spoil("scale_rows", out);
    }

    fn scale_blocks(places: &[u8], factor: i32, shift: u32, out: &mut [i32]) {
        P::scale_blocks(places, factor, shift, out);
        spoil("scale_blocks", out);
    }

    fn sum(x: &[i32]) -> i64 {
        spoiled("sum", P::sum(x))
    }

    fn less(x: &[i32], mean: i32, out: &mut [i32]) -> u32 {
        let bits = P::less(x, mean, out);
        spoil("less", out);
        bits
    }

    fn squares(x: &[i32], left: u32) -> u64 {
        spoiled("squares", P::squares(x, left))
    }

    fn dot(a: &[i32], b: &[i32]) -> i64 {
        spoiled("dot", P::dot(a, b))
    }

    fn affine(scaling: Scaling, weight: &[i16], bias: &[i16], x: &mut [i32]) {
        P::affine(scaling, weight, bias, x);
        spoil("affine", x);
    }

    fn token_shift(x: &[i32], previous: &[i32], mix: &[i16], right: u32, out: &mut [i32]) -> u32 {
        let max = P::token_shift(x, previous, mix, right, out);
        spoil("token_shift", out);
        max
    }

    fn positive_max(x: &[i32]) -> i32 {
        spoiled("positive_max", P::positive_max(x))
    }

    fn read<M: Mantissa>(mantissas: &[M], c: &[Narrow], sums: &mut [i32]) {
        P::read(mantissas, c, sums);
        spoil(of_state::<M>("read i16", "read i8"), sums);
    }

    fn read_both<M: Mantissa>(mantissas: &[M], c: &[[Narrow; 2]], sums: &mut [[i32; 2]]) {
        P::read_both(mantissas, c, sums);
        spoil(of_state::<M>("read_both i16", "read_both i8"), sums);
    }

    fn write<M: Mantissa>(mantissas: &mut [M], writes: &[Write], values: &[[Narrow; 2]]) {
        P::write(mantissas, writes, values);
        spoil(of_state::<M>("write i16", "write i8"), mantissas);
    }

    fn copy(from: &[i32], to: &mut [i32]) {
        P::copy(from, to);
        spoil("copy", to);
    }

    fn round_off(x: &mut [i32], right: u32) {
        P::round_off(x, right);
        spoil("round_off", x);
    }

    fn add(x: &mut [i32], y: &[i32], places: i32, right: u32) -> u32 {
        let bits = P::add(x, y, places, right);
        spoil("add", x);
        bits
    }

    fn decay(lam: &mut [i32], bounds: &mut [i32], w: &[i32]) {
        P::decay(lam, bounds, w);
        spoil("decay", lam);
    }

    fn most(lam: &[i32], least: i32) -> i32 {
        spoiled("most", P::most(lam, least))
    }

    fn decayed_coefficients(
        x: &[i32],
        w: &[i32],
        rows: [&mut [i32]; 2],
        most_and_sign: [i32; 2],
        scaled: &mut [i32],
        (out, step): (&mut [Narrow], usize),
    ) -> i32 {
        let exp = P::decayed_coefficients(x, w, rows, most_and_sign, scaled, (out, step));
        spoil("decayed_coefficients", out);
        exp
    }

    fn coefficients(
        x: &[i32],
        rows: [&[i32]; 2],
        most_and_sign: [i32; 2],
        scaled: &mut [i32],
        (out, step): (&mut [Narrow], usize),
    ) -> i32 {
        let exp = P::coefficients(x, rows, most_and_sign, scaled, (out, step));
        spoil("coefficients", out);
        exp
    }

    fn to_16_bits(x: (&[i32], usize), sign: i32, out: &mut [[Narrow; 2]], place: usize) -> i32 {
        let exp = P::to_16_bits(x, sign, out, place);
        let first = out.first_mut().and_then(|first| first.get_mut(place..));
        spoil("to_16_bits", first.unwrap_or_default());
        exp
    }

    fn plan(
        rows: [&mut [i32]; 2],
        products: [&[i32]; 2],
        exps: [i32; 2],
        slack: u32,
        writes: &mut [Write],
    ) {
        P::plan(rows, products, exps, slack, writes);
        spoil("plan", writes);
    }

    fn add_values(
        sums: (&[i32], usize),
        values: &[[Narrow; 2]],
        weights: [i32; 2],
        right: [u32; 3],
        y: &mut [i32],
    ) {
        P::add_values(sums, values, weights, right, y);
        spoil("add_values", y);
    }

    fn differences(words: &[u32]) -> u32 {
        spoiled("differences", P::differences(words))
    }

    fn shares(gate: &[i32], places: i32, out: &mut [i32]) {
        P::shares(gate, places, out);
        spoil("shares", out);
    }

    fn add_gated(x: &mut [i32], inputs: [&[i32]; 2], places: [i32; 2], right: u32) -> u32 {
        let bits = P::add_gated(x, inputs, places, right);
        spoil("add_gated", x);
        bits
    }

    fn average(
        state: [&mut [i32]; 2],
        fixed: [&[i32]; 2],
        inputs: [&[i32]; 2],
        places: [i32; 2],
        out: &mut [i32],
    ) -> u32 {
        let max = P::average(state, fixed, inputs, places, out);
        spoil("average", out);
        max
    }

    fn relu_squared(x: &mut [i32], left: u32) {
        P::relu_squared(x, left);
        spoil("relu_squared", x);
    }
}
