//! Kinglet runs RWKV language models on microcontrollers.
//!
//! RWKV (Peng et al., arXiv 2305.13048) is a recurrent network that trains like
//! a Transformer, while each step of inference costs the same work and the same
//! memory. This crate runs such models with int8, int6 or int4 weights, without a
//! heap, without floating point and without a panic.
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
//! let mut state = vec![0; image.shape().state_len()];
//! let mut scratch = vec![0; image.shape().scratch_len()];
//! let mut session = Session::new(&image, &mut state, &mut scratch)?;
//! let mut sampler = Sampler::new(Sampling::greedy(), 0);
//!
//! let text = Text::new(&image, 20)?;
//! text.generate(&mut session, b"Once upon a time", &mut sampler, |piece| print!("{piece}"))?;
//! # Ok::<(), kinglet::Error>(())
//! ```
//!
//! # Memory
//! The flash holds the image, which is read where it lies. RAM holds two
//! slices of `i32` of the caller: the state, [`Shape::state_len`] words, and
//! the scratch, [`Shape::scratch_len`] words or, where the logits are
//! computed block by block, [`Shape::scratch_len_in_blocks`]. Nothing else
//! grows with the model. All lengths are known at compile time:
//!
//! ```
//! use kinglet::{Header, Image, Session, Shape};
#![doc = concat!("const BYTES: &[u8] = kinglet::include_image!(\"", env!("CARGO_MANIFEST_DIR"), "/tests/data/tiny.kgl\");")]
//!
//! // An image for another build is a compile error, which says what to do.
//! const SHAPE: Shape = Header::expect(BYTES).shape;
//! let mut state = [0; SHAPE.state_len()];
//! let mut scratch = [0; SHAPE.scratch_len_in_blocks()];
//! let image = Image::new(BYTES)?;
//! let session = Session::new(&image, &mut state, &mut scratch)?;
//! # assert_eq!(session.state().len(), SHAPE.state_len());
//! # Ok::<(), kinglet::Error>(())
//! ```
//!
//! # Parts
//! | to | there is |
//! |---|---|
//! | check the bytes of a model | [`Image`], [`Header`], [`include_image!`] |
//! | compute logits from tokens | [`Session`], and [`Step`] for slices of a token |
//! | choose a token from logits | [`Sampler`], or any [`Sample`] |
//! | turn a prompt into tokens, tokens into text | [`Text`], [`Encoder`], [`Writer`] |
//! | classify with a model of labels | [`Answer`] |
//! | measure how well a token was predicted | [`bits`] |
//! | have floats | [`logit_to_f32`], [`probabilities`], [`Answer::probability`] |
//! | plan memory | [`Shape`] |
//! | keep a state in flash | `snapshot` |
//! | compare runs on two machines | [`hash::logits_hash`], [`hash::Hashed`] |
//! | share the work of a step among threads | [`arch::Executor`] |
//! | write images, as the program `kinglet` does | [`image`], [`shape`] |
//!
//! # Features
//! Each feature adds code; none needs a heap.
//!
//! | feature | adds |
//! |---|---|
//! | `versions` (default) | `v4`, `v5`, `v6` and `v7` |
//! | `v4`, `v5`, `v6`, `v7` | the recurrence of one RWKV version: at least one is needed |
//! | `trie` (default) | vocabularies of more than bytes |
//! | `int6` (default) | weights of six bits |
//! | `fine` (default) | vectors of 16 bits for matrices that want them |
//! | `states` (default) | named states in images |
//! | `metadata` | `Image::metadata` and the names of labels |
//! | `snapshot` | the module `snapshot`: states in NOR flash |
//! | `all-layouts` | portable kernels for images of other families of cores |
//! | `m55` | the kernels of a Cortex-M55, whose target triple is also the Cortex-M33's |
//! | `std` | vectors of a workstation's processor, found at run time |
//! | `defmt` | `defmt::Format` for errors, settings and headers |
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

// With all features the documentation of bare-metal targets is built, which have none.
#[cfg(any(test, all(feature = "std", not(target_os = "none"))))]
#[allow(unused_extern_crates)]
extern crate std;

pub mod arch;
pub mod hash;
pub mod image;
mod layers;
mod number;
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
pub use session::{logit_to_f32, BufferError, Sample, Session, Step, StepError, LOGIT_BITS};
pub use shape::Shape;
#[cfg(feature = "metadata")]
pub use text::Label;
pub use text::{
    bits, probabilities, Answer, End, Error, Prompt, Sampler, Sampling, Text, Utf8Chunk,
    Utf8Stream, Writer, START_TOKEN,
};
pub use tokenizer::{Encoder, TokenText, Tokenizer, UnknownByte};

/// Whether this crate was compiled for speed. Cargo compiles a dependency at
/// the optimization level of the firmware's profile; where that is `"s"` or
/// `"z"`, a product takes up to 17 % more instructions until `Cargo.toml` says
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
