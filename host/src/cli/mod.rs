//! The program `kinglet`: one file per subcommand.

mod bench;
mod calibration;
mod completions;
mod eval;
mod export;
mod fit;
mod formats;
mod inspect;
mod lines;
mod logits;
mod model;
mod monitor;
mod new;
mod output;
mod plan;
mod prime;
mod prompt;
mod quantize;
mod report;
mod run;
mod sizes;
mod start;
mod synth;
mod table;
mod train;
mod verify;

use crate::misuse::BadUse;
use crate::text::shown_line;
use clap::error::ContextKind;
use clap::{ArgMatches, CommandFactory, FromArgMatches, Parser, Subcommand};
use std::error::Error;
use std::fmt::Display;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};

/// RWKV language models on microcontrollers: quantize, inspect, prime, run, evaluate.
#[derive(Debug, Parser)]
#[command(name = "kinglet", version, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    /// Only results and errors: no progress, notes or warnings
    #[arg(short, long, global = true)]
    quiet: bool,
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
    Verify(verify::Args),
    New(new::Args),
    Logits(logits::Args),
    Eval(eval::Args),
    Synth(synth::Args),
    Train(Box<train::Args>),
    Bench(bench::Args),
    Completions(completions::Args),
}

/// A command that a signal ended, and what is left of its work: exit code 130,
/// as of a program that does not listen.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Interrupted(String);

/// Ends a command with bad use.
fn bad_use<T>(message: impl ToString) -> anyhow::Result<T> {
    Err(BadUse(message.to_string()).into())
}

/// Refuses `-` as a file, wherever a subcommand takes one: neither standard
/// stream is meant in secret.
fn check_dash(matches: &ArgMatches) -> Result<(), clap::Error> {
    let Some((name, matches)) = matches.subcommand() else {
        return Ok(());
    };
    for id in matches.ids() {
        // Arguments of other types are no files.
        let Ok(Some(mut paths)) = matches.try_get_many::<PathBuf>(id.as_str()) else {
            continue;
        };
        if paths.any(|path| path == Path::new("-")) {
            let text = format!(
                "`-` is no file for `kinglet {name}`: name one; /dev/stdin and /dev/stdout are the standard streams, ./- a file"
            );
            return Err(Cli::command().error(clap::error::ErrorKind::InvalidValue, text));
        }
    }
    Ok(())
}

/// Makes `-1` the value of the option before it: that option says what is wrong with
/// it.
fn with_negative_numbers(command: clap::Command) -> clap::Command {
    command.mut_args(|arg| {
        let has_value = arg.get_action().takes_values() && !arg.is_positional();
        arg.allow_negative_numbers(has_value)
    })
}

/// What the language's own parsers say of numbers, and what that means.
const OF_NUMBERS: [(&str, &str); 6] = [
    (
        "invalid digit found in string",
        "not a whole number of 0 or more",
    ),
    (
        "number too large to fit in target type",
        "too large a number",
    ),
    (
        "number too small to fit in target type",
        "too small a number",
    ),
    (
        "cannot parse integer from empty string",
        "a number is missing",
    ),
    ("invalid float literal", "not a number"),
    (
        "cannot parse float from empty string",
        "a number is missing",
    ),
];

/// The same error, where a number is wrong in words for people.
fn in_plain_words(error: clap::Error) -> clap::Error {
    let said = error.source().map(ToString::to_string).unwrap_or_default();
    let Some((_, plain)) = OF_NUMBERS.iter().find(|(own, _)| *own == said) else {
        return error;
    };
    let text = |kind| error.get(kind).map(ToString::to_string).unwrap_or_default();
    let (value, arg) = (
        text(ContextKind::InvalidValue),
        text(ContextKind::InvalidArg),
    );
    let problem = format!(
        "invalid value '{value}' for '{arg}': {plain}\n\nFor more information, try '--help'.\n"
    );
    clap::Error::raw(error.kind(), problem)
}

/// Whether an error is one of writing to a full device, and of no file that is named:
/// of standard output.
fn is_full_output(error: &anyhow::Error) -> bool {
    let own = error.downcast_ref::<io::Error>();
    error.chain().count() == 1 && own.is_some_and(|own| own.kind() == io::ErrorKind::StorageFull)
}

fn parse() -> Result<Cli, clap::Error> {
    let command = Cli::command().mut_subcommands(with_negative_numbers);
    let matches = command.try_get_matches().map_err(in_plain_words)?;
    check_dash(&matches)?;
    Cli::from_arg_matches(&matches)
}

/// Whether only results and errors are told.
static IS_QUIET: AtomicBool = AtomicBool::new(false);

fn is_quiet() -> bool {
    IS_QUIET.load(Ordering::Relaxed)
}

/// Tells what goes on, unless all is to be quiet.
fn mention(text: impl Display) {
    if !is_quiet() {
        complain(text);
    }
}

/// Writes to standard error. A reader that went away is no reason to stop, nor to
/// end with another exit code.
fn complain(text: impl Display) {
    let _ = writeln!(io::stderr(), "{text}");
}

/// Runs the program. Exit code 0 is success, 1 failure, 2 bad use,
/// 130 an end by Ctrl-C.
pub fn main() -> ExitCode {
    let cli = parse().unwrap_or_else(|error| error.exit());
    IS_QUIET.store(cli.quiet, Ordering::Relaxed);
    let result = match cli.command {
        Command::Quantize(args) => quantize::run(&args),
        Command::Inspect(args) => inspect::run(&args),
        Command::Export(args) => export::run(&args),
        Command::Plan(args) => plan::run(&args),
        Command::Prime(args) => prime::run(&args),
        Command::Run(args) => run::run(&args),
        Command::Monitor(args) => monitor::run(&args),
        Command::Verify(args) => verify::run(&args),
        Command::New(args) => new::run(&args),
        Command::Logits(args) => logits::run(&args),
        Command::Eval(args) => eval::run(&args),
        Command::Synth(args) => synth::run(&args),
        Command::Train(args) => train::run(&args),
        Command::Bench(args) => bench::run(&args),
        Command::Completions(args) => completions::run(&args),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        // The reader of our output went away, as `head` does: not an error.
        Err(error) if output::is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) if error.is::<BadUse>() => {
            complain(shown_line(&format!("error: {error:#}")));
            ExitCode::from(2)
        }
        Err(error) if is_full_output(&error) => {
            complain(format_args!(
                "error: standard output cannot be written: {error}"
            ));
            ExitCode::FAILURE
        }
        Err(error) if error.is::<Interrupted>() => {
            complain(error);
            ExitCode::from(130)
        }
        Err(error) => {
            complain(shown_line(&format!("error: {error:#}")));
            ExitCode::FAILURE
        }
    }
}
