//! Training: text in, checkpoint out.
//!
//! The forward pass computes all positions of a sequence at once, as a
//! Transformer's does, and gives the logits that the recurrent step gives
//! position by position.

pub mod arch;
pub mod card;
pub mod curve;
pub mod data;
pub mod distill;
pub mod fit;
pub mod gradient;
mod muon;
pub mod optimizer;
pub mod prepare;
pub mod quantized;
pub mod real;
pub mod run;
pub mod save;
pub mod settings;
pub mod tape;
pub mod trainer;
pub mod vocabulary;
mod word_order;
