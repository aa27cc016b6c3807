//! What a matrix state's step does for each row beside reads and writes, on cores with
//! Thumb-2: whole rounds of eight rows; other heads are [`Portable`]'s.

mod routines;

use super::coefficients::{is_whole, ROUND};
use crate::arch::{Narrow, Port, Portable, Write};
use crate::number::{larger, places, positive, zeros, FRACTIONS};

/// Bytes of a number.
const WORD: usize = size_of::<i32>();

/// As [`Port::decay`].
pub fn decay(lam: &mut [i32], bounds: &mut [i32], w: &[i32]) {
    let rows = lam.len();
    if !is_whole(rows, [bounds.len(), w.len()]) {
        return Portable::decay(lam, bounds, w);
    }
    // SAFETY: there are as many rows in all slices, whole rounds of them.
    unsafe {
        kinglet_t2_decay(
            lam.as_mut_ptr(),
            bounds.as_mut_ptr(),
            w.as_ptr(),
            &FRACTIONS,
            rows,
        )
    }
}

/// As [`Port::most`].
pub fn most(lam: &[i32], least: i32) -> i32 {
    let (whole, rest) = lam.as_chunks::<ROUND>();
    let most = match whole.len() {
        0 => least,
        // SAFETY: there is a round.
        len => unsafe { kinglet_t2_most(whole.as_ptr(), len, least) },
    };
    Portable::most(rest, most)
}

/// As [`Port::to_16_bits`].
pub fn to_16_bits(
    (x, step): (&[i32], usize),
    sign: i32,
    out: &mut [[Narrow; 2]],
    place: usize,
) -> i32 {
    let rows = out.len();
    let out_16 = out.as_flattened_mut().get_mut(place & 1..);
    match out_16 {
        Some(out) if is_whole(rows, [x.len()]) && x.len() > (rows - 1) * step => {
            let step = WORD * step;
            // SAFETY: `x` has whole rounds of elements at each step, and `out` as many
            // at each second place.
            unsafe {
                let bits = match step {
                    WORD => kinglet_t2_bits_of_words(x.as_ptr(), rows),
                    _ => kinglet_t2_bits_of(x.as_ptr(), rows, step),
                };
                let right = positive(18 - zeros(bits));
                let to_16_bits = match step {
                    WORD => kinglet_t2_words_to_16_bits,
                    _ => kinglet_t2_to_16_bits,
                };
                to_16_bits(x.as_ptr(), out.as_mut_ptr(), rows, step, right, sign);
                right
            }
        }
        _ => Portable::to_16_bits((x, step), sign, out, place),
    }
}

/// As [`Port::add_values`].
pub fn add_values(
    (sums, step): (&[i32], usize),
    values: &[[Narrow; 2]],
    weights: [i32; 2],
    right: [u32; 3],
    y: &mut [i32],
) {
    let rows = y.len();
    if !is_whole(rows, [values.len(), sums.len()]) || sums.len() <= (rows - 1) * step {
        return Portable::add_values((sums, step), values, weights, right, y);
    }
    let call = Values {
        right,
        weights,
        step: WORD * step,
        rows,
    };
    // Without a delta there is but one sum for each row, and nothing of `sa`.
    let add = match (step, weights[1]) {
        (1, 0) => kinglet_t2_add_first_values,
        _ => kinglet_t2_add_values,
    };
    // SAFETY: `sums` have an element at each step, and the others as many, whole rounds.
    unsafe { add(sums.as_ptr(), values.as_ptr(), y.as_mut_ptr(), &call) }
}

/// As [`Port::differences`].
pub fn differences(words: &[u32]) -> u32 {
    let (whole, rest) = words.as_chunks::<ROUND>();
    let bits = match whole.len() {
        0 => 0,
        // SAFETY: there is a round.
        len => unsafe { kinglet_t2_differences(whole.as_ptr(), len) },
    };
    bits | Portable::differences(rest)
}

