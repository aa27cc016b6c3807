//! `cargo xtask demo`: a story from an emulated Cortex-M4, or another machine.

use crate::qemu::stream;
use crate::report::Report;
use anyhow::Result;
use kinglet_targets::{Core, Machine, DEFAULT_MACHINE};
use kinglet_workshop::emulator::Emulator;
use kinglet_workshop::prompt::{machine_parser, Sampling};
use kinglet_workshop::setup::{ensure_qemu, ensure_target};
use kinglet_workshop::workspace::{build_kinglet, root, run as run_command, words, work_folder};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The text that the model continues.
pub const PROMPT: &str = "Once upon a time";

/// The clock that the last row assumes: that of many Cortex-M4 boards.
const CLOCK_HZ: f64 = 168e6;

/// Watch a language model write a story on an emulated Cortex-M4
///
/// Installs what is missing (the Rust target with rustup, QEMU with apt-get),
/// quantizes the demo checkpoint to int4, boots the board with the image
/// linked into its firmware, and prints the story as it is generated, then
/// what it took.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    cargo xtask demo\n  \
    cargo xtask demo -n 50\n  \
    cargo xtask demo --machine virt-rv32")]
pub struct Args {
    /// The machine
    #[arg(long, default_value = DEFAULT_MACHINE.name, value_parser = machine_parser())]
    machine: &'static Machine,
    /// Tokens to generate
    #[arg(short, default_value_t = 64, value_name = "N")]
    n: u32,
}

/// The command `demo`.
pub fn run(args: &Args) -> Result<()> {
    let machine = args.machine;
    step(&format!(
        "looking for QEMU and the Rust target {}",
        machine.core.triple
    ));
    ensure_qemu(machine.core)?;
    ensure_target(machine.core.triple)?;
    step("building the program kinglet");
    let kinglet = build_kinglet()?;
    let image = quantize(&kinglet, machine.core)?;
    step(&format!(
        "building the firmware for {}, image linked in",
        machine.name
    ));
    let emulator = Emulator::prepare(machine, &image, false)?;
    step(&format!("booting a {} in QEMU\n", machine.core.title));
    let mut out = io::stdout();
    write!(out, "{PROMPT}").and_then(|()| out.flush())?;
    let request = Sampling::greedy(args.n).request(PROMPT.as_bytes(), false)?;
    let answer = stream(&emulator, &request, PROMPT.into())?;
    let report = Report::new(&emulator, &image, answer)?;
    let mut table = report.table();
    // The clock is that of boards with this core.
    let instructions = report.instructions_per_token();
    if let Some(instructions) = instructions.filter(|_| machine == DEFAULT_MACHINE) {
        let rate = format!("{:.1}", CLOCK_HZ / instructions as f64);
        table.row(
            "tokens/s at 168 MHz",
            rate,
            "at 1 cycle per instruction, flash without wait states",
        );
    }
    write!(out, "\n{table}")?;
    eprintln!(
        "\nTalk to it yourself: cargo xtask qemu --machine {} --image {}",
        machine.name,
        relative(&image).display()
    );
    Ok(())
}

fn step(what: &str) {
    eprintln!("==> {what}");
}

/// Packs the demo checkpoint for a core; shows what `kinglet` says about it.
pub fn quantize(kinglet: &Path, core: &Core) -> Result<PathBuf> {
    let image = work_folder("demo")?.join(format!("stories-{}.kgl", core.name));
    let mut quantize = Command::new(kinglet);
    quantize
        .current_dir(root())
        .args([
            "quantize",
            "models/stories.safetensors",
            "--weights",
            "int4",
            "--target",
            core.name,
            "-o",
        ])
        .arg(relative(&image))
        .stdout(io::stderr());
    step(&words(&quantize));
    run_command(&mut quantize)?;
    Ok(image)
}

/// The path as seen from the root of the repository.
fn relative(path: &Path) -> &Path {
    path.strip_prefix(root()).unwrap_or(path)
}
