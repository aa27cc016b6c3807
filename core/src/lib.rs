//! Kinglet runs RWKV language models on microcontrollers.
//!
//! RWKV (Peng et al., arXiv 2305.13048) is a recurrent network that trains
//! like a Transformer, while each step of inference costs the same work and
//! the same memory. This crate runs such models with int8 or int4 weights, without a
//! heap, without a float library and without a panic.
//!
//! Four principles:
//! 1. **One arithmetic.** The same image and the same tokens give the same
//!    bits on every core and on the workstation.
//! 2. **Memory belongs to the caller.** The image is read in place; state
//!    and scratch are buffers whose lengths are `const` functions of its header.
//! 3. **Check once, then trust.** [`Image::new`] validates; after it nothing
//!    can fail.
//! 4. **Portable first, fast beside it.** Each port to a processor equals
//!    the portable code bit for bit.
//!
//! # Example
//! ```
//! use kinglet::{Image, Sampler, Sampling, Session, Text};
#![doc = concat!("let bytes = kinglet::include_image!(\"", env!("CARGO_MANIFEST_DIR"), "/tests/data/tiny.kgl\");")]
//!
//! let image = Image::new(bytes)?;
//! // On a board these are two `static` arrays: their lengths can be computed
//! // at compile time, from `Header::parse(bytes)`.
//! let mut state = vec![0.0; image.shape().state_len()];
//! let mut scratch = vec![0.0; image.shape().scratch_len()];
//! let mut session = Session::new(&image, &mut state, &mut scratch)?;
//! let mut sampler = Sampler::new(Sampling::greedy(), 0);
//!
//! let mut text = Text::new(&image, 20)?;
//! for token in text.prompt(b"Once upon a time") {
//!     session.feed(&[token?])?;
//! }
//! while text.end().is_none() {
//!     let token = session.choose(text.token(), &mut sampler)?;
//!     text.push(token, |piece| print!("{piece}"));
//! }
//! # Ok::<(), kinglet::Error>(())
//! ```
#![no_std]
#![deny(missing_docs, unsafe_op_in_unsafe_fn)]
#![warn(missing_debug_implementations)]
// A build without some of the versions has no use for what only they need.
#![cfg_attr(
    not(feature = "versions"),
    allow(dead_code, unused_imports, unused_variables)
)]

#[cfg(target_endian = "big")]
compile_error!("images are little-endian and read in place: big-endian cores are not supported");

#[cfg(any(test, feature = "std"))]
#[allow(unused_extern_crates)]
extern crate std;

pub mod arch;
pub mod hash;
pub mod image;
mod layers;
pub mod number;
mod pieces;
mod random;
mod session;
pub mod shape;
#[cfg(feature = "snapshot")]
pub mod snapshot;
mod text;
pub mod tokenizer;

pub use image::{Header, Image, ImageError};
pub use random::Pcg32;
#[cfg(feature = "states")]
pub use session::UnknownState;
pub use session::{BufferError, Sample, Session, Step, StepError};
pub use shape::Shape;
#[cfg(feature = "metadata")]
pub use text::Label;
pub use text::{
    bits, Answer, End, Error, Prompt, Sampler, Sampling, Text, Utf8Chunk, Utf8Stream, Writer,
    START_TOKEN,
};
pub use tokenizer::{Encoder, TokenText, Tokenizer, UnknownByte};

/// Whether this crate was compiled for speed. Cargo compiles a dependency at
/// the optimization level of the firmware's profile; where that is `"s"` or
/// `"z"`, a token takes some 2 % more instructions until `Cargo.toml` says
///
/// ```toml
/// [profile.release.package.kinglet]
/// opt-level = 3
/// ```
///
/// With that line the rest of the firmware can be optimized for size: none of a
/// token's work is compiled there. To check it:
///
/// ```
/// const _: () = assert!(kinglet::OPTIMIZED_FOR_SPEED, "kinglet is compiled for size");
/// ```
pub const OPTIMIZED_FOR_SPEED: bool = cfg!(kinglet_fast);
