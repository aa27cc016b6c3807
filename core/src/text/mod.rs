//! Text: from a prompt to tokens, from logits to a token, from tokens to text.
//!
//! [`Text`] does all of it but the steps of the model. Its pieces can be used
//! alone: [`Prompt`] and [`Encoder`](crate::Encoder) read, a [`Sampler`] or an
//! [`Answer`] chooses, a [`Writer`] prints whole characters until the text ends.

mod answer;
mod generate;
mod probabilities;
mod sample;
mod softmax;
mod stop;
mod surprise;
mod utf8;
mod writer;

pub use answer::Answer;
#[cfg(feature = "metadata")]
pub use answer::Label;
pub use generate::{Error, Prompt, Text};
pub use probabilities::probabilities;
pub use sample::{Sampler, Sampling};
pub use surprise::bits;
pub use utf8::{Utf8Chunk, Utf8Stream};
pub use writer::{End, Writer};

/// The token that a text begins with where the prompt is empty: 0, which
/// ends a text in published vocabularies.
pub const START_TOKEN: u32 = 0;
