//! The steps of matrix states: checked against their portable twins, and
//! counted.

use crate::check::Score;
use crate::count::Counter;
use crate::random::{between, Random};
use crate::room::Room;
use core::hint::black_box;
use half::f16;
use kinglet::arch::{Bonus, Cell, Delta, Native, Port, Portable};
use kinglet_machine::say;
use kinglet_protocol::Measure;

/// The most channels of a head that are checked, and those that are counted:
/// published models have heads of 64.
const MOST: usize = 64;

/// Vectors of a head that a step reads.
const VECTORS: usize = 6;

/// Whether all steps compute what their twins compute.
pub fn check(room: &mut Room) -> bool {
    check_cells::<f32>(room, "state-f32") & check_cells::<f16>(room, "state-f16")
}

fn check_cells<S: Cell>(room: &mut Room, name: &str) -> bool {
    let mut score = Score::default();
    let mut random = Random::new(7);
    for size in (1..=18).chain([24, 40, 62, 64]) {
        if let Some(mut head) = Head::<S>::new(room, size, &mut random) {
            score.count(head.agrees(false));
            score.count(head.agrees(true));
        }
    }
    score.tell(name)
}

/// Counts both steps for a head of 64 channels.
pub fn count(room: &mut Room, counter: &Counter) {
    count_cells::<f32>(room, counter, 32);
    count_cells::<f16>(room, counter, 16);
}

fn count_cells<S: Cell>(room: &mut Room, counter: &Counter, bits: u32) {
    let Some(mut head) = Head::<S>::new(room, MOST, &mut Random::new(8)) else {
        return;
    };
    let bonus = counter.count(&mut || head.step(false));
    let delta = counter.count(&mut || head.step(true));
    let line = Measure::State {
        bits,
        elements: (MOST * MOST) as u32,
        bonus,
        delta,
    };
    say!("{line}");
}

/// A head at work, and its twin.
struct Head<'r, S> {
    size: usize,
    state: [&'r mut [S]; 2],
    inputs: &'r [f32],
    /// What is read, and scratch.
    out: [[&'r mut [f32]; 2]; 2],
}

impl<'r, S: Cell> Head<'r, S> {
    /// A head with a random state and inputs; `None` where there is no room.
    fn new(room: &'r mut Room, size: usize, random: &mut Random) -> Option<Self> {
        let inputs = room.x.get_mut(..VECTORS * size)?;
        inputs.fill_with(|| between(1.0, random));
        let cells: &mut [S] = bytemuck::cast_slice_mut(&mut room.weights);
        let (state, twin) = cells.get_mut(..2 * size * size)?.split_at_mut(size * size);
        state.fill_with(|| S::store(between(4.0, random)));
        twin.copy_from_slice(state);
        let (one, other) = room.y.get_mut(..4 * size)?.split_at_mut(2 * size);
        let ((y, sa), (twin_y, twin_sa)) = (one.split_at_mut(size), other.split_at_mut(size));
        Some(Self {
            size,
            state: [state, twin],
            inputs,
            out: [[y, sa], [twin_y, twin_sa]],
        })
    }

    /// Both take a step: whether states and results have the same bits.
    #[allow(unsafe_code)]
    fn agrees(&mut self, delta: bool) -> bool {
        self.step(delta);
        let Self {
            state: [state, twin],
            out: [[y, _], [twin_y, twin_sa]],
            ..
        } = self;
        // SAFETY: as for `step`.
        unsafe {
            if delta {
                Portable::delta(twin, &delta_head(self.inputs, self.size), twin_y, twin_sa);
            } else {
                Portable::bonus(twin, &bonus_head(self.inputs, self.size), twin_y);
            }
        }
        let same_bits = |(a, b): (&f32, &f32)| a.to_bits() == b.to_bits();
        bytemuck::cast_slice::<S, u16>(state) == bytemuck::cast_slice::<S, u16>(twin)
            && y.iter().zip(twin_y.iter()).all(same_bits)
    }

    #[allow(unsafe_code)]
    fn step(&mut self, with_delta: bool) {
        let (state, [y, sa]) = (black_box(&mut *self.state[0]), &mut self.out[0]);
        // SAFETY: at most `MOST` channels; the states lie one after the other in
        // an array of words, so that those of an even number begin with a word.
        unsafe {
            if with_delta {
                Native::delta(state, &delta_head(self.inputs, self.size), y, sa);
            } else {
                Native::bonus(state, &bonus_head(self.inputs, self.size), y);
            }
        }
        black_box(y);
    }
}

fn bonus_head(inputs: &[f32], size: usize) -> Bonus<'_> {
    let vector = |i| &inputs[i * size..][..size];
    Bonus {
        r: vector(0),
        k: vector(1),
        v: vector(2),
        w: vector(3),
        bonus: inputs[4 * size],
    }
}

fn delta_head(inputs: &[f32], size: usize) -> Delta<'_> {
    let vector = |i| &inputs[i * size..][..size];
    Delta {
        read: vector(0),
        wr: vector(1),
        w: vector(2),
        b: vector(3),
        k: vector(4),
        v: vector(5),
        br_kr: [inputs[0], inputs[size]],
    }
}
