//! Steps that have the logistic function in them.

use crate::number::{grown, larger, magnitude, mulq, Share, Shift, ToFixed};

/// As [`Port::shares`](crate::arch::Port::shares).
#[cfg_attr(kinglet_x86, inline(always))]
pub(super) fn shares(gate: &[i32], places: i32, out: &mut [i32]) {
    let to_fixed = ToFixed::by(places);
    for (out, &gate) in out.iter_mut().zip(gate) {
        *out = to_fixed.sigmoid(gate);
    }
}

/// As [`Port::add_gated`](crate::arch::Port::add_gated).
#[cfg_attr(kinglet_x86, inline(always))]
pub(super) fn add_gated(
    x: &mut [i32],
    [gate, y]: [&[i32]; 2],
    [of_gate, of_x]: [i32; 2],
    right: u32,
) -> u32 {
    let (to_fixed, of_x) = (ToFixed::by(of_gate), Shift::by(of_x));
    let mut bits = 0;
    for (x, (&gate, &y)) in x.iter_mut().zip(gate.iter().zip(y)) {
        let share = to_fixed.sigmoid(gate);
        *x = of_x.of(*x).wrapping_add(mulq(y << 1, share) >> right);
        bits |= magnitude(*x);
    }
    bits
}

/// As [`Port::average`](crate::arch::Port::average).
#[cfg_attr(kinglet_x86, inline(always))]
pub(super) fn average(
    [average, weight]: [&mut [i32]; 2],
    [w, u]: [&[i32]; 2],
    [k, v]: [&[i32]; 2],
    [of_k, of_v]: [i32; 2],
    out: &mut [i32],
) -> u32 {
    let (of_k, of_v) = (ToFixed::by(of_k), Shift::by(of_v));
    let inputs = k.iter().zip(v).zip(w.iter().zip(u));
    let state = average.iter_mut().zip(weight);
    let mut max = 0;
    for ((out, (a, l)), ((&k, &v), (&w, &u))) in out.iter_mut().zip(state).zip(inputs) {
        let (k, v) = (of_k.of(k), of_v.of(v));
        let difference = k.wrapping_add(u).wrapping_sub(*l);
        let wkv = leaned(*a, v, difference, Share::of(difference.unsigned_abs()), 0);
        // A factor of 16 bits.
        *out = mulq(wkv << 1, (*out as i16).into());
        max = grown(max, *out);

        let decayed = l.wrapping_add(w);
        let difference = k.wrapping_sub(decayed);
        let smaller = Share::of(difference.unsigned_abs());
        // A floor would make slow channels drift.
        let half = (1u32 << smaller.halvings >> 1) as i32;
        *a = leaned(*a, v, difference, smaller, half);
        *l = larger(k, decayed).wrapping_add(smaller.logarithm());
    }
    max
}

/// `a + (v - a) sigmoid(d)`, computed from the nearer of both: the smaller share,
/// that of `2^-|d|`, keeps its precision, however small it is. Its part is rounded
/// down, after `more` was added, in units of the share.
#[cfg_attr(kinglet_fast, inline(always))]
fn leaned(a: i32, v: i32, d: i32, smaller: Share, more: i32) -> i32 {
    let a_is_near = d >> 31;
    // From the nearer to the other, without a branch.
    let step = v.wrapping_sub(a);
    let near = v.wrapping_sub(step & a_is_near);
    let to_far = (step ^ !a_is_near).wrapping_sub(!a_is_near);
    let part = mulq(to_far << 1, smaller.factor());
    near.wrapping_add(part.wrapping_add(more) >> smaller.halvings)
}

// No unsafe code is in them, and Miri has no files for what a failed test leaves.
#[cfg(all(test, not(miri)))]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_key_that_weighs_nothing_moves_no_average() {
        for (a, v) in [(1000, -5000), (-1000, 5000), (0, 0)] {
            let (mut mean, mut weight, mut out) = ([a], [0], [32_767]);
            let state = [&mut mean[..], &mut weight[..]];
            average(
                state,
                [&[0], &[0]],
                [&[1 - (1 << 29)], &[v]],
                [0; 2],
                &mut out,
            );
            assert_eq!((mean, weight), ([a], [0]));
        }
    }

    proptest! {
        #[test]
        fn an_average_leans_by_the_logistic_function(
            a in -1i32 << 28..1 << 28, v in -1i32 << 28..1 << 28, d in -1i32 << 30..1 << 30
        ) {
            let d = d >> (d & 7);
            let share = 1.0 / (1.0 + (-f64::from(d) / f64::from(1 << 22)).exp2());
            let exact = f64::from(a) + (f64::from(v) - f64::from(a)) * share;
            let smaller = Share::of(d.unsigned_abs());
            let half = (1u32 << smaller.halvings >> 1) as i32;
            let error = f64::from(leaned(a, v, d, smaller, half)) - exact;
            // Of the smaller share, and half a unit of rounding.
            let small = share.min(1.0 - share) * (f64::from(v) - f64::from(a)).abs();
            prop_assert!(error.abs() <= 7.2e-4 * small + 1.5, "{error} of {small}");
        }
    }
}
