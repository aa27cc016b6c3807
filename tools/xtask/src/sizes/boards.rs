//! `cargo xtask sizes --boards`: what the firmware of each board takes, and that
//! of the machines that stand for their cores.

use crate::boards::{build, emulate, is_emulated};
use crate::elf::Sections;
use crate::prompt::Sampling;
use crate::qemu::prepare;
use crate::table::thousands;
use crate::workspace::{build_kinglet, output, root, target_dir};
use anyhow::{Context, Result};
use kinglet_plan::{Board, Boards};
use kinglet_protocol::{Machine, MACHINES};
use serde::Serialize;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What the model is asked where the stack is measured.
const PROMPT: &str = "Once upon a time";

/// What it answers with.
const TOKENS: u32 = 20;

#[derive(Serialize)]
struct Sizes {
    board: String,
    #[serde(flatten)]
    sections: Sections,
    /// Where QEMU has the board.
    stack_bytes: Option<u32>,
}

/// Builds and measures all boards.
pub fn run(json: bool) -> Result<()> {
    let boards = Boards::load(None)?;
    let mut sizes = boards.iter().map(measure).collect::<Result<Vec<_>>>()?;
    // Without spare RAM a machine takes no image, and is a board above.
    let machines = MACHINES.iter().filter(|machine| machine.spare.bytes > 0);
    for machine in machines {
        sizes.push(measure_machine(machine)?);
    }
    let mut out = std::io::stdout();
    if json {
        writeln!(out, "{}", serde_json::to_string(&sizes)?)?;
        return Ok(());
    }
    writeln!(
        out,
        "{:14} {:>8} {:>6} {:>6} {:>7}",
        "board", "text", "data", "bss", "stack"
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
        writeln!(
            out,
            "{:14} {text:>8} {data:>6} {bss:>6} {stack:>7}",
            size.board
        )?;
    }
    Ok(())
}

fn measure(board: &Board) -> Result<Sizes> {
    let elf = build(board)?;
    let stack_bytes = match is_emulated(board) {
        true => {
            let answer = emulate(board, &elf, &image(board)?, PROMPT, TOKENS)?;
            Some(answer.stack_bytes)
        }
        false => None,
    };
    Ok(Sizes {
        board: board.name.clone(),
        sections: Sections::read(&elf)?,
        stack_bytes,
    })
}

/// The firmware that expects an image, with the demo model.
fn measure_machine(machine: &'static Machine) -> Result<Sizes> {
    let image = quantize(&demo(), machine.name, "--target", machine.layout_target)?;
    let emulator = prepare(machine, &image, true)?;
    let request = Sampling::greedy(TOKENS).request(PROMPT.as_bytes(), false)?;
    let answer = emulator.ask(&request, PROMPT.into(), &mut |_| Ok(()))?;
    Ok(Sizes {
        board: machine.name.to_owned(),
        sections: Sections::read(&emulator.elf)?,
        stack_bytes: Some(answer.stack_bytes),
    })
}

fn demo() -> PathBuf {
    root().join("models/stories.safetensors")
}

fn folder() -> Result<PathBuf> {
    let folder = target_dir().join("boards");
    std::fs::create_dir_all(&folder)
        .with_context(|| format!("cannot create {}", folder.display()))?;
    Ok(folder)
}

/// The demo model, or a random one where that does not fit.
fn image(board: &Board) -> Result<PathBuf> {
    let kinglet = build_kinglet()?;
    let folder = folder()?;
    let demo = demo();
    let small = folder.join("small.safetensors");
    let fits = u64::from(board.model().bytes) > std::fs::metadata(&demo)?.len() / 2;
    if !fits {
        let size = ["--layers", "2", "--channels", "40", "--vocab", "256"];
        output(
            Command::new(&kinglet)
                .arg("synth")
                .args(size)
                .arg("-o")
                .arg(&small),
        )?;
    }
    let checkpoint: &Path = if fits { &demo } else { &small };
    quantize(checkpoint, &board.name, "--board", &board.name)
}

/// An int4 image with this name, for what the option says.
fn quantize(checkpoint: &Path, name: &str, option: &str, value: &str) -> Result<PathBuf> {
    let image = folder()?.join(format!("{name}.kgl"));
    let mut quantize = Command::new(build_kinglet()?);
    quantize
        .arg("quantize")
        .arg(checkpoint)
        .arg("-o")
        .arg(&image);
    quantize.args(["--weights", "int4", option, value]);
    output(&mut quantize)?;
    Ok(image)
}
