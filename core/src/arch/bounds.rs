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
    let near = (1usize..200, -MOST + 1..MOST).prop_flat_map(|(len, m)| {
        prop::collection::vec((-1i32..=1).prop_map(move |d| m + d), len)
    });
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
        prop_assert!(out.unsigned_abs() < 1 << 29);
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
        (x, previous, mix) in mantissas().prop_flat_map(|x| {
            let len = x.len();
            (Just(x), prop::collection::vec(-MOST..=MOST, len), Owned::any(len))
        })
    ) {
        let mut out = vec![0; x.len()];
        let mix = Owned { exp: mix.exp.min(0) - 13, ..mix };
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
