//! Where the values of a tensor lie in a file.

use super::dtype::Dtype;
use super::source::Source;
use super::TensorInfo;
use std::io;

/// How far the values of a dimension lie from each other.
#[derive(Clone)]
pub(super) enum Step {
    /// Each as far from the one before.
    Each(usize),
    /// Each this far from the tensor's first value in the file.
    At(Vec<usize>),
}

impl Step {
    /// How far the value of an index lies from the start.
    fn at(&self, index: usize) -> usize {
        match self {
            Self::Each(stride) => index.wrapping_mul(*stride),
            Self::At(places) => places.get(index).copied().unwrap_or(usize::MAX),
        }
    }
}

/// The place of a tensor's values.
#[derive(Clone)]
pub(super) struct Layout {
    /// The first byte of the file's values that `first` counts.
    pub start: u64,
    /// The first value used.
    pub first: u64,
    /// How many values lie between the first and the last one used, both
    /// included.
    pub span: u64,
    /// The steps in values of the dimensions, the outermost first; `None` when the values are row-major and contiguous.
    pub steps: Option<Vec<Step>>,
}

impl Layout {
    /// A row-major, contiguous tensor of `count` values.
    pub fn contiguous(start: u64, count: u64) -> Self {
        Self {
            start,
            first: 0,
            span: count,
            steps: None,
        }
    }

    /// The layout of values with these strides, see [`Step::Each`].
    pub fn strided(self, strides: &[usize]) -> Self {
        let steps = strides.iter().copied().map(Step::Each).collect();
        Self {
            steps: Some(steps),
            ..self
        }
    }

    /// The place of the rows `first..first + rows`, which exist, of a tensor of
    /// this shape; a row is the slice at one index of the outermost dimension.
    /// `None` when a number overflows.
    pub fn rows(&self, shape: &[usize], first: usize, rows: usize) -> Option<Self> {
        let mut shape = shape.to_vec();
        *shape.first_mut()? = rows;
        let mut steps = self.steps.clone();
        let step = match steps.as_mut().map(|steps| steps.first_mut()) {
            None => count(shape.get(1..)?)?,
            Some(Some(Step::Each(stride))) => u64::try_from(*stride).ok()?,
            Some(Some(Step::At(places))) => {
                let end = first.checked_add(rows)?;
                *places = places.get(first..end)?.to_vec();
                0
            }
            Some(None) => return None,
        };
        let skipped = step.checked_mul(first as u64)?;
        let span = match &steps {
            None => count(&shape)?,
            Some(steps) => span_of(&shape, steps)?,
        };
        Some(Self {
            first: self.first.checked_add(skipped)?,
            span,
            steps,
            ..*self
        })
    }

    /// The same values with the outermost dimension of this shape cut into
    /// blocks, as many as `order` has, which come in this order; a dimension of
    /// their own counts the blocks.
    pub fn blocks(&self, shape: &[usize], order: &[usize]) -> Self {
        let mut steps = self.steps_of(shape);
        let rows = shape.first().map_or(0, |rows| rows / order.len());
        let places = match steps.first() {
            Some(step) => order.iter().map(|block| step.at(block * rows)).collect(),
            None => Vec::new(),
        };
        steps.insert(0, Step::At(places));
        Self {
            steps: Some(steps),
            ..*self
        }
    }

    /// The same values with the two outermost dimensions of this shape as one.
    pub fn joined(&self, shape: &[usize]) -> Self {
        let mut steps = self.steps_of(shape);
        if let (&[outer, inner, ..], [a, b, ..]) = (shape, &steps[..]) {
            let row = |i: usize| (0..inner).map(move |j| a.at(i).wrapping_add(b.at(j)));
            let places = (0..outer).flat_map(row).collect();
            steps.splice(..2, [Step::At(places)]);
        }
        Self {
            steps: Some(steps),
            ..*self
        }
    }

    fn steps_of(&self, shape: &[usize]) -> Vec<Step> {
        let own = self.steps.clone();
        own.unwrap_or_else(|| row_major(shape).into_iter().map(Step::Each).collect())
    }

    /// The same values of a tensor of this shape with the last two dimensions
    /// changed.
    pub fn turned(&self, shape: &[usize]) -> Self {
        let mut steps = self.steps_of(shape);
        if let [.., a, b] = &mut steps[..] {
            std::mem::swap(a, b);
        }
        Self {
            steps: Some(steps),
            ..*self
        }
    }

