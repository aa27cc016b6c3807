//! Coefficients of a matrix state's reads, for ports that scale and round them in assembly:
//! whole rounds of eight rows; other heads are [`Portable`]'s.

use crate::arch::state::coefficient_places;
use crate::arch::{Narrow, Port, Portable};
use crate::number::FRACTIONS;

/// Rows of a round.
pub const ROUND: usize = 8;

/// Whether that many rows are whole rounds, at least one, and the lengths of vectors of
/// at least as many.
pub fn is_whole<const N: usize>(rows: usize, lens: [usize; N]) -> bool {
    rows > 0 && rows.is_multiple_of(ROUND) && lens.iter().all(|&len| len >= rows)
}

/// As [`Port::decayed_coefficients`].
pub fn decayed_coefficients(
    x: &[i32],
    w: &[i32],
    [lam, bounds]: [&mut [i32]; 2],
    [most, sign]: [i32; 2],
    scaled: &mut [i32],
    out: (&mut [Narrow], usize),
) -> i32 {
    let rows = x.len();
    let lens = [lam.len(), bounds.len(), scaled.len(), w.len()];
    if !has_room(&out, rows) || !is_whole(rows, lens) || lam.len() != rows {
        Portable::decay(lam, bounds, w);
        return Portable::coefficients(x, [lam, bounds], [most, sign], scaled, out);
    }
    let mut scaling = Scaling::of(scaled, rows, most);
    // SAFETY: there are as many rows in all slices, whole rounds of them.
    unsafe {
        let (lam, bounds) = (lam.as_mut_ptr(), bounds.as_mut_ptr());
        kinglet_rows_decayed_and_scaled(x.as_ptr(), lam, bounds, w.as_ptr(), &mut scaling)
    }
    scaling.round(scaled, sign, out)
}

/// Whether there is a place for each row, some steps apart.
fn has_room((out, step): &(&mut [Narrow], usize), rows: usize) -> bool {
    *step > 0 && rows > 0 && out.len() > (rows - 1) * step
}

/// As [`Port::coefficients`].
pub fn coefficients(
    x: &[i32],
    [lam, bounds]: [&[i32]; 2],
    [most, sign]: [i32; 2],
    scaled: &mut [i32],
    out: (&mut [Narrow], usize),
) -> i32 {
    let rows = x.len();
    let lens = [lam.len(), bounds.len(), scaled.len()];
    if !has_room(&out, rows) || !is_whole(rows, lens) {
        return Portable::coefficients(x, [lam, bounds], [most, sign], scaled, out);
    }
    let mut scaling = Scaling::of(scaled, rows, most);
    // SAFETY: there are as many rows in all slices, whole rounds of them.
    unsafe {
        kinglet_rows_scaled(
            x.as_ptr(),
            lam.as_ptr(),
            bounds.as_ptr(),
            most,
            &mut scaling,
        )
    }
    scaling.round(scaled, sign, out)
}

/// Scaled coefficients, and what is found of them: the sum of their magnitudes in units of
/// 256, and the bits of all.
#[repr(C)]
struct Scaling {
    scaled: *mut i32,
    rows: usize,
    sum: u32,
    bits: u32,
    table: &'static [u32; 64],
    most: i32,
}

impl Scaling {
    fn of(scaled: &mut [i32], rows: usize, most: i32) -> Self {
        Self {
            scaled: scaled.as_mut_ptr(),
            rows,
            sum: 0,
            bits: 0,
            table: &FRACTIONS,
            most,
        }
    }

    /// Rounds the scaled coefficients off; returns the power of two. The caller has
    /// checked the lengths.
    fn round(&self, scaled: &[i32], sign: i32, (out, step): (&mut [Narrow], usize)) -> i32 {
        let places = coefficient_places(self.sum, self.bits, self.rows);
        let (out, step) = (out.as_mut_ptr(), size_of::<Narrow>() * step);
        // SAFETY: `out` has room for one at each step.
        unsafe { kinglet_rows_rounded(scaled.as_ptr(), out, self.rows, places, step, sign) }
        self.most + places as i32 + 2
    }
}

// Counts are whole rounds, at least one, and pointers are of as many elements, at each
// step where there is one. A port defines them.
extern "C" {
    fn kinglet_rows_decayed_and_scaled(
        x: *const i32,
        lam: *mut i32,
        bounds: *mut i32,
        w: *const i32,
        scaling: &mut Scaling,
    );
    fn kinglet_rows_scaled(
        x: *const i32,
        lam: *const i32,
        bounds: *const i32,
        most: i32,
        scaling: &mut Scaling,
    );
    fn kinglet_rows_rounded(
        x: *const i32,
        out: *mut Narrow,
        rows: usize,
        places: u32,
        step: usize,
        sign: i32,
    );
}

/// Defines the coefficients of [`Port`].
macro_rules! coefficients_in_rounds {
    () => {
        fn decayed_coefficients(
            x: &[i32],
            w: &[i32],
            rows: [&mut [i32]; 2],
            most_and_sign: [i32; 2],
            scaled: &mut [i32],
            out: (&mut [Narrow], usize),
        ) -> i32 {
            coefficients::decayed_coefficients(x, w, rows, most_and_sign, scaled, out)
        }

        fn coefficients(
            x: &[i32],
            rows: [&[i32]; 2],
            most_and_sign: [i32; 2],
            scaled: &mut [i32],
            out: (&mut [Narrow], usize),
        ) -> i32 {
            coefficients::coefficients(x, rows, most_and_sign, scaled, out)
        }
    };
}
pub(crate) use coefficients_in_rounds;
