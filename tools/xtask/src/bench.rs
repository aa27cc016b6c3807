//! `cargo xtask bench` runs `tools/bench`, a separate program: it depends on the
//! plan and so on the whole workstation side, which the other commands need not
//! compile.

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
    // Paths among the options are relative to the user's directory.
    bench.current_dir(std::env::current_dir()?);
    bench.args(["run", "--quiet", "--bin", "kinglet-bench-tool"]);
    bench.arg("--manifest-path").arg(root().join("Cargo.toml"));
    bench.arg("--target-dir").arg(target_dir()).arg("--");
    let status = bench.args(&args.options).status();
    let status = status.context("cannot start cargo")?;
    match status.success() {
        true => Ok(()),
        false => std::process::exit(status.code().unwrap_or(1)),
    }
}
