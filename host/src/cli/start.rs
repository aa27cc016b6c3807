//! Where a text starts: empty, or at a state of the image.

use super::bad_use;
use crate::engine::{Engine, Runner};
use anyhow::Result;
use kinglet::image::{EMPTY_STATE, START_STATE};
use std::path::Path;

/// The choice of a state that a board makes.
#[derive(Debug, clap::Args)]
pub struct BoardStart {
    /// The state of the image that a prompt starts from, or `empty`
    /// [default: `start`, if the image has it, else `empty`]
    #[arg(
        long,
        value_name = "NAME",
        default_value = "",
        hide_default_value = true
    )]
    pub from: String,
}

/// The choice of a state by name.
#[derive(Clone, Copy, Debug)]
pub struct Origin<'a> {
    /// Without a name: `start`, where there is one.
    name: Option<&'a str>,
}

/// A runner at its start.
#[derive(Debug)]
pub struct Start<'e> {
    /// The runner, which has read all of the text but its last token.
    pub runner: Runner<'e>,
    /// The last token of the text; none of an empty one, or of a tuned state.
    pub next_token: Option<u32>,
    /// Tokens of the text.
    pub tokens: u32,
}

impl<'a> Origin<'a> {
    pub fn new(name: Option<&'a str>) -> Self {
        Self { name }
    }

    /// Starts the model in `file`.
    pub fn start<'e>(&self, engine: &'e Engine, file: &Path) -> Result<Start<'e>> {
        let mut runner = engine.runner();
        let name = self.name.unwrap_or(START_STATE);
        if name != EMPTY_STATE {
            if let Some((tokens, next_token)) = runner.start_from(name) {
                return Ok(Start {
                    runner,
                    next_token,
                    tokens,
                });
            }
            if self.name.is_some() {
                return no_such_state(engine, file, name);
            }
        }
        Ok(Start {
            runner,
            next_token: None,
            tokens: 0,
        })
    }
}

fn no_such_state<T>(engine: &Engine, file: &Path, name: &str) -> Result<T> {
    let names = engine.state_names();
    let file = file.display();
    bad_use(if names.is_empty() {
        format!("{file}: there is no state `{name}`, nor any other; `kinglet prime` puts states into an image")
    } else {
        let names = names.join("`, `");
        format!("{file}: there is no state `{name}`; there are `{names}`, and `{EMPTY_STATE}`")
    })
}
