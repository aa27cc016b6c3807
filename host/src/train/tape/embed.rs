//! Rows of a table, and rows and columns of values.

use super::super::real::Real;
use super::{Back, Backward, Param, Tape, Var};

struct Embed {
    tokens: Vec<u32>,
    table: Param,
}

impl<F: Real> Backward<F> for Embed {
    fn backward(&self, _: &[F], dy: Vec<F>, back: &mut Back<'_, F>) {
        let cols = self.table.cols;
        let gradient = back.gradient(self.table);
        for (&token, dy) in self.tokens.iter().zip(dy.chunks_exact(cols)) {
            let row = &mut gradient[token as usize * cols..][..cols];
            row.iter_mut().zip(dy).for_each(|(row, &dy)| *row += dy);
        }
        back.free(dy);
    }
}

struct Columns {
    x: Var,
    first: usize,
    count: usize,
}

impl<F: Real> Backward<F> for Columns {
    fn backward(&self, _: &[F], dy: Vec<F>, back: &mut Back<'_, F>) {
        let cols = back.cols(self.x);
        let mut dx = back.zeros(back.value(self.x).len());
        for (dx, dy) in dx.chunks_exact_mut(cols).zip(dy.chunks_exact(self.count)) {
            dx[self.first..self.first + self.count].copy_from_slice(dy);
        }
        back.give(self.x, dx);
        back.free(dy);
    }
}

struct Rows {
    x: Var,
    rows: Vec<usize>,
}

impl<F: Real> Backward<F> for Rows {
    fn backward(&self, _: &[F], dy: Vec<F>, back: &mut Back<'_, F>) {
        let cols = back.cols(self.x);
        let mut dx = back.zeros(back.value(self.x).len());
        for (&row, dy) in self.rows.iter().zip(dy.chunks_exact(cols)) {
            let dx = &mut dx[row * cols..][..cols];
            dx.iter_mut().zip(dy).for_each(|(dx, &dy)| *dx += dy);
        }
        back.give(self.x, dx);
        back.free(dy);
    }
}

impl<F: Real> Tape<'_, F> {
    /// The rows of `table` `[V, C]` that `tokens` name: `[T, C]`.
    pub fn embed(&mut self, tokens: &[u32], table: Param) -> Var {
        let cols = table.cols;
        let mut y = self.pool.take(tokens.len() * cols);
        let weights = self.param(table);
        for (&token, y) in tokens.iter().zip(y.chunks_exact_mut(cols)) {
            y.copy_from_slice(&weights[token as usize * cols..][..cols]);
        }
        let tokens = tokens.to_vec();
        self.push(cols, y, Embed { tokens, table })
    }

    /// `count` columns of `x` from `first` on.
    pub fn columns(&mut self, x: Var, first: usize, count: usize) -> Var {
        let cols = self.cols(x);
        let mut y = self.pool.take(self.rows(x) * count);
        let rows = self.value(x).chunks_exact(cols);
        for (y, x) in y.chunks_exact_mut(count).zip(rows) {
            y.copy_from_slice(&x[first..first + count]);
        }
        self.push(count, y, Columns { x, first, count })
    }

    /// Some rows of `x`, in the order given.
    pub fn select_rows(&mut self, x: Var, rows: &[usize]) -> Var {
        let cols = self.cols(x);
        let mut y = self.pool.take(rows.len() * cols);
        for (y, &row) in y.chunks_exact_mut(cols).zip(rows) {
            y.copy_from_slice(&self.value(x)[row * cols..][..cols]);
        }
        let rows = rows.to_vec();
        self.push(cols, y, Rows { x, rows })
    }
}
