//! `cargo xtask test`: everything that must hold.

mod lost;

use crate::boards::build_command;
use anyhow::{bail, Context, Result};
use clap::ValueEnum;
use kinglet_targets::{Boards, Machine, CORES, DEFAULT_MACHINE, MACHINES};
use kinglet_workshop::firmware;
use kinglet_workshop::setup::{
    ensure_arm_gcc, ensure_chromium, ensure_cmake, ensure_component, ensure_miri, ensure_qemu,
    ensure_target, ensure_user_qemu, has_cargo_fuzz, has_nightly, USER_QEMU,
};
use kinglet_workshop::table::Table;
use kinglet_workshop::workspace::{cargo, root, run as run_command, words, AMONG_TESTS};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Command;
use std::time::Instant;

/// The target of the AArch64 kernels' tests: a program for it needs neither
/// a linker nor a library that the Rust toolchain does not bring along.
const AARCH64_TARGET: &str = "aarch64-unknown-linux-musl";

/// Processors to test them on, and whether they have dot products of bytes.
const AARCH64_PROCESSORS: [(&str, bool); 2] = [("max", true), ("cortex-a53", false)];

/// Targets that the library is built for beside those of the cores: the same
/// port without atomic instructions.
const OTHER_TARGETS: [&str; 1] = ["riscv32imc-unknown-none-elf"];

/// Optimising the dependencies of such a test takes longer than they run.
const PLAIN_DEPENDENCIES: [&str; 2] = ["--config", "profile.dev.package.\"*\".opt-level=0"];

/// The package of the tests that need an emulator: each folder in its tests is
/// a test target, and the job of that name runs it.
const EMULATED: &str = "kinglet-emulated";

/// The board whose firmware is built with logs, too.
const LOGGING_BOARD: &str = "stm32f405";

/// Seconds that each fuzz target runs.
const FUZZ_SECONDS: u32 = 10;

/// A small image that is in the repository.
const TINY_IMAGE: &str = "core/tests/data/tiny.kgl";

/// Its arrangement of weights.
const TINY_IMAGE_LAYOUT: &str = DEFAULT_MACHINE.core.layout;

/// Run all checks and tests, or the named ones
///
/// Installs what is missing, runs every job to its end even if an earlier
/// one fails, and lists all failures at the end. A file of tests that no job
/// runs is a failure.
///
///   lint      rustfmt and clippy, workstation and firmware
///   firmware  the library for all bare-metal targets, the firmware of all machines
///   docs      rustdoc without a warning
///   host      the tests of all crates but those in QEMU
///   aarch64   the port for AArch64 in QEMU, with and without dot products
///   miri      the portable port under Miri, where there is a nightly toolchain
///   fuzz      the targets of tests/fuzz, two and a half minutes for all of them,
///             where there is a nightly toolchain with cargo-fuzz
///   qemu      the tests of the firmware in QEMU, on all machines, and of its size;
///             the example in C, and the firmware that loads images
///   boards    the firmware of real boards; in QEMU on those that it has, and on
///             machines that stand in for the others; the Pico's file in an emulator
///             of its chip; projects of `kinglet new`; the packed crates, in a folder that
///             has nothing else
#[derive(Debug, clap::Args)]
#[command(
    verbatim_doc_comment,
    after_help = "Examples:\n  cargo xtask test\n  cargo xtask test lint host"
)]
pub struct Args {
    /// The jobs to run; without any, all of them
    #[arg(value_name = "JOB", value_enum)]
    jobs: Vec<Job>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Job {
    Lint,
    Firmware,
    Docs,
    Host,
    Aarch64,
    Miri,
    Fuzz,
    Qemu,
    Boards,
}

/// How a job went.
enum Outcome {
    /// It cannot run here, for this reason.
    Skipped(&'static str),
    /// It ran to its end, and this failed.
    Ran(Vec<String>),
}

impl Job {
    fn name(self) -> String {
        let value = self.to_possible_value();
        value.map_or_else(String::new, |value| value.get_name().to_owned())
    }

