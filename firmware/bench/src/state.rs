//! Reads and writes of matrix states: checked against their portable twins, and
//! counted.

use crate::check::Score;
use crate::count::Counter;
use crate::random::Random;
use crate::room::Room;
use core::hint::black_box;
use kinglet::arch::{Mantissa, Narrow, Native, Port, Portable, Write};
use kinglet_machine::say;
use kinglet_protocol::Measure;

/// The most channels of a head that are checked, and those that are counted:
/// published models have heads of 64.
const MOST: usize = 64;

/// The largest value of a mantissa, in 16 bits: that of one of 8 bits.
const LARGEST: i32 = 127 << 8;

/// Whether all reads and writes compute what their twins compute.
pub fn check(room: &mut Room) -> bool {
    check_of::<i16>(room, "state-i16") & check_of::<i8>(room, "state-i8") & check_rows(room)
}

fn check_of<M: Mantissa>(room: &mut Room, name: &str) -> bool {
    let mut score = Score::default();
    let mut random = Random::new(7);
    for size in (1..=18).chain([24, 40, 62, 64]) {
        for _ in 0..4 {
            if let Some(mut head) = Head::<M>::new(room, size, &mut random) {
                score.count(head.agrees());
            }
        }
    }
    score.tell(name)
}

/// What a step does for each row beside reads and writes: its results, in the order in
/// which a step has them.
#[derive(PartialEq)]
struct Rows {
    words: [[i32; MOST]; 3],
    c: [Narrow; 2 * MOST],
    values: [[Narrow; 2]; MOST],
    writes: [[i16; 3]; MOST],
    exps: [i32; 3],
    differences: u32,
}

/// That of `P`, for a head of this size: `room` has its inputs.
#[inline(never)]
fn rows<P: Port, M: Mantissa>(room: &Room, size: usize, exps: [i32; 2], has_b: bool) -> Rows {
    let mut found = Rows {
        words: [[0; MOST]; 3],
        c: [0; 2 * MOST],
        values: [[0; 2]; MOST],
        writes: [[0; 3]; MOST],
        exps: [0; 3],
        differences: 0,
    };
    let part = |index: usize| &room.x[index * MOST..index * MOST + size];
    let [lam, bounds, scaled] = found.words.each_mut().map(|words| &mut words[..size]);
    lam.copy_from_slice(&room.sums[..size]);
    bounds.copy_from_slice(&room.expected[..size]);
    let step = 1 + size % 2;
    let (c, values) = (&mut found.c[..step * size], &mut found.values[..size]);
    let writes = &mut found.writes[..size];
    let decays = &room.sums[MOST..MOST + size];
    P::decay(lam, bounds, decays);
    let sign = if has_b { 1 } else { -1 };
    let most = P::most(lam, i32::MIN) >> 22;
    let (by, out) = ([most, sign], (c, step));
    let c_exp = if has_b {
        P::coefficients(part(0), [lam, bounds], by, scaled, out)
    } else {
        // With the decays once more.
        P::decayed_coefficients(part(0), decays, [lam, bounds], by, scaled, out)
    };
    let v_exp = P::to_16_bits((part(1), 1), sign, values, 0);
    let sums = &room.x[..2 * size];
    let sa_exp = P::to_16_bits((sums, step), -sign, values, 1);
    let right = exps.map(|exp| exp.unsigned_abs() % 32);
    let weights = [c_exp << 7, sa_exp << 8];
    P::add_values(
        (sums, step),
        values,
        weights,
        [3, right[0], right[1]],
        scaled,
    );
    let b = if has_b { part(3) } else { &[] };
    P::plan(
        [lam, bounds],
        [part(2), b],
        exps,
        M::SLACK,
        bytemuck::cast_slice_mut(writes),
    );
    found.differences = P::differences(&room.weights[..size]);
    found.exps = [c_exp, v_exp, sa_exp];
    found
}

/// Whether all that is done for each row is what the twin does.
fn check_rows(room: &mut Room) -> bool {
    let mut score = Score::default();
    let mut random = Random::new(10);
    for round in 0..200 {
        let size = 1 + round % MOST;
        for index in 0..4 {
            let bits = 1 + (random.next() >> 8) % 28;
            let part = &mut room.x[index * MOST..][..MOST];
            part.fill_with(|| random.of_bits(bits));
        }
        // Logarithms of scales and of decays, and bounds under fractions from 1 to 2.
        let range = 25 + round as u32 % 5;
        room.sums[..MOST].fill_with(|| random.of_bits(range));
        room.sums[MOST - 1] = -300 << 22;
        // A machine without room for a head of this size has another of its core with it.
        let Some(decays) = room.sums.get_mut(MOST..2 * MOST) else {
            return true;
        };
        decays.fill_with(|| -random.of_bits(25).abs());
        let mut bound = || 1 << 31 | (random.next() & 0x7fff_7fff) as i32;
        room.expected[..MOST].fill_with(&mut bound);
        room.fill_weights(MOST * MOST / 2, &mut random);
        let exps = [0; 2].map(|_| (random.next() >> 8) as i32 % 200 - 100);
        let has_b = round % 3 > 0;
        let right = match round % 2 {
            0 => {
                rows::<Native, i16>(room, size, exps, has_b)
                    == rows::<Portable, i16>(room, size, exps, has_b)
            }
            _ => {
                rows::<Native, i8>(room, size, exps, has_b)
                    == rows::<Portable, i8>(room, size, exps, has_b)
            }
        };
        score.count(right);
    }
    score.tell("state-rows")
}

