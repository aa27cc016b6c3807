//! Choices that take the same instructions whatever the numbers are.
//!
//! A core that has neither conditional instructions nor a minimum would branch,
//! and a token's cost would depend on its values. There a choice is a mask.

pub(crate) use crate::arch::opaque;

/// Whether the core would branch.
const BRANCHES: bool = cfg!(any(kinglet_armv6m, kinglet_riscv));

/// The smaller of two numbers whose difference has 31 bits and a sign.
#[cfg_attr(kinglet_fast, inline(always))]
pub(crate) fn smaller(a: i32, b: i32) -> i32 {
    if BRANCHES {
        return b.wrapping_sub(positive(b.wrapping_sub(a)));
    }
    a.min(b)
}

/// The larger of two numbers whose difference has 31 bits and a sign.
#[cfg_attr(kinglet_fast, inline(always))]
pub(crate) fn larger(a: i32, b: i32) -> i32 {
    if BRANCHES {
        return a.wrapping_add(positive(b.wrapping_sub(a)));
    }
    a.max(b)
}

/// All ones where `a < b`, 0 elsewhere: the sign of the difference, but for numbers of
/// two signs.
#[inline(always)]
fn less(a: i32, b: i32) -> i32 {
    ((a & !b) | (!(a ^ b) & a.wrapping_sub(b))) >> 31
}

/// `first` where `a < b`, `second` elsewhere, of any numbers.
#[inline(always)]
pub(crate) fn where_less<const N: usize>(
    [a, b]: [i32; 2],
    first: [i32; N],
    second: [i32; N],
) -> [i32; N] {
    if BRANCHES {
        let less = opaque(less(a, b));
        let mut chosen = second;
        for (chosen, first) in chosen.iter_mut().zip(first) {
            *chosen ^= (*chosen ^ first) & less;
        }
        return chosen;
    }
    if a < b {
        return first;
    }
    second
}

/// The number, or 0 where it is negative.
#[cfg_attr(kinglet_fast, inline(always))]
pub(crate) fn positive(x: i32) -> i32 {
    x & !opaque(x >> 31)
}

/// The number from 0 to `most` that is the nearest to `x`.
#[cfg_attr(kinglet_fast, inline(always))]
pub(crate) fn limited(x: i32, most: i32) -> i32 {
    if BRANCHES {
        return smaller(positive(x), most);
    }
    x.clamp(0, most)
}

/// A number of places, 0 to 31: the nearest to `x`.
#[cfg_attr(kinglet_fast, inline(always))]
pub(crate) fn places(x: i32) -> u32 {
    limited(x, 31) as u32
}

/// [`places`] of a number that is not negative, for a shift that looks at five bits.
#[cfg_attr(kinglet_fast, inline(always))]
pub(crate) fn capped(x: i32) -> u32 {
    if BRANCHES {
        return (x | opaque(31i32.wrapping_sub(x) >> 31)) as u32;
    }
    x.min(31) as u32
}

/// The leading zeros of a number.
#[cfg_attr(kinglet_fast, inline(always))]
pub(crate) fn zeros(x: u32) -> i32 {
    if BRANCHES {
        return by_table(x);
    }
    x.leading_zeros() as i32
}

/// [`zeros`] without an instruction for it: the compiler's own function branches.
#[cfg_attr(kinglet_fast, inline(always))]
fn by_table(mut x: u32) -> i32 {
    // All ones from the highest that is set.
    for places in [1, 2, 4, 8, 16] {
        x |= x >> places;
    }
    let zeros = ZEROS.get((x.wrapping_mul(SPREAD) >> 26) as usize);
    zeros.map_or(0, |&zeros| zeros.into())
}

/// Found by trial: the upper six bits of its products with `2^n - 1` are 33 numbers.
const SPREAD: u32 = 0x1f8c_e97b;

/// The leading zeros of `2^n - 1`, where these bits are.
static ZEROS: [u8; 64] = {
    let mut table = [0; 64];
    let mut zeros = 0;
    while zeros <= 32 {
        let ones = (1u64 << (32 - zeros)) - 1;
        table[((ones as u32).wrapping_mul(SPREAD) >> 26) as usize] = zeros;
        zeros += 1;
    }
    table
};

/// The 32 upper bits of a number, from the highest that is set, and their power of
/// two; 0 stays 0.
#[cfg_attr(kinglet_fast, inline(always))]
pub(crate) fn normal(x: u64) -> (u32, i32) {
    let (high, low) = ((x >> 32) as u32, x as u32);
    // All ones where the upper half is empty.
    let empty = opaque((zeros(high) >> 5).wrapping_neg()) as u32;
    let (high, low) = (high | (low & empty), low & !empty);
    let left = zeros(high) as u32 & 31;
    let top = high << left | (low >> 1 >> (31 - left));
    (top, (32 & !empty) as i32 - left as i32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn zeros_are_those_of_the_standard_library(x in any::<u32>(), places in 0u32..32) {
            let x = x >> places;
            prop_assert_eq!(by_table(x), x.leading_zeros() as i32);
        }

        #[test]
        fn a_mask_says_which_is_less(a in any::<i32>(), b in any::<i32>(), places in 0u32..32) {
            for [a, b] in [[a, b], [a, a], [a >> places, b >> places], [i32::MIN, a], [a, i32::MAX]] {
                prop_assert_eq!(less(a, b), -i32::from(a < b));
            }
        }

        #[test]
        fn normal_numbers_are_the_upper_bits(x in any::<u64>(), places in 0u32..64) {
            let x = x >> places;
            let (top, exp) = normal(x);
            let exact = match exp {
                0.. => x >> exp,
                _ => x << -exp,
            };
            prop_assert_eq!(u64::from(top), exact);
            prop_assert!(x == 0 || top >> 31 == 1);
        }
    }

    #[test]
    fn nothing_has_no_upper_bits() {
        assert_eq!(by_table(0), 32);
        assert_eq!(normal(0).0, 0);
    }
}
