//! Steps of matrix states, one element at a time. A port that takes several
//! value channels at once leaves the last ones to the loops here.
//!
//! A row of the state has the value channels of one key channel. All loops go
//! over the rows, and each value channel has its own sum: the order of
//! additions is that of the key channels.

use crate::arch::{Bonus, Cell, Delta};
use crate::pieces::{pieces, pieces_mut};

/// `y = bonus v`: the value's direct part.
pub(in crate::arch) fn bonus_start(head: &Bonus<'_>, y: &mut [f32]) {
    for (y, &v) in y.iter_mut().zip(head.v) {
        *y = head.bonus * v;
    }
}

/// For the value channels from `done` on; `y` holds what `bonus_start` left.
pub(in crate::arch) fn bonus_from<S: Cell>(
    done: usize,
    state: &mut [S],
    head: &Bonus<'_>,
    y: &mut [f32],
) {
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

/// `y = 0` and `sa = 0`.
pub(in crate::arch) fn delta_start(head: &Delta<'_>, y: &mut [f32], sa: &mut [f32]) {
    let size = head.v.len();
    y.iter_mut().take(size).for_each(|y| *y = 0.0);
    sa.iter_mut().take(size).for_each(|sa| *sa = 0.0);
}

/// The first pass, for value channels from `done` on; `y` and `sa` hold zeros.
pub(in crate::arch) fn delta_read_from<S: Cell>(
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
pub(in crate::arch) fn delta_write_from<S: Cell>(
    done: usize,
    state: &mut [S],
    head: &Delta<'_>,
    sa: &[f32],
) {
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

/// The last two terms of `y`.
pub(in crate::arch) fn delta_end(head: &Delta<'_>, y: &mut [f32], sa: &[f32]) {
    let [br, kr] = head.br_kr;
    for ((y, &sa), &v) in y.iter_mut().zip(sa).zip(head.v) {
        *y = *y + br * sa + kr * v;
    }
}
