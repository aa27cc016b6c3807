//! What several ports share. No module here is a whole port; `fpu` and `soft`
//! are the bases of those for Cortex-M.

#[cfg(kinglet_fpu)]
pub(super) mod fpu;
#[cfg(any(kinglet_armv6m, kinglet_armv7m, kinglet_riscv))]
pub(super) mod pairs;
#[cfg(any(kinglet_soft, test))]
pub(super) mod soft;
#[cfg(any(kinglet_x86, kinglet_neon))]
pub(super) mod words;

/// The first of the words that an assembly routine reads: weights, or a
/// prepared vector.
#[cfg(any(kinglet_armv6m, kinglet_armv7m, kinglet_mve, kinglet_riscv))]
pub(super) type Words = *const u32;

/// The base of a port for Cortex-M: with an FPU or without.
#[cfg(kinglet_fpu)]
pub(super) type Floats = fpu::Fpu;
#[cfg(kinglet_soft)]
pub(super) type Floats = soft::Soft;