/// As [`Port::plan`].
pub fn plan(
    [lam, bounds]: [&mut [i32]; 2],
    [k, b]: [&[i32]; 2],
    [k_exp, b_exp]: [i32; 2],
    slack: u32,
    writes: &mut [Write],
) {
    let rows = lam.len();
    let has_b = !b.is_empty();
    let b_len = if has_b { b.len() } else { rows };
    if !is_whole(rows, [bounds.len(), k.len(), b_len, writes.len()]) {
        return Portable::plan([lam, bounds], [k, b], [k_exp, b_exp], slack, writes);
    }
    let exp = if has_b { larger(k_exp, b_exp) } else { k_exp };
    let call = Plan {
        lam: lam.as_mut_ptr(),
        bounds: bounds.as_mut_ptr(),
        k: k.as_ptr(),
        b: b.as_ptr(),
        writes: writes.as_mut_ptr(),
        table: &FRACTIONS,
        exp: exp.wrapping_add(15),
        of_k: places(exp - k_exp),
        of_b: places(exp - b_exp),
        slack: 2 * slack + 6,
        end: lam.as_ptr_range().end,
        one: -1 << 14,
    };
    // SAFETY: there are as many rows in all slices, whole rounds of them; `b` is read
    // where it is one.
    unsafe {
        match has_b {
            true => kinglet_t2_plan_both(&call),
            false => kinglet_t2_plan(&call),
        }
    }
}

/// How values are added.
#[repr(C)]
struct Values {
    right: [u32; 3],
    weights: [i32; 2],
    /// In bytes.
    step: usize,
    rows: usize,
}

/// The arguments of a plan.
#[repr(C)]
struct Plan {
    lam: *mut i32,
    bounds: *mut i32,
    k: *const i32,
    b: *const i32,
    writes: *mut Write,
    table: &'static [u32; 64],
    /// Of the products, and 15 more.
    exp: i32,
    of_k: u32,
    of_b: u32,
    /// Twice that of the mantissas, and 6 more.
    slack: u32,
    end: *const i32,
    /// What a mantissa is multiplied by where nothing is raised.
    one: i32,
}

// Counts are whole rounds, at least one, and pointers are of as many elements, at each
// step where there is one.
extern "C" {
    fn kinglet_t2_decay(
        lam: *mut i32,
        bounds: *mut i32,
        w: *const i32,
        table: &[u32; 64],
        rows: usize,
    );
    fn kinglet_t2_most(lam: *const [i32; ROUND], rounds: usize, least: i32) -> i32;
    fn kinglet_t2_bits_of(x: *const i32, rows: usize, step: usize) -> u32;
    fn kinglet_t2_bits_of_words(x: *const i32, rows: usize) -> u32;
    fn kinglet_t2_to_16_bits(
        x: *const i32,
        out: *mut Narrow,
        rows: usize,
        step: usize,
        right: i32,
        sign: i32,
    );
    // The step is that of words.
    fn kinglet_t2_words_to_16_bits(
        x: *const i32,
        out: *mut Narrow,
        rows: usize,
        step: usize,
        right: i32,
        sign: i32,
    );
    fn kinglet_t2_add_values(
        sums: *const i32,
        values: *const [Narrow; 2],
        y: *mut i32,
        call: &Values,
    );
    // Sums are a word apart, and only the first of two values is added.
    fn kinglet_t2_add_first_values(
        sums: *const i32,
        values: *const [Narrow; 2],
        y: *mut i32,
        call: &Values,
    );
    fn kinglet_t2_differences(words: *const [u32; ROUND], rounds: usize) -> u32;
    fn kinglet_t2_plan(call: &Plan);
    fn kinglet_t2_plan_both(call: &Plan);
}

/// Defines the steps of [`Port`] for a state's rows.
macro_rules! rows_of_thumb2 {
    () => {
        fn decay(lam: &mut [i32], bounds: &mut [i32], w: &[i32]) {
            rows::decay(lam, bounds, w);
        }

        fn most(lam: &[i32], least: i32) -> i32 {
            rows::most(lam, least)
        }

        coefficients_in_rounds!();

        fn to_16_bits(x: (&[i32], usize), sign: i32, out: &mut [[Narrow; 2]], place: usize) -> i32 {
            rows::to_16_bits(x, sign, out, place)
        }

        fn plan(
            rows: [&mut [i32]; 2],
            products: [&[i32]; 2],
            exps: [i32; 2],
            slack: u32,
            writes: &mut [Write],
        ) {
            rows::plan(rows, products, exps, slack, writes);
        }

        fn add_values(
            sums: (&[i32], usize),
            values: &[[Narrow; 2]],
            weights: [i32; 2],
            right: [u32; 3],
            y: &mut [i32],
        ) {
            rows::add_values(sums, values, weights, right, y);
        }

        fn differences(words: &[u32]) -> u32 {
            rows::differences(words)
        }
    };
}
pub(crate) use rows_of_thumb2;
