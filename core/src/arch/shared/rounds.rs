//! The steps beside products, for ports that have them in assembly: routines
//! take whole rounds of four elements, and what is left after the last is
//! [`Portable`]'s.

use crate::arch::{Port, Portable, Scaling};

/// Elements of a round.
const ROUND: usize = 4;

/// The routines of a port. Each does what the function of [`Port`] with its name
/// does.
///
/// # Safety
/// There must be a round, and every pointer must be of `4 rounds` elements; those
/// to numbers of 16 bits need not be aligned to a word.
pub trait Rounds {
    /// `factor` is `2 max16`: `scale max16 >> 15` is the product's upper half.
    unsafe extern "C" fn scale_rows(
        scales: *const i16,
        out: *mut i32,
        rounds: usize,
        factor: i32,
        shift: u32,
    );
    unsafe extern "C" fn sum(x: *const i32, rounds: usize) -> i64;
    unsafe extern "C" fn less(x: *const i32, out: *mut i32, rounds: usize, mean: i32) -> u32;
    unsafe extern "C" fn squares(x: *const i32, rounds: usize, left: u32) -> u64;
    unsafe extern "C" fn affine(
        x: *mut i32,
        weight: *const i16,
        bias: *const i16,
        rounds: usize,
        scaling: &Scaling,
    );
    unsafe extern "C" fn token_shift(
        x: *const i32,
        previous: *const i32,
        mix: *const i16,
        out: *mut i32,
        rounds: usize,
        right: u32,
    ) -> u32;
    unsafe extern "C" fn positive_max(x: *const i32, rounds: usize) -> i32;
    unsafe extern "C" fn relu_squared(x: *mut i32, rounds: usize, left: u32);
}

/// Defines the steps of [`Port`] by the routines of `Self`.
macro_rules! steps_in_rounds {
    () => {
        fn scale_rows(scales: &[i16], max16: i32, shift: u32, out: &mut [i32]) {
            rounds::scale_rows::<Self>(scales, max16, shift, out);
        }

        fn sum(x: &[i32]) -> i64 {
            rounds::sum::<Self>(x)
        }

        fn less(x: &[i32], mean: i32, out: &mut [i32]) -> u32 {
            rounds::less::<Self>(x, mean, out)
        }

        fn squares(x: &[i32], left: u32) -> u64 {
            rounds::squares::<Self>(x, left)
        }

        fn affine(scaling: Scaling, weight: &[i16], bias: &[i16], x: &mut [i32]) {
            rounds::affine::<Self>(scaling, weight, bias, x);
        }

        fn token_shift(
            x: &[i32],
            previous: &[i32],
            mix: &[i16],
            right: u32,
            out: &mut [i32],
        ) -> u32 {
            rounds::token_shift::<Self>(x, previous, mix, right, out)
        }

        fn positive_max(x: &[i32]) -> i32 {
            rounds::positive_max::<Self>(x)
        }

        fn relu_squared(x: &mut [i32], left: u32) {
            rounds::relu_squared::<Self>(x, left);
        }
    };
}
pub(crate) use steps_in_rounds;

/// What whole rounds leave.
fn rest<T>(slice: &[T], rounds: usize) -> &[T] {
    slice.get(rounds * ROUND..).unwrap_or_default()
}

fn rest_mut<T>(slice: &mut [T], rounds: usize) -> &mut [T] {
    slice.get_mut(rounds * ROUND..).unwrap_or_default()
}

pub fn scale_rows<R: Rounds>(scales: &[i16], max16: i32, shift: u32, out: &mut [i32]) {
    let rounds = scales.len().min(out.len()) / ROUND;
    if rounds > 0 {
        // SAFETY: both slices hold the rounds, of which there is one.
        unsafe { R::scale_rows(scales.as_ptr(), out.as_mut_ptr(), rounds, max16 << 1, shift) }
    }
    Portable::scale_rows(rest(scales, rounds), max16, shift, rest_mut(out, rounds));
}

pub fn sum<R: Rounds>(x: &[i32]) -> i64 {
    let rounds = x.len() / ROUND;
    let whole = match rounds {
        0 => 0,
        // SAFETY: the slice holds the rounds, of which there is one.
        _ => unsafe { R::sum(x.as_ptr(), rounds) },
    };
    whole + Portable::sum(rest(x, rounds))
}

pub fn less<R: Rounds>(x: &[i32], mean: i32, out: &mut [i32]) -> u32 {
    let rounds = x.len().min(out.len()) / ROUND;
    let whole = match rounds {
        0 => 0,
        // SAFETY: both slices hold the rounds, of which there is one.
        _ => unsafe { R::less(x.as_ptr(), out.as_mut_ptr(), rounds, mean) },
    };
    whole | Portable::less(rest(x, rounds), mean, rest_mut(out, rounds))
}

pub fn squares<R: Rounds>(x: &[i32], left: u32) -> u64 {
    let rounds = x.len() / ROUND;
    let whole = match rounds {
        0 => 0,
        // SAFETY: the slice holds the rounds, of which there is one.
        _ => unsafe { R::squares(x.as_ptr(), rounds, left) },
    };
    whole + Portable::squares(rest(x, rounds), left)
}

pub fn affine<R: Rounds>(scaling: Scaling, weight: &[i16], bias: &[i16], x: &mut [i32]) {
    let rounds = x.len().min(weight.len()).min(bias.len()) / ROUND;
    if rounds > 0 {
        let (weight, bias) = (weight.as_ptr(), bias.as_ptr());
        // SAFETY: all slices hold the rounds, of which there is one.
        unsafe { R::affine(x.as_mut_ptr(), weight, bias, rounds, &scaling) }
    }
    let (weight, bias) = (rest(weight, rounds), rest(bias, rounds));
    Portable::affine(scaling, weight, bias, rest_mut(x, rounds));
}

pub fn token_shift<R: Rounds>(
    x: &[i32],
    previous: &[i32],
    mix: &[i16],
    right: u32,
    out: &mut [i32],
) -> u32 {
    let rounds = x.len().min(previous.len()).min(mix.len()).min(out.len()) / ROUND;
    let whole = match rounds {
        0 => 0,
        // SAFETY: all slices hold the rounds, of which there is one.
        _ => unsafe {
            let (x, previous, mix) = (x.as_ptr(), previous.as_ptr(), mix.as_ptr());
            R::token_shift(x, previous, mix, out.as_mut_ptr(), rounds, right)
        },
    };
    let (x, previous, mix) = (rest(x, rounds), rest(previous, rounds), rest(mix, rounds));
    whole.max(Portable::token_shift(
        x,
        previous,
        mix,
        right,
        rest_mut(out, rounds),
    ))
}

pub fn positive_max<R: Rounds>(x: &[i32]) -> i32 {
    let rounds = x.len() / ROUND;
    let whole = match rounds {
        0 => 0,
        // SAFETY: the slice holds the rounds, of which there is one.
        _ => unsafe { R::positive_max(x.as_ptr(), rounds) },
    };
    whole.max(Portable::positive_max(rest(x, rounds)))
}

pub fn relu_squared<R: Rounds>(x: &mut [i32], left: u32) {
    let rounds = x.len() / ROUND;
    if rounds > 0 {
        // SAFETY: the slice holds the rounds, of which there is one.
        unsafe { R::relu_squared(x.as_mut_ptr(), rounds, left) }
    }
    Portable::relu_squared(rest_mut(x, rounds), left);
}
