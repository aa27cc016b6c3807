//! Choosing a token.

use crate::kgl_status::{self, *};
use crate::memory::{disjoint, slice_mut, Out, Span};
use core::ffi::c_int;
use kinglet::{Sampler, Sampling};

/// How to choose a token. The settings apply in this order: repetition
/// penalty, temperature, top-k, top-p, draw.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct kgl_sampling {
    /// Logits are divided by this; 0 always takes the likeliest token.
    pub temperature: f32,
    /// Only the `top_k` likeliest tokens; 0 is no limit.
    pub top_k: u32,
    /// Only the likeliest tokens that together have this probability; 1 is no limit.
    pub top_p: f32,
    /// Makes the last 64 tokens less likely; 1 is off.
    pub repetition_penalty: f32,
    /// The seed of all draws.
    pub seed: u64,
}

/// The length of a sampler.
pub const KGL_SAMPLER_WORDS: usize = 44;

/// Settings, random numbers, and the tokens chosen last. The caller gives it
/// memory and leaves its words alone.
#[repr(C)]
#[derive(Debug)]
pub struct kgl_sampler {
    /// Private.
    pub words: [u64; KGL_SAMPLER_WORDS],
}

/// What tells a sampler from other memory.
const MARK: u32 = 0x4b67_6c43;

/// What the words hold.
#[repr(C)]
struct Held {
    mark: u32,
    sampler: Sampler,
}

const _: () = assert!(size_of::<Held>() <= size_of::<kgl_sampler>());
const _: () = assert!(align_of::<Held>() <= align_of::<kgl_sampler>());

/// Initializes a sampler; also restarts it from its seed.
///
/// # Safety
/// `sampler` may be written and `settings` read.
#[no_mangle]
pub unsafe extern "C" fn kgl_sampler_init(
    sampler: *mut kgl_sampler,
    settings: *const kgl_sampling,
) -> c_int {
    let init = || {
        Span::of(sampler, 1)?;
        Span::of(settings, 1)?;
        // SAFETY: C promises settings, and any bits of them are numbers.
        let settings = unsafe { settings.read() };
        let sampling = Sampling {
            temperature: settings.temperature,
            top_k: settings.top_k,
            top_p: settings.top_p,
            repetition_penalty: settings.repetition_penalty,
        };
        let held = Held {
            mark: MARK,
            sampler: Sampler::new(sampling, settings.seed),
        };
        // SAFETY: C promises memory for a sampler, which is not shorter and
        // not less aligned than what it holds.
        unsafe { Out::new(sampler.cast()) }?.put(held);
        Ok(())
    };
    kgl_status::of(init())
}

/// Chooses a token from logits and remembers it. The logits are used up. Of
/// equal ones the lowest id wins.
///
/// # Safety
/// `sampler` is initialized, or zeros; `logits` has `n_logits` values; `token`
/// may be written.
#[no_mangle]
pub unsafe extern "C" fn kgl_choose(
    sampler: *mut kgl_sampler,
    logits: *mut i32,
    n_logits: usize,
    token: *mut u32,
) -> c_int {
    let choose = || {
        // SAFETY: C promises memory for the result, which nobody else uses.
        let token = unsafe { Out::new(token) }?;
        let (own, logits_at) = (Span::of(sampler, 1)?, Span::of(logits, n_logits)?);
        disjoint(&[own, logits_at, token.span()?])?;
        // SAFETY: the mark is the first word of the memory that C promises,
        // and any bits are a number.
        if unsafe { sampler.cast::<u32>().read() } != MARK {
            return Err(KGL_ERROR_NOT_READY);
        }
        // SAFETY: only `kgl_sampler_init` writes the mark, with the rest of
        // it; nobody else uses the sampler, and the logits do not lie in it.
        let held = unsafe { &mut *sampler.cast::<Held>() };
        // SAFETY: C promises `n_logits` values, which nobody else uses.
        let logits = unsafe { slice_mut(logits, n_logits) }?;
        token.put(held.sampler.sample(logits));
        Ok(())
    };
    kgl_status::of(choose())
}
