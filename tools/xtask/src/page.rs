//! `cargo xtask page`: the engine and the demo's model in one file for a browser.

use crate::demo;
use anyhow::{Context, Result};
use base64::prelude::{Engine, BASE64_STANDARD};
use kinglet_targets::DEFAULT_MACHINE;
use kinglet_workshop::setup::ensure_target;
use kinglet_workshop::workspace::{
    build_kinglet, cargo, output, root, run as run_command, work_folder,
};
use serde::Deserialize;
use serde_json::json;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What browsers run.
const TARGET: &str = "wasm32-unknown-unknown";

/// Build a page for the browser that runs the demo's model, in one file
///
/// The engine is compiled to WebAssembly and lies in the page, as the image does: it
/// needs no server and no network. Prints the page's path.
#[derive(Debug, clap::Args)]
pub struct Args {}

pub fn run(_: &Args) -> Result<()> {
    writeln!(std::io::stdout(), "{}", build()?.display())?;
    Ok(())
}

/// Builds the page; returns its path, which is in the book's folder.
pub fn build() -> Result<PathBuf> {
    ensure_target(TARGET)?;
    let kinglet = build_kinglet()?;
    let image = demo::quantize(&kinglet, DEFAULT_MACHINE.core)?;
    let parts = [
        ("{{engine}}", base64_of(&engine()?)?),
        ("{{model}}", base64_of(&image)?),
        ("{{boards}}", boards(&kinglet, &image)?),
    ];
    let page = root().join("tools/page/page.html");
    let page = std::fs::read_to_string(&page).with_context(|| page.display().to_string())?;
    let page = parts
        .iter()
        .fold(page, |page, (mark, part)| page.replace(mark, part));
    let path = work_folder("book")?.join("demo.html");
    std::fs::write(&path, page).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(path)
}

/// Compiles the engine; as small as it is fast, without names.
fn engine() -> Result<PathBuf> {
    let folder = work_folder("page")?;
    let mut build = cargo();
    build.args([
        "build",
        "--release",
        "--package",
        "kinglet-page",
        "--target",
        TARGET,
    ]);
    build.arg("--target-dir").arg(&folder);
    for (setting, value) in [("DEBUG", "false"), ("STRIP", "true"), ("LTO", "true")] {
        build.env(format!("CARGO_PROFILE_RELEASE_{setting}"), value);
    }
    run_command(build.stdout(std::io::stderr()))?;
    Ok(folder.join(TARGET).join("release/kinglet_page.wasm"))
}

fn base64_of(file: &Path) -> Result<String> {
    let bytes = std::fs::read(file).with_context(|| file.display().to_string())?;
    Ok(BASE64_STANDARD.encode(bytes))
}

/// What `kinglet plan --json` says.
#[derive(Deserialize)]
struct Plan {
    boards: Vec<Board>,
}

#[derive(Deserialize)]
struct Board {
    title: String,
    fits: bool,
    flash: Flash,
    instructions_per_token: u64,
}

#[derive(Deserialize)]
struct Flash {
    free_bytes: i64,
}

/// The boards, as the page reads them.
fn boards(kinglet: &Path, image: &Path) -> Result<String> {
    let plan = output(Command::new(kinglet).arg("plan").arg(image).arg("--json"))?;
    let plan: Plan = serde_json::from_str(&plan).context("the plan of the demo's image")?;
    let boards = plan.boards.into_iter().map(|board| {
        json!({
            "title": board.title,
            "fits": board.fits,
            "flash": board.flash.free_bytes,
            "instructions": board.instructions_per_token,
        })
    });
    Ok(boards.collect::<serde_json::Value>().to_string())
}
