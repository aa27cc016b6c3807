//! `cargo xtask loader`: a firmware that finds its models when it runs.

use anyhow::{bail, Context, Result};
use kinglet_targets::{Machine, DEFAULT_MACHINE};
use kinglet_workshop::emulator::{Emulator, SLOTS};
use kinglet_workshop::firmware::{build_program, RELEASE};
use kinglet_workshop::prompt::machine_parser;
use kinglet_workshop::setup::ensure_qemu;
use std::fs;
use std::path::PathBuf;

/// Boot a firmware that runs the images in the machine's memory
///
/// The firmware has a heap: it reads an image's header, allocates state and
/// scratch of those sizes, answers, and frees them.
/// A line is the number of an image and a prompt; Ctrl-D leaves. Prints for
/// each answer the numbers of its tokens and the bytes of the heap in use.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    cargo xtask loader --image stories.kgl --image intents.kgl\n  \
    echo \"0 Once upon a time\" | cargo xtask loader --image stories.kgl")]
pub struct Args {
    /// The machine
    #[arg(long, default_value = DEFAULT_MACHINE.name, value_parser = machine_parser())]
    machine: &'static Machine,
    /// An image; at most two, and with none the firmware says so
    #[arg(long = "image", value_name = "FILE")]
    images: Vec<PathBuf>,
}

/// The command `loader`.
pub fn run(args: &Args) -> Result<()> {
    let Args { machine, images } = args;
    let name = machine.name;
    if machine.spare.bytes == 0 {
        bail!("{name} has no spare RAM to load images into: choose another --machine");
    }
    if images.len() > SLOTS as usize {
        bail!("--image is given {} times, at most {SLOTS}", images.len());
    }
    let room = u64::from(machine.spare.bytes / SLOTS);
    let mut loaded = Vec::new();
    for image in images {
        let failed = || format!("cannot read the image {}", image.display());
        let bytes = fs::metadata(image).with_context(failed)?.len();
        if bytes > room {
            let image = image.display();
            bail!("{image} has {bytes} bytes, but {name} has room for {room}");
        }
        loaded.push(fs::canonicalize(image).with_context(failed)?);
    }
    ensure_qemu(machine.core)?;
    let emulator = Emulator {
        machine,
        elf: build_program(machine, "loader", RELEASE, &[])?,
        images: loaded,
    };
    emulator.converse(String::new())
}