    /// Why the job cannot run here, if it needs what is not ours to install.
    fn obstacle(self) -> Option<&'static str> {
        match self {
            Job::Aarch64 if !cfg!(target_os = "linux") => {
                Some("QEMU runs programs for AArch64 on Linux only")
            }
            Job::Miri if !has_nightly() => {
                Some("no nightly toolchain: `rustup toolchain install nightly`")
            }
            Job::Fuzz if !has_cargo_fuzz() => {
                Some("no nightly toolchain with cargo-fuzz: `cargo install cargo-fuzz`")
            }
            _ => None,
        }
    }

    /// Installs what the job needs.
    fn set_up(self) -> Result<()> {
        match self {
            Job::Lint => {
                ensure_component("fmt", "rustfmt")?;
                ensure_component("clippy", "clippy")?;
                core_targets().into_iter().try_for_each(ensure_target)
            }
            Job::Firmware => library_targets().try_for_each(ensure_target),
            Job::Docs | Job::Host => Ok(()),
            Job::Miri => ensure_miri(),
            Job::Fuzz => fuzz_targets()?.into_iter().try_for_each(|target| {
                let corpus = fuzz_folder().join("corpus").join(target);
                std::fs::create_dir_all(corpus).context("no folder for what the fuzzer finds")
            }),
            Job::Aarch64 => {
                ensure_target(AARCH64_TARGET)?;
                ensure_user_qemu()
            }
            Job::Qemu | Job::Boards => {
                library_targets().try_for_each(ensure_target)?;
                CORES.iter().try_for_each(ensure_qemu)?;
                if self == Job::Qemu {
                    ensure_arm_gcc()?;
                    ensure_cmake()?;
                    ensure_chromium()?;
                }
                Ok(())
            }
        }
    }

    /// What it runs.
    fn commands(self) -> Result<Vec<Command>> {
        Ok(match self {
            Job::Lint => lint(),
            Job::Firmware => build()?,
            Job::Docs => docs(),
            Job::Host => vec![tests()],
            Job::Aarch64 => aarch64(),
            Job::Miri => miri(),
            Job::Fuzz => fuzz()?,
            Job::Qemu => vec![self.emulated()],
            Job::Boards => vec![self.emulated(), logging_board()?],
        })
    }

    /// The tests of the package that needs an emulator, in the folder of the
    /// job's name. The package by itself would have other features, and the
    /// workstation's crates would be compiled again.
    fn emulated(self) -> Command {
        let mut tests = tests();
        tests.args(["--workspace", "--test", &self.name()]);
        tests
    }
}

/// Runs tests, all of them to their end.
fn tests() -> Command {
    let mut tests = cargo();
    tests.args(["test", "--no-fail-fast"]).env(AMONG_TESTS, "1");
    tests
}

/// The Rust targets of all cores.
fn core_targets() -> BTreeSet<&'static str> {
    CORES.iter().map(|core| core.triple).collect()
}

/// The Rust targets that the library is built for.
fn library_targets() -> impl Iterator<Item = &'static str> {
    core_targets().into_iter().chain(OTHER_TARGETS)
}

/// Cargo in the workspace of the firmware.
fn firmware_cargo() -> Command {
    let mut command = cargo();
    command
        .current_dir(root().join("firmware"))
        .env_remove("KINGLET_IMAGE");
    command
}

fn lint() -> Vec<Command> {
    let mut board_cargo = cargo();
    board_cargo.current_dir(root().join("firmware/boards"));
    let mut own_cargo = cargo();
    own_cargo.current_dir(root().join("firmware/boards/esp32-c3"));
    let mut commands = vec![cargo(), firmware_cargo(), board_cargo, own_cargo];
    for command in &mut commands {
        command.args(["fmt", "--all", "--check"]);
    }
    let mut clippy = cargo();
    clippy.args(["clippy", "--workspace", "--all-targets", "--all-features"]);
    commands.push(clippy);
    for machine in MACHINES {
        // Code that has an image and code that expects one differ.
        let linked = root().join(TINY_IMAGE);
        let linked = Some(linked).filter(|_| machine.core.layout == TINY_IMAGE_LAYOUT);
        let images = linked.into_iter().map(Some).chain([None]);
        commands.extend(images.map(|image| firmware_clippy(machine, image)));
    }
    for clippy in &mut commands[4..] {
        clippy.args(["--", "-D", "warnings"]);
    }
    commands
}

