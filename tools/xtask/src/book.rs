//! `cargo xtask book`: docs/ as web pages.

use anyhow::{Context, Result};
use kinglet_workshop::workspace::{self, cargo, root, succeeds};
use std::io::Write;
use std::path::PathBuf;
use std::process::Command;

/// The version that docs/book.toml was written for.
const MDBOOK: &str = "^0.5";

/// Build the book from docs/ with mdbook
///
/// An mdbook in PATH is used; where there is none, it is installed in
/// target/tools, which takes minutes. Prints the first page's path, then that of the
/// page that `cargo xtask page` makes.
#[derive(Debug, clap::Args)]
pub struct Args {}

pub fn run(_: &Args) -> Result<()> {
    let mut build = Command::new(mdbook()?);
    build.arg("build").arg(root().join("docs"));
    workspace::run(build.stdout(std::io::stderr()))?;
    let first = root().join("target/book/index.html");
    writeln!(std::io::stdout(), "{}", first.display())?;
    crate::page::run(&crate::page::Args {})?;
    Ok(())
}

/// The program, installed if need be.
fn mdbook() -> Result<PathBuf> {
    let tools = root().join("target/tools");
    let own = tools.join("bin/mdbook");
    let known = [PathBuf::from("mdbook"), own.clone()];
    let found = known
        .into_iter()
        .find(|program| succeeds(Command::new(program).arg("--version")));
    if let Some(program) = found {
        return Ok(program);
    }
    eprintln!("installing mdbook in {}", tools.display());
    let mut install = cargo();
    install.args(["install", "mdbook", "--locked", "--no-default-features"]);
    install.args(["--version", MDBOOK, "--root"]).arg(&tools);
    workspace::run(&mut install).context("install mdbook, or put one into PATH")?;
    Ok(own)
}
