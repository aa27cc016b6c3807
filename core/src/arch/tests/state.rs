//! Reads and writes of matrix states: the port's are those of `Portable`, and of
//! the definition, for heads of all sizes.

use super::super::{Mantissa, Narrow, Native, Port, Portable, Write};
use crate::Pcg32;
use std::vec;
use std::vec::Vec;

/// Where the mantissa of a row and a column lies: rows in pairs, element by
/// element, and a last one alone.
fn place(size: usize, row: usize, column: usize) -> usize {
    match row | 1 < size {
        true => (row & !1) * size + 2 * column + (row & 1),
        false => row * size + column,
    }
}

fn half(rng: &mut Pcg32) -> i16 {
    match rng.next_u32() % 8 {
        0 => i16::MAX,
        1 => i16::MIN,
        _ => rng.next_u32() as i16,
    }
}

/// Heads of all sizes up to 24, those of whole rounds beyond, and of 64.
fn sizes() -> impl Iterator<Item = usize> {
    (1..25).chain(if cfg!(miri) { 0..0 } else { 25..65 })
}

fn check<M: Mantissa + PartialEq + core::fmt::Debug>(mantissa: fn(i16) -> M) {
    let mut rng = Pcg32::new(5);
    for size in sizes() {
        // Words, so that mantissas begin with one.
        let mut mantissas: Vec<M> = (0..size * size)
            .map(|_| mantissa(half(&mut rng) / 2))
            .collect();
        // The sum of their magnitudes is 65,535 at most.
        let mut c = || (half(&mut rng) / size as i16) as Narrow;
        let both: Vec<[Narrow; 2]> = (0..size).map(|_| [c(), c()]).collect();
        let sum = |i: usize, place_of_c: usize| -> i32 {
            let product = |j: usize| {
                i64::from(mantissas[place(size, j, i)].load()) * i64::from(both[j][place_of_c])
            };
            i32::try_from((0..size).map(product).sum::<i64>()).unwrap()
        };
        let expected: Vec<[i32; 2]> = (0..size).map(|i| [sum(i, 0), sum(i, 1)]).collect();
        let (mut ours, mut plain) = (vec![[1; 2]; size], vec![[2; 2]; size]);
        Native::read_both(&mantissas, &both, &mut ours);
        Portable::read_both(&mantissas, &both, &mut plain);
        assert_eq!(ours, expected, "{size}");
        assert_eq!(plain, expected, "{size}");
        let c: Vec<Narrow> = both.iter().map(|c| c[0]).collect();
        let expected: Vec<i32> = expected.iter().map(|sums| sums[0]).collect();
        let (mut ours, mut plain) = (vec![1; size], vec![2; size]);
        Native::read(&mantissas, &c, &mut ours);
        Portable::read(&mantissas, &c, &mut plain);
        assert_eq!(ours, expected, "{size}");
        assert_eq!(plain, expected, "{size}");

        // Such that no mantissa leaves its range.
        let mut write = || Write {
            w: (1 << 14 >> (rng.next_u32() % 16)) as i16,
            k: half(&mut rng) / 8,
            b: half(&mut rng) / 8,
        };
        let writes: Vec<Write> = (0..size).map(|_| write()).collect();
        let values: Vec<[Narrow; 2]> = (0..size)
            .map(|_| [half(&mut rng) as Narrow, half(&mut rng) as Narrow])
            .collect();
        let mut twin = mantissas.clone();
        let mut expected = mantissas.clone();
        for j in 0..size {
            let Write { w, k, b } = writes[j];
            for (i, &[v, sa]) in values.iter().enumerate() {
                let m = &mut expected[place(size, j, i)];
                let exact = i64::from(m.load()) * i64::from(w)
                    + i64::from(k) * i64::from(v)
                    + i64::from(b) * i64::from(sa);
                *m = M::store(i32::try_from(exact).unwrap());
            }
        }
        Native::write(&mut mantissas, &writes, &values);
        Portable::write(&mut twin, &writes, &values);
        assert_eq!(mantissas, expected, "{size}");
        assert_eq!(twin, expected, "{size}");
    }
}

#[test]
fn states_of_16_bits_are_those_of_the_definition() {
    check::<i16>(|m| m);
}

#[test]
fn states_of_8_bits_are_those_of_the_definition() {
    check::<i8>(|m| (m >> 8) as i8);
}
