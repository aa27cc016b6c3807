//! Matrix states for ports that have their reads and writes in assembly: mantissas in
//! whole words, and heads of whole rounds. Other heads are [`Portable`]'s.

use crate::arch::{Mantissa, Narrow, Port, Portable, Write};
use crate::shape::MAX_COLS;

/// The routines of a port for mantissas of one width.
///
/// They are unsafe to call: the size is that of a head of whole rounds. `c`, sums,
/// parts of rows and values have that number of elements, mantissas lie in words, rows
/// in pairs, and what there are two of begins at a word. They keep to the C calling
/// convention. Those that read take a mantissa of 8 bits as it is: its sums are
/// [`places_of`] too small.
#[derive(Clone, Copy)]
pub struct Routines {
    /// Mantissas, `c`, sums, size.
    pub read: unsafe extern "C" fn(*const u32, *const Narrow, *mut i32, usize),
    /// Mantissas, what goes into the rows and into the columns, size.
    pub write: unsafe extern "C" fn(*mut u32, *const Write, *const [Narrow; 2], usize),
}

/// Mantissas, `c`, sums, size.
#[cfg(any(kinglet_armv7m, kinglet_dsp, kinglet_riscv))]
pub type ReadBoth = unsafe extern "C" fn(*const u32, *const [Narrow; 2], *mut [i32; 2], usize);

/// A port that reads twice at once.
#[cfg(any(kinglet_armv7m, kinglet_dsp, kinglet_riscv))]
pub trait Both: States {
    /// As [`Routines`], for mantissas of 16 and of 8 bits.
    const READ_BOTH: [ReadBoth; 2];
}

/// A port with such routines.
pub trait States {
    /// Channels of a round.
    const ROUND: usize = 8;

    /// For mantissas of 16 and of 8 bits.
    const ROUTINES: [Routines; 2];
}

/// Of two, what is for these mantissas.
fn of_width<M: Mantissa, T: Copy>([of_16, of_8]: [T; 2]) -> T {
    match size_of::<M>() {
        1 => of_8,
        _ => of_16,
    }
}

/// The places of a mantissa's value below its own bits.
fn places_of<M: Mantissa>() -> u32 {
    of_width::<M, _>([0, 8])
}

/// As [`Port::read`].
pub fn read<S: States, M: Mantissa>(mantissas: &[M], c: &[Narrow], sums: &mut [i32]) {
    let size = c.len();
    match bytemuck::try_cast_slice(mantissas) {
        Ok(words) if is_whole::<S, M>(size, words) && sums.len() >= size => {
            // SAFETY: checked just above.
            unsafe {
                (of_width::<M, _>(S::ROUTINES).read)(
                    words.as_ptr(),
                    c.as_ptr(),
                    sums.as_mut_ptr(),
                    size,
                )
            }
            raise::<M>(sums.get_mut(..size).unwrap_or_default());
        }
        _ => Portable::read(mantissas, c, sums),
    }
}

/// As [`Port::read_both`].
#[cfg(any(kinglet_armv7m, kinglet_dsp, kinglet_riscv))]
pub fn read_both<S: Both, M: Mantissa>(mantissas: &[M], c: &[[Narrow; 2]], sums: &mut [[i32; 2]]) {
    let size = c.len();
    let in_words: Result<&[u32], _> = bytemuck::try_cast_slice(c.as_flattened());
    match (bytemuck::try_cast_slice(mantissas), in_words) {
        (Ok(words), Ok(_)) if is_whole::<S, M>(size, words) && sums.len() >= size => {
            // SAFETY: checked just above.
            unsafe {
                of_width::<M, _>(S::READ_BOTH)(words.as_ptr(), c.as_ptr(), sums.as_mut_ptr(), size)
            }
            raise::<M>(
                sums.as_flattened_mut()
                    .get_mut(..2 * size)
                    .unwrap_or_default(),
            );
        }
        _ => Portable::read_both(mantissas, c, sums),
    }
}

/// As [`Port::write`].
pub fn write<S: States, M: Mantissa>(
    mantissas: &mut [M],
    writes: &[Write],
    values: &[[Narrow; 2]],
) {
    let size = writes.len();
    let in_words: Result<&[u32], _> = bytemuck::try_cast_slice(values.as_flattened());
    match (bytemuck::try_cast_slice_mut(mantissas), in_words) {
        (Ok(words), Ok(_)) if is_whole::<S, M>(size, words) && values.len() >= size => {
            let (writes, values) = (writes.as_ptr(), values.as_ptr());
            // SAFETY: checked just above.
            unsafe {
                (of_width::<M, _>(S::ROUTINES).write)(words.as_mut_ptr(), writes, values, size)
            }
        }
        _ => Portable::write(mantissas, writes, values),
    }
}

/// Gives sums of mantissas as they are the places of their values.
fn raise<M: Mantissa>(sums: &mut [i32]) {
    let places = places_of::<M>();
    if places > 0 {
        sums.iter_mut().for_each(|sum| *sum <<= places);
    }
}

/// Whether these are the mantissas of a head that is not empty and has whole rounds, no
/// more of them than a matrix has columns.
fn is_whole<S: States, M: Mantissa>(size: usize, words: &[u32]) -> bool {
    let is_round = (1..=MAX_COLS).contains(&size) && size.is_multiple_of(S::ROUND);
    is_round && size_of_val(words) >= size * size * size_of::<M>()
}

/// Defines the states of [`Port`] by the routines of `Self`; both reads at once where
/// there is a routine for that.
macro_rules! states_in_rounds {
    (both) => {
        states_in_rounds!();

        const BOTH: bool = true;

        fn read_both<M: Mantissa>(mantissas: &[M], c: &[[Narrow; 2]], sums: &mut [[i32; 2]]) {
            states::read_both::<Self, M>(mantissas, c, sums);
        }
    };
    () => {
        fn read<M: Mantissa>(mantissas: &[M], c: &[Narrow], sums: &mut [i32]) {
            states::read::<Self, M>(mantissas, c, sums);
        }

        fn write<M: Mantissa>(mantissas: &mut [M], writes: &[Write], values: &[[Narrow; 2]]) {
            states::write::<Self, M>(mantissas, writes, values);
        }
    };
}
pub(crate) use states_in_rounds;
