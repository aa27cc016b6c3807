//! Buffers that are used again: a step needs thousands, all of few lengths.

use super::super::real::Real;
use std::collections::HashMap;

/// Buffers waiting to be used again, by length.
#[derive(Debug, Default)]
pub struct Pool<F> {
    free: HashMap<usize, Vec<Vec<F>>>,
}

impl<F: Real> Pool<F> {
    /// A buffer of `len` elements that hold anything.
    pub fn take(&mut self, len: usize) -> Vec<F> {
        let free = self.free.get_mut(&len).and_then(Vec::pop);
        free.unwrap_or_else(|| vec![F::zero(); len])
    }

    /// Keeps a buffer for later.
    pub fn give(&mut self, buffer: Vec<F>) {
        if !buffer.is_empty() {
            self.free.entry(buffer.len()).or_default().push(buffer);
        }
    }
}
