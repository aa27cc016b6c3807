//! Tests: the steps of a layer and of a matrix state against the same in `f64`, at
//! random and at extremes, within the errors that `docs/arithmetic.md` states.

use super::state::{advance, reset, Head, Inputs, Mantissa, Room};
use super::steps::{group_norm, layer_norm, relu_squared, token_shift, unit_length, Epsilon};
use crate::number::{Factors, Number, Vector, View};
use crate::Pcg32;
use proptest::prelude::*;
use std::vec;
use std::vec::Vec;

/// The largest mantissa.
const MOST: i32 = (1 << 29) - 1;

fn value(m: i32, exp: i32) -> f64 {
    f64::from(m) * f64::from(exp).exp2()
}

/// Vectors of all sizes: of random mantissas, constant ones, nearly constant ones,
/// and such with an outlier of 2^20 times the others.
fn mantissas() -> impl Strategy<Value = Vec<i32>> {
    let random = (1usize..200, 0u32..29).prop_flat_map(|(len, less)| {
        prop::collection::vec((-MOST..=MOST).prop_map(move |m| m >> less), len)
    });
    let constant = (1usize..200, -MOST..=MOST).prop_map(|(len, m)| vec![m; len]);
    let near = (1usize..200, -MOST + 1..MOST)
        .prop_flat_map(|(len, m)| prop::collection::vec((-1i32..=1).prop_map(move |d| m + d), len));
    let small = prop::collection::vec(-512i32..512, 2..200);
    let outlier = (small, any::<bool>()).prop_map(|(mut m, sign)| {
        m[0] = if sign { MOST } else { -MOST };
        m
    });
    prop_oneof![random, constant, near, outlier]
}

/// Factors of 16 bits under a power of two: their largest is from 1e-4 to 1e4.
#[derive(Clone, Debug)]
struct Owned {
    m: Vec<i16>,
    exp: i32,
}

impl Owned {
    fn any(len: usize) -> impl Strategy<Value = Self> {
        let m = prop::collection::vec(-32_767i16..=32_767, len);
        (m, -28i32..-1).prop_map(|(m, exp)| Self { m, exp })
    }

    fn get(&self) -> Factors<'_> {
        Factors {
            m: &self.m,
            exp: self.exp,
        }
    }

    fn value(&self, i: usize) -> f64 {
        value(self.m[i].into(), self.exp)
    }
}

fn normed() -> impl Strategy<Value = (Vec<i32>, i32, Owned, Owned)> {
    mantissas().prop_flat_map(|m| {
        let len = m.len();
        (Just(m), -60i32..20, Owned::any(len), Owned::any(len))
    })
}

/// Compares a norm's output with the exact one.
fn check_norm(
    (m, exp): (&[i32], i32),
    epsilon: f64,
    (weight, bias): (&Owned, &Owned),
    (out, out_exp): (&[i32], i32),
) -> Result<(), TestCaseError> {
    let x: Vec<f64> = m.iter().map(|&m| value(m, exp)).collect();
    let len = x.len() as f64;
    let mean = x.iter().sum::<f64>() / len;
    let variance = x.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / len;
    let less = (variance + epsilon).sqrt().recip();
    for (i, (&x, &out)) in x.iter().zip(out).enumerate() {
        let normal = (x - mean) * less;
        let (w, b) = (weight.value(i), bias.value(i));
        // Of root and squares; of the factor, of 16 bits; of the mean, a unit; of
        // the result, two units.
        let error = normal.abs() * (1.2e-4 * w.abs() + value(1, weight.exp))
            + w.abs() * less * value(1, exp)
            + value(2, out_exp);
        let found = value(out, out_exp);
        let exact = normal * w + b;
        prop_assert!(out.unsigned_abs() < 1 << 28);
        prop_assert!((found - exact).abs() <= error, "{i}: {found} {exact} error {} allowed {error}: normal {normal} w {w} b {b} less {less} unit {} out unit {} wunit {} len {len} epsilon {epsilon} exp {exp} std {}", found-exact, value(1,exp), value(1,out_exp), value(1,weight.exp), variance.sqrt());
    }
    Ok(())
}