fn firmware_clippy(machine: &Machine, image: Option<PathBuf>) -> Command {
    let mut clippy = firmware_cargo();
    clippy.args(["clippy", "--release", "--workspace"]);
    clippy.args(["--target", machine.core.triple, "--target-dir"]);
    clippy.arg(firmware::target());
    clippy.args(["--features", &firmware::features(machine)]);
    clippy.env("KINGLET_MACHINE", machine.name);
    match image {
        // Any bytes will do for samples: nothing runs here.
        Some(image) => clippy
            .env("KINGLET_SAMPLES", &image)
            .env("KINGLET_THRESHOLD", "65536")
            .env("KINGLET_IMAGE", image),
        None => clippy.args(["--exclude", "kinglet-sensor"]),
    };
    clippy
}

/// Each RWKV version alone, as the feature for all of them lists them.
fn versions() -> Result<Vec<String>> {
    let manifest = std::fs::read_to_string(root().join("core/Cargo.toml"))?;
    let versions = manifest
        .lines()
        .find_map(|line| line.strip_prefix("versions = "));
    let versions = versions.context("core/Cargo.toml has no line `versions = [...]`")?;
    Ok(serde_json::from_str(versions)?)
}

fn build() -> Result<Vec<Command>> {
    let mut commands = Vec::new();
    let versions = versions()?;
    for target in library_targets() {
        let library = |command, features| firmware::library(command, target, features);
        // What a version leaves out may be named by others; its machine code is in the whole.
        commands.extend(versions.iter().map(|version| library("check", version)));
        commands.push(library("build", firmware::WHOLE_LIBRARY));
    }
    for machine in MACHINES {
        commands.push(xtask(&["capi", "--library", machine.name]));
        let fits = machine.core.layout == TINY_IMAGE_LAYOUT;
        let images = [None, Some(["--image", TINY_IMAGE])];
        for image in images.into_iter().take(1 + usize::from(fits)) {
            let mut firmware = xtask(&["firmware", "--machine", machine.name]);
            firmware.args(image.into_iter().flatten());
            commands.push(firmware);
        }
    }
    Ok(commands)
}

/// Another command of this program.
fn xtask(args: &[&str]) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap_or_default());
    command.current_dir(root()).args(args);
    command
}

fn docs() -> Vec<Command> {
    let mut docs = cargo();
    docs.args(["doc", "--workspace", "--no-deps", "--lib", "--all-features"]);
    docs.env("RUSTDOCFLAGS", "-D warnings");
    vec![docs]
}

fn aarch64() -> Vec<Command> {
    let tests = AARCH64_PROCESSORS.map(|(processor, has_sdot)| {
        let mut tests = cargo();
        tests.args(["test", "--package", "kinglet", "--features", "std"]);
        tests.args(["--lib", "--target", AARCH64_TARGET]);
        tests.args(PLAIN_DEPENDENCIES);
        let target = |key, value| format!("target.{AARCH64_TARGET}.{key}={value:?}");
        tests.args(["--config", &target("linker", "rust-lld")]);
        let runner = format!("{USER_QEMU} -cpu {processor}");
        tests.args(["--config", &target("runner", &runner)]);
        tests.env("KINGLET_EXPECT_SDOT", has_sdot.to_string());
        tests.arg("arch::");
        tests
    });
    tests.into()
}

fn miri() -> Vec<Command> {
    let mut tests = Command::new("rustup");
    tests.current_dir(root());
    tests.args(["run", "nightly", "cargo", "miri", "test"]);
    tests.args(["--package", "kinglet", "--lib"]);
    // Miri never optimises.
    tests.args(["--config", "profile.dev.opt-level=0"]);
    tests.args(PLAIN_DEPENDENCIES).arg("arch::");
    vec![tests]
}

