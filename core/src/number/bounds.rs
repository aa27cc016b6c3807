//! Tests: the steps on vectors against the same in `f64`, for vectors of all sizes
//! and powers of two.

use super::vector::*;
use proptest::prelude::*;
use std::vec;
use std::vec::Vec;

fn value(m: i32, exp: i32) -> f64 {
    f64::from(m) * f64::from(exp).exp2()
}

/// Mantissas of one size, from 29 bits to one, under a power of two.
#[derive(Clone, Debug)]
struct Owned {
    m: Vec<i32>,
    exp: i32,
}

impl Owned {
    fn any(len: usize) -> impl Strategy<Value = Self> {
        let most = (1 << 29) - 1;
        (0u32..29, -45i32..5).prop_flat_map(move |(less, exp)| {
            let m = prop::collection::vec((-most..=most).prop_map(move |m| m >> less), len);
            m.prop_map(move |m| Self { m, exp })
        })
    }

    fn view(&self) -> View<'_> {
        View {
            m: &self.m,
            exp: self.exp,
        }
    }

    fn value(&self, i: usize) -> f64 {
        value(self.m[i], self.exp)
    }

    fn most(&self) -> f64 {
        (0..LEN).map(|i| self.value(i).abs()).fold(0.0, f64::max)
    }
}

const LEN: usize = 9;

fn two() -> impl Strategy<Value = [Owned; 2]> {
    [Owned::any(LEN), Owned::any(LEN)]
}

/// A residual stream that holds this vector.
fn stream(x: &Owned) -> Vec<i32> {
    let mut words = vec![0; Residual::WORDS + LEN];
    let bits = x.m.iter().fold(0, |bits, &m| bits | m.unsigned_abs());
    let mut stream = Residual(&mut words);
    stream.m().copy_from_slice(&x.m);
    stream.set(x.exp, bits);
    words
}

/// The logistic function of a number to base 2.
fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp2())
}

/// The elements against the exact ones, each within its error.
fn near(found: &[i32], exp: i32, exact: impl Fn(usize) -> (f64, f64)) -> Result<(), TestCaseError> {
    for (i, &m) in found.iter().enumerate() {
        let (exact, error) = exact(i);
        let found = value(m, exp);
        prop_assert!(m.unsigned_abs() <= 1 << 29, "{i}: {m}");
        prop_assert!(
            (found - exact).abs() <= error,
            "{i}: {found} {exact} {error}"
        );
    }
    Ok(())
}

proptest! {
    #[test]
    fn sums_lose_a_bit_at_most([x, y] in two()) {
        let mut words = stream(&x);
        add(&mut Residual(&mut words), y.view());
        let exp = words[0];
        // The larger part has 28 bits of the sum's at least, but for the vector's own.
        let unit = value(2, exp);
        near(&words[2..], exp, |i| (x.value(i) + y.value(i), unit))?;
        let top = x.most().max(value(1 << 29, y.exp));
        prop_assert!(x.most() == 0.0 || unit <= top * 2f64.powi(-26), "{unit} {top}");
    }

    #[test]
    fn gated_sums_are_within_their_error([x, y] in two(), gate in Owned::any(LEN)) {
        let mut words = stream(&x);
        add_gated(&mut Residual(&mut words), gate.view(), y.view());
        let exp = words[0];
        near(&words[2..], exp, |i| {
            let share = sigmoid(gate.value(i));
            let error = value(2, exp) + y.value(i).abs() * 9.5e-5;
            (x.value(i) + share * y.value(i), error)
        })?;
    }

    #[test]
    fn products_are_within_their_error([x, y] in two()) {
        let mut out = vec![0; LEN];
        let peak = multiply(x.view(), y.view(), &mut out);
        near(&out, peak.exp, |i| (x.value(i) * y.value(i), value(1, peak.exp)))?;
        prop_assert!(out.iter().all(|m| m.unsigned_abs() <= peak.max + 1));
        let factors: Vec<i16> = y.m.iter().map(|m| (m >> 14) as i16).collect();
        let factors = Factors { m: &factors, exp: y.exp };
        let exp = times(x.view(), factors, &mut out);
        near(&out, exp, |i| (x.value(i) * value(factors.m[i].into(), y.exp), value(1, exp)))?;
    }

    #[test]
    fn gates_are_within_their_error([x, gate] in two()) {
        let mut out = vec![0; LEN];
        let peak = multiply_silu(x.view(), gate.view(), &mut out);
        near(&out, peak.exp, |i| {
            let gated = gate.value(i) * sigmoid(gate.value(i));
            // Of the share, and of the gate's last bit.
            let error = x.value(i).abs() * (gate.value(i).abs() * 9.5e-5 + value(2, gate.exp));
            (x.value(i) * gated, error + value(1, peak.exp))
        })?;
        shares(gate.view(), &mut out);
        near(&out, -15, |i| (sigmoid(gate.value(i)), 9.5e-5))?;
    }

    #[test]
    fn functions_are_within_their_error(x in Owned::any(LEN)) {
        let mut out = x.m.clone();
        let peak = apply(&mut out, x.exp, Function::Sigmoid);
        near(&out, peak.exp, |i| (sigmoid(x.value(i)), 5.2e-5))?;
        let mut out = x.m.clone();
        let peak = apply(&mut out, x.exp, Function::Tanh);
        // What an argument in Q22 cannot say, a result lacks.
        near(&out, peak.exp, |i| (2.0 * sigmoid(x.value(i)) - 1.0, 6e-5))?;
    }

    #[test]
    fn dot_products_are_within_their_error([x, y] in two()) {
        let number = dot(x.view(), y.view());
        let exact: f64 = (0..LEN).map(|i| x.value(i) * y.value(i)).sum();
        let error = value(LEN as i32, x.exp + y.exp + 16) + exact.abs() * 2f64.powi(-13);
        prop_assert!(i16::try_from(number.m).is_ok());
        prop_assert!((value(number.m, number.exp) - exact).abs() <= error);
    }
}
