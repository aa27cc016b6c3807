//! Reverse-mode differentiation over matrices `[time, channels]`: one tape
//! holds the forward pass of one sequence, all positions at once.
//!
//! Each operation is a method of [`Tape`] that computes its value at once and
//! records its backward pass. Weights are slices of one flat vector, and
//! so are their gradients: the optimizer and the files see one vector.

// Loops over channels index several slices at once: with iterators they would
// be deeply nested zips.
#![allow(clippy::needless_range_loop)]

mod attention;
mod constant5;
mod embed;
mod heads;
mod linear;
mod loss;
mod norm;
mod padding;
mod pointwise;
mod pool;
mod round;
mod rows;
mod shift;
mod wkv4;
mod wkv6;
mod wkv7;

use super::real::Real;
pub use padding::MOST_HEAD_SIZE;
pub use pool::Pool;
pub use shift::Weighs;

/// A value on the tape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Var(usize);

/// Weights: a matrix `[rows, cols]`, or a vector with one row, and where
/// they lie in the flat vector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Param {
    /// The first element.
    pub offset: usize,
    /// Rows.
    pub rows: usize,
    /// Columns.
    pub cols: usize,
}

impl Param {
    /// Where it lies in the flat vector.
    pub fn range(&self) -> std::ops::Range<usize> {
        self.offset..self.offset + self.rows * self.cols
    }
}

/// The backward pass of an operation.
trait Backward<F> {
    /// Propagates `dy`, the gradient of the value `y`, to its inputs and weights.
    fn backward(&self, y: &[F], dy: Vec<F>, back: &mut Back<'_, F>);

    /// A large buffer that it kept for the backward pass, to be used again.
    fn kept(&mut self) -> Vec<F> {
        Vec::new()
    }
}

/// `[rows, cols]` values, row-major, and how they came about.
struct Node<F> {
    cols: usize,
    value: Vec<F>,
    op: Box<dyn Backward<F>>,
}

/// The forward pass of a sequence.
pub struct Tape<'p, F> {
    params: &'p [F],
    nodes: Vec<Node<F>>,
    pool: &'p mut Pool<F>,
}

impl<F> std::fmt::Debug for Tape<'_, F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Tape of {} values", self.nodes.len())
    }
}

impl<'p, F: Real> Tape<'p, F> {
    /// An empty tape over the weights `params`; its buffers come from `pool`
    /// and return to it.
    pub fn new(params: &'p [F], pool: &'p mut Pool<F>) -> Self {
        Self {
            params,
            nodes: Vec::new(),
            pool,
        }
    }

    /// The values of `var`, `[rows, cols]`.
    pub fn value(&self, var: Var) -> &[F] {
        &self.nodes[var.0].value
    }

    /// Columns of `var`.
    pub fn cols(&self, var: Var) -> usize {
        self.nodes[var.0].cols
    }

    /// Rows of `var`.
    pub fn rows(&self, var: Var) -> usize {
        self.value(var).len() / self.cols(var)
    }

    /// Weights.
    fn param(&self, param: Param) -> &[F] {
        &self.params[param.range()]
    }

    fn push(&mut self, cols: usize, value: Vec<F>, op: impl Backward<F> + 'static) -> Var {
        let op = Box::new(op);
        self.nodes.push(Node { cols, value, op });
        Var(self.nodes.len() - 1)
    }

    /// Adds to `gradients`, which lies like the weights, the gradient of
    /// `scale` times the sum of `of`'s elements.
    pub fn backward(self, of: Var, scale: F, gradients: &mut [F]) {
        let mut seed = self.pool.take(self.nodes[of.0].value.len());
        seed.fill(scale);
        let mut back = Back {
            params: self.params,
            gradients,
            nodes: &self.nodes,
            of_values: self.nodes.iter().map(|_| None).collect(),
            pool: self.pool,
        };
        back.of_values[of.0] = Some(seed);
        for (index, node) in self.nodes.iter().enumerate().rev() {
            if let Some(dy) = back.of_values[index].take() {
                node.op.backward(&node.value, dy, &mut back);
            }
        }
        self.end();
    }

    /// Gives all buffers back.
    pub fn end(self) {
        for mut node in self.nodes {
            self.pool.give(node.op.kept());
            self.pool.give(node.value);
        }
    }
}

/// The backward pass through a tape.
struct Back<'t, F> {
    params: &'t [F],
    gradients: &'t mut [F],
    nodes: &'t [Node<F>],
    of_values: Vec<Option<Vec<F>>>,
    pool: &'t mut Pool<F>,
}

impl<'t, F: Real> Back<'t, F> {
    fn value(&self, var: Var) -> &'t [F] {
        &self.nodes[var.0].value
    }

    fn cols(&self, var: Var) -> usize {
        self.nodes[var.0].cols
    }

    fn param(&self, param: Param) -> &'t [F] {
        &self.params[param.range()]
    }

    fn gradient(&mut self, param: Param) -> &mut [F] {
        &mut self.gradients[param.range()]
    }

    /// A buffer of `len` elements that hold anything.
    fn buffer(&mut self, len: usize) -> Vec<F> {
        self.pool.take(len)
    }

    /// The same of zeros.
    fn zeros(&mut self, len: usize) -> Vec<F> {
        let mut buffer = self.buffer(len);
        buffer.fill(F::zero());
        buffer
    }

    /// Adds `dw` to the gradient of `param`.
    fn learn(&mut self, param: Param, dw: Vec<F>) {
        let gradient = self.gradient(param).iter_mut();
        gradient.zip(&dw).for_each(|(g, &dw)| *g += dw);
        self.free(dw);
    }

    fn free(&mut self, buffer: Vec<F>) {
        self.pool.give(buffer);
    }

    /// Adds `dx` to the gradient of `var`.
    fn give(&mut self, var: Var, dx: Vec<F>) {
        match &mut self.of_values[var.0] {
            Some(sum) => {
                crate::simd::wide(
                    #[inline(always)]
                    || sum.iter_mut().zip(&dx).for_each(|(sum, &dx)| *sum += dx),
                );
                self.pool.give(dx);
            }
            none => *none = Some(dx),
        }
    }
    /// The same of several values.
    fn give_all<const N: usize>(&mut self, vars: [Var; N], slopes: [Vec<F>; N]) {
        let slopes = vars.into_iter().zip(slopes);
        slopes.for_each(|(var, dx)| self.give(var, dx));
    }
}