proptest! {
    #[test]
    fn layer_norms_are_within_their_error((m, exp, weight, bias) in normed()) {
        let mut out = vec![0; 1 + m.len()];
        let mut vector = Vector(&mut out);
        layer_norm(View { m: &m, exp }, [weight.get(), bias.get()], &mut vector);
        check_norm((&m, exp), 1e-5, (&weight, &bias), (&out[1..], out[0]))?;
    }

    #[test]
    fn group_norms_are_within_their_error(
        (m, exp, weight, bias) in normed(), epsilon in prop::sample::select(&[1e-5f32, 64e-5, 1.0, 1e-12][..])
    ) {
        // The same group twice, with two powers of two.
        let size = m.len();
        let twice = |m: &[i16]| [m, m].concat();
        let [w, b] = [&weight, &bias].map(|v| Owned { m: twice(&v.m), exp: v.exp });
        let mut out = vec![0; 1 + 2 * size];
        let mut vector = Vector(&mut out);
        let exps = [exp, exp - 9];
        group_norm(&[&m[..], &m].concat(), &exps, Epsilon::from_f32(epsilon), [w.get(), b.get()], &mut vector);
        for (group, exp) in exps.into_iter().enumerate() {
            let out_m = &out[1 + group * size..][..size];
            check_norm((&m, exp), epsilon.into(), (&weight, &bias), (out_m, out[0]))?;
        }
    }

    #[test]
    fn unit_lengths_are_one(m in mantissas()) {
        let mut x = m.clone();
        let exp = unit_length(m.len(), &mut x);
        let length = |m: &[i32], exp| m.iter().map(|&m| value(m, exp).powi(2)).sum::<f64>().sqrt();
        let own = length(&m, 0);
        if own > 0.0 {
            for (&found, &m) in x.iter().zip(&m) {
                let exact = f64::from(m) / own;
                let error = 2e-4 * exact.abs() + value(2, exp) + 0.1 / own;
                prop_assert!((value(found, exp) - exact).abs() <= error, "{} {exact}", value(found, exp));
            }
        } else {
            prop_assert!(x.iter().all(|&x| x == 0));
        }
    }

    #[test]
    fn token_shifts_are_within_their_error(
        // The output of a norm has a bit less.
        (x, previous, mix) in mantissas().prop_flat_map(|x| {
            let x: Vec<i32> = x.iter().map(|x| x >> 1).collect();
            let len = x.len();
            (Just(x), prop::collection::vec(-MOST / 2..=MOST / 2, len), Owned::any(len))
        })
    ) {
        let mut out = vec![0; x.len()];
        // An image has no mix with more places.
        let mix = Owned { exp: -14 + mix.exp.rem_euclid(4), ..mix };
        let peak = token_shift(View { m: &x, exp: -20 }, &previous, mix.get(), &mut out);
        for (i, &out) in out.iter().enumerate() {
            let (new, old) = (value(x[i], -20), value(previous[i], -20));
            let exact = old + (new - old) * mix.value(i);
            let found = value(out, peak.exp);
            let error = value(6, peak.exp) + 2f64.powi(-14) * (new - old).abs();
            prop_assert!((found - exact).abs() <= error, "{i}: {found} {exact} {error}");
            prop_assert!(out.unsigned_abs() <= peak.max + 1);
        }
    }

    #[test]
    fn squares_are_within_their_error(m in mantissas(), exp in -40i32..0) {
        let mut x = m.clone();
        let peak = relu_squared(&mut x, exp);
        let most = m.iter().copied().max().unwrap_or(0).max(0);
        for (&found, &m) in x.iter().zip(&m) {
            let exact = value(m.max(0), exp).powi(2);
            // Of 15 bits of the largest.
            let error = 2f64.powi(-14) * value(most, exp) * (2.0 * value(m.max(0), exp) + value(most, exp) * 2f64.powi(-14));
            prop_assert!((value(found, peak.exp) - exact).abs() <= error + 1e-300, "{} {exact}", value(found, peak.exp));
            prop_assert!(found >= 0 && found as u32 <= peak.max);
        }
    }
}

/// A head of RWKV-5 or 6, or of 7, beside the same in `f64`.
struct Pair<M> {
    mantissas: Vec<M>,
    lam: Vec<i32>,
    bounds: Vec<i32>,
    exact: Vec<f64>,
}

/// Channels of the head: an odd number, so that a row has no other in its pair.
const SIZE: usize = 17;

impl<M: Mantissa> Pair<M> {
    fn new() -> Self {
        let (mut lam, mut bounds) = (vec![0; SIZE], vec![0; SIZE]);
        reset(&mut lam, &mut bounds);
        Self {
            mantissas: vec![M::zeroed(); SIZE * SIZE],
            lam,
            bounds,
            exact: vec![0.0; SIZE * SIZE],
        }
    }

