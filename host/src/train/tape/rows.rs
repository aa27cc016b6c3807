//! Rows of matrix states, of a length known to the compiler.

use super::super::real::Real;

/// Rows of a state that are computed side by side: what they share is read
/// once, and what they add to is written once.
pub(super) const ROWS: usize = 4;

/// `N` elements of `x`.
#[inline(always)]
pub(super) fn row<F, const N: usize>(x: &[F], first: usize) -> &[F; N] {
    x[first..first + N]
        .try_into()
        .expect("a row of this length")
}

/// The same, to be changed.
#[inline(always)]
pub(super) fn row_mut<F, const N: usize>(x: &mut [F], first: usize) -> &mut [F; N] {
    (&mut x[first..first + N])
        .try_into()
        .expect("a row of this length")
}

/// `x += a y`.
#[inline(always)]
pub(super) fn add<F: Real, const N: usize>(x: &mut [F; N], a: F, y: &[F; N]) {
    for i in 0..N {
        x[i] += a * y[i];
    }
}

/// `x += y z`.
#[inline(always)]
pub(super) fn add_product<F: Real, const N: usize>(x: &mut [F; N], y: &[F; N], z: &[F; N]) {
    for i in 0..N {
        x[i] += y[i] * z[i];
    }
}

/// Calls a function for the size of a head, as a constant.
macro_rules! for_size {
    ($size:expr, $function:ident($($argument:expr),* $(,)?)) => {
        match $size {
            4 => $function::<F, 4>($($argument),*),
            8 => $function::<F, 8>($($argument),*),
            16 => $function::<F, 16>($($argument),*),
            32 => $function::<F, 32>($($argument),*),
            64 => $function::<F, 64>($($argument),*),
            128 => $function::<F, 128>($($argument),*),
            size => unreachable!("heads of {size} channels are padded before"),
        }
    };
}
pub(super) use for_size;

/// The sizes that the compiler knows; others are padded with zeros.
pub(super) const SIZES: [usize; 6] = [4, 8, 16, 32, 64, 128];
