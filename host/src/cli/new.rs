//! `kinglet new`: a project with the firmware of a board.

use super::fit::{check_fits, check_layout, named};
use super::output::{is_there, not_written};
use super::{bad_use, mention, run as answer, Cli, Command};
use crate::engine::open_image;
use crate::output::write_folder;
use crate::pack::image_parts;
use crate::plan::Planned;
use crate::project::{name_fault, Image, Kinglet, Project, PROMPT, TOKENS};
use anyhow::{bail, Result};
use clap::Parser;
use kinglet_targets::{Board, Boards};
use std::ffi::OsStr;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Make a folder that is a repository of your own: the firmware of a board, its model, and its check in CI
///
/// Firmware, linker script and build script are those of firmware/boards, for `cargo build --release`. The workflow
/// for GitHub builds the firmware and fails where the model, or what is computed from it, is another than
/// when the folder was made; for a board that QEMU has it runs the firmware there, too (`kinglet verify`).
///
/// Kinglet's crates are in no registry yet, so --kinglet says where they are: the folder of a checkout, for
/// this machine, or the address of its git repository, for any. With a revision after `#` the firmware and the
/// program that checks it stay of that one.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    kinglet new songbird --board pico --image model.kgl --kinglet ~/kinglet\n  \
    kinglet new songbird --board microbit-v1 --kinglet https://git.example.org/kinglet#0123abc")]
pub struct Args {
    /// The folder to make; the last part of its path is the name of the package
    #[arg(value_name = "NAME")]
    folder: PathBuf,
    /// The board, see `kinglet plan`
    #[arg(long, value_name = "BOARD")]
    board: String,
    /// The model's image, packed for the board; without one, model/README.md says how to make it
    #[arg(long, value_name = "FILE")]
    image: Option<PathBuf>,
    /// A checkout of Kinglet, or the address of its git repository and a revision
    #[arg(long, value_name = "FOLDER|ADDRESS[#REVISION]")]
    kinglet: Kinglet,
}

pub fn run(args: &Args) -> Result<()> {
    let folder = &args.folder;
    let shown = folder.display();
    let name = folder.file_name().and_then(OsStr::to_str).unwrap_or("");
    if let Some(fault) = name_fault(name) {
        return bad_use(format!("{shown}: the name of a package {fault}"));
    }
    let boards = Boards::load(None)?;
    let board = named(&boards, &args.board)?;
    if is_there(folder) {
        return bad_use(format!("{shown} is there already; choose another name"));
    }
    let image = args.image.as_ref().map(|path| image(path, board, folder));
    let project = Project {
        name,
        board,
        kinglet: &args.kinglet,
        image: image.transpose()?,
    };
    let Some(files) = project.files() else {
        bail!("there is no firmware for {}", board.name);
    };
    write_folder(folder, &files).map_err(|error| not_written(folder, error))?;
    if let Kinglet::Folder(_) = args.kinglet {
        mention(format_args!(
            "note: the project builds on this machine only: for its workflow on another one give --kinglet the address of Kinglet's git repository"
        ));
    }
    writeln!(
        io::stdout(),
        "{shown}: the firmware of {}; its README.md says how to build, flash and check it",
        board.title
    )?;
    Ok(())
}

/// The image, if the board can run it, and what it answers here.
fn image(path: &Path, board: &Board, folder: &Path) -> Result<Image> {
    let file = open_image(path)?;
    let image = file.image();
    check_layout(path, image.shape().layout, board)?;
    let planned = Planned::new(image.header(), image_parts(&image));
    check_fits(&planned, board, folder)?;
    if image.tokenizer().is_none() {
        return bad_use(format!(
            "{}: no vocabulary is in it, which a board's console needs: `kinglet quantize --tokenizer`",
            path.display()
        ));
    }
    // The words of the workflow, so that their defaults are the same.
    let words = [
        "kinglet", "run", "--prompt", PROMPT, "-n", TOKENS, "--json", "--",
    ];
    let words = words.map(OsStr::new).into_iter().chain([path.as_os_str()]);
    let Command::Run(question) = Cli::try_parse_from(words)?.command else {
        bail!("`kinglet run` is another command");
    };
    Ok(Image {
        bytes: image.bytes().to_vec(),
        expected: serde_json::to_string(&answer::report(&question)?)?,
    })
}