    /// A token: returns the square of the error of `y`, and that of `y`.
    fn step(&mut self, token: usize, delta: bool, rng: &mut Pcg32) -> [f64; 2] {
        let mut vector = |bits: u32| -> Vec<i32> {
            let one = |_| (rng.next_u32() as i32) >> (32 - bits);
            (0..SIZE).map(one).collect()
        };
        let [r, k, v, mut b] = [27, 26, 28, 25].map(&mut vector);
        let mut kk = vector(26);
        // Decays from a half in 10,000 tokens to a half in one.
        let w: Vec<i32> = (0..SIZE).map(|j| -(420 << j).min(1 << 22)).collect();
        let view = |m| View { m, exp: -26 };
        let unit: f64 = kk
            .iter()
            .map(|&x| value(x, -26).powi(2))
            .sum::<f64>()
            .sqrt();
        for (b, kk) in b.iter_mut().zip(&mut kk) {
            // A direction of length one, to be removed in part.
            *kk = (f64::from(*kk) / unit) as i32;
            *b = -*kk / 3;
        }
        let sum = |x: &[i32], y: &[i32]| -> f64 {
            x.iter()
                .zip(y)
                .map(|(&x, &y)| value(x, -26) * value(y, -26))
                .sum()
        };
        let number = |x: f64| Number {
            m: (x * f64::from(1 << 12)) as i32,
            exp: -12,
        };
        let of_v = number(sum(&r, &k));
        let of_sa = number(sum(&r, &b));
        let mut buffer = vec![0; Room::words(SIZE)];
        let mut y = vec![0; SIZE];
        let inputs = Inputs {
            r: view(&r),
            k: view(&k),
            v: view(&v),
            w: &w,
            of_v,
            delta: delta.then(|| (view(&kk[..]), view(&b[..]), of_sa)),
        };
        let exp = advance(
            &mut Head {
                mantissas: &mut self.mantissas,
                lam: &mut self.lam,
                bounds: &mut self.bounds,
                phase: token % 16,
                room: Room::split(SIZE, &mut buffer),
            },
            &inputs,
            &mut y,
        );
        let at = |x: &[i32], j: usize| value(x[j], -26);
        let mut errors = [0.0; 2];
        for (i, &found) in y.iter().enumerate() {
            let column = |f: &dyn Fn(usize) -> f64| (0..SIZE).map(f).sum::<f64>();
            let old: Vec<f64> = (0..SIZE).map(|j| self.exact[j * SIZE + i]).collect();
            let s = |j: usize| old[j];
            let decay = |j: usize| value(w[j], -22).exp2();
            let sa = column(&|j| at(&kk, j) * s(j));
            let read = column(&|j| at(&r, j) * s(j) * if delta { decay(j) } else { 1.0 });
            let removed = if delta {
                value(of_sa.m, of_sa.exp) * sa
            } else {
                0.0
            };
            let exact = read + value(of_v.m, of_v.exp) * at(&v, i) + removed;
            errors[0] += (value(found, exp) - exact).powi(2);
            errors[1] += exact.powi(2);
            for j in 0..SIZE {
                let removed = if delta { at(&b, j) * sa } else { 0.0 };
                self.exact[j * SIZE + i] = s(j) * decay(j) + at(&k, j) * at(&v, i) + removed;
            }
        }
        errors
    }
}

/// The relative error of `y` over the first thousand tokens and the last.
fn errors_of<M: Mantissa>(delta: bool, tokens: usize) -> [f64; 2] {
    let mut pair = Pair::<M>::new();
    let mut rng = Pcg32::new(7);
    let mut sums = [[0.0; 2]; 2];
    for token in 0..tokens {
        let [error, size] = pair.step(token, delta, &mut rng);
        for (sums, seen) in sums.iter_mut().zip([token < 1000, token + 1000 >= tokens]) {
            if seen {
                sums[0] += error;
                sums[1] += size;
            }
        }
    }
    sums.map(|[error, size]| (error / size).sqrt())
}

/// A row of 16 bits is rounded once a token: over `n` tokens, as long as its decay
/// lasts, errors add up like a random walk, and so does what is written.
#[test]
fn states_follow_the_exact_ones_for_ever() {
    for (delta, most) in [(false, [2.5e-3, 1.3e-2]), (true, [1.8e-3, 1.5e-3])] {
        let errors = errors_of::<i16>(delta, 100_000);
        assert!(
            errors[0] < most[0] && errors[1] < most[1],
            "{delta} {errors:?}"
        );
    }
    // 256 times as coarse.
    for (delta, most) in [(false, [0.25, 0.7]), (true, [0.16, 0.16])] {
        let errors = errors_of::<i8>(delta, 10_000);
        assert!(
            errors[0] < most[0] && errors[1] < most[1],
            "{delta} {errors:?}"
        );
    }
}
