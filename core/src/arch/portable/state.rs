//! Matrix states: one step of the recurrence of a head, RWKV-5 to 7.
//!
//! The state of a head is `[N, N]`, stored by key channel in all versions:
//! then each value channel is a lane of its own, no sum runs across lanes,
//! and vectors of any width give the same bits. Instructions for cores with
//! an FPU are in `fpu_state`; the loops here are their twins.

use crate::pieces::{pieces, pieces_mut};
use half::f16;

/// An element of the state.
pub trait Cell: bytemuck::Pod {
    /// Its value.
    fn load(self) -> f32;
    /// The nearest element, ties to even.
    fn store(value: f32) -> Self;
    /// The step of [`bonus`] for all value channels that whole vectors hold;
    /// returns how many.
    #[cfg(kinglet_fpu)]
    fn bonus_vectors(state: &mut [Self], head: &Bonus<'_>, y: &mut [f32]) -> usize;
    /// The first pass of [`delta`], likewise.
    #[cfg(kinglet_fpu)]
    fn delta_read_vectors(state: &[Self], head: &Delta<'_>, y: &mut [f32], sa: &mut [f32])
        -> usize;
    /// The second pass of [`delta`], likewise.
    #[cfg(kinglet_fpu)]
    fn delta_write_vectors(state: &mut [Self], head: &Delta<'_>, sa: &[f32]) -> usize;
}

impl Cell for f32 {
    #[inline(always)]
    fn load(self) -> f32 {
        self
    }

    #[inline(always)]
    fn store(value: f32) -> Self {
        value
    }

    #[cfg(kinglet_fpu)]
    fn bonus_vectors(state: &mut [Self], head: &Bonus<'_>, y: &mut [f32]) -> usize {
        super::fpu_state::bonus_f32(state, head, y)
    }

    #[cfg(kinglet_fpu)]
    fn delta_read_vectors(
        state: &[Self],
        head: &Delta<'_>,
        y: &mut [f32],
        sa: &mut [f32],
    ) -> usize {
        super::fpu_state::delta_read_f32(state, head, y, sa)
    }

    #[cfg(kinglet_fpu)]
    fn delta_write_vectors(state: &mut [Self], head: &Delta<'_>, sa: &[f32]) -> usize {
        super::fpu_state::delta_write_f32(state, head, sa)
    }
}

impl Cell for f16 {
    #[inline(always)]
    fn load(self) -> f32 {
        self.to_f32()
    }

    #[inline(always)]
    fn store(value: f32) -> Self {
        f16::from_f32(value)
    }

    #[cfg(kinglet_fpu)]
    fn bonus_vectors(state: &mut [Self], head: &Bonus<'_>, y: &mut [f32]) -> usize {
        super::fpu_state::bonus_f16(state, head, y)
    }

    #[cfg(kinglet_fpu)]
    fn delta_read_vectors(
        state: &[Self],
        head: &Delta<'_>,
        y: &mut [f32],
        sa: &mut [f32],
    ) -> usize {
        super::fpu_state::delta_read_f16(state, head, y, sa)
    }

    #[cfg(kinglet_fpu)]
    fn delta_write_vectors(state: &mut [Self], head: &Delta<'_>, sa: &[f32]) -> usize {
        super::fpu_state::delta_write_f16(state, head, sa)
    }
}

/// What enters a head of RWKV-5 and 6; slices are `[N]`.
#[derive(Clone, Copy, Debug)]
pub struct Bonus<'a> {
    /// Receptance.
    pub r: &'a [f32],
    /// Key.
    pub k: &'a [f32],
    /// Value.
    pub v: &'a [f32],
    /// Decay, by key channel.
    pub w: &'a [f32],
    /// `sum_i r[i] u[i] k[i]`: how much of the value is read at once.
    pub bonus: f32,
}

/// Reads the state of a head, `y[j] = bonus v[j] + sum_i r[i] S[i,j]`, and
/// moves it on: `S[i,j] = S[i,j] w[i] + k[i] v[j]`.
pub fn bonus<S: Cell>(state: &mut [S], head: &Bonus<'_>, y: &mut [f32]) {
    bonus_by::<S, true>(state, head, y);
}

/// The twin of [`bonus`], for all value channels.
pub fn bonus_portable<S: Cell>(state: &mut [S], head: &Bonus<'_>, y: &mut [f32]) {
    bonus_by::<S, false>(state, head, y);
}

#[inline(always)]
fn bonus_by<S: Cell, const VECTORS: bool>(state: &mut [S], head: &Bonus<'_>, y: &mut [f32]) {
    for (y, &v) in y.iter_mut().zip(head.v) {
        *y = head.bonus * v;
    }
    #[cfg(kinglet_fpu)]
    let done = if VECTORS {
        S::bonus_vectors(state, head, y)
    } else {
        0
    };
    #[cfg(not(kinglet_fpu))]
    let done = 0;
    bonus_from(done, state, head, y);
}

/// For the value channels from `done` on; `y` holds the bonus.
fn bonus_from<S: Cell>(done: usize, state: &mut [S], head: &Bonus<'_>, y: &mut [f32]) {
    let size = head.v.len();
    let (Some(v), Some(y)) = (head.v.get(done..), y.get_mut(done..size)) else {
        return;
    };
    let keys = head.r.iter().zip(head.k).zip(head.w);
    for (row, ((&r, &k), &w)) in pieces_mut(state, size).zip(keys) {
        let lanes = row.iter_mut().skip(done).zip(y.iter_mut()).zip(v);
        for ((s, y), &v) in lanes {
            let old = s.load();
            *y += r * old;
            *s = S::store(old * w + k * v);
        }
    }
}

/// What enters a head of RWKV-7; slices are `[N]`.
#[derive(Clone, Copy, Debug)]
pub struct Delta<'a> {
    /// `-kk`: the direction that is read to be removed.
    pub read: &'a [f32],
    /// `w r`: decay times receptance.
    pub wr: &'a [f32],
    /// Decay.
    pub w: &'a [f32],
    /// `kk a`: the direction that is removed, times the learning rate.
    pub b: &'a [f32],
    /// Key.
    pub k: &'a [f32],
    /// Value.
    pub v: &'a [f32],
    /// `sum_j b[j] r[j]` and `sum_j k[j] r[j]`.
    pub br_kr: [f32; 2],
}

/// Moves the state of a head on and reads the new one. With `i` the value
/// and `j` the key channel:
///
/// ```text
/// sa[i]  = sum_j read[j] S[j,i]
/// S[j,i] = S[j,i] w[j] + b[j] sa[i] + k[j] v[i]
/// y[i]   = sum_j r[j] S[j,i]      = sum_j w[j] r[j] S_old[j,i] + br sa[i] + kr v[i]
/// ```
///
/// The right-hand form reads the old state, in the same pass as `sa`.
/// `sa` `[N]` is scratch.
pub fn delta<S: Cell>(state: &mut [S], head: &Delta<'_>, y: &mut [f32], sa: &mut [f32]) {
    delta_by::<S, true>(state, head, y, sa);
}

/// The twin of [`delta`], for all value channels.
pub fn delta_portable<S: Cell>(state: &mut [S], head: &Delta<'_>, y: &mut [f32], sa: &mut [f32]) {
    delta_by::<S, false>(state, head, y, sa);
}

#[inline(always)]
fn delta_by<S: Cell, const VECTORS: bool>(
    state: &mut [S],
    head: &Delta<'_>,
    y: &mut [f32],
    sa: &mut [f32],
) {
    let size = head.v.len();
    y.iter_mut().take(size).for_each(|y| *y = 0.0);
    sa.iter_mut().take(size).for_each(|sa| *sa = 0.0);
    #[cfg(kinglet_fpu)]
    let done = if VECTORS {
        S::delta_read_vectors(state, head, y, sa)
    } else {
        0
    };
    #[cfg(not(kinglet_fpu))]
    let done = 0;
    delta_read_from(done, state, head, y, sa);
    #[cfg(kinglet_fpu)]
    let done = if VECTORS {
        S::delta_write_vectors(state, head, sa)
    } else {
        0
    };
    delta_write_from(done, state, head, sa);
    let [br, kr] = head.br_kr;
    for ((y, &sa), &v) in y.iter_mut().zip(sa.iter()).zip(head.v) {
        *y = *y + br * sa + kr * v;
    }
}

/// The first pass, for value channels from `done` on; `y` and `sa` hold zeros.
fn delta_read_from<S: Cell>(
    done: usize,
    state: &[S],
    head: &Delta<'_>,
    y: &mut [f32],
    sa: &mut [f32],
) {
    let size = head.v.len();
    let (Some(y), Some(sa)) = (y.get_mut(done..size), sa.get_mut(done..size)) else {
        return;
    };
    let keys = head.read.iter().zip(head.wr);
    for (row, (&read, &wr)) in pieces(state, size).zip(keys) {
        let lanes = row.iter().skip(done).zip(y.iter_mut()).zip(sa.iter_mut());
        for ((s, y), sa) in lanes {
            let s = s.load();
            *sa += read * s;
            *y += wr * s;
        }
    }
}

/// The second pass, for value channels from `done` on.
fn delta_write_from<S: Cell>(done: usize, state: &mut [S], head: &Delta<'_>, sa: &[f32]) {
    let size = head.v.len();
    let (Some(v), Some(sa)) = (head.v.get(done..), sa.get(done..size)) else {
        return;
    };
    let keys = head.w.iter().zip(head.b).zip(head.k);
    for (row, ((&w, &b), &k)) in pieces_mut(state, size).zip(keys) {
        for ((s, &sa), &v) in row.iter_mut().skip(done).zip(sa).zip(v) {
            *s = S::store(s.load() * w + b * sa + k * v);
        }
    }
}

#[cfg(test)]
mod tests;
