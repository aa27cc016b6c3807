//! What several ports share. No module here is a whole port.

#[cfg(not(any(kinglet_neon, kinglet_portable, kinglet_x86)))]
pub(super) mod assembly;
#[cfg(all(any(kinglet_armv7m, kinglet_dsp, kinglet_riscv), kinglet_fast))]
pub(super) mod coefficients;
#[cfg(any(all(kinglet_dsp, kinglet_fast), kinglet_mve))]
pub(super) mod gates;
#[cfg(any(kinglet_armv6m, kinglet_armv7m, kinglet_riscv))]
pub(super) mod pairs;
#[cfg(any(
    kinglet_armv7m,
    all(any(kinglet_dsp, kinglet_riscv), kinglet_fast),
    kinglet_mve
))]
pub(super) mod rounds;
#[cfg(all(any(kinglet_armv7m, kinglet_dsp), kinglet_fast))]
pub(super) mod rows;
#[cfg(not(any(kinglet_neon, kinglet_portable, kinglet_x86)))]
pub(super) mod state;
#[cfg(any(kinglet_armv7m, all(kinglet_dsp, kinglet_fast)))]
pub(super) mod thumb2;
#[cfg(any(kinglet_x86, kinglet_neon))]
pub(super) mod words;

/// The first of the words that an assembly routine reads: weights, or a
/// prepared vector.
#[cfg(any(kinglet_armv6m, kinglet_armv7m, kinglet_mve, kinglet_riscv))]
pub(super) type Words = *const u32;
