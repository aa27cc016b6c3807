//! `cargo xtask sizes --boards`: what the firmware of each board takes, and the
//! same application on the machines that stand in for boards.

use super::panics;
use crate::boards::{build, chips, Emulated};
use anyhow::Result;
use kinglet_targets::{Board, Boards};
use kinglet_workshop::elf::Sections;
use kinglet_workshop::table::thousands;
use kinglet_workshop::workspace::{build_kinglet, output, root, work_folder};
use serde::Serialize;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The prompt with which the stack is measured.
const PROMPT: &str = "Once upon a time";

/// The length of the answer.
const TOKENS: u32 = 20;

#[derive(Serialize)]
struct Sizes {
    board: String,
    /// That stands in for the board.
    #[serde(skip_serializing_if = "Option::is_none")]
    machine: Option<&'static str>,
    #[serde(flatten)]
    sections: Sections,
    /// Where QEMU has the board, or it is a machine of QEMU's.
    stack_bytes: Option<u32>,
    /// Symbols that a panic would call.
    panics: Vec<String>,
}

/// Builds and measures all boards.
pub fn run(json: bool) -> Result<()> {
    let boards = Boards::load(None)?;
    let mut sizes = boards.iter().map(measure).collect::<Result<Vec<_>>>()?;
    for board in Boards::with_chips()?.iter() {
        if let Some(machine) = board.stand_in() {
            sizes.push(measure_in_qemu(board, Some(machine.name))?);
        }
    }
    let mut out = std::io::stdout();
    if json {
        writeln!(out, "{}", serde_json::to_string(&sizes)?)?;
        return Ok(());
    }
    writeln!(
        out,
        "{:14} {:>8} {:>6} {:>6} {:>7}",
        "", "text", "data", "bss", "stack"
    )?;
    for size in &sizes {
        let Sections {
            text_bytes,
            data_bytes,
            bss_bytes,
        } = size.sections;
        let stack = size
            .stack_bytes
            .map_or("-".into(), |bytes| thousands(bytes.into()));
        let [text, data, bss] = [text_bytes, data_bytes, bss_bytes].map(thousands);
        let name = size.machine.unwrap_or(&size.board);
        let memory = match size.machine {
            Some(_) => format!("  in the memory of {}", size.board),
            None => String::new(),
        };
        writeln!(
            out,
            "{name:14} {text:>8} {data:>6} {bss:>6} {stack:>7}{memory}"
        )?;
    }
    Ok(())
}

fn measure(board: &Board) -> Result<Sizes> {
    if board.qemu.is_some() {
        return measure_in_qemu(board, None);
    }
    let elf = build(board)?;
    Ok(Sizes {
        board: board.name.clone(),
        machine: None,
        sections: Sections::read(&elf)?,
        stack_bytes: None,
        panics: panics(&elf)?,
    })
}

fn measure_in_qemu(board: &Board, machine: Option<&'static str>) -> Result<Sizes> {
    let emulated = Emulated::build(board)?;
    let answer = emulated.ask(&image(board)?, PROMPT, TOKENS)?;
    Ok(Sizes {
        board: board.name.clone(),
        machine,
        sections: Sections::read(&emulated.elf)?,
        stack_bytes: Some(answer.stack_bytes),
        panics: panics(&emulated.elf)?,
    })
}

/// The demo model, or a random one where that does not fit.
fn image(board: &Board) -> Result<PathBuf> {
    let kinglet = build_kinglet()?;
    let folder = work_folder("boards")?;
    let demo = root().join("models/stories.safetensors");
    let image = folder.join(format!("{}.kgl", board.name));
    let quantize = |checkpoint: &Path, option: [&str; 2]| {
        let mut quantize = Command::new(&kinglet);
        quantize.arg("quantize").arg(checkpoint).arg("-o");
        quantize.arg(&image).args(["--weights", "int4", "--plain"]);
        output(quantize.args(option).arg("--boards").arg(chips()))
    };
    quantize(&demo, ["--target", board.core.name])?;
    if std::fs::metadata(&image)?.len() <= u64::from(board.model().bytes) {
        return Ok(image);
    }
    let small = folder.join("small.safetensors");
    let size = ["--layers", "2", "--channels", "40", "--vocab", "256"];
    let mut synth = Command::new(&kinglet);
    output(synth.arg("synth").args(size).arg("-o").arg(&small))?;
    quantize(&small, ["--board", &board.name])?;
    Ok(image)
}
