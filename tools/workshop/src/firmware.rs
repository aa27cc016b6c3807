//! Building firmware.

use crate::setup::ensure_target;
use crate::workspace::{cargo, root, target_dir};
use anyhow::{anyhow, Context, Result};
use kinglet_targets::Machine;
use std::ffi::OsStr;
use std::fs::{self, File, TryLockError};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::mpsc::{channel, RecvTimeoutError};
use std::thread;
use std::time::Duration;

/// The profile of what runs, with the library built for speed.
pub const RELEASE: &str = "release";

/// The same, with the library built for size.
pub const SMALL: &str = "small";

/// Features of the library: all that it can do on a board.
pub const WHOLE_LIBRARY: &str = "versions,states,trie,int6,fine,metadata,snapshot,defmt";

/// Cargo, told to `check` or `build` the library by itself, with no other features.
pub fn library(command: &str, target: &str, features: &str) -> Command {
    let mut library = cargo();
    library.args([command, "--release", "--package", "kinglet"]);
    library.args(["--no-default-features", "--features", features]);
    library.args(["--target", target, "--target-dir"]);
    library.arg(target_dir());
    library
}

/// Builds the firmware with `image` linked in, or one that expects an image
/// in the machine's spare RAM. Returns the path of the ELF file, which later
/// builds with other images leave alone.
pub fn build(machine: &Machine, image: Option<&Path>) -> Result<PathBuf> {
    let image = image.map(Linked::open).transpose()?;
    let name = image
        .as_ref()
        .map_or_else(|| "loads-image".to_owned(), Linked::name);
    let mut build = program(machine, "kinglet-qemu", RELEASE);
    build.envs(image.as_ref().map(|image| ("KINGLET_IMAGE", &image.path)));
    let kept = format!("{}-{name}.elf", machine.name);
    let built = [machine.core.triple, RELEASE, "kinglet-qemu"];
    make(build, built, &kept)?.map_err(|errors| explain(machine, image.as_ref(), &errors))
}

/// Builds the program `kinglet-KIND` for a machine in this profile, with these
/// environment variables; returns the path of the ELF file.
pub fn build_program(
    machine: &Machine,
    kind: &str,
    profile: &str,
    variables: &[(&str, &OsStr)],
) -> Result<PathBuf> {
    let mut build = program(machine, &format!("kinglet-{kind}"), profile);
    build.envs(variables.iter().copied());
    let what = format!("the firmware kinglet-{kind}");
    build_as(machine, build, [kind, profile], &what)
}

/// Builds the application of boards for a machine, in the memory of a board;
/// returns the path of the ELF file.
pub fn build_stand_in(machine: &Machine, board: &str) -> Result<PathBuf> {
    let mut build = program(machine, "kinglet-stand-in", RELEASE);
    build
        .current_dir(root().join("firmware/boards/stand-in"))
        .env("KINGLET_BOARD", board);
    let what = format!("the application of {board} for {}", machine.name);
    build_as(machine, build, ["stand-in", RELEASE], &what)
}

/// Features of the library that the machine's core needs, for cargo.
pub fn features(machine: &Machine) -> String {
    let features = machine.core.features.iter();
    let features: Vec<_> = features.map(|name| format!("kinglet/{name}")).collect();
    features.join(",")
}

/// Cargo, told to build a program of this name for a machine.
fn program(machine: &Machine, package: &str, profile: &str) -> Command {
    let mut build = command(package, machine.core.triple, &features(machine), profile);
    build.env("KINGLET_MACHINE", machine.name);
    build
}

/// Builds `kinglet-KIND` in a profile; returns the path of the ELF file.
fn build_as(
    machine: &Machine,
    build: Command,
    [kind, profile]: [&str; 2],
    what: &str,
) -> Result<PathBuf> {
    let kept = format!("{}-{kind}-{profile}.elf", machine.name);
    let program = format!("kinglet-{kind}");
    let built = [machine.core.triple, profile, &program];
    make(build, built, &kept)?.map_err(|errors| anyhow!("{what} does not build:\n{errors}"))
}

/// How much of Kinglet the smallest firmware has.
#[derive(Clone, Copy, Debug)]
pub enum Smallest {
    /// Nothing.
    Without,
    /// RWKV-4.
    Kinglet,
    /// All versions, vocabularies, named states.
    Everything,
}

/// Builds the smallest firmware; returns the path of the ELF file.
pub fn build_smallest(target: &str, profile: &str, what: Smallest) -> Result<PathBuf> {
    let features = match what {
        Smallest::Without => "",
        Smallest::Kinglet => "kinglet",
        Smallest::Everything => "everything",
    };
    let mut build = command("kinglet-sizes", target, features, profile);
    build.arg("--no-default-features");
    let kept = format!("{target}-{profile}-{what:?}.elf").to_lowercase();
    make(build, [target, profile, "kinglet-sizes"], &kept)?
        .map_err(|errors| anyhow!("the smallest firmware does not build:\n{errors}"))
}

/// Builds the library for programs in C, for a machine's core; returns its path.
pub fn build_capi(machine: &Machine) -> Result<PathBuf> {
    let built = [machine.core.triple, RELEASE, "libkinglet_c.a"];
    let kept = format!("{}/libkinglet.a", machine.name);
    make(program(machine, "kinglet-capi", RELEASE), built, &kept)?
        .map_err(|errors| anyhow!("the library for C does not build:\n{errors}"))
}

