//! Slices in pieces, like `chunks_exact`, which divides by the length of a
//! piece when zipped: optimizing for size, the compiler loses the fact that the
//! length is not 0 and links an unreachable panic.

use core::iter::from_fn;

/// Pieces of `size` elements, without the remainder after the last; of one element
/// where `size` is 0.
pub(crate) fn pieces<T>(slice: &[T], size: usize) -> impl Iterator<Item = &[T]> {
    let mut rest = slice;
    from_fn(move || {
        let (piece, next) = rest.split_at_checked(size.max(1))?;
        rest = next;
        Some(piece)
    })
}

/// The same, mutable.
pub(crate) fn pieces_mut<T>(slice: &mut [T], size: usize) -> impl Iterator<Item = &mut [T]> {
    let mut rest = slice;
    from_fn(move || {
        let (piece, next) = core::mem::take(&mut rest).split_at_mut_checked(size.max(1))?;
        rest = next;
        Some(piece)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    #[test]
    fn pieces_are_those_of_chunks_exact() {
        for len in 0..12 {
            let mut slice: Vec<usize> = (0..len).collect();
            for size in 1..14 {
                let expected: Vec<_> = slice.chunks_exact(size).map(<[_]>::to_vec).collect();
                let found: Vec<_> = pieces(&slice, size).map(<[_]>::to_vec).collect();
                assert_eq!(found, expected, "{len} {size}");
                let found: Vec<_> = pieces_mut(&mut slice, size).map(|p| p.to_vec()).collect();
                assert_eq!(found, expected, "{len} {size}");
            }
            assert!(pieces(&slice, 0).all(|piece| piece.len() == 1));
        }
    }
}
