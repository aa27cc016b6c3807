//! The workstation side of Kinglet: reads RWKV checkpoints, quantizes and
//! packs them into images, runs and evaluates both.
//!
//! | room | what it does |
//! |---|---|
//! | [`checkpoint`] | `.safetensors` and `.pth` files -> named f32 tensors |
//! | [`model`] | version and dimensions of a checkpoint, its tensors checked |
//! | [`text`] | typography, marks between documents, unknown characters |
//! | [`labels`] | lines of text, tab and label |
//! | [`mod@reference`] | float forward pass, what images are compared with |
//! | [`quantize`] | f32 rows -> int8, int6 or int4 with scales, alone or by what they read |
//! | [`pack`] | a checkpoint -> the bytes that `kinglet::Image` reads |
//! | [`plan`] | which boards an image fits, and how fast it would be there |
//! | [`prime`] | named states: prompts that a board need not read |
//! | [`train`] | training: text -> checkpoint |
//! | [`tokenizer`] | vocabularies and `tokenizer.json`; builds the trie of an image |
//! | [`engine`] | image or checkpoint behind one interface |
//! | [`eval`] | bits per byte, divergence, agreement |
//! | [`report`] | a page about an image beside others of its checkpoint |
//! | [`threads`] | several threads for one token |
//! | [`mod@bench`] | tokens per second against memory bandwidth |
//! | [`tensors`] | a table for each version: name, shape and values of each tensor |
//! | [`synth`] | random checkpoints for tests and benches |
//! | [`input`] | whole files, up to a limit |
//! | [`output`] | output files, never half there |
//! | [`monitor`] | the console of a board |
//! | [`verify`] | what a firmware computes against what it should |
//! | [`project`] | a project of the user's own with the firmware of a board |
//! | [`cli`] | one file per subcommand of `kinglet` |
#![forbid(unsafe_code)]
#![warn(missing_docs, missing_debug_implementations)]

pub mod bench;
pub mod checkpoint;
pub mod cli;
pub mod engine;
pub mod eval;
pub mod export;
pub mod input;
pub mod labels;
mod linear;
pub mod misuse;
pub mod model;
pub mod monitor;
pub mod npy;
pub mod output;
pub mod pack;
pub mod plan;
pub mod prime;
pub mod project;
pub mod quantize;
pub mod random;
pub mod reference;
pub mod report;
mod simd;
pub mod synth;
pub mod tensors;
pub mod text;
pub mod threads;
pub mod tokenizer;
pub mod train;
pub mod verify;
