//! `cargo xtask sizes --boards`: what the firmware of each board takes.

use crate::boards::{build, emulate, is_emulated};
use crate::elf::Sections;
use crate::table::thousands;
use crate::workspace::{build_kinglet, output, root, target_dir};
use anyhow::{Context, Result};
use kinglet_plan::{Board, Boards};
use serde::Serialize;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What the model is asked where the stack is measured.
const PROMPT: &str = "Once upon a time";

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
    let sizes = boards.iter().map(measure).collect::<Result<Vec<_>>>()?;
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
            let answer = emulate(board, &elf, &image(board)?, PROMPT, 20)?;
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

/// The demo model, or a random one where that does not fit.
fn image(board: &Board) -> Result<PathBuf> {
    let kinglet = build_kinglet()?;
    let folder = target_dir().join("boards");
    std::fs::create_dir_all(&folder)
        .with_context(|| format!("cannot create {}", folder.display()))?;
    let image = folder.join(format!("{}.kgl", board.name));
    let demo = root().join("models/stories.safetensors");
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
    let mut quantize = Command::new(&kinglet);
    quantize
        .arg("quantize")
        .arg(checkpoint)
        .arg("-o")
        .arg(&image);
    quantize.args(["--weights", "int4", "--board", &board.name]);
    output(&mut quantize)?;
    Ok(image)
}
