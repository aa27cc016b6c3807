//! The two products, and shifts.

use super::choice::{larger, places as places_of};

/// `floor(a m / 2^16)`, with `m` a number of 16 bits.
///
/// One instruction where 32 by 16 bits are one (`SMULWB`). A core that has only products
/// of 32 bits takes the upper half of one; a core without a long product, and the vectors
/// of a compiler, take the halves of `a` in turn.
#[cfg_attr(kinglet_fast, inline(always))]
pub(crate) fn mulq(a: i32, m: i32) -> i32 {
    if cfg!(any(kinglet_armv6m, kinglet_x86, kinglet_neon)) {
        let low = (a & 0xffff).wrapping_mul(m) >> 16;
        return (a >> 16).wrapping_mul(m).wrapping_add(low);
    }
    if cfg!(any(kinglet_armv7m, kinglet_riscv)) {
        return mulh(a, m << 16);
    }
    ((i64::from(a) * i64::from(m)) >> 16) as i32
}

/// `floor(a b / 2^32)`.
#[cfg_attr(kinglet_fast, inline(always))]
pub(crate) fn mulh(a: i32, b: i32) -> i32 {
    if cfg!(kinglet_armv6m) {
        return by_halves(a, b);
    }
    ((i64::from(a) * i64::from(b)) >> 32) as i32
}

/// `floor(a b / 2^16)` of numbers below 2^30 in magnitude: its upper 32 bits, those of
/// [`mulh`], and its lower 16.
#[cfg_attr(kinglet_fast, inline(always))]
pub(crate) fn halves(a: i32, b: i32) -> (i32, u32) {
    if cfg!(kinglet_armv6m) {
        return from_halves(a, b);
    }
    let product = i64::from(a) * i64::from(b);
    ((product >> 32) as i32, product as u32 >> 16)
}

/// [`halves`] from products of 16 bits.
#[cfg_attr(kinglet_fast, inline(always))]
fn from_halves(a: i32, b: i32) -> (i32, u32) {
    let (a_low, a_high) = (a & 0xffff, a >> 16);
    let (b_low, b_high) = (b & 0xffff, b >> 16);
    let low = (a_low.wrapping_mul(b_low) as u32 >> 16) as i32;
    // Two of 30 bits, and a sign.
    let middle = (a_high.wrapping_mul(b_low))
        .wrapping_add(a_low.wrapping_mul(b_high))
        .wrapping_add(low);
    let high = a_high.wrapping_mul(b_high).wrapping_add(middle >> 16);
    (high, middle as u32 & 0xffff)
}

/// [`mulh`] from products of 16 bits.
#[cfg_attr(kinglet_fast, inline(always))]
fn by_halves(a: i32, b: i32) -> i32 {
    let (a_low, a_high) = ((a & 0xffff) as u32, a >> 16);
    let (b_low, b_high) = ((b & 0xffff) as u32, b >> 16);
    let low = a_low.wrapping_mul(b_low) >> 16;
    // Less than 2^31 in magnitude: 2^15 x (2^16 - 1), and less than 2^16 more.
    let middle = a_high.wrapping_mul(b_low as i32).wrapping_add(low as i32);
    let other = (a_low as i32).wrapping_mul(b_high);
    let carry = ((middle & 0xffff) + (other & 0xffff)) >> 16;
    a_high
        .wrapping_mul(b_high)
        .wrapping_add(middle >> 16)
        .wrapping_add(other >> 16)
        .wrapping_add(carry)
}

/// A number that has the bits of `|x|` and cannot overflow: `x` or `-x - 1`.
#[cfg_attr(kinglet_fast, inline(always))]
pub(crate) fn magnitude(x: i32) -> u32 {
    (x ^ (x >> 31)) as u32
}

/// The larger of a magnitude and that of `x`.
#[cfg_attr(kinglet_fast, inline(always))]
pub(crate) fn grown(max: u32, x: i32) -> u32 {
    larger(max as i32, magnitude(x) as i32) as u32
}

/// A shift by a number of places that is known at run time: to the left, then
/// to the right, so that no core branches.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shift {
    left: u32,
    right: u32,
}

impl Shift {
    /// By `places` to the left where that is positive, to the right where it is
    /// negative; 31 at most.
    #[cfg_attr(kinglet_fast, inline(always))]
    pub(crate) fn by(places: i32) -> Self {
        Self {
            left: places_of(places),
            right: places_of(-places),
        }
    }

    /// The shifted number; bits shifted out to the right are dropped.
    #[cfg_attr(kinglet_fast, inline(always))]
    pub(crate) fn of(self, x: i32) -> i32 {
        x.wrapping_shl(self.left).wrapping_shr(self.right)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const EXTREMES: [i32; 9] = [
        0,
        1,
        -1,
        i32::MAX,
        i32::MIN,
        0xffff,
        0x1_0000,
        -0x1_0000,
        1 << 30,
    ];

    fn any_word() -> impl Strategy<Value = i32> {
        prop_oneof![any::<i32>(), proptest::sample::select(&EXTREMES[..])]
    }

    proptest! {
        #[test]
        fn products_are_the_floor_of_the_exact_ones(a in any_word(), b in any_word(), m in any::<i16>()) {
            let exact = (i64::from(a) * i64::from(b)) >> 32;
            prop_assert_eq!(i64::from(mulh(a, b)), exact);
            prop_assert_eq!(i64::from(by_halves(a, b)), exact);
            let exact = (i64::from(a) * i64::from(m)) >> 16;
            prop_assert_eq!(i64::from(mulq(a, m.into())), exact);
        }

        #[test]
        fn halves_are_those_of_the_exact_product(a in any_word(), b in any_word()) {
            let most = (1 << 30) - 1;
            let [a, b] = [a, b].map(|x| x.clamp(-most, most));
            let (high, low) = halves(a, b);
            prop_assert_eq!(from_halves(a, b), (high, low));
            let exact = (i64::from(a) * i64::from(b)) >> 16;
            prop_assert_eq!((i64::from(high) << 16) + i64::from(low), exact);
        }

        #[test]
        fn shifts_are_powers_of_two(x in -1i32 << 15..1 << 15, places in -20i32..=15) {
            let exact = (f64::from(x) * f64::from(places).exp2()).floor();
            prop_assert_eq!(f64::from(Shift::by(places).of(x)), exact);
        }
    }
}
