//! Options that `kinglet` and `cargo xtask` have in common.
//!
//! A separate crate, so that `cargo xtask` does not compile the whole
//! workstation side.
#![deny(missing_docs)]

/// How tokens are chosen: what `kinglet::Sampling` holds, and a seed.
#[derive(Clone, Copy, Debug, PartialEq, clap::Args)]
pub struct Sampling {
    /// Randomness: 0 takes the likeliest token
    #[arg(long, default_value_t = 0.0, value_parser = non_negative)]
    pub temperature: f32,
    /// Draw from the K likeliest tokens only; 0 is no limit
    #[arg(long, default_value_t = 0, value_name = "K")]
    pub top_k: u32,
    /// Draw from the likeliest tokens that together have probability P
    #[arg(long, default_value_t = 1.0, value_name = "P", value_parser = share)]
    pub top_p: f32,
    /// Divide the logits of the last 64 tokens by this; 1 is off
    #[arg(long, default_value_t = 1.0, value_name = "X", value_parser = positive)]
    pub repetition_penalty: f32,
    /// The same seed gives the same tokens on every machine
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
}

/// Defaults: greedy.
impl Default for Sampling {
    fn default() -> Self {
        Self {
            temperature: 0.0,
            top_k: 0,
            top_p: 1.0,
            repetition_penalty: 1.0,
            seed: 0,
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
    number(text, |value| value >= 0.0, "a finite number, 0 or more")
}

fn positive(text: &str) -> Result<f32, String> {
    number(text, |value| value > 0.0, "a finite number, more than 0")
}

fn share(text: &str) -> Result<f32, String> {
    number(
        text,
        |value| (0.0..=1.0).contains(&value),
        "between 0 and 1",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Debug, Parser)]
    struct Program {
        #[command(flatten)]
        sampling: Sampling,
    }

    fn parse(arguments: &[&str]) -> Result<Sampling, String> {
        let program = Program::try_parse_from([&["program"], arguments].concat());
        Ok(program.map_err(|error| error.to_string())?.sampling)
    }

    #[test]
    fn no_option_is_the_default() {
        assert_eq!(parse(&[]), Ok(Sampling::default()));
    }

    #[test]
    fn every_option_sets_its_field() {
        let found = parse(&[
            "--temperature=0.8",
            "--top-k=40",
            "--top-p=0.9",
            "--repetition-penalty=1.2",
            "--seed=18446744073709551615",
        ]);
        let expected = Sampling {
            temperature: 0.8,
            top_k: 40,
            top_p: 0.9,
            repetition_penalty: 1.2,
            seed: u64::MAX,
        };
        assert_eq!(found, Ok(expected));
    }

    #[test]
    fn values_that_mean_nothing_are_refused_with_what_would() {
        for (argument, advice) in [
            ("--temperature=-1", "must be a finite number, 0 or more"),
            ("--temperature=inf", "must be a finite number, 0 or more"),
            ("--temperature=warm", "not a number"),
            ("--top-p=1.1", "must be between 0 and 1"),
            ("--top-p=NaN", "must be between 0 and 1"),
            (
                "--repetition-penalty=0",
                "must be a finite number, more than 0",
            ),
        ] {
            let refusal = parse(&[argument]).expect_err(argument);
            assert!(refusal.contains(advice), "{refusal}");
        }
    }
}
