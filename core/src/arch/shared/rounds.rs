//! The steps beside products, for ports that have them in assembly: routines
//! take whole rounds, of four elements where a port does not say otherwise, and what
//! is left after the last is [`Portable`]'s. Rows come in whole rounds.

use crate::arch::{Port, Portable, Scaling};
use crate::shape::BLOCK_ROWS;

/// The routines of a port. Each does what the function of [`Port`] with its name
/// does.
///
/// They are unsafe to call: there must be a round, and every pointer must be of
/// whole rounds; those to numbers of 16 bits need not be aligned to a word.
pub struct Routines {
    /// Scales, sums, rounds, `2 max16` and the shift: `scale max16 >> 15` is the
    /// upper half of a product.
    pub scale_rows: unsafe extern "C" fn(*const i16, *mut i32, usize, i32, u32),
    /// Places, sums, blocks, the factor in the upper half of a word and the shift.
    pub scale_blocks: unsafe extern "C" fn(*const u8, *mut i32, usize, i32, u32),
    /// `x` and rounds.
    pub sum: unsafe extern "C" fn(*const i32, usize) -> i64,
    /// `x`, `out`, rounds and the mean.
    pub less: unsafe extern "C" fn(*const i32, *mut i32, usize, i32) -> u32,
    /// `x`, rounds and the places to the left.
    pub squares: unsafe extern "C" fn(*const i32, usize, u32) -> u64,
    /// `x`, weights, biases, rounds.
    pub affine: unsafe extern "C" fn(*mut i32, *const i16, *const i16, usize, &Scaling),
    /// `x`, `previous`, the mix in whole words, `out`, rounds and the places to the right.
    pub token_shift: Shift,
    /// `x` and rounds.
    pub positive_max: unsafe extern "C" fn(*const i32, usize) -> i32,
    /// `x`, rounds and the places to the left.
    pub relu_squared: unsafe extern "C" fn(*mut i32, usize, u32),
}

type Shift = unsafe extern "C" fn(*const i32, *const i32, *const i16, *mut i32, usize, u32) -> u32;

/// A port with such routines.
pub trait Rounds {
    /// Elements of a round.
    const ROUND: usize = 4;

    /// They keep to the C calling convention.
    const ROUTINES: Routines;
}

