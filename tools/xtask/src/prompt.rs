//! Options that say what to generate, as in `kinglet run`.

use anyhow::{Context, Result};
use clap::builder::{PossibleValuesParser, TypedValueParser};
use kinglet_protocol::{Machine, Request, MACHINES};
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
    /// The text to go on with; an empty one starts from token 0
    #[arg(long, value_name = "TEXT")]
    prompt: Option<String>,
    /// A file that holds the prompt
    #[arg(long, value_name = "FILE")]
    prompt_file: Option<PathBuf>,
}

impl Prompt {
    /// The bytes of the prompt, if there is one.
    pub fn bytes(&self) -> Result<Option<Vec<u8>>> {
        match (&self.prompt, &self.prompt_file) {
            (Some(text), _) => Ok(Some(text.clone().into_bytes())),
            (None, Some(path)) => {
                let bytes = std::fs::read(path);
                Ok(Some(bytes.with_context(|| {
                    format!("cannot read {}", path.display())
                })?))
            }
            (None, None) => Ok(None),
        }
    }
}

/// How tokens are chosen.
#[derive(Clone, Debug, clap::Args)]
pub struct Sampling {
    /// Tokens to generate [default: 32; on the console 100]
    #[arg(short, value_name = "N")]
    n: Option<u32>,
    /// 0 takes the likeliest token; higher is more varied
    #[arg(long, default_value_t = 0.0, value_parser = non_negative)]
    temperature: f32,
    /// Draw from the K likeliest tokens only; 0 is no limit
    #[arg(long, default_value_t = 0, value_name = "K")]
    top_k: u32,
    /// Draw from the likeliest tokens that together have probability P
    #[arg(long, default_value_t = 1.0, value_name = "P", value_parser = share)]
    top_p: f32,
    /// Divide the logits of the last 64 tokens by this; 1 is off
    #[arg(long, default_value_t = 1.0, value_name = "X", value_parser = positive)]
    repetition_penalty: f32,
    /// The same seed draws the same tokens, on every machine
    #[arg(long, default_value_t = 0)]
    seed: u64,
}

impl Sampling {
    /// Greedy, `n` tokens.
    pub fn greedy(n: u32) -> Self {
        Self {
            n: Some(n),
            temperature: 0.0,
            top_k: 0,
            top_p: 1.0,
            repetition_penalty: 1.0,
            seed: 0,
        }
    }

    /// What the firmware is asked, for a prompt of so many bytes.
    pub fn request(&self, prompt: &[u8], every_logits: bool) -> Result<Request> {
        let prompt_bytes = u32::try_from(prompt.len()).context("the prompt is 4 GiB or longer")?;
        Ok(Request {
            prompt_bytes,
            tokens: self.n.unwrap_or(32),
            every_logits,
            temperature: self.temperature,
            top_k: self.top_k,
            top_p: self.top_p,
            repetition_penalty: self.repetition_penalty,
            seed: self.seed,
        })
    }

    /// A line of the console's commands for what differs from its defaults.
    pub fn commands(&self) -> String {
        let mut commands = String::new();
        let mut set = |differs, name, value: String| {
            if differs {
                commands += &format!("/{name} {value} ");
            }
        };
        set(
            self.n.is_some(),
            "n",
            self.n.unwrap_or_default().to_string(),
        );
        set(
            self.temperature != 0.0,
            "temperature",
            self.temperature.to_string(),
        );
        set(self.top_k != 0, "top-k", self.top_k.to_string());
        set(self.top_p != 1.0, "top-p", self.top_p.to_string());
        let penalty = self.repetition_penalty;
        set(penalty != 1.0, "repetition-penalty", penalty.to_string());
        set(self.seed != 0, "seed", self.seed.to_string());
        if commands.is_empty() {
            commands
        } else {
            commands.trim_end().to_owned() + "\n"
        }
    }
}

fn number(text: &str, holds: impl Fn(f32) -> bool, what: &str) -> Result<f32, String> {
    let value: f32 = text.parse().map_err(|_| "not a number".to_owned())?;
    if value.is_finite() && holds(value) {
        Ok(value)
    } else {
        Err(format!("must be {what}"))
    }
}

fn non_negative(text: &str) -> Result<f32, String> {
    number(text, |value| value >= 0.0, "0 or more")
}

fn positive(text: &str) -> Result<f32, String> {
    number(text, |value| value > 0.0, "more than 0")
}

fn share(text: &str) -> Result<f32, String> {
    number(
        text,
        |value| (0.0..=1.0).contains(&value),
        "between 0 and 1",
    )
}