/// The workspace of the fuzz targets.
fn fuzz_folder() -> PathBuf {
    root().join("tests/fuzz")
}

/// Their names: a file for each.
fn fuzz_targets() -> Result<BTreeSet<String>> {
    let folder = fuzz_folder().join("fuzz_targets");
    let mut names = BTreeSet::new();
    for entry in std::fs::read_dir(&folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        let stem = path.file_stem().filter(|_| path.is_file());
        names.extend(stem.map(|stem| stem.to_string_lossy().into_owned()));
    }
    Ok(names)
}

/// Builds all targets at once, then runs each from its seeds and what earlier
/// runs have found.
fn fuzz() -> Result<Vec<Command>> {
    let time = format!("-max_total_time={FUZZ_SECONDS}");
    let mut commands = vec![cargo_fuzz("build")];
    commands.extend(fuzz_targets()?.into_iter().map(|target| {
        let mut run = cargo_fuzz("run");
        run.args([
            &target,
            &format!("corpus/{target}"),
            &format!("seeds/{target}"),
        ]);
        run.args(["--", &time, "-timeout=10", "-rss_limit_mb=2048"]);
        // The reader of a link may outlive its run by a moment: no leak.
        run.arg("-detect_leaks=0");
        run
    }));
    Ok(commands)
}

/// A command of cargo-fuzz, in the workspace of the fuzz targets.
fn cargo_fuzz(command: &str) -> Command {
    let mut fuzz = Command::new("rustup");
    fuzz.current_dir(fuzz_folder());
    fuzz.args([
        "run",
        "nightly",
        "cargo",
        "fuzz",
        command,
        "--fuzz-dir",
        ".",
    ]);
    fuzz
}

/// The command `test`.
pub fn run(args: &Args) -> Result<()> {
    let all = Job::value_variants();
    let jobs = if args.jobs.is_empty() {
        all
    } else {
        &args.jobs
    };
    let names: Vec<_> = all.iter().map(|job| job.name()).collect();
    let mut table = Table::default();
    let mut failures = lost::lost(root(), EMULATED, &names)?;
    for job in jobs {
        let started = Instant::now();
        let outcome = run_job(*job);
        let seconds = format!("{:.0} s", started.elapsed().as_secs_f64());
        let (verdict, failed) = match outcome {
            Outcome::Skipped(reason) => (format!("skipped: {reason}"), Vec::new()),
            Outcome::Ran(failed) if failed.is_empty() => ("passed".to_owned(), failed),
            Outcome::Ran(failed) => ("FAILED".to_owned(), failed),
        };
        table.row(&job.name(), seconds, verdict);
        failures.extend(
            failed
                .into_iter()
                .map(|failure| format!("{}: {failure}", job.name())),
        );
    }
    eprint!("\n{table}");
    for failure in &failures {
        eprintln!("{failure}");
    }
    match failures.len() {
        0 => Ok(()),
        1 => bail!("one check failed"),
        many => bail!("{many} checks failed"),
    }
}

/// Builds the firmware of one board with its logs.
fn logging_board() -> Result<Command> {
    let mut build = build_command(Boards::load(None)?.named(LOGGING_BOARD)?);
    build.args(["--features", "defmt"]);
    Ok(build)
}

/// Runs all commands of a job.
fn run_job(job: Job) -> Outcome {
    if let Some(reason) = job.obstacle() {
        eprintln!("==> {}: skipped: {reason}", job.name());
        return Outcome::Skipped(reason);
    }
    let commands = match job.set_up().and_then(|()| job.commands()) {
        Ok(commands) => commands,
        Err(error) => return Outcome::Ran(vec![format!("{error:#}")]),
    };
    let mut failures = Vec::new();
    for mut command in commands {
        eprintln!("==> {}: {}", job.name(), words(&command));
        if let Err(error) = run_command(&mut command) {
            eprintln!("{error:#}");
            failures.push(format!("{error:#}"));
        }
    }
    Outcome::Ran(failures)
}