/// Defines the steps of [`Port`] by the routines of `Self`.
macro_rules! steps_in_rounds {
    () => {
        fn scale_rows(scales: &[i16], max16: i32, shift: u32, out: &mut [i32]) {
            rounds::scale_rows::<Self>(scales, max16, shift, out);
        }

        fn scale_blocks(places: &[u8], factor: i32, shift: u32, out: &mut [i32]) {
            rounds::scale_blocks::<Self>(places, factor, shift, out);
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
fn rest<R: Rounds, T>(slice: &[T], rounds: usize) -> &[T] {
    match R::ROUND {
        1 => &[],
        round => slice.get(rounds * round..).unwrap_or_default(),
    }
}

fn rest_mut<R: Rounds, T>(slice: &mut [T], rounds: usize) -> &mut [T] {
    match R::ROUND {
        1 => &mut [],
        round => slice.get_mut(rounds * round..).unwrap_or_default(),
    }
}

pub fn scale_rows<R: Rounds>(scales: &[i16], max16: i32, shift: u32, out: &mut [i32]) {
    let rounds = scales.len().min(out.len()) / R::ROUND;
    if rounds > 0 {
        // SAFETY: both slices hold the rounds, of which there is one.
        unsafe {
            (R::ROUTINES.scale_rows)(scales.as_ptr(), out.as_mut_ptr(), rounds, max16 << 1, shift)
        }
    }
}

pub fn scale_blocks<R: Rounds>(places: &[u8], factor: i32, shift: u32, out: &mut [i32]) {
    let blocks = places.len().min(out.len() / BLOCK_ROWS);
    if blocks > 0 {
        // SAFETY: both slices hold the blocks, of which there is one.
        unsafe {
            (R::ROUTINES.scale_blocks)(
                places.as_ptr(),
                out.as_mut_ptr(),
                blocks,
                factor << 16,
                shift,
            )
        }
    }
}

pub fn sum<R: Rounds>(x: &[i32]) -> i64 {
    let rounds = x.len() / R::ROUND;
    let whole = match rounds {
        0 => 0,
        // SAFETY: the slice holds the rounds, of which there is one.
        _ => unsafe { (R::ROUTINES.sum)(x.as_ptr(), rounds) },
    };
    whole + Portable::sum(rest::<R, _>(x, rounds))
}

pub fn less<R: Rounds>(x: &[i32], mean: i32, out: &mut [i32]) -> u32 {
    let rounds = x.len().min(out.len()) / R::ROUND;
    let whole = match rounds {
        0 => 0,
        // SAFETY: both slices hold the rounds, of which there is one.
        _ => unsafe { (R::ROUTINES.less)(x.as_ptr(), out.as_mut_ptr(), rounds, mean) },
    };
    whole | Portable::less(rest::<R, _>(x, rounds), mean, rest_mut::<R, _>(out, rounds))
}

pub fn squares<R: Rounds>(x: &[i32], left: u32) -> u64 {
    let rounds = x.len() / R::ROUND;
    let whole = match rounds {
        0 => 0,
        // SAFETY: the slice holds the rounds, of which there is one.
        _ => unsafe { (R::ROUTINES.squares)(x.as_ptr(), rounds, left) },
    };
    whole + Portable::squares(rest::<R, _>(x, rounds), left)
}

pub fn affine<R: Rounds>(scaling: Scaling, weight: &[i16], bias: &[i16], x: &mut [i32]) {
    let rounds = x.len().min(weight.len()).min(bias.len()) / R::ROUND;
    if rounds > 0 {
        let (weight, bias) = (weight.as_ptr(), bias.as_ptr());
        // SAFETY: all slices hold the rounds, of which there is one.
        unsafe { (R::ROUTINES.affine)(x.as_mut_ptr(), weight, bias, rounds, &scaling) }
    }
    let (weight, bias) = (rest::<R, _>(weight, rounds), rest::<R, _>(bias, rounds));
    Portable::affine(scaling, weight, bias, rest_mut::<R, _>(x, rounds));
}

pub fn token_shift<R: Rounds>(
    x: &[i32],
    previous: &[i32],
    mix: &[i16],
    right: u32,
    out: &mut [i32],
) -> u32 {
    let len = x.len().min(previous.len()).min(mix.len()).min(out.len());
    // An image's vectors are whole words, which rounds of several elements read.
    let is_read = R::ROUND == 1 || mix.as_ptr().cast::<u32>().is_aligned();
    let rounds = if is_read { len / R::ROUND } else { 0 };
    let whole = match rounds {
        0 => 0,
        // SAFETY: all slices hold the rounds, of which there is one; the mix is of words.
        _ => unsafe {
            let (x, previous, mix) = (x.as_ptr(), previous.as_ptr(), mix.as_ptr());
            (R::ROUTINES.token_shift)(x, previous, mix, out.as_mut_ptr(), rounds, right)
        },
    };
    let (x, previous, mix) = (
        rest::<R, _>(x, rounds),
        rest::<R, _>(previous, rounds),
        rest::<R, _>(mix, rounds),
    );
    whole.max(Portable::token_shift(
        x,
        previous,
        mix,
        right,
        rest_mut::<R, _>(out, rounds),
    ))
}

pub fn positive_max<R: Rounds>(x: &[i32]) -> i32 {
    let rounds = x.len() / R::ROUND;
    let whole = match rounds {
        0 => 0,
        // SAFETY: the slice holds the rounds, of which there is one.
        _ => unsafe { (R::ROUTINES.positive_max)(x.as_ptr(), rounds) },
    };
    whole.max(Portable::positive_max(rest::<R, _>(x, rounds)))
}

pub fn relu_squared<R: Rounds>(x: &mut [i32], left: u32) {
    let rounds = x.len() / R::ROUND;
    if rounds > 0 {
        // SAFETY: the slice holds the rounds, of which there is one.
        unsafe { (R::ROUTINES.relu_squared)(x.as_mut_ptr(), rounds, left) }
    }
    Portable::relu_squared(rest_mut::<R, _>(x, rounds), left);
}
