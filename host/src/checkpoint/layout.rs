//! Where the values of a tensor lie in a file.

use super::dtype::Dtype;
use super::source::Source;
use super::TensorInfo;
use std::io;

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
    /// Steps in values from one index of a dimension to the next, the
    /// outermost first; `None` when the values are row-major and contiguous.
    pub strides: Option<Vec<usize>>,
}

impl Layout {
    /// A row-major, contiguous tensor of `count` values.
    pub fn contiguous(start: u64, count: u64) -> Self {
        Self {
            start,
            first: 0,
            span: count,
            strides: None,
        }
    }

    /// The place of the rows `first..first + rows`, which exist, of a tensor of
    /// this shape; a row is the slice at one index of the outermost dimension.
    /// `None` when a number overflows.
    pub fn rows(&self, shape: &[usize], first: usize, rows: usize) -> Option<Self> {
        let mut shape = shape.to_vec();
        *shape.first_mut()? = rows;
        let (step, span) = match &self.strides {
            None => (count(shape.get(1..)?)?, count(&shape)?),
            Some(strides) => (
                u64::try_from(*strides.first()?).ok()?,
                span(&shape, strides)?,
            ),
        };
        let skipped = step.checked_mul(first as u64)?;
        Some(Self {
            first: self.first.checked_add(skipped)?,
            span,
            strides: self.strides.clone(),
            ..*self
        })
    }

    /// The same values of a tensor of this shape with the last two dimensions
    /// changed.
    pub fn turned(&self, shape: &[usize]) -> Self {
        let mut strides = self.strides.clone().unwrap_or_else(|| row_major(shape));
        if let [.., a, b] = &mut strides[..] {
            std::mem::swap(a, b);
        }
        Self {
            strides: Some(strides),
            ..*self
        }
    }

    /// Reads the values, in row-major order.
    pub fn read(&self, source: &mut Source, info: &TensorInfo) -> io::Result<Vec<f32>> {
        let dtype = info.dtype;
        let values = dtype.read(source, self.start, self.first, self.span)?;
        match &self.strides {
            None => Ok(values),
            Some(strides) => gather(&values, &info.shape, strides),
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
    if shape.contains(&0) {
        return Some(0);
    }
    let step = |(&size, &stride): (&usize, &usize)| {
        u64::try_from(size)
            .ok()?
            .checked_sub(1)?
            .checked_mul(u64::try_from(stride).ok()?)
    };
    shape
        .iter()
        .zip(strides)
        .try_fold(1u64, |sum, dim| sum.checked_add(step(dim)?))
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
fn gather(values: &[f32], shape: &[usize], strides: &[usize]) -> io::Result<Vec<f32>> {
    let total = count(shape).and_then(|total| usize::try_from(total).ok());
    let total = total.ok_or(io::ErrorKind::OutOfMemory)?;
    let mut out = Vec::new();
    out.try_reserve_exact(total)
        .map_err(|_| io::ErrorKind::OutOfMemory)?;
    let mut index = vec![0usize; shape.len()];
    let mut at = 0usize;
    while out.len() < total {
        // `span` was checked against the storage, so the value is there.
        out.push(*values.get(at).ok_or(io::ErrorKind::UnexpectedEof)?);
        at = advance(&mut index, at, shape, strides);
    }
    Ok(out)
}

/// Moves `index` to the next element in row-major order; the innermost
/// dimension runs fastest. Returns the position of that element.
fn advance(index: &mut [usize], at: usize, shape: &[usize], strides: &[usize]) -> usize {
    let mut at = at;
    for ((position, &size), &stride) in index.iter_mut().zip(shape).zip(strides).rev() {
        *position += 1;
        if *position < size {
            return at.wrapping_add(stride);
        }
        // Back to the start of this dimension, and one step along the next
        // outer one. `at` holds `position - 1` steps of it.
        at = at.wrapping_sub((*position - 1).wrapping_mul(stride));
        *position = 0;
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
        let out = gather(&values, &[3, 2], &[1, 3]).unwrap();
        assert_eq!(out, [1.0, 4.0, 2.0, 5.0, 3.0, 6.0]);
        let out = gather(&values, &[2, 2, 1], &[1, 2, 9]).unwrap();
        assert_eq!(out, [1.0, 3.0, 2.0, 4.0]);
        assert!(gather(&values, &[7], &[1]).is_err());
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
            let all = Layout {
                start: 0,
                first: 2,
                span: 6,
                strides,
            };
            let rows = all.rows(&[3, 2], 1, 2).unwrap();
            assert_eq!(rows.read(&mut source, &info(2)).unwrap(), expected);
            assert!(all.rows(&[3, 2], usize::MAX, 2).is_none());
            let none = all.rows(&[3, 2], 3, 0).unwrap();
            assert!(none.read(&mut source, &info(0)).unwrap().is_empty());
        }
    }
}
