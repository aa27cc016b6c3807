//! The steps beside products: the port's answers are those of `Portable`, and
//! those of the definition in wide integers, for every length and alignment.

use super::super::{Native, Port, Portable, Quantizer, Scaling};
use crate::number::magnitude;
use crate::shape::BLOCK_ROWS;
use crate::Pcg32;
use std::vec;
use std::vec::Vec;

/// Lengths that end rounds in every way.
const LENGTHS: core::ops::Range<usize> = 0..if cfg!(miri) { 10 } else { 71 };

/// Numbers below `2^bits` in magnitude, extremes among them.
fn words(bits: u32, len: usize, rng: &mut Pcg32) -> Vec<i32> {
    let mut word = || {
        let any = rng.next_u32() as i32 >> (31 - bits);
        match rng.next_u32() % 8 {
            0 => any >> (rng.next_u32() % bits),
            1 => (1 << bits) - 1,
            2 => -(1 << bits),
            3 => 0,
            _ => any,
        }
    };
    (0..len).map(|_| word()).collect()
}

fn halves(len: usize, rng: &mut Pcg32) -> Vec<i16> {
    words(15, len, rng).iter().map(|&x| x as i16).collect()
}

/// Calls `test` for vectors of all lengths, magnitudes, and alignments of numbers
/// of 16 bits.
fn for_all(mut test: impl FnMut(&[i32], &[i32], &[i16], &[i16], &mut Pcg32)) {
    let mut rng = Pcg32::new(2);
    for len in LENGTHS {
        for offset in 0..4 {
            let bits = 1 + rng.next_u32() % 29;
            let (x, other) = (words(bits, len, &mut rng), words(bits, len, &mut rng));
            let (a, b) = (halves(len + 4, &mut rng), halves(len + 4, &mut rng));
            test(
                &x,
                &other,
                &a[offset..][..len],
                &b[offset / 2..][..len],
                &mut rng,
            );
        }
    }
}

/// The places by which numbers with these bits take 30.
fn left_of(bits: u32) -> u32 {
    bits.leading_zeros().saturating_sub(2).min(30)
}

#[test]
fn sums_and_differences_are_exact() {
    for_all(|x, other, _, _, _| {
        let exact: i64 = x.iter().map(|&x| i64::from(x)).sum();
        assert_eq!((Native::sum(x), Portable::sum(x)), (exact, exact));
        let products = x.iter().zip(other);
        let exact: i64 = products
            .map(|(&a, &b)| (i64::from(a) * i64::from(b)) >> 16)
            .sum();
        let (ours, plain) = (Native::dot(x, other), Portable::dot(x, other));
        assert_eq!((ours, plain), (exact, exact));
        let mean = other.first().copied().unwrap_or(0);
        let expected: Vec<_> = x.iter().map(|x| x - mean).collect();
        let bits = expected.iter().fold(0, |bits, &d| bits | magnitude(d));
        let mut out = vec![1; x.len()];
        assert_eq!(Native::less(x, mean, &mut out), bits);
        assert_eq!(out, expected);
        out.fill(1);
        assert_eq!(Portable::less(x, mean, &mut out), bits);
        assert_eq!(out, expected);
    });
}

#[test]
fn squares_are_exact() {
    for_all(|x, _, _, _, _| {
        let left = left_of(x.iter().fold(0, |bits, &x| bits | magnitude(x)));
        let square = |&x: &i32| ((i128::from(x) << left) >> 15).pow(2);
        let exact: i128 = x.iter().map(square).sum();
        assert_eq!(i128::from(Native::squares(x, left)), exact);
        assert_eq!(i128::from(Portable::squares(x, left)), exact);
    });
}

#[test]
fn norms_are_those_of_the_definition() {
    for_all(|x, _, weight, bias, rng| {
        let scaling = Scaling {
            left: left_of(x.iter().fold(0, |bits, &x| bits | magnitude(x))),
            root: ((1 << 15) | (rng.next_u32() % (1 << 15))) as i32,
            right: rng.next_u32() % 32,
            bias: 1 << (rng.next_u32() % 29),
        };
        let value = |((&x, &w), &b): ((&i32, &i16), &i16)| {
            let factor = (i64::from(scaling.root) * i64::from(w) + (1 << 15)) >> 16;
            let product = ((i64::from(x) << scaling.left) * factor) >> 16;
            let bias = (i64::from(scaling.bias) * i64::from(b)) >> 16;
            ((product >> scaling.right) + bias) as i32
        };
        let expected: Vec<_> = x.iter().zip(weight).zip(bias).map(value).collect();
        let (mut ours, mut plain) = (x.to_vec(), x.to_vec());
        Native::affine(scaling, weight, bias, &mut ours);
        Portable::affine(scaling, weight, bias, &mut plain);
        assert_eq!(ours, expected);
        assert_eq!(plain, expected);
    });
}

