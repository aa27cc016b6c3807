//! Kinglet for programs in C: `include/kinglet.h` is generated from this source.
//!
//! All memory is the caller's, nothing is allocated, nothing panics: an error
//! is a negative number. Every pointer is checked for NULL and alignment, and
//! every length against the address space; only the caller can know that the
//! memory is there.
//!
//! No reference to the caller's memory outlives a call, so between calls a
//! program may read and write its buffers, for instance save the state.
#![no_std]
#![allow(non_camel_case_types)]
#![deny(missing_docs, unsafe_op_in_unsafe_fn)]

mod answer;
mod hash;
mod image;
mod memory;
mod sampler;
mod session;
mod slices;
mod status;
mod text;

pub use answer::{kgl_answer, kgl_class};
pub use hash::{kgl_hash, KGL_HASH_BYTES};
pub use image::{kgl_image_check, kgl_info};
pub use sampler::{kgl_choose, kgl_sampler, kgl_sampler_init, kgl_sampling, KGL_SAMPLER_WORDS};
pub use session::{
    kgl_feed, kgl_reset, kgl_session, kgl_session_init, kgl_start_from, kgl_step, KGL_LOGIT_BITS,
    KGL_SESSION_WORDS,
};
pub use slices::{kgl_advance, kgl_begin, kgl_logits};
pub use status::{kgl_error_text, kgl_status};
pub use text::{kgl_decode, kgl_encode, KGL_START_TOKEN, KGL_TOKEN_BYTES};

/// Nothing in the library reaches it, which a test of the linked program shows.
#[panic_handler]
fn halt(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {
        core::hint::spin_loop();
    }
}
