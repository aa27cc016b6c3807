//! The model that a subcommand runs, and the options for what its file lacks.

use super::bad_use;
use crate::checkpoint::Checkpoint;
use crate::engine::Engine;
use crate::model::{Convention, Model, Reading};
use crate::reference::DEFAULT_GN_EPS;
use anyhow::Result;
use std::path::{Path, PathBuf};

/// Facts that a checkpoint does not contain.
#[derive(Debug, clap::Args)]
pub struct ModelArgs {
    /// The tokenizer of a checkpoint, or of an image without one: a
    /// vocabulary as RWKV's World models have it, or a tokenizer.json of
    /// byte-level BPE as the Pile models have it
    #[arg(long, value_name = "FILE")]
    tokenizer: Option<PathBuf>,
    /// Epsilon of the group norm of an RWKV-5, 6 or 7 checkpoint [default: 64e-5]
    #[arg(long, value_name = "EPS", value_parser = gn_eps)]
    gn_eps: Option<f32>,
    #[command(flatten)]
    reading: ReadingArgs,
}

/// What a checkpoint's file does not say.
#[derive(Debug, clap::Args)]
pub struct ReadingArgs {
    /// Leave tensors out of a checkpoint that its version does not read: a name, in which `*` is any
    /// text. The file is then read as another model than it was trained to be
    #[arg(long, value_name = "PATTERN")]
    ignore: Vec<String>,
    /// Whose files a checkpoint is like, where it can be read in two ways
    #[arg(long, value_enum)]
    read_as: Option<Convention>,
    /// A checkpoint without a head uses its embedding for it
    #[arg(long)]
    tied_head: bool,
}

impl ReadingArgs {
    /// As the reader of checkpoints takes it.
    pub fn reading(&self) -> Reading {
        Reading {
            ignore: self.ignore.clone(),
            convention: self.read_as,
            tied_head: self.tied_head,
        }
    }

    /// Refuses what was said of a file that is an image.
    pub fn check_image(&self, file: &Path) -> Result<()> {
        if self.is_empty() {
            return Ok(());
        }
        let file = file.display();
        bad_use(format!(
            "{file}: an image was read when it was packed: leave out --ignore, --read-as and --tied-head"
        ))
    }

    /// Whether nothing was said.
    pub fn is_empty(&self) -> bool {
        self.ignore.is_empty() && self.read_as.is_none() && !self.tied_head
    }
}

/// Which epsilon is assumed where nobody says another, and why.
pub fn assumed_gn_eps() -> String {
    format!(
        "group norm epsilon {DEFAULT_GN_EPS}: assumed, since a checkpoint does not say it; published models are trained with it, \
         some small RWKV-5 models of other programs (the test files of rwkv.cpp) need --gn-eps 1e-5"
    )
}

/// Facts that an image may contain.
pub fn gn_eps(text: &str) -> Result<f32, String> {
    let eps: f32 = text.parse().map_err(|_| "not a number".to_owned())?;
    if (1e-12..=1.0).contains(&eps) {
        Ok(eps)
    } else {
        Err("must be between 1e-12 and 1".to_owned())
    }
}

impl ModelArgs {
    /// The file of the tokenizer.
    pub fn tokenizer(&self) -> Option<&PathBuf> {
        self.tokenizer.as_ref()
    }

    /// Opens the model in `file`.
    pub fn open(&self, file: &Path) -> Result<Engine> {
        let engine = self.open_compared(file)?;
        if engine.is_image() && self.gn_eps.is_some() {
            let file = file.display();
            return bad_use(format!(
                "{file}: an image has its own epsilon: leave out --gn-eps"
            ));
        }
        if engine.is_image() {
            self.reading.check_image(file)?;
        }
        Ok(engine)
    }

    /// Opens the model in `file`, where `--gn-eps` may be meant for its
    /// reference.
    pub fn open_compared(&self, file: &Path) -> Result<Engine> {
        let gn_eps = self.gn_eps.unwrap_or(DEFAULT_GN_EPS);
        let engine = Engine::open(file, gn_eps, &self.reading.reading())?;
        match &self.tokenizer {
            None => Ok(engine),
            Some(_) if engine.carries_tokenizer() => {
                let file = file.display();
                bad_use(format!(
                    "{file}: the file carries its tokenizer; leave out --tokenizer"
                ))
            }
            Some(tokenizer) => engine.with_tokenizer(tokenizer),
        }
    }

    /// Opens what `engine` is compared with: with the epsilon given, or else
    /// that of the image.
    pub fn open_reference(&self, file: &Path, engine: &Engine) -> Result<Engine> {
        Engine::open(file, self.reference_gn_eps(engine), &self.reading.reading())
    }

    /// The epsilon of what `engine` is compared with.
    pub fn reference_gn_eps(&self, engine: &Engine) -> f32 {
        let gn_eps = self.gn_eps.or(engine.gn_eps());
        gn_eps.unwrap_or(DEFAULT_GN_EPS)
    }

    /// The checkpoint in `file`.
    pub fn checkpoint(&self, file: &Path) -> Result<Model> {
        Model::new(Checkpoint::open(file)?, &self.reading.reading())
    }
}
