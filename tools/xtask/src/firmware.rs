//! `cargo xtask firmware`: the firmware for an emulated machine.

use anyhow::Result;
use kinglet_targets::{Machine, DEFAULT_MACHINE};
use kinglet_workshop::elf::Sections;
use kinglet_workshop::firmware::build;
use kinglet_workshop::prompt::machine_parser;
use serde_json::json;
use std::io::Write;
use std::path::PathBuf;

/// Build the firmware for an emulated machine and print where it is
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    cargo xtask firmware --image model.kgl\n  \
    cargo xtask firmware --json")]
pub struct Args {
    /// The machine
    #[arg(long, default_value = DEFAULT_MACHINE.name, value_parser = machine_parser())]
    machine: &'static Machine,
    /// The image to link in; without it the firmware expects QEMU to load one
    #[arg(long, value_name = "FILE")]
    image: Option<PathBuf>,
    /// Print one JSON object: elf, machine, flash_bytes, static_ram_bytes
    #[arg(long)]
    json: bool,
}

/// The command `firmware`.
pub fn run(args: &Args) -> Result<()> {
    let path = build(args.machine, args.image.as_deref())?;
    let elf = Sections::read(&path)?;
    let mut out = std::io::stdout();
    if args.json {
        let report = json!({
            "elf": path,
            "machine": args.machine.name,
            "flash_bytes": elf.flash_bytes(),
            "static_ram_bytes": elf.ram_bytes(),
        });
        writeln!(out, "{report}")?;
    } else {
        writeln!(out, "{}", path.display())?;
    }
    Ok(())
}
