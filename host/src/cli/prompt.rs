//! Prompts: the text or the token ids that a subcommand starts from.

use super::bad_use;
use super::mention;
use crate::checkpoint::Checkpoint;
use crate::engine::Engine;
use crate::input;
use crate::text::{noun, Unknown};
use anyhow::{Context, Result};
use kinglet::image::MAGIC;
use std::path::PathBuf;

/// The prompt, and how it is read.
#[derive(Debug, clap::Args)]
pub struct Prompt {
    #[command(flatten)]
    source: Source,
    /// What becomes of characters that the vocabulary lacks
    #[arg(long, value_enum, default_value = "refuse")]
    unknown: Unknown,
}

/// Where it comes from; at most one of the three.
#[derive(Debug, clap::Args)]
#[group(multiple = false)]
struct Source {
    /// The text to continue
    #[arg(long, value_name = "TEXT")]
    prompt: Option<String>,
    /// A file that holds it; need not be UTF-8
    #[arg(long, value_name = "FILE")]
    prompt_file: Option<PathBuf>,
    /// Token ids in place of text, separated by commas
    #[arg(long, value_name = "IDS", value_delimiter = ',')]
    tokens: Option<Vec<u32>>,
}

impl Prompt {
    /// The file that holds it.
    pub fn file(&self) -> Option<&PathBuf> {
        self.source.prompt_file.as_ref()
    }

    /// Whether none was given.
    pub fn is_none(&self) -> bool {
        let source = &self.source;
        source.prompt.is_none() && source.prompt_file.is_none() && source.tokens.is_none()
    }

    /// What becomes of characters that the vocabulary lacks.
    pub fn unknown(&self) -> Unknown {
        self.unknown
    }

    /// The prompt as tokens, none for an empty one.
    pub fn tokens(&self, engine: &Engine) -> Result<Vec<u32>> {
        let source = &self.source;
        if let Some(tokens) = &source.tokens {
            return Ok(tokens.clone());
        }
        let text = match (&source.prompt, &source.prompt_file) {
            (Some(text), _) => text.clone().into_bytes(),
            (None, Some(path)) => {
                let bytes = input::read(path, input::MOST_SMALL_BYTES)?;
                if let Some(kind) = no_text(&bytes) {
                    return bad_use(format!("{}: {kind}", path.display()));
                }
                bytes
            }
            (None, None) => Vec::new(),
        };
        if text.is_empty() {
            return Ok(Vec::new());
        }
        let (tokens, unknown) = engine.encode(&text, self.unknown).context("the prompt")?;
        if unknown > 0 {
            mention(format_args!(
                "warning: the vocabulary lacks {unknown} {} of the prompt",
                noun(unknown as u64, "character", "characters")
            ));
        }
        Ok(tokens)
    }
}

/// What a file is that is no text, by its first bytes.
fn no_text(bytes: &[u8]) -> Option<&'static str> {
    match Checkpoint::sniff(bytes) {
        _ if bytes.starts_with(&MAGIC) => Some("is an image, no text"),
        Some(_) => Some("is a checkpoint, no text: `kinglet prime --state` takes a tuned state"),
        None => {
            Checkpoint::is_binary(bytes).then_some("is no text: give a file that holds the prompt")
        }
    }
}
