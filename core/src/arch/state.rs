//! Matrix states: the inputs of a step of the recurrence of a head, RWKV-5 to 7.
//!
//! The state of a head is `[N, N]`, stored by key channel in all versions:
//! each value channel is a lane, no sum runs across lanes, and vectors of any
//! width give the same bits.

use half::f16;

/// An element of the state.
///
/// Kernels trust what it says of itself: only the two types here are one.
pub trait Cell: bytemuck::Pod + Sealed {
    /// Whether it is a half float, of 16 bits, or a single one, of 32.
    const IS_HALF: bool;
    /// Its value.
    fn load(self) -> f32;
    /// The nearest element, ties to even.
    fn store(value: f32) -> Self;
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for f32 {}
    impl Sealed for half::f16 {}
}
use sealed::Sealed;

impl Cell for f32 {
    const IS_HALF: bool = false;

    #[inline(always)]
    fn load(self) -> f32 {
        self
    }

    #[inline(always)]
    fn store(value: f32) -> Self {
        value
    }
}

impl Cell for f16 {
    const IS_HALF: bool = true;

    #[inline(always)]
    fn load(self) -> f32 {
        self.to_f32()
    }

    #[inline(always)]
    fn store(value: f32) -> Self {
        f16::from_f32(value)
    }
}

/// The inputs of a head of RWKV-5 and 6; slices are `[N]`.
/// The letters are those of the papers: see `layers::v5` and `layers::v6`.
#[derive(Clone, Copy, Debug)]
pub struct Bonus<'a> {
    /// Receptance.
    pub r: &'a [f32],
    /// Key.
    pub k: &'a [f32],
    /// Value.
    pub v: &'a [f32],
    /// Decay, by key channel.
    pub w: &'a [f32],
    /// `sum_i r[i] u[i] k[i]`: the weight of the current value in the output.
    pub bonus: f32,
}

/// The inputs of a head of RWKV-7; slices are `[N]`.
/// See `layers::v7`.
#[derive(Clone, Copy, Debug)]
pub struct Delta<'a> {
    /// `-kk`: the direction that is read to be removed.
    pub read: &'a [f32],
    /// `w r`: decay times receptance.
    pub wr: &'a [f32],
    /// Decay.
    pub w: &'a [f32],
    /// `kk a`: the direction that is removed, times the learning rate.
    pub b: &'a [f32],
    /// Key.
    pub k: &'a [f32],
    /// Value.
    pub v: &'a [f32],
    /// `sum_j b[j] r[j]` and `sum_j k[j] r[j]`.
    pub br_kr: [f32; 2],
}
