//! Training: text in, checkpoint out.
//!
//! The forward pass computes all positions of a sequence at once, as a
//! Transformer's does, and gives the logits that the recurrent step gives
//! position by position.

pub mod arch;
pub mod real;
pub mod tape;
pub mod data;
pub mod gradient;
pub mod optimizer;
pub mod quantized;
pub mod trainer;
pub mod vocabulary;
