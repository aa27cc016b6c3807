//! Building the firmware for an emulated board.

use crate::elf::Elf;
use crate::prompt::machine_parser;
use crate::setup::ensure_target;
use crate::workspace::{cargo, root, target_dir};
use anyhow::{anyhow, bail, Context, Result};
use kinglet_protocol::Machine;
use serde_json::json;
use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Output;

/// Build the firmware for an emulated board and print where it is
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    cargo xtask firmware --image model.kgl\n  \
    cargo xtask firmware --json")]
pub struct Args {
    /// The board
    #[arg(long, default_value = "mps2-an386", value_parser = machine_parser())]
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
    let elf = Elf::read(&path)?;
    let mut out = std::io::stdout();
    if args.json {
        let report = json!({
            "elf": path,
            "machine": args.machine.name,
            "flash_bytes": elf.flash_bytes,
            "static_ram_bytes": elf.ram_bytes,
        });
        writeln!(out, "{report}")?;
    } else {
        writeln!(out, "{}", path.display())?;
    }
    Ok(())
}

/// Builds the firmware with `image` linked in, or one that expects an image
/// in the machine's spare RAM. Returns the path of the ELF file, which later
/// builds with other images leave alone.
pub fn build(machine: &Machine, image: Option<&Path>) -> Result<PathBuf> {
    ensure_target(machine.target)?;
    let image = image.map(Linked::open).transpose()?;
    let target = target();
    let folder = target.join("elf");
    fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    // Cargo writes each image's firmware to the same path: nobody else may
    // build until it has been copied.
    let _lock = lock(&target.join("xtask.lock"))?;
    let output = compile(machine, image.as_ref(), &target)?;
    if !output.status.success() {
        bail!(explain(
            machine,
            image.as_ref(),
            &String::from_utf8_lossy(&output.stderr)
        ));
    }
    let built = target.join(machine.target).join("release/kinglet-qemu");
    let name = image.map_or_else(|| "loads-image".to_owned(), |image| image.name());
    let kept = folder.join(format!("{}-{name}.elf", machine.name));
    keep(&built, &kept)?;
    Ok(kept)
}

/// Where cargo puts what it builds for boards.
pub fn target() -> PathBuf {
    target_dir().join("firmware")
}

/// An image that goes into the firmware.
struct Linked {
    path: PathBuf,
    bytes: usize,
    hash: u64,
}

impl Linked {
    fn open(path: &Path) -> Result<Self> {
        let failed = || format!("cannot read the image {}", path.display());
        let bytes = fs::read(path).with_context(failed)?;
        let mut hasher = DefaultHasher::new();
        bytes.hash(&mut hasher);
        let path = fs::canonicalize(path).with_context(failed)?;
        Ok(Self {
            path,
            bytes: bytes.len(),
            hash: hasher.finish(),
        })
    }

    /// The file's name and a mark of its content: two images of one name
    /// must not be mistaken for each other.
    fn name(&self) -> String {
        let stem = self.path.file_stem().unwrap_or_default().to_string_lossy();
        format!("{stem}-{:08x}", self.hash as u32)
    }
}

fn compile(machine: &Machine, image: Option<&Linked>, target: &Path) -> Result<Output> {
    let mut build = cargo();
    build
        .current_dir(root().join("firmware"))
        .args(["build", "--release", "--quiet", "--package", "kinglet-qemu"])
        .args(["--target", machine.target, "--target-dir"])
        .arg(target)
        .env("KINGLET_MACHINE", machine.name);
    match image {
        Some(image) => build.env("KINGLET_IMAGE", &image.path),
        None => build.env_remove("KINGLET_IMAGE"),
    };
    build.output().context("cannot start cargo")
}

/// What went wrong, in a sentence where it is known.
fn explain(machine: &Machine, image: Option<&Linked>, errors: &str) -> anyhow::Error {
    let Some(Linked { path, bytes, .. }) = image else {
        return anyhow!("the firmware does not build:\n{errors}");
    };
    let path = path.display();
    if errors.contains("will not fit in region") {
        let mib = |bytes: u32| bytes >> 20;
        let name = machine.name;
        let advice = if *bytes <= machine.spare.bytes as usize {
            format!(
                "; try --load, which uses its {} MiB of spare RAM",
                mib(machine.spare.bytes)
            )
        } else {
            String::new()
        };
        let (flash, ram) = (mib(machine.flash.bytes), mib(machine.ram.bytes));
        return anyhow!(
            "{path} ({bytes} bytes) and the firmware do not fit into the {flash} MiB of flash \
             or the {ram} MiB of RAM of {name}{advice}"
        );
    }
    match errors.split_once("evaluation panicked: KINGLET_IMAGE ") {
        Some((_, rest)) => anyhow!("{path} {}", rest.lines().next().unwrap_or_default()),
        None => anyhow!("the firmware with {path} does not build:\n{errors}"),
    }
}

/// Waits until nobody else holds the lock, which ends with the file.
fn lock(path: &Path) -> Result<File> {
    let file = File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
    fs4::FileExt::lock(&file).with_context(|| format!("cannot lock {}", path.display()))?;
    Ok(file)
}

/// Copies in a way that who reads the old file is not disturbed.
fn keep(built: &Path, kept: &Path) -> Result<()> {
    let partial = kept.with_extension("partial");
    let copied = fs::copy(built, &partial).and_then(|_| fs::rename(&partial, kept));
    copied.with_context(|| format!("cannot copy {} to {}", built.display(), kept.display()))
}
