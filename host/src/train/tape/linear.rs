//! Matrix products.

use super::super::real::Real;
use super::{Back, Backward, Param, Tape, Var};
use ndarray::linalg::general_mat_mul;
use ndarray::{ArrayView2, ArrayViewMut2};

/// How a matrix of weights is stored.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stored {
    /// `[outputs, inputs]`.
    OutputsFirst,
    /// `[inputs, outputs]`, as low-rank matrices are.
    InputsFirst,
}

struct Linear {
    x: Var,
    weights: Param,
    stored: Stored,
}

fn view<F: Real>(data: &[F], cols: usize) -> ArrayView2<'_, F> {
    ArrayView2::from_shape((data.len() / cols, cols), data).expect("whole rows")
}

fn view_mut<F: Real>(data: &mut [F], cols: usize) -> ArrayViewMut2<'_, F> {
    ArrayViewMut2::from_shape((data.len() / cols, cols), data).expect("whole rows")
}

impl<F: Real> Backward<F> for Linear {
    fn backward(&self, _: &[F], dy: Vec<F>, back: &mut Back<'_, F>) {
        let (inputs, outputs) = match self.stored {
            Stored::OutputsFirst => (self.weights.cols, self.weights.rows),
            Stored::InputsFirst => (self.weights.rows, self.weights.cols),
        };
        let one = F::one();
        let dys = view(&dy, outputs);
        let xs = view(back.value(self.x), inputs);
        let weights = view(back.param(self.weights), self.weights.cols);
        let mut dx = back.buffer(xs.len());
        let by = match self.stored {
            Stored::OutputsFirst => weights,
            Stored::InputsFirst => weights.reversed_axes(),
        };
        general_mat_mul(one, &dys, &by, F::zero(), &mut view_mut(&mut dx, inputs));
        let mut dw = view_mut(back.gradient(self.weights), self.weights.cols);
        match self.stored {
            Stored::OutputsFirst => general_mat_mul(one, &dys.t(), &xs, one, &mut dw),
            Stored::InputsFirst => general_mat_mul(one, &xs.t(), &dys, one, &mut dw),
        }
        back.give(self.x, dx);
        back.free(dy);
    }
}

impl<F: Real> Tape<'_, F> {
    /// `W x` for each row x: weights `[outputs, inputs]`.
    pub fn linear(&mut self, x: Var, weights: Param) -> Var {
        self.product(x, weights, Stored::OutputsFirst)
    }

    /// `x M` for each row x: weights `[inputs, outputs]`.
    pub fn linear_left(&mut self, x: Var, weights: Param) -> Var {
        self.product(x, weights, Stored::InputsFirst)
    }

    fn product(&mut self, x: Var, weights: Param, stored: Stored) -> Var {
        let matrix = view(&self.params[weights.range()], weights.cols);
        let (by, outputs) = match stored {
            Stored::OutputsFirst => (matrix.reversed_axes(), weights.rows),
            Stored::InputsFirst => (matrix, weights.cols),
        };
        let mut y = self.pool.take(self.rows(x) * outputs);
        let xs = view(self.value(x), self.cols(x));
        general_mat_mul(
            F::one(),
            &xs,
            &by,
            F::zero(),
            &mut view_mut(&mut y, outputs),
        );
        self.push(outputs, y, Linear { x, weights, stored })
    }
}