    /// Reads the values, in row-major order.
    pub fn read(&self, source: &mut Source, info: &TensorInfo) -> io::Result<Vec<f32>> {
        let dtype = info.dtype;
        let values = dtype.read(source, self.start, self.first, self.span)?;
        match &self.steps {
            None => Ok(values),
            Some(steps) => gather(&values, &info.shape, steps),
        }
    }
}

/// How many values a tensor of `shape` has; `None` when that overflows.
pub(super) fn count(shape: &[usize]) -> Option<u64> {
    shape.iter().try_fold(1u64, |product, &size| {
        product.checked_mul(u64::try_from(size).ok()?)
    })
}

/// How many bytes a tensor of `shape` has; `None` when that overflows, or when
/// its values end inside a block.
pub(super) fn byte_len(shape: &[usize], dtype: Dtype) -> Option<u64> {
    dtype.byte_len(count(shape)?)
}

/// How many values lie between the first and the last one of a strided tensor,
/// both included; `None` when that overflows.
pub(super) fn span(shape: &[usize], strides: &[usize]) -> Option<u64> {
    let steps: Vec<_> = strides.iter().copied().map(Step::Each).collect();
    span_of(shape, &steps)
}

fn span_of(shape: &[usize], steps: &[Step]) -> Option<u64> {
    if shape.contains(&0) {
        return Some(0);
    }
    let farthest = |(&size, step): (&usize, &Step)| match step {
        Step::Each(stride) => {
            let steps = u64::try_from(size).ok()?.checked_sub(1)?;
            steps.checked_mul(u64::try_from(*stride).ok()?)
        }
        Step::At(places) => u64::try_from(*places.iter().max()?).ok(),
    };
    let mut dims = shape.iter().zip(steps);
    dims.try_fold(1u64, |sum, dim| sum.checked_add(farthest(dim)?))
}

/// The strides of a row-major, contiguous tensor, whose values were counted.
fn row_major(shape: &[usize]) -> Vec<usize> {
    let mut strides = vec![1usize; shape.len()];
    for dim in (1..shape.len()).rev() {
        strides[dim - 1] = strides[dim].saturating_mul(shape[dim]);
    }
    strides
}

/// Whether the strides are those of a row-major, contiguous tensor. Strides of
/// dimensions of size 1 do not matter.
pub(super) fn is_contiguous(shape: &[usize], strides: &[usize]) -> bool {
    let mut expected = Some(1usize);
    for (&size, &stride) in shape.iter().zip(strides).rev() {
        if size != 1 && expected != Some(stride) {
            return shape.contains(&0);
        }
        expected = expected.and_then(|expected| expected.checked_mul(size));
    }
    true
}

/// The values of a strided tensor in row-major order.
fn gather(values: &[f32], shape: &[usize], steps: &[Step]) -> io::Result<Vec<f32>> {
    let total = count(shape).and_then(|total| usize::try_from(total).ok());
    let total = total.ok_or(io::ErrorKind::OutOfMemory)?;
    let mut out = Vec::new();
    out.try_reserve_exact(total)
        .map_err(|_| io::ErrorKind::OutOfMemory)?;
    let mut index = vec![0usize; shape.len()];
    let starts = steps.iter().map(|step| step.at(0));
    let mut at = starts.fold(0, usize::wrapping_add);
    while out.len() < total {
        // `span` was checked against the storage, so the value is there.
        out.push(*values.get(at).ok_or(io::ErrorKind::UnexpectedEof)?);
        at = advance(&mut index, at, shape, steps);
    }
    Ok(out)
}

