//! The plainest answers to all that a port may define: what every port must
//! equal bit for bit. Weights are read word by word, in every arrangement.
//!
//! Sums wrap and never overflow in an image that was checked; rounding follows
//! [`number`].

mod gates;
#[cfg(kinglet_lanes16)]
mod lanes16;
#[cfg(kinglet_pairs)]
mod pairs;
#[cfg(kinglet_rows4)]
mod rows4;

use super::state::{self, wide};
use super::{FineQuantizer, Mantissa, Narrow, Port, Quantizer, Scaling, Write};
use crate::number::{grown, halves, larger, magnitude, mulh, mulq, Shift};
use crate::pieces::{pieces, pieces_mut};
use crate::shape::{matrix_weight_words, Bits, Layout, Matrix, BLOCK_ROWS, GROUP_COLS};

/// All of [`Port`], and nothing but plain Rust.
#[derive(Debug)]
pub struct Portable;

impl Port for Portable {
    // Its own base: it defines everything.
    type Base = Self;

    /// Arbitrary: its products read every arrangement.
    const LAYOUT: Layout = Layout::Rows4;

    /// A byte per column; zeros after the last, to the end of `words`.
    fn prepare(x: &[i32], quantizer: Quantizer, _: Bits, words: &mut [u32]) {
        let columns: &mut [i8] = bytemuck::cast_slice_mut(words);
        let padded = x.iter().copied().chain(core::iter::repeat(0));
        for (column, x) in columns.iter_mut().zip(padded) {
            *column = quantizer.of(x) as i8;
        }
    }

    fn sums(matrix: &Matrix<'_>, words: &[u32], sums: &mut [i32]) {
        let columns: &[i8] = bytemuck::cast_slice(words);
        let (layout, bits, cols) = (matrix.layout, matrix.bits, matrix.cols);
        let block_words = matrix_weight_words(layout, bits, BLOCK_ROWS, cols);
        let blocks = matrix.weights.chunks_exact(block_words.max(1));
        let blocks = blocks.take(matrix.rows.div_ceil(BLOCK_ROWS));
        for (sums, block) in sums.chunks_exact_mut(BLOCK_ROWS).zip(blocks) {
            let block = block_sums(layout, bits, block, columns);
            for (sum, block) in sums.iter_mut().zip(block) {
                *sum = block;
            }
        }
    }

    const FINE: bool = false;

    // Nobody asks for either.
    fn prepare_fine(_: &[i32], _: FineQuantizer, _: &mut [u32]) {}

