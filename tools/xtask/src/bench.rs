//! `cargo xtask bench`: `tools/bench`, a program of its own. It knows the plan,
//! so all of the workstation side is compiled before it is: nothing that the
//! other commands should wait for.

use anyhow::{Context, Result};
use kinglet_workshop::workspace::{cargo, root, target_dir};
use std::ffi::OsString;

/// Count the instructions of kernels and of tokens on emulated machines
#[derive(Debug, clap::Args)]
#[command(disable_help_flag = true)]
pub struct Args {
    /// Options, which --help lists
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    options: Vec<OsString>,
}

/// The command `bench`; does not return where it fails, but ends with its exit
/// code.
pub fn run(args: &Args) -> Result<()> {
    let mut bench = cargo();
    // Paths among the options are seen from where the user is.
    bench.current_dir(std::env::current_dir()?);
    bench.args([
        "run",
        "--release",
        "--quiet",
        "--package",
        "kinglet-bench-tool",
    ]);
    bench.arg("--manifest-path").arg(root().join("Cargo.toml"));
    bench.arg("--target-dir").arg(target_dir()).arg("--");
    let status = bench.args(&args.options).status();
    let status = status.context("cannot start cargo")?;
    match status.success() {
        true => Ok(()),
        false => std::process::exit(status.code().unwrap_or(1)),
    }
}
