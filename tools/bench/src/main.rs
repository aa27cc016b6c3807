//! `cargo xtask bench`: what kernels and tokens cost, on every machine.

mod coefficients;
mod compare;
mod fit;
mod kernels;
mod markdown;
mod parts;
mod profile;
mod slices;
mod tokens;

use anyhow::{bail, Context, Result};
use clap::Parser;
use kernels::{Kernel, KernelCode, Sample, State};
use kinglet_targets::{Machine, MACHINES};
use kinglet_workshop::firmware::{RELEASE, SMALL};
use kinglet_workshop::prompt::machine_parser;
use kinglet_workshop::setup::ensure_qemu;
use serde::{Deserialize, Serialize};
use slices::Slices;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use tokens::Tokens;

/// Count the instructions of kernels and of tokens on emulated machines
///
/// On each machine a firmware first checks the kernels against their portable
/// twins, then counts them; a wrong sum is exit code 1. Tokens are those of the
/// demo model, of a random one of about 2 M parameters, and of small random ones of
/// the versions with a matrix state; each instruction of a token is traced, and put
/// into one of its parts. Instructions are not cycles: QEMU models neither pipeline
/// nor flash.
#[derive(Debug, clap::Parser)]
#[command(
    name = "cargo xtask bench",
    bin_name = "cargo xtask bench",
    max_term_width = 100,
    after_help = "Examples:\n  \
    cargo xtask bench\n  \
    cargo xtask bench --machine mps2-an386 --machine mps3-an547\n  \
    cargo xtask bench --json > before.json\n  \
    cargo xtask bench --compare before.json\n  \
    cargo xtask bench --coefficients > host/src/plan/cores.toml"
)]
struct Args {
    /// A machine; may be given several times [default: all]
    #[arg(long, value_name = "NAME", value_parser = machine_parser())]
    machine: Vec<&'static Machine>,
    /// Leave the tokens out
    #[arg(long)]
    kernels_only: bool,
    /// Build the library for size; firmware of the boards has it for speed
    #[arg(long, requires = "kernels_only")]
    small: bool,
    /// Print the coefficients that `kinglet plan` predicts tokens from (host/src/plan/cores.toml) instead
    ///
    /// From the counts of the kernels, and from tokens of random models of
    /// every version.
    #[arg(long, conflicts_with_all = ["json", "compare", "kernels_only"])]
    coefficients: bool,
    /// Print one JSON object instead of tables
    ///
    /// kernels: a list of {core, machine, weights, rows, cols,
    /// instructions_per_mac (the integer sums, a whole call),
    /// instructions_per_mac_scaled (with the scales of the rows),
    /// prepare_per_column}. states: a list of {core, machine, state,
    /// read_per_element, write_per_element} (instructions, a head of 64
    /// channels). sampling: a list of {core, machine, vocab, greedy, drawn
    /// (temperature 0.8, top-p 0.9)}. tokens: a list of {core, machine, model,
    /// version, weights, state, instructions_per_token, matrix_macs,
    /// instructions_per_mac, instructions_per_parameter, recurrence_per_element
    /// (of a matrix state, everything included), parts}; parts, whose sum is the
    /// token: {products (of the layers), quantization (of their vectors), norms,
    /// token_shift, recurrence, functions (gates, activation functions),
    /// residual (and embedding), head (product and quantization), sampling,
    /// control (the code between)}. slices: a list of {core, machine, model,
    /// weights, slice_weights (at most), slice_instructions (at most),
    /// instructions_per_token}. checks: a list of {machine, name, cases, wrong}.
    /// code: a list of {core, machine, symbol, bytes}.
    #[arg(long)]
    json: bool,
    /// Print what got worse by more than 0.5 % since an earlier --json; exit code 1 if anything did
    #[arg(long, value_name = "FILE")]
    compare: Option<PathBuf>,
}

/// A check of the kernels.
#[derive(Debug, Serialize, Deserialize)]
struct Check {
    machine: String,
    name: String,
    cases: u32,
    wrong: u32,
}

/// All that is measured.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Results {
    checks: Vec<Check>,
    kernels: Vec<Kernel>,
    #[serde(default)]
    states: Vec<State>,
    #[serde(default)]
    sampling: Vec<Sample>,
    tokens: Vec<Tokens>,
    #[serde(default)]
    slices: Vec<Slices>,
    code: Vec<KernelCode>,
}

/// Exit code 0 is success, 1 failure, 2 bad use.
fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<()> {
    let before = args.compare.as_deref().map(compare::read).transpose()?;
    let machines: Vec<&'static Machine> = if args.machine.is_empty() {
        MACHINES.iter().collect()
    } else {
        args.machine.clone()
    };
    let mut cores = machines.iter().map(|machine| machine.core);
    cores.try_for_each(ensure_qemu)?;
    if args.coefficients {
        return coefficients::run(&machines);
    }
    let mut results = Results::default();
    for machine in machines {
        measure(machine, args, &mut results).with_context(|| format!("on {}", machine.name))?;
    }
    let mut out = std::io::stdout();
    if args.json {
        writeln!(out, "{}", serde_json::to_string_pretty(&results)?)?;
    } else {
        write!(out, "{}", markdown::markdown(&results))?;
    }
    conclude(&results, before.as_ref())
}

fn measure(machine: &'static Machine, args: &Args, results: &mut Results) -> Result<()> {
    eprintln!("==> {} on {}: kernels", machine.core.title, machine.name);
    let profile = if args.small { SMALL } else { RELEASE };
    kernels::measure(machine, profile, results)?;
    // Where no image can be loaded there is no room for such models.
    if !args.kernels_only && machine.spare.bytes > 0 {
        eprintln!("==> {} on {}: tokens", machine.core.title, machine.name);
        tokens::measure(machine, results)?;
    }
    Ok(())
}

/// Exit code 1 where a sum was wrong or a count got worse.
fn conclude(results: &Results, before: Option<&Results>) -> Result<()> {
    let wrong: Vec<_> = results.checks.iter().filter(|c| c.wrong > 0).collect();
    for Check {
        machine,
        name,
        cases,
        wrong,
    } in &wrong
    {
        eprintln!("{name} on {machine}: {wrong} of {cases} answers are wrong");
    }
    if !wrong.is_empty() {
        bail!("the kernels are wrong");
    }
    let worse = before.map_or_else(Vec::new, |before| compare::worse(before, results));
    for line in &worse {
        eprintln!("worse: {line}");
    }
    match worse.len() {
        0 => Ok(()),
        1 => bail!("one figure got worse"),
        many => bail!("{many} figures got worse"),
    }
}
