//! Options that say what to generate, as in `kinglet run`.

use anyhow::{Context, Result};
use clap::builder::{PossibleValuesParser, TypedValueParser};
use kinglet_protocol::{Name, Request};
use kinglet_targets::{Machine, MACHINES};
use std::path::PathBuf;

/// Accepts the names of the known machines; others are refused with a list.
pub fn machine_parser() -> impl TypedValueParser<Value = &'static Machine> {
    PossibleValuesParser::new(MACHINES.iter().map(|machine| machine.name))
        .map(|name| Machine::named(&name).expect("only names from the table are accepted"))
}

/// The beginning of the text.
#[derive(Debug, clap::Args)]
#[group(multiple = false)]
pub struct Prompt {
    /// The text to continue; an empty one starts from token 0
    #[arg(long, value_name = "TEXT")]
    prompt: Option<String>,
    /// A file that holds the prompt
    #[arg(long, value_name = "FILE")]
    prompt_file: Option<PathBuf>,
}

/// The state that a prompt starts from.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Origin {
    /// The state that the prompt starts from: a name that `kinglet prime` put into the image, or `empty`
    /// [default: `start`, if the image has it, else `empty`]
    #[arg(long, value_name = "NAME", value_parser = name)]
    from: Option<Name>,
}

fn name(text: &str) -> Result<Name, &'static str> {
    Name::new(text).ok_or("a name has at most 24 bytes")
}

impl Origin {
    /// The name in the request.
    pub fn name(&self) -> Name {
        self.from.unwrap_or_default()
    }

    /// The command of the console, if there is something to say.
    pub fn command(&self) -> String {
        let name = self.from.filter(|name| *name != Name::default());
        name.map_or_else(String::new, |name| format!("/from {}\n", name.as_str()))
    }
}

impl Prompt {
    /// The bytes of the prompt, if there is one.
    pub fn bytes(&self) -> Result<Option<Vec<u8>>> {
        match (&self.prompt, &self.prompt_file) {
            (Some(text), _) => Ok(Some(text.clone().into_bytes())),
            (None, Some(path)) => {
                let failed = || format!("cannot read {}", path.display());
                std::fs::read(path).with_context(failed).map(Some)
            }
            (None, None) => Ok(None),
        }
    }
}

/// How tokens are chosen.
// Its group would have the name of the one inside it.
#[derive(Clone, Debug, clap::Args)]
#[group(skip)]
pub struct Sampling {
    /// Tokens to generate [default: 32; on the console 100]
    #[arg(short, value_name = "N")]
    n: Option<u32>,
    #[command(flatten)]
    chosen: kinglet_options::Sampling,
}

impl Sampling {
    /// Greedy, `n` tokens.
    pub fn greedy(n: u32) -> Self {
        Self {
            n: Some(n),
            chosen: kinglet_options::Sampling::default(),
        }
    }

    /// The request to the firmware, for this prompt.
    pub fn request(&self, prompt: &[u8], every_logits: bool) -> Result<Request> {
        let prompt_bytes = u32::try_from(prompt.len()).context("the prompt is 4 GiB or longer")?;
        Ok(Request {
            prompt_bytes,
            from: Name::default(),
            tokens: self.n.unwrap_or(32),
            every_logits,
            temperature: self.chosen.temperature,
            top_k: self.chosen.top_k,
            top_p: self.chosen.top_p,
            repetition_penalty: self.chosen.repetition_penalty,
            seed: self.chosen.seed,
            in_blocks: false,
            slice_weights: 0,
            resumed: false,
        })
    }

    /// A line of the console's commands for what differs from its defaults.
    pub fn commands(&self) -> String {
        let chosen = self.chosen;
        let temperature = chosen.temperature;
        let penalty = chosen.repetition_penalty;
        let commands = [
            self.n.map(|n| format!("/n {n}")),
            (temperature != 0.0).then(|| format!("/temperature {temperature}")),
            (chosen.top_k != 0).then(|| format!("/top-k {}", chosen.top_k)),
            (chosen.top_p != 1.0).then(|| format!("/top-p {}", chosen.top_p)),
            (penalty != 1.0).then(|| format!("/repetition-penalty {penalty}")),
            (chosen.seed != 0).then(|| format!("/seed {}", chosen.seed)),
        ];
        let commands: Vec<_> = commands.into_iter().flatten().collect();
        if commands.is_empty() {
            String::new()
        } else {
            commands.join(" ") + "\n"
        }
    }
}