/// Counts both for a head of 64 channels.
pub fn count(room: &mut Room, counter: &Counter) {
    count_of::<i16>(room, counter);
    count_of::<i8>(room, counter);
}

fn count_of<M: Mantissa>(room: &mut Room, counter: &Counter) {
    let Some(mut head) = Head::<M>::new(room, MOST, &mut Random::new(8)) else {
        return;
    };
    let read = counter.count(&mut || head.read());
    let write = counter.count(&mut || head.write());
    let line = Measure::State {
        bits: 8 * size_of::<M>() as u32,
        elements: (MOST * MOST) as u32,
        read,
        write,
    };
    say!("{line}");
}

/// A head at work, and its twin.
struct Head<'r, M> {
    size: usize,
    mantissas: [&'r mut [M]; 2],
    /// Coefficients of two reads.
    c: [[Narrow; 2]; MOST],
    /// `v` and `sa`.
    values: [[Narrow; 2]; MOST],
    writes: [Write; MOST],
    /// What is read.
    sums: [[i32; 2]; MOST],
}

impl<'r, M: Mantissa> Head<'r, M> {
    /// A head with a random state and inputs; `None` where there is no room.
    fn new(room: &'r mut Room, size: usize, random: &mut Random) -> Option<Self> {
        let cells: &mut [M] = bytemuck::cast_slice_mut(&mut room.weights);
        let cells = cells.get_mut(..2 * size * size)?;
        let (mantissas, twin) = cells.split_at_mut(size * size);
        let mut value = || random.of_bits(15).clamp(-LARGEST, LARGEST);
        mantissas.fill_with(|| M::store(value() << 14));
        twin.copy_from_slice(mantissas);
        let mut writes = [Write::default(); MOST];
        writes.iter_mut().for_each(|write| *write = planned(random));
        let mut values = [[0; 2]; MOST];
        let mut value = || random.of_bits(15) as Narrow;
        values.fill_with(|| [value(), value()]);
        let mut c = [[0; 2]; MOST];
        fill_coefficients(c.as_flattened_mut(), random);
        Some(Self {
            size,
            mantissas: [mantissas, twin],
            c,
            values,
            writes,
            sums: [[0; 2]; MOST],
        })
    }

    /// Reads and a write: whether states and sums have the same bits.
    fn agrees(&mut self) -> bool {
        let size = self.size;
        let mut expected = [[0; 2]; MOST];
        self.read();
        Portable::read(
            self.mantissas[1],
            &self.c.as_flattened()[..size],
            &mut expected.as_flattened_mut()[..size],
        );
        let is_one = self.sums == expected;
        self.read_both();
        Portable::read_both(self.mantissas[1], &self.c[..size], &mut expected[..size]);
        let is_both = self.sums == expected;
        self.write();
        let [mantissas, twin] = &mut self.mantissas;
        Portable::write(twin, &self.writes[..size], &self.values[..size]);
        let is_written =
            bytemuck::cast_slice::<M, u8>(mantissas) == bytemuck::cast_slice::<M, u8>(twin);
        is_one & is_both & is_written
    }

    fn read(&mut self) {
        let c = &self.c.as_flattened()[..self.size];
        let sums = &mut self.sums.as_flattened_mut()[..self.size];
        Native::read(black_box(self.mantissas[0]), c, sums);
        black_box(&mut self.sums);
    }

    fn read_both(&mut self) {
        let (c, sums) = (&self.c[..self.size], &mut self.sums[..self.size]);
        Native::read_both(black_box(self.mantissas[0]), c, sums);
        black_box(&mut self.sums);
    }

    fn write(&mut self) {
        let (writes, values) = (&self.writes[..self.size], &self.values[..self.size]);
        Native::write(black_box(self.mantissas[0]), writes, values);
    }
}

/// Coefficients whose magnitudes add up to 65,535 at most, and each is at most
/// 32,767.
fn fill_coefficients(c: &mut [Narrow], random: &mut Random) {
    let mut left = 65_535;
    for c in c {
        let x = random.of_bits(15).clamp(-left, left);
        left -= x.abs();
        *c = x as Narrow;
    }
}

/// A row's part in a write that keeps the mantissas in their range. In a third of the rows
/// none is halved: there one of 8 bits may be rounded to 128, which is none.
fn planned(random: &mut Random) -> Write {
    let next = random.next();
    let (places, sign) = (next >> 8 & next >> 16 & 15, next >> 12 & 1);
    // What is left of 32,767 halves of a unit, for both products.
    let most = (32_767 - (LARGEST >> places)) / 4;
    let mut next = || random.of_bits(14).clamp(-most, most) as i16;
    Write {
        w: (1 << 14 >> places) * (1 - 2 * sign as i16),
        k: next(),
        b: next(),
    }
}