    fn fine_sums(_: &Matrix<'_>, _: &[u32], _: &mut [i32]) {}

    #[cfg_attr(kinglet_x86, inline(always))]
    fn scale_rows(scales: &[i16], max16: i32, shift: u32, out: &mut [i32]) {
        for (out, &scale) in out.iter_mut().zip(scales) {
            *out = mulq(*out << shift, (i32::from(scale) * max16) >> 15);
        }
    }

    #[cfg_attr(kinglet_x86, inline(always))]
    fn scale_blocks(places: &[u8], factor: i32, shift: u32, out: &mut [i32]) {
        let (blocks, _) = out.as_chunks_mut::<BLOCK_ROWS>();
        for (block, &places) in blocks.iter_mut().zip(places) {
            let factor = (factor << 16).wrapping_shr(places.into());
            for out in block {
                *out = mulh(*out << shift, factor);
            }
        }
    }

    #[cfg_attr(kinglet_x86, inline(always))]
    fn sum(x: &[i32]) -> i64 {
        x.iter().map(|&x| i64::from(x)).sum()
    }

    #[cfg_attr(kinglet_x86, inline(always))]
    fn less(x: &[i32], mean: i32, out: &mut [i32]) -> u32 {
        let mut bits = 0;
        for (out, &x) in out.iter_mut().zip(x) {
            *out = x.wrapping_sub(mean);
            bits |= magnitude(*out);
        }
        bits
    }

    #[cfg_attr(kinglet_x86, inline(always))]
    fn squares(x: &[i32], left: u32) -> u64 {
        let squares = x.iter().map(|&x| {
            let x = x << left >> 15;
            x.wrapping_mul(x) as u32
        });
        squares.fold(0, |sum, square| sum + u64::from(square))
    }

    #[cfg_attr(kinglet_fast, inline(always))]
    fn dot(a: &[i32], b: &[i32]) -> i64 {
        let ((a4, a_rest), (b4, b_rest)) = (a.as_chunks::<4>(), b.as_chunks::<4>());
        // Lower quarters always add up in 32 bits.
        let (high, mut lower) = dot_of_four(a_rest, b_rest);
        let mut upper = i64::from(high);
        for (a, b) in a4.iter().zip(b4) {
            let (high, low) = dot_of_four(a, b);
            upper += i64::from(high);
            lower = lower.wrapping_add(low);
        }
        (upper << 16) + i64::from(lower)
    }

    // As a separate function it keeps the few registers of a Cortex-M0 to itself.
    #[cfg_attr(kinglet_armv6m, inline(never))]
    #[cfg_attr(kinglet_x86, inline(always))]
    fn affine(scaling: Scaling, weight: &[i16], bias: &[i16], x: &mut [i32]) {
        for (x, (&w, &b)) in x.iter_mut().zip(weight.iter().zip(bias)) {
            let factor = scaling.root.wrapping_mul(w.into()).wrapping_add(1 << 15) >> 16;
            let product = mulq(*x << scaling.left, factor) >> scaling.right;
            *x = product.wrapping_add(mulq(scaling.bias, b.into()));
        }
    }

    #[cfg_attr(kinglet_x86, inline(always))]
    fn token_shift(x: &[i32], previous: &[i32], mix: &[i16], right: u32, out: &mut [i32]) -> u32 {
        let mut max = 0;
        let inputs = x.iter().zip(previous).zip(mix);
        for (out, ((&x, &previous), &mix)) in out.iter_mut().zip(inputs) {
            let part = mulq(x.wrapping_sub(previous), mix.into()) << 2;
            *out = (previous >> right).wrapping_add(part);
            max = grown(max, *out);
        }
        max
    }

    #[cfg_attr(kinglet_x86, inline(always))]
    fn read<M: Mantissa>(mantissas: &[M], c: &[Narrow], sums: &mut [i32]) {
        let size = c.len();
        sums.iter_mut().for_each(|sum| *sum = 0);
        for (rows, &[c0, c1]) in pieces(mantissas, 2 * size).zip(c.as_chunks::<2>().0) {
            for (sum, &[m0, m1]) in sums.iter_mut().zip(rows.as_chunks::<2>().0) {
                let products = m0.load() * wide(c0) + m1.load() * wide(c1);
                *sum = sum.wrapping_add(products);
            }
        }
        if let (Some(&c), 1) = (c.last(), size & 1) {
            let last = mantissas.get((size - 1) * size..).unwrap_or_default();
            for (sum, m) in sums.iter_mut().zip(last) {
                *sum = sum.wrapping_add(m.load() * wide(c));
            }
        }
    }

    const BOTH: bool = false;

    fn read_both<M: Mantissa>(mantissas: &[M], c: &[[Narrow; 2]], sums: &mut [[i32; 2]]) {
        let size = c.len();
        sums.iter_mut().for_each(|sums| *sums = [0; 2]);
        let add = |sums: &mut [i32; 2], m: &M, c: &[Narrow; 2]| {
            let [of_c, of_d] = c.map(|c| m.load() * wide(c));
            *sums = [sums[0].wrapping_add(of_c), sums[1].wrapping_add(of_d)];
        };
        for (rows, c) in pieces(mantissas, 2 * size).zip(c.as_chunks::<2>().0) {
            for (sums, m) in sums.iter_mut().zip(rows.as_chunks::<2>().0) {
                m.iter().zip(c).for_each(|(m, c)| add(sums, m, c));
            }
        }
        if let (Some(c), 1) = (c.last(), size & 1) {
            let last = mantissas.get((size - 1) * size..).unwrap_or_default();
            sums.iter_mut()
                .zip(last)
                .for_each(|(sums, m)| add(sums, m, c));
        }
    }

    #[cfg_attr(kinglet_x86, inline(always))]
    fn write<M: Mantissa>(mantissas: &mut [M], writes: &[Write], values: &[[Narrow; 2]]) {
        let size = writes.len();
        let new = |m: M, write: Write, &[v, sa]: &[Narrow; 2]| {
            let old = m.load() * i32::from(write.w);
            let added = i32::from(write.k) * wide(v) + i32::from(write.b) * wide(sa);
            M::store(old.wrapping_add(added))
        };
        let pairs = pieces_mut(mantissas, 2 * size);
        for (rows, writes) in pairs.zip(writes.chunks_exact(2)) {
            let &[first, second] = writes else { return };
            let columns = rows.chunks_exact_mut(2).zip(values);
            for (m, column) in columns {
                let [m0, m1] = m else { return };
                *m0 = new(*m0, first, column);
                *m1 = new(*m1, second, column);
            }
        }
        if let (Some(&write), 1) = (writes.last(), size & 1) {
            let last = mantissas.get_mut((size - 1) * size..).unwrap_or_default();
            for (m, column) in last.iter_mut().zip(values) {
                *m = new(*m, write, column);
            }
        }
    }

    fn copy(from: &[i32], to: &mut [i32]) {
        for (to, &from) in to.iter_mut().zip(from) {
            *to = from;
        }
    }

    #[cfg_attr(kinglet_x86, inline(always))]
    fn round_off(x: &mut [i32], right: u32) {
        let half = (1u32 << right >> 1) as i32;
        for x in x {
            *x = x.wrapping_add(half) >> right;
        }
    }

    #[cfg_attr(kinglet_x86, inline(always))]
    fn add(x: &mut [i32], y: &[i32], places: i32, right: u32) -> u32 {
        let of_x = Shift::by(places);
        let mut bits = 0;
        for (x, &y) in x.iter_mut().zip(y) {
            *x = of_x.of(*x).wrapping_add(y >> right);
            bits |= magnitude(*x);
        }
        bits
    }

    fn decay(lam: &mut [i32], bounds: &mut [i32], w: &[i32]) {
        state::decay(lam, bounds, w);
    }

    fn most(lam: &[i32], least: i32) -> i32 {
        let (whole, rest) = lam.as_chunks::<4>();
        let most = whole.iter().fold(least, |most, &[a, b, c, d]| {
            larger(larger(larger(larger(most, a), b), c), d)
        });
        rest.iter().fold(most, |most, &lam| larger(most, lam))
    }

    fn decayed_coefficients(
        x: &[i32],
        w: &[i32],
        [lam, bounds]: [&mut [i32]; 2],
        most_and_sign: [i32; 2],
        scaled: &mut [i32],
        out: (&mut [Narrow], usize),
    ) -> i32 {
        let rows = x.iter().zip(w).zip(lam.iter_mut().zip(bounds));
        let rows = rows.map(|((&x, w), (lam, bound))| {
            state::decayed(lam, bound, *w);
            (x, *lam, *bound)
        });
        state::coefficients(rows, most_and_sign, scaled, out)
    }

    fn coefficients(
        x: &[i32],
        [lam, bounds]: [&[i32]; 2],
        most_and_sign: [i32; 2],
        scaled: &mut [i32],
        out: (&mut [Narrow], usize),
    ) -> i32 {
        let rows = x.iter().zip(lam).zip(bounds);
        let rows = rows.map(|((&x, &lam), &bound)| (x, lam, bound));
        state::coefficients(rows, most_and_sign, scaled, out)
    }

    fn to_16_bits(
        (x, step): (&[i32], usize),
        sign: i32,
        out: &mut [[Narrow; 2]],
        place: usize,
    ) -> i32 {
        match step {
            1 => state::to_16_bits(|| x.iter(), sign, out, place),
            _ => state::to_16_bits(|| x.iter().step_by(2), sign, out, place),
        }
    }

    fn plan(
        rows: [&mut [i32]; 2],
        products: [&[i32]; 2],
        exps: [i32; 2],
        slack: u32,
        writes: &mut [Write],
    ) {
        state::plan(rows, products, exps, slack, writes);
    }

    fn add_values(
        (sums, step): (&[i32], usize),
        values: &[[Narrow; 2]],
        weights: [i32; 2],
        right: [u32; 3],
        y: &mut [i32],
    ) {
        match step {
            1 => state::add_values(sums.iter(), values, weights, right, y),
            _ => state::add_values(sums.iter().step_by(2), values, weights, right, y),
        }
    }

    fn differences(words: &[u32]) -> u32 {
        let (whole, rest) = words.as_chunks::<4>();
        let new = |bits, word| bits | word ^ word << 1;
        let bits = whole.iter().fold(0, |bits, &[a, b, c, d]| {
            new(new(new(new(bits, a), b), c), d)
        });
        rest.iter().fold(bits, |bits, &word| new(bits, word))
    }

    #[cfg_attr(kinglet_x86, inline(always))]
    fn shares(gate: &[i32], places: i32, out: &mut [i32]) {
        gates::shares(gate, places, out);
    }

    #[cfg_attr(kinglet_x86, inline(always))]
    fn add_gated(x: &mut [i32], inputs: [&[i32]; 2], places: [i32; 2], right: u32) -> u32 {
        gates::add_gated(x, inputs, places, right)
    }

    #[cfg_attr(kinglet_x86, inline(always))]
    fn average(
        state: [&mut [i32]; 2],
        fixed: [&[i32]; 2],
        inputs: [&[i32]; 2],
        places: [i32; 2],
        out: &mut [i32],
    ) -> u32 {
        gates::average(state, fixed, inputs, places, out)
    }

    #[cfg_attr(kinglet_x86, inline(always))]
    fn positive_max(x: &[i32]) -> i32 {
        x.iter().fold(0, |max, &x| larger(max, x))
    }

    #[cfg_attr(kinglet_x86, inline(always))]
    fn relu_squared(x: &mut [i32], left: u32) {
        for x in x {
            let positive = (*x).max(0) << left >> 16;
            *x = positive * positive;
        }
    }
}

/// The sums of the halves of four products at most: those of the upper ones fit.
#[cfg_attr(kinglet_fast, inline(always))]
fn dot_of_four(a: &[i32], b: &[i32]) -> (i32, u32) {
    let (mut upper, mut lower) = (0i32, 0u32);
    for (&a, &b) in a.iter().zip(b) {
        let (high, low) = halves(a, b);
        upper = upper.wrapping_add(high);
        lower = lower.wrapping_add(low);
    }
    (upper, lower)
}

/// The sums of one block. An image in a layout that this build lacks is refused.
fn block_sums(layout: Layout, bits: Bits, block: &[u32], columns: &[i8]) -> [i32; BLOCK_ROWS] {
    match layout {
        #[cfg(kinglet_rows4)]
        Layout::Rows4 => rows4::block(bits, block, columns),
        #[cfg(kinglet_pairs)]
        Layout::Pairs => pairs::block(bits, block, columns),
        #[cfg(kinglet_lanes16)]
        Layout::Lanes16 => lanes16::block(bits, block, columns),
        #[allow(unreachable_patterns)]
        _ => [0; BLOCK_ROWS],
    }
}

/// Four rows of int8 weights: steps of four columns, a word for each row;
/// `flip` turns a word into two's complement.
#[cfg(any(kinglet_rows4, kinglet_pairs))]
fn int8_words(block: &[u32], columns: &[i8], flip: u32) -> [i32; BLOCK_ROWS] {
    let mut sums = [0i32; BLOCK_ROWS];
    let steps = block.chunks_exact(BLOCK_ROWS).zip(columns.chunks_exact(4));
    for (words, x) in steps {
        for (sum, word) in sums.iter_mut().zip(words) {
            let weights = (word ^ flip).to_le_bytes();
            for (w, &x) in weights.into_iter().zip(x) {
                *sum = sum.wrapping_add(i32::from(w as i8) * i32::from(x));
            }
        }
    }
    sums
}

/// Four rows of int4 or int6 weights: for each group of 32 columns the layout's own
/// words, of which `group_sums` makes the sums of the rows, then a word of
/// four scales.
fn groups(
    bits: Bits,
    block: &[u32],
    columns: &[i8],
    group_sums: impl Fn(&[u32], &[i8]) -> [i32; BLOCK_ROWS],
) -> [i32; BLOCK_ROWS] {
    let mut sums = [0i32; BLOCK_ROWS];
    let groups = block
        .chunks_exact(bits.group_bytes() / 4)
        .zip(columns.chunks_exact(GROUP_COLS));
    for (group, x) in groups {
        let Some((scales, words)) = group.split_last() else {
            continue;
        };
        let scaled = group_sums(words, x).into_iter().zip(scales.to_le_bytes());
        for (sum, (group_sum, scale)) in sums.iter_mut().zip(scaled) {
            *sum = sum.wrapping_add(group_sum.wrapping_mul(i32::from(scale)));
        }
    }
    sums
}

/// The dot product of weights with columns.
#[cfg(all(feature = "int6", any(kinglet_rows4, kinglet_pairs)))]
fn dot<const N: usize>(weights: [i32; N], x: &[i8]) -> i32 {
    let products = weights.into_iter().zip(x).map(|(w, &x)| w * i32::from(x));
    products.sum()
}
