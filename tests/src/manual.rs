//! Programs that the documentation shows.

use crate::root;
use std::fs;

/// The content of a fenced block of the text, from `start` on.
pub fn block<'t>(text: &'t str, start: &str, fence: &str) -> &'t str {
    let (_, rest) = text.split_once(start).expect("the heading");
    let (_, rest) = rest.split_once(fence).expect("a block");
    rest.split_once("```").expect("its end").0
}

/// The chapter on firmware.
pub fn library() -> String {
    fs::read_to_string(root().join("docs/library.md")).expect("the manual")
}

/// Its smallest program, without the UART that it writes to.
pub fn smallest() -> String {
    let program = block(&library(), "## The smallest program\n", "```rust\n").to_owned();
    assert!(program.lines().filter(|line| !line.is_empty()).count() <= 15);
    assert!(!program.contains("unsafe"));
    program
}
