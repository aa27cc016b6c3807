//! A port's answers beside products against `Portable`, bit for bit, for all
//! lengths: tails take another path.

use crate::arch::shared::soft::Soft;
use crate::arch::{Bonus, Cell, Delta, Native, Port, Portable};
use crate::Pcg32;
use half::{bf16, f16};
use std::vec::Vec;

fn random(len: usize, rng: &mut Pcg32) -> Vec<f32> {
    (0..len).map(|_| 8.0 * rng.next_f32() - 4.0).collect()
}

fn halves(len: usize, rng: &mut Pcg32) -> Vec<f16> {
    random(len, rng).into_iter().map(f16::from_f32).collect()
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}

/// All answers of `P`, for vectors of `n` elements and heads of `n` channels.
fn answers<P: Port>(n: usize) -> Vec<u32> {
    let mut rng = Pcg32::new(n as u64);
    let [x, previous] = [(); 2].map(|()| random(n, &mut rng));
    let [weight, bias] = [(); 2].map(|()| halves(n, &mut rng));
    let mut found = bits(&x.iter().map(|&x| P::exp(x)).collect::<Vec<_>>());
    let mut out = std::vec![0.0; n];
    P::norm(&x, 1e-5, &weight, &bias, &mut out);
    found.extend(bits(&out));
    let max = P::token_shift(&x, &previous, &weight, &mut out);
    found.extend(bits(&out));
    found.push(max.get().to_bits());
    let max = P::relu_squared(&mut out);
    found.extend(bits(&out));
    found.push(max.get().to_bits());
    let scales: Vec<bf16> = x.iter().map(|&x| bf16::from_f32(x)).collect();
    let mut rows: Vec<f32> = (0..n)
        .map(|_| f32::from_bits(rng.next_u32() >> (rng.next_u32() % 32)))
        .collect();
    P::scale_rows(&scales, 0.037, &mut rows);
    found.extend(bits(&rows));
    found.extend(state::<P, f32>(n, &mut rng));
    found.extend(state::<P, f16>(n, &mut rng));
    found
}

/// Both steps of a state: what is read, and the state after them.
fn state<P: Port, S: Cell>(n: usize, rng: &mut Pcg32) -> Vec<u32> {
    let mut state: Vec<S> = random(n * n, rng).into_iter().map(S::store).collect();
    let [a, b, c, d, e, f] = [(); 6].map(|()| random(n, rng));
    let (mut y, mut sa) = (std::vec![0.0; n], std::vec![0.0; n]);
    let head = Bonus {
        r: &a,
        k: &b,
        v: &c,
        w: &d,
        bonus: 0.7,
    };
    // SAFETY: few channels, and memory of the heap is aligned.
    unsafe { P::bonus(&mut state, &head, &mut y) };
    let mut found = bits(&y);
    let head = Delta {
        read: &a,
        wr: &b,
        w: &c,
        b: &d,
        k: &e,
        v: &f,
        br_kr: [0.3, -0.4],
    };
    // SAFETY: as above.
    unsafe { P::delta(&mut state, &head, &mut y, &mut sa) };
    found.extend(bits(&y));
    found.extend(state.iter().map(|cell| cell.load().to_bits()));
    found
}

#[test]
fn answers_are_those_of_portable() {
    let most = if cfg!(miri) { 9 } else { 40 };
    for n in (0..=most).step_by(4).chain(1..=most) {
        let expected = answers::<Portable>(n);
        assert_eq!(answers::<Native>(n), expected, "native, {n}");
        assert_eq!(answers::<Soft>(n), expected, "soft, {n}");
    }
}