/// Moves `index` to the next element in row-major order; the innermost
/// dimension runs fastest. Returns the position of that element.
fn advance(index: &mut [usize], at: usize, shape: &[usize], steps: &[Step]) -> usize {
    let mut at = at;
    for ((position, &size), step) in index.iter_mut().zip(shape).zip(steps).rev() {
        at = at.wrapping_sub(step.at(*position));
        *position += 1;
        if *position < size {
            return at.wrapping_add(step.at(*position));
        }
        // Back to the start of this dimension, and on along the next outer one.
        *position = 0;
        at = at.wrapping_add(step.at(0));
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contiguity_ignores_dimensions_of_one() {
        assert!(is_contiguous(&[2, 3], &[3, 1]));
        assert!(is_contiguous(&[1, 3], &[99, 1]));
        assert!(is_contiguous(&[2, 1, 3], &[3, 7, 1]));
        assert!(is_contiguous(&[], &[]));
        assert!(is_contiguous(&[0, 5], &[9, 9]));
        assert!(!is_contiguous(&[2, 3], &[1, 2]));
        assert!(!is_contiguous(&[2, 3], &[0, 1]));
    }

    #[test]
    fn span_counts_to_the_last_value() {
        assert_eq!(span(&[2, 3], &[3, 1]), Some(6));
        assert_eq!(span(&[2, 3], &[1, 2]), Some(6));
        assert_eq!(span(&[3], &[4]), Some(9));
        assert_eq!(span(&[0, 3], &[usize::MAX, 1]), Some(0));
        assert_eq!(span(&[], &[]), Some(1));
        assert_eq!(span(&[3, 3], &[usize::MAX, usize::MAX]), None);
    }

    #[test]
    fn gather_transposes() {
        let values = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
        let each = |strides: &[usize]| strides.iter().copied().map(Step::Each).collect::<Vec<_>>();
        let out = gather(&values, &[3, 2], &each(&[1, 3])).unwrap();
        assert_eq!(out, [1.0, 4.0, 2.0, 5.0, 3.0, 6.0]);
        let out = gather(&values, &[2, 2, 1], &each(&[1, 2, 9])).unwrap();
        assert_eq!(out, [1.0, 3.0, 2.0, 4.0]);
        assert!(gather(&values, &[7], &each(&[1])).is_err());
    }

    #[test]
    fn blocks_come_in_their_order() {
        let bytes: Vec<u8> = (0..12u8).flat_map(|i| f32::from(i).to_le_bytes()).collect();
        let mut source = Source::new(Box::new(io::Cursor::new(bytes))).unwrap();
        let info = |shape: &[usize]| TensorInfo {
            name: String::new(),
            shape: shape.to_vec(),
            dtype: Dtype::F32,
            alias: None,
        };
        // Four rows of three, in two blocks of which the second comes first.
        let blocks = Layout::contiguous(0, 12).blocks(&[4, 3], &[1, 0]);
        let expected = [6.0, 7.0, 8.0, 9.0, 10.0, 11.0, 0.0, 1.0, 2.0, 3.0, 4.0, 5.0];
        let read = blocks.read(&mut source, &info(&[2, 2, 3])).unwrap();
        assert_eq!(read, expected);
        let joined = blocks.joined(&[2, 2, 3]);
        assert_eq!(joined.read(&mut source, &info(&[4, 3])).unwrap(), expected);
        for (layout, shape, cols) in [(&blocks, &[2, 2, 3][..], 6), (&joined, &[4, 3], 3)] {
            for row in 0..shape[0] {
                let one = layout.rows(shape, row, 1).unwrap();
                let shape = [&[1], &shape[1..]].concat();
                let read = one.read(&mut source, &info(&shape)).unwrap();
                assert_eq!(read, expected[row * cols..][..cols]);
            }
            assert!(layout.rows(shape, shape[0], 1).is_none());
        }
    }

    #[test]
    fn rows_of_a_transposed_tensor_are_found() {
        // Three rows of two, stored as two of three, after two values.
        let values: Vec<f32> = (0..8).map(|i| i as f32).collect();
        let bytes = values
            .iter()
            .flat_map(|v| v.to_le_bytes())
            .collect::<Vec<u8>>();
        let mut source = Source::new(Box::new(io::Cursor::new(bytes))).unwrap();
        let info = |rows| TensorInfo {
            name: String::new(),
            shape: vec![rows, 2],
            dtype: Dtype::F32,
            alias: None,
        };
        for (strides, expected) in [
            (None, [4.0, 5.0, 6.0, 7.0]),
            (Some(vec![1, 3]), [3.0, 6.0, 4.0, 7.0]),
        ] {
            let mut all = Layout {
                first: 2,
                ..Layout::contiguous(0, 6)
            };
            if let Some(strides) = strides {
                all = all.strided(&strides);
            }
            let rows = all.rows(&[3, 2], 1, 2).unwrap();
            assert_eq!(rows.read(&mut source, &info(2)).unwrap(), expected);
            assert!(all.rows(&[3, 2], usize::MAX, 2).is_none());
            let none = all.rows(&[3, 2], 3, 0).unwrap();
            assert!(none.read(&mut source, &info(0)).unwrap().is_empty());
        }
    }
}
