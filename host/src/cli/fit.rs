//! Boards by name, and sentences about one that has no room for an image.

use super::bad_use;
use super::table::thousands;
use crate::plan::{self, advice, Advice, Fit, Planned};
use anyhow::{bail, Result};
use kinglet::shape::Layout;
use kinglet_targets::{Board, Boards};
use std::path::Path;

/// The board with this name; that there is none is bad use.
pub fn named<'b>(boards: &'b Boards, name: &str) -> Result<&'b Board> {
    boards.named(name).or_else(bad_use)
}

/// An image for other cores would not start there.
pub fn check_layout(image: &Path, layout: Layout, board: &Board) -> Result<()> {
    if layout == plan::layout(board.core) {
        return Ok(());
    }
    let (path, name, core) = (image.display(), &board.name, board.core.name);
    bad_use(format!(
        "{path}: packed for other cores than that of {name}: pack it with `kinglet quantize --board {name}` or `--target {core}`"
    ))
}

/// Refuses an image that the board has no room for.
pub fn check_fits(image: &Planned, board: &Board, path: &Path) -> Result<()> {
    let fit = Fit::new(image, board);
    let missing = |what, free: i64| format!("{} bytes of {what}", thousands(free.unsigned_abs()));
    let missing = match (fit.flash_free < 0, fit.ram_free < 0) {
        (false, false) => return Ok(()),
        (true, false) => missing("flash", fit.flash_free),
        (false, true) => missing("RAM", fit.ram_free),
        (true, true) => {
            let flash = missing("flash", fit.flash_free);
            format!("{flash} and {}", missing("RAM", fit.ram_free))
        }
    };
    bail!(
        "{}: not written, because {} lacks {missing} for it; {}",
        path.display(),
        board.name,
        advice_sentence(image, board)
    )
}

/// What would fit in the place of a model that does not.
pub fn advice_sentence(image: &Planned, board: &Board) -> String {
    let Some(Advice { options, channels }) = advice(image, board) else {
        return "no model with this vocabulary and as many layers would".to_owned();
    };
    let options = options.join(" ");
    match channels {
        None => format!("{options} would"),
        Some(channels) => {
            let with = if options.is_empty() { "" } else { " with " };
            format!(
                "{channels} channels{with}{options} would, instead of {}",
                image.shape.n_embd
            )
        }
    }
}
