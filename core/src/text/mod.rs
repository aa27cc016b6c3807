//! Text: into tokens and back, chosen from logits, judged.

mod answer;
mod sample;
mod surprise;
pub mod tokenizer;
mod utf8;

pub use answer::Answer;
pub use sample::{BlockSampler, NotInBlocks, Sampler, Sampling};
pub use surprise::bits;
pub use tokenizer::{Encoder, TokenText, Tokenizer, UnknownByte};
pub use utf8::{Utf8Chunk, Utf8Stream};

/// The token that a text begins with where the prompt is empty: 0, which
/// ends a text in published vocabularies.
pub const START_TOKEN: u32 = 0;
