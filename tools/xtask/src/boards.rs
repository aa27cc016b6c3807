//! The firmware of real boards: building it, and running it in QEMU.

mod dialogue;
mod emulated;

pub use dialogue::Dialogue;
pub use emulated::Emulated;

use anyhow::{bail, Context, Result};
use kinglet_targets::{Board, Boards};
use kinglet_workshop::firmware;
use kinglet_workshop::setup::ensure_target;
use kinglet_workshop::table::thousands;
use kinglet_workshop::workspace::{cargo, root};
use serde::Serialize;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::Command;

/// Build the firmware of a board and print where it is; with an image, run both in QEMU
///
/// The firmware of firmware/boards/NAME, as it is flashed to the board. QEMU
/// has two of them: microbit-v1 and stm32f405. For another, a machine with the
/// same core stands in: it runs the same application in as much memory, on
/// another UART; so too for two chips without firmware, stm32f103rg and
/// ensemble-e8. With an image and no prompt you get the board's console.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    cargo xtask board pico\n  \
    cargo xtask board stm32f405 --image model.kgl\n  \
    cargo xtask board pico2 --image model.kgl --prompt \"Once upon a time\" -n 100")]
pub struct Args {
    /// The board, see `kinglet plan`
    name: String,
    /// The image to flash beside the firmware
    #[arg(long, value_name = "FILE")]
    image: Option<PathBuf>,
    /// The prompt, one line
    #[arg(long, value_name = "TEXT", requires = "image", value_parser = one_line)]
    prompt: Option<String>,
    /// Tokens to generate
    #[arg(short = 'n', long, default_value_t = 100, requires = "prompt")]
    tokens: u32,
    /// Print one JSON object: elf, and with an image text, tokens, stack_bytes, and of a
    /// machine that stands in instructions_per_token
    #[arg(long)]
    json: bool,
}

/// A prompt that a console can read.
pub fn one_line(text: &str) -> Result<String, &'static str> {
    match text.contains(['\r', '\n']) {
        true => Err("has more than one line, and a board's console reads one"),
        false => Ok(text.to_owned()),
    }
}

#[derive(Debug, Serialize)]
struct Report {
    elf: PathBuf,
    #[serde(flatten)]
    answer: Option<Answer>,
}

/// The firmware's answer.
#[derive(Debug, Serialize)]
pub struct Answer {
    /// The text after the prompt.
    pub text: String,
    /// Tokens of it.
    pub tokens: u32,
    /// The most bytes of stack in use.
    pub stack_bytes: u32,
    /// Per generated token, with the console's work; from a rate with
    /// two digits after the point.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instructions_per_token: Option<u64>,
}

/// The command `board`.
pub fn run(args: &Args) -> Result<()> {
    let boards = Boards::with_chips()?;
    let board = boards.named(&args.name)?;
    let (elf, answer) = match (&args.image, &args.prompt) {
        (None, _) => (build(board)?, None),
        (Some(image), Some(prompt)) => {
            let emulated = Emulated::build(board)?;
            let answer = emulated.ask(image, prompt, args.tokens)?;
            (emulated.elf, Some(answer))
        }
        (Some(_), None) if args.json => bail!("--json with an image needs a prompt"),
        (Some(image), None) => return Emulated::build(board)?.start(image)?.converse(),
    };
    let mut out = io::stdout();
    if args.json {
        writeln!(out, "{}", serde_json::to_string(&Report { elf, answer })?)?;
        return Ok(());
    }
    match answer {
        Some(answer) => {
            writeln!(out, "{}\n\nstack {} bytes", answer.text, answer.stack_bytes)?;
            if let Some(count) = answer.instructions_per_token {
                writeln!(out, "{} instructions per token", thousands(count))?;
            }
        }
        None => writeln!(out, "{}", elf.display())?,
    }
    Ok(())
}

/// The file of chips without firmware.
pub fn chips() -> PathBuf {
    root().join("firmware/targets/chips.toml")
}

fn folder(board: &Board) -> PathBuf {
    root().join("firmware/boards").join(&board.name)
}

/// Cargo in the folder of a board.
pub fn build_command(board: &Board) -> Command {
    let mut build = cargo();
    build
        .current_dir(folder(board))
        .args(["build", "--release", "--quiet", "--target-dir"])
        .arg(firmware::target())
        .env_remove("KINGLET_IMAGE");
    build
}

/// Builds the firmware of a board; returns the path of the ELF file.
pub fn build(board: &Board) -> Result<PathBuf> {
    if !folder(board).exists() {
        bail!(
            "there is no firmware for {}: QEMU runs it with --image",
            board.name
        );
    }
    let target = board.triple();
    ensure_target(target)?;
    let output = build_command(board)
        .output()
        .context("cannot start cargo")?;
    if !output.status.success() {
        let errors = String::from_utf8_lossy(&output.stderr);
        bail!("the firmware of {} does not build:\n{errors}", board.name);
    }
    let folder = firmware::target().join(target).join("release");
    Ok(folder.join(format!("kinglet-{}", board.name)))
}
