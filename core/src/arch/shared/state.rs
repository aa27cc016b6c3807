//! Matrix states for ports that have their reads and writes in assembly:
//! mantissas of 16 bits, in whole words, and heads of whole rounds. All else is
//! [`Portable`]'s.

use crate::arch::{Mantissa, Narrow, Port, Portable, Write};

/// The routines of a port.
///
/// They are unsafe to call: the size is that of a head of whole rounds. `c`, sums,
/// parts of rows and values have that number of elements, mantissas are words of two
/// rows, and what there are two of begins at a word.
pub struct Routines {
    /// Mantissas, `c`, sums, size.
    pub read: unsafe extern "C" fn(*const u32, *const Narrow, *mut i32, usize),
    /// Mantissas, what goes into the rows and into the columns, size.
    pub write: unsafe extern "C" fn(*mut u32, *const Write, *const [Narrow; 2], usize),
}

/// A port that reads twice at once.
#[cfg(any(kinglet_armv7m, kinglet_dsp, kinglet_riscv))]
pub trait Both: States {
    /// Mantissas, `c`, sums, size.
    const READ_BOTH: unsafe extern "C" fn(*const u32, *const [Narrow; 2], *mut [i32; 2], usize);
}

/// A port with such routines.
pub trait States {
    /// Channels of a round.
    const ROUND: usize = 8;

    /// They keep to the C calling convention.
    const ROUTINES: Routines;
}

/// As [`Port::read`].
pub fn read<S: States, M: Mantissa>(mantissas: &[M], c: &[Narrow], sums: &mut [i32]) {
    let size = c.len();
    match bytemuck::try_cast_slice(mantissas) {
        Ok(words) if is_whole::<S, M>(size, words) && sums.len() >= size => {
            // SAFETY: checked just above.
            unsafe { (S::ROUTINES.read)(words.as_ptr(), c.as_ptr(), sums.as_mut_ptr(), size) }
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
            unsafe { S::READ_BOTH(words.as_ptr(), c.as_ptr(), sums.as_mut_ptr(), size) }
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
            unsafe { (S::ROUTINES.write)(words.as_mut_ptr(), writes, values, size) }
        }
        _ => Portable::write(mantissas, writes, values),
    }
}

/// Whether these are mantissas of 16 bits, of a head that is not empty and has
/// whole rounds.
fn is_whole<S: States, M: Mantissa>(size: usize, words: &[u32]) -> bool {
    let is_round = size > 0 && size.is_multiple_of(S::ROUND);
    size_of::<M>() == size_of::<i16>() && is_round && words.len() >= size * size / 2
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
