//! Both steps against the formulas of the papers, in double precision.

use crate::arch::{bonus, delta, Bonus, Cell, Delta};
use crate::Pcg32;
use half::f16;
use std::vec::Vec;

fn random(len: usize, rng: &mut Pcg32) -> Vec<f32> {
    (0..len).map(|_| 2.0 * rng.next_f32() - 1.0).collect()
}

fn wide(x: &[f32]) -> Vec<f64> {
    x.iter().map(|&x| f64::from(x)).collect()
}

fn assert_near(found: &[f32], expected: &[f64], tolerance: f64) {
    for (&found, &expected) in found.iter().zip(expected) {
        assert!(
            (f64::from(found) - expected).abs() <= tolerance * (1.0 + expected.abs()),
            "{found} {expected}"
        );
    }
}

/// Channels of a head; Miri takes its time.
fn sizes() -> impl Iterator<Item = usize> {
    let most = if cfg!(miri) { 11 } else { 64 };
    [1, 2, 3, 8, 11, 64].into_iter().filter(move |&n| n <= most)
}

/// A step of RWKV-5 and 6 on states of both formats.
fn bonus_follows<S: Cell>(tolerance: f64) {
    let mut rng = Pcg32::new(1);
    for n in sizes() {
        let [r, k, v, w, u] = [(); 5].map(|()| random(n, &mut rng));
        let start: Vec<S> = random(n * n, &mut rng).into_iter().map(S::store).collect();
        let mut state = start.clone();
        let bonus_weight: f32 = (0..n).map(|i| r[i] * u[i] * k[i]).sum();
        let head = Bonus {
            r: &r,
            k: &k,
            v: &v,
            w: &w,
            bonus: bonus_weight,
        };
        let mut y = std::vec![0.0; n];
        bonus(&mut state, &head, &mut y);

        let old = wide(&start.iter().map(|s| s.load()).collect::<Vec<_>>());
        let [r, k, v, w, u] = [&r, &k, &v, &w, &u].map(|x| wide(x));
        let at = |i: usize, j: usize| old[i * n + j];
        let read =
            |j: usize| -> f64 { (0..n).map(|i| r[i] * (u[i] * k[i] * v[j] + at(i, j))).sum() };
        let moved = |at_ij: usize| {
            let (i, j) = (at_ij / n, at_ij % n);
            k[i] * v[j] + w[i] * at(i, j)
        };
        assert_near(&y, &(0..n).map(read).collect::<Vec<_>>(), 1e-5);
        let state: Vec<f32> = state.iter().map(|s| s.load()).collect();
        assert_near(
            &state,
            &(0..n * n).map(moved).collect::<Vec<_>>(),
            tolerance,
        );
    }
}

/// A step of RWKV-7, from the definition: no right-hand form, no fused pass.
fn delta_follows<S: Cell>(tolerance: f64) {
    let mut rng = Pcg32::new(2);
    for n in sizes() {
        let [r, w, k, v, kk, a] = [(); 6].map(|()| random(n, &mut rng));
        let start: Vec<S> = random(n * n, &mut rng).into_iter().map(S::store).collect();
        let mut state = start.clone();
        let times =
            |x: &[f32], y: &[f32]| -> Vec<f32> { x.iter().zip(y).map(|(x, y)| x * y).collect() };
        let (read, wr, b) = (
            times(&kk, &std::vec![-1.0; n]),
            times(&w, &r),
            times(&kk, &a),
        );
        let head = Delta {
            read: &read,
            wr: &wr,
            w: &w,
            b: &b,
            k: &k,
            v: &v,
            br_kr: [&b, &k].map(|x| times(x, &r).iter().sum()),
        };
        let (mut y, mut sa) = (std::vec![0.0; n], std::vec![0.0; n]);
        delta(&mut state, &head, &mut y, &mut sa);

        let old = wide(&start.iter().map(|s| s.load()).collect::<Vec<_>>());
        let [r, w, k, v, kk, a] = [&r, &w, &k, &v, &kk, &a].map(|x| wide(x));
        let removed = |i: usize| -> f64 { (0..n).map(|j| -kk[j] * old[j * n + i]).sum() };
        let removed: Vec<f64> = (0..n).map(removed).collect();
        let moved: Vec<f64> = (0..n * n)
            .map(|at| {
                let (j, i) = (at / n, at % n);
                old[at] * w[j] + removed[i] * kk[j] * a[j] + v[i] * k[j]
            })
            .collect();
        let expected: Vec<f64> = (0..n)
            .map(|i| (0..n).map(|j| moved[j * n + i] * r[j]).sum())
            .collect();
        assert_near(&y, &expected, 2e-5);
        let state: Vec<f32> = state.iter().map(|s| s.load()).collect();
        assert_near(&state, &moved, tolerance);
    }
}

#[test]
fn bonus_follows_the_paper() {
    bonus_follows::<f32>(1e-6);
    bonus_follows::<f16>(5e-4);
}

#[test]
fn delta_follows_the_paper() {
    delta_follows::<f32>(1e-5);
    delta_follows::<f16>(5e-4);
}

#[test]
fn short_slices_do_nothing_bad() {
    let mut state = [0.5f32; 3];
    let head = Bonus {
        r: &[1.0],
        k: &[],
        v: &[1.0, 2.0],
        w: &[1.0],
        bonus: 1.0,
    };
    bonus(&mut state, &head, &mut [0.0]);
    assert_eq!(state, [0.5; 3]);
}