/// Cargo, told to build a program for boards.
fn command(package: &str, triple: &str, features: &str, profile: &str) -> Command {
    let mut build = cargo();
    build
        .current_dir(root().join("firmware"))
        .args([
            "build",
            "--quiet",
            "--profile",
            profile,
            "--package",
            package,
        ])
        .args(["--target", triple, "--target-dir"])
        .arg(target())
        .args(["--features", features])
        .env_remove("KINGLET_IMAGE");
    build
}

/// Builds, and keeps the file `built`, told by target, profile and name, as
/// `name`. The inner error is the compiler's message.
fn make(mut build: Command, built: [&str; 3], name: &str) -> Result<Result<PathBuf, String>> {
    ensure_target(built[0])?;
    let kept = target().join("elf").join(name);
    let folder = kept.parent().unwrap_or(&kept);
    fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    // Cargo writes all firmware of a program to the same path: no other process
    // may build until it has been copied.
    let _lock = lock(&target().join("xtask.lock"), tell)?;
    let output = told(&format!("builds {name}"), || build.output());
    let output = output.context("cannot start cargo")?;
    if !output.status.success() {
        return Ok(Err(String::from_utf8_lossy(&output.stderr).into_owned()));
    }
    let built: PathBuf = built.iter().collect();
    keep(&target().join(built), &kept)?;
    Ok(Ok(kept))
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

/// What went wrong, in a sentence where it is known.
fn explain(machine: &Machine, image: Option<&Linked>, errors: &str) -> anyhow::Error {
    let Some(Linked { path, bytes, .. }) = image else {
        return anyhow!("the firmware does not build:\n{errors}");
    };
    let path = path.display();
    if errors.contains("will not fit in region") {
        let name = machine.name;
        let advice = if *bytes <= machine.spare.bytes as usize {
            let spare = binary(machine.spare.bytes);
            format!("; try --load, which uses its {spare} of spare RAM")
        } else {
            String::new()
        };
        let (flash, ram) = (binary(machine.flash.bytes), binary(machine.ram.bytes));
        return anyhow!(
            "{path} ({bytes} bytes) and the firmware do not fit into the {flash} of flash \
             or the {ram} of RAM of {name}{advice}"
        );
    }
    match errors.split_once("evaluation panicked: ") {
        Some((_, rest)) => {
            let sentence = rest.lines().next().unwrap_or_default();
            let advice = if sentence.contains("--target") {
                format!(" (--target {})", machine.core.name)
            } else {
                String::new()
            };
            anyhow!("{path}: {sentence}{advice}")
        }
        None => anyhow!("the firmware with {path} does not build:\n{errors}"),
    }
}

/// Bytes for people, such as `128 KiB`.
fn binary(bytes: u32) -> String {
    if bytes >= 1 << 20 {
        format!("{} MiB", bytes >> 20)
    } else {
        format!("{} KiB", bytes >> 10)
    }
}

/// Waits for the lock, which is released when the file is dropped. Where it has to wait,
/// it says so.
pub(crate) fn lock(path: &Path, say: impl FnOnce(&str)) -> Result<File> {
    let file = File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
    let failed = || format!("cannot lock {}", path.display());
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            say("waits until another command is ready");
            file.lock().with_context(failed)?;
        }
        Err(TryLockError::Error(error)) => return Err(error).with_context(failed),
    }
    Ok(file)
}

/// Tells a person what goes on; a program reads standard error for what went wrong.
pub(crate) fn tell(text: &str) {
    let mut errors = io::stderr();
    if errors.is_terminal() {
        // A reader that went away is no reason to stop.
        let _ = writeln!(errors, "{text}");
    }
}

/// Work is told after this time of silence.
const SILENCE: Duration = Duration::from_secs(3);

/// Does the work; says what it is where it takes long.
fn told<T>(what: &str, work: impl FnOnce() -> T) -> T {
    thread::scope(|scope| {
        let (_done, is_done) = channel::<()>();
        scope.spawn(move || {
            // An end before is the sender's.
            if let Err(RecvTimeoutError::Timeout) = is_done.recv_timeout(SILENCE) {
                tell(what);
            }
        });
        work()
    })
}

/// Copies by renaming, so that readers of the old file are not disturbed.
fn keep(built: &Path, kept: &Path) -> Result<()> {
    let partial = kept.with_extension("partial");
    let copied = fs::copy(built, &partial).and_then(|_| fs::rename(&partial, kept));
    copied.with_context(|| format!("cannot copy {} to {}", built.display(), kept.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_build_says_that_it_waits() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let mut said = String::new();
        let first = lock(&path, |text| said += text).unwrap();
        assert_eq!(said, "");
        let (say, is_said) = channel();
        thread::scope(|scope| {
            scope.spawn(|| {
                let say = |text: &str| say.send(text.to_owned()).unwrap();
                lock(&path, say).unwrap();
            });
            let text = is_said.recv_timeout(Duration::from_secs(60)).unwrap();
            assert!(text.starts_with("waits until another command"), "{text}");
            // Only now the other goes on.
            drop(first);
        });
    }
}