#[test]
fn token_shifts_are_those_of_the_definition() {
    for_all(|x, previous, mix, _, rng| {
        let right = rng.next_u32() % 32;
        let value = |((&x, &previous), &mix): ((&i32, &i32), &i16)| {
            let part = ((i64::from(x) - i64::from(previous)) * i64::from(mix)) >> 16;
            (i64::from(previous >> right) + 4 * part) as i32
        };
        let expected: Vec<_> = x.iter().zip(previous).zip(mix).map(value).collect();
        let max = expected.iter().fold(0, |max, &x| magnitude(x).max(max));
        let mut out = vec![1; x.len()];
        assert_eq!(Native::token_shift(x, previous, mix, right, &mut out), max);
        assert_eq!(out, expected);
        out.fill(1);
        assert_eq!(
            Portable::token_shift(x, previous, mix, right, &mut out),
            max
        );
        assert_eq!(out, expected);
    });
}

#[test]
fn hidden_values_are_those_of_the_definition() {
    for_all(|x, _, _, _, _| {
        let max = x.iter().copied().max().unwrap_or(0).max(0);
        assert_eq!(
            (Native::positive_max(x), Portable::positive_max(x)),
            (max, max)
        );
        let left = (max as u32 | 1).leading_zeros() - 1;
        let square = |&x: &i32| (i64::from(x.max(0)) << left >> 16).pow(2) as i32;
        let expected: Vec<_> = x.iter().map(square).collect();
        let (mut ours, mut plain) = (x.to_vec(), x.to_vec());
        Native::relu_squared(&mut ours, left);
        Portable::relu_squared(&mut plain, left);
        assert_eq!(ours, expected);
        assert_eq!(plain, expected);
    });
}

#[test]
fn rows_are_scaled_by_the_definition() {
    for_all(|x, _, scales, _, rng| {
        // So that `|x 2^shift|` is below 2^30.
        let bits = x.iter().fold(0, |bits, &x| bits | magnitude(x));
        let shift = rng.next_u32() % (left_of(bits) + 1);
        let max16 = match rng.next_u32() % 4 {
            0 => 1 << 15,
            _ => 1 + (rng.next_u32() % (1 << 15)) as i32,
        };
        let value = |(&x, &scale): (&i32, &i16)| {
            let factor = (i64::from(scale) * i64::from(max16)) >> 15;
            (((i64::from(x) << shift) * factor) >> 16) as i32
        };
        let expected: Vec<_> = x.iter().zip(scales).map(value).collect();
        let (mut ours, mut plain) = (x.to_vec(), x.to_vec());
        Native::scale_rows(scales, max16, shift, &mut ours);
        Portable::scale_rows(scales, max16, shift, &mut plain);
        assert_eq!(ours, expected);
        assert_eq!(plain, expected);
    });
}

#[test]
fn blocks_are_scaled_by_the_definition() {
    for_all(|x, _, factors, _, rng| {
        let bits = x.iter().fold(0, |bits, &x| bits | magnitude(x));
        let shift = rng.next_u32() % (left_of(bits) + 1);
        let factor = factors.first().map_or(-32_768, |&factor| i32::from(factor));
        let blocks = x.len() / BLOCK_ROWS;
        let places: Vec<u8> = (0..blocks).map(|_| rng.next_u32() as u8 % 32).collect();
        let value = |(row, &x): (usize, &i32)| match places.get(row / BLOCK_ROWS) {
            Some(places) => {
                let factor = (i64::from(factor) << 16) >> places;
                (((i64::from(x) << shift) * factor) >> 32) as i32
            }
            // Not a whole block.
            None => x,
        };
        let expected: Vec<_> = x.iter().enumerate().map(value).collect();
        let (mut ours, mut plain) = (x.to_vec(), x.to_vec());
        Native::scale_blocks(&places, factor, shift, &mut ours);
        Portable::scale_blocks(&places, factor, shift, &mut plain);
        assert_eq!(ours, expected);
        assert_eq!(plain, expected);
    });
}

/// However large or tiny a vector is, no element leaves 8 bits, and the largest is
/// near 127.
#[test]
fn quantized_values_are_within_127() {
    let check = |x: &[i32]| {
        let max = x.iter().fold(0, |max, &x| magnitude(x).max(max));
        let quantizer = Quantizer::up_to(max, 127).0;
        assert!((1 << 12..1 << 15).contains(&quantizer.inverse));
        let q = x.iter().map(|&x| quantizer.of(x));
        let most = q.fold(0, |most: i32, q| most.max(q.abs()));
        assert!(most <= 127, "{x:?}");
        assert!(most >= 126 || max < 1 << 14, "{x:?}");
    };
    let mut rng = Pcg32::new(4);
    for bits in 1..31 {
        let (below, above) = ((1i32 << bits) - 1, -(1i32 << bits));
        check(&[below]);
        check(&[above, 0]);
        check(&[above, below]);
        for _ in 0..if cfg!(miri) { 5 } else { 100 } {
            check(&words(bits, 8, &mut rng));
        }
    }
    check(&[0; 4]);
    check(&[-1]);
    check(&[1]);
}
