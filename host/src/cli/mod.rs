//! The program `kinglet`: one file per subcommand.

mod bench;
mod eval;
mod export;
mod fit;
mod inspect;
mod logits;
mod model;
mod monitor;
mod output;
mod plan;
mod precisions;
mod prime;
mod prompt;
mod quantize;
mod run;
mod start;
mod synth;
mod table;
mod train;

use crate::monitor::shown;
use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// RWKV language models on microcontrollers: quantize, inspect, prime, run, evaluate.
#[derive(Debug, Parser)]
#[command(name = "kinglet", version, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Quantize(quantize::Args),
    Inspect(inspect::Args),
    Export(export::Args),
    Plan(plan::Args),
    Prime(prime::Args),
    Run(run::Args),
    Monitor(monitor::Args),
    Logits(logits::Args),
    Eval(eval::Args),
    Synth(synth::Args),
    Train(Box<train::Args>),
    Bench(bench::Args),
}

/// Arguments that do not fit their files: exit code 2.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct BadUse(String);

/// Ends a command with bad use.
fn bad_use<T>(message: impl ToString) -> anyhow::Result<T> {
    Err(BadUse(message.to_string()).into())
}

/// Runs the program. Exit code 0 is success, 1 failure, 2 bad use.
pub fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Quantize(args) => quantize::run(&args),
        Command::Inspect(args) => inspect::run(&args),
        Command::Export(args) => export::run(&args),
        Command::Plan(args) => plan::run(&args),
        Command::Prime(args) => prime::run(&args),
        Command::Run(args) => run::run(&args),
        Command::Monitor(args) => monitor::run(&args),
        Command::Logits(args) => logits::run(&args),
        Command::Eval(args) => eval::run(&args),
        Command::Synth(args) => synth::run(&args),
        Command::Train(args) => train::run(&args),
        Command::Bench(args) => bench::run(&args),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        // The reader of our output went away, as `head` does: not an error.
        Err(error) if output::is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) if error.is::<BadUse>() => {
            eprintln!("error: {}", shown(&error.to_string()));
            ExitCode::from(2)
        }
        Err(error) => {
            eprintln!("error: {}", shown(&format!("{error:#}")));
            ExitCode::FAILURE
        }
    }
}
