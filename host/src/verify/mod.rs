//! Whether a firmware computes what the workstation computes from the same
//! image: every token, the hash of all its logits, and the text.

mod difference;
mod expected;

pub use difference::{AtToken, Choice, Difference};
pub use expected::Expected;
