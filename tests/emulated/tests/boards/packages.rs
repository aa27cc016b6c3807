//! The crates as a registry gives them, in a folder that has nothing else: the manual's
//! smallest program runs in QEMU, what the firmware of boards shares builds, and the program
//! `kinglet` compiles with the versions that it was tested with.
//!
//! The registry is a folder (a "directory source" of cargo's): the packed crates, and links to
//! what cargo has fetched for this repository.

use kinglet_targets::{Machine, Region, DEFAULT_MACHINE};
use kinglet_tests::crates::{cargo, published, text, WORKSPACES};
use kinglet_tests::{
    arg, demo_checkpoint, file, folder, kept_folder, manual, quantize, root, stdout,
};
use kinglet_workshop::emulator::qemu;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

/// Locked versions that the tested crates need between them.
const LOCKED: [&str; 3] = ["", "firmware", "firmware/boards"];

/// Runs a command and expects success.
#[track_caller]
fn done(command: &mut Command) -> Output {
    let output = command.output().expect("it starts");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {errors}");
    output
}

/// Where cargo keeps the unpacked crates of registries.
fn fetched() -> Vec<PathBuf> {
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| Some(std::env::home_dir()?.join(".cargo")));
    let sources = home.expect("a home").join("registry/src");
    let folders = fs::read_dir(sources).expect("fetched crates");
    folders
        .map(|entry| entry.expect("an entry").path())
        .collect()
}

/// Says the checksum of a crate in the registry.
fn add_checksum(unpacked: &Path, checksum: &str) {
    let text = format!("{{\"files\": {{}}, \"package\": \"{checksum}\"}}");
    file(unpacked, ".cargo-checksum.json", text);
}

/// The value of a key in a package of a lock file.
fn value<'l>(package: &'l str, key: &str) -> Option<&'l str> {
    let line = package.lines().find_map(|line| line.strip_prefix(key));
    line?.strip_prefix(" = \"")?.strip_suffix('"')
}

/// Adds the crates of a lock file.
fn add_locked(registry: &Path, workspace: &Path) {
    done(cargo(workspace).args(["fetch", "--locked"]));
    let lock = fs::read_to_string(workspace.join("Cargo.lock")).expect("a lock file");
    for package in lock.split("[[package]]\n") {
        // Crates of the repository have none.
        let Some(checksum) = value(package, "checksum") else {
            continue;
        };
        let [name, version] = ["name", "version"].map(|key| value(package, key).expect(key));
        let name = format!("{name}-{version}");
        let unpacked = registry.join(&name);
        if unpacked.exists() {
            continue;
        }
        let mut sources = fetched().into_iter().map(|folder| folder.join(&name));
        let source = sources.find(|folder| folder.exists());
        let source = source.unwrap_or_else(|| panic!("{name} is not fetched"));
        fs::create_dir(&unpacked).expect("a folder");
        for entry in fs::read_dir(source).expect("a crate") {
            let entry = entry.expect("an entry");
            symlink(entry.path(), unpacked.join(entry.file_name())).expect("a link");
        }
        add_checksum(&unpacked, checksum);
    }
}

/// Where crates are packed.
fn packed() -> PathBuf {
    kept_folder("packed").join("package")
}

/// Unpacks a crate, `NAME-VERSION`, that [`add_packed`] has packed.
fn unpack(name: &str, into: &Path) -> PathBuf {
    let packed = packed().join(format!("{name}.crate"));
    let mut tar = Command::new("tar");
    done(tar.arg("xf").arg(packed).arg("-C").arg(into));
    into.join(name)
}

/// Packs the crates of a workspace that may be published and adds them.
fn add_packed(registry: &Path, workspace: &str) {
    let crates = published(workspace);
    let mut pack = cargo(&root().join(workspace));
    // What is built from them is built by these tests.
    pack.args(["package", "--offline", "--no-verify", "--allow-dirty"]);
    // A lock file of the boards' workspace would ask a registry for the others' crates.
    pack.args(Some("--exclude-lockfile").filter(|_| !workspace.is_empty()));
    pack.args(crates.iter().flat_map(|it| ["--package", text(it, "name")]));
    done(pack.arg("--target-dir").arg(kept_folder("packed")));
    for it in &crates {
        let name = format!("{}-{}", text(it, "name"), text(it, "version"));
        let mut sum = Command::new("sha256sum");
        let sum = done(sum.arg(packed().join(format!("{name}.crate")))).stdout;
        let sum = String::from_utf8(sum).expect("a checksum");
        let sum = sum.split_whitespace().next().expect("a checksum");
        add_checksum(&unpack(&name, registry), sum);
    }
}

/// The registry, made once.
fn registry() -> &'static Path {
    static REGISTRY: OnceLock<PathBuf> = OnceLock::new();
    REGISTRY.get_or_init(|| {
        let registry = kept_folder("registry");
        fs::remove_dir_all(&registry).expect("a folder of an earlier run");
        fs::create_dir(&registry).expect("a folder");
        for workspace in LOCKED {
            add_locked(&registry, &root().join(workspace));
        }
        for workspace in WORKSPACES {
            add_packed(&registry, workspace);
        }
        registry
    })
}

/// An empty folder, outside of the repository, in which cargo knows this registry alone.
fn place() -> impl AsRef<Path> {
    let place = folder();
    fs::create_dir(place.path().join(".cargo")).expect("a folder");
    let config = format!(
        "[source.crates-io]\nreplace-with = \"packed\"\n\
         [source.packed]\ndirectory = {:?}\n",
        arg(registry())
    );
    file(place.path(), ".cargo/config.toml", config);
    place
}

/// Where cargo puts what these tests build.
fn target() -> PathBuf {
    kept_folder("packages")
}

/// Runs a command of cargo in a folder of such a place.
#[track_caller]
fn build(folder: &Path, options: &str) {
    let mut command = cargo(folder);
    command.args(options.split(' ')).arg("--offline");
    done(command.env("CARGO_TARGET_DIR", target()));
}

/// What the smallest program needs beside the library: where it starts, and a UART, in
/// place of which it prints.
const NEEDS: &str = r#"
kinglet = "0.1"
cortex-m = { version = "0.7", features = ["critical-section-single-core"] }
cortex-m-rt = "0.7"
semihosting = { version = "0.1", features = ["panic-handler", "stdio"] }
"#;
const FRAME: &str = r#"
struct Uart;
impl Uart { fn write(&mut self, text: &str) { semihosting::print!("{text}") } }
#[cortex_m_rt::entry]
fn main() -> ! {
    write(&mut Uart).unwrap();
    semihosting::process::exit(0)
}
"#;

/// Makes the crate `smallest` for a machine.
fn smallest(home: &Path, machine: &Machine) {
    fs::create_dir_all(home.join(".cargo")).expect("a folder");
    let manifest = "[package]\nname = \"smallest\"\nedition = \"2024\"\n\
        [[bin]]\nname = \"smallest\"\npath = \"main.rs\"\n[dependencies]";
    file(home, "Cargo.toml", [manifest, NEEDS].concat());
    let frame = "#![no_std]\n#![no_main]\n#![forbid(unsafe_code)]\n";
    let program = [frame, &manual::smallest(), FRAME].concat();
    file(home, "main.rs", program);
    let region = |region: Region| format!("ORIGIN = {}, LENGTH = {}", region.origin, region.bytes);
    let (flash, ram) = (region(machine.flash), region(machine.ram));
    let memory = format!("MEMORY {{\n  FLASH : {flash}\n  RAM : {ram}\n}}\n");
    file(home, "memory.x", memory);
    let triple = machine.core.triple;
    let config = format!(
        "[build]\ntarget = \"{triple}\"\n\
         rustflags = [\"-Clink-arg=-Tlink.x\", \"-Clink-arg=--nmagic\"]\n"
    );
    file(home, ".cargo/config.toml", config);
}

#[test]
fn the_smallest_program_runs_in_qemu() {
    let place = place();
    let home = place.as_ref().join("smallest");
    let machine = DEFAULT_MACHINE;
    smallest(&home, machine);
    let image = home.join("model.kgl");
    quantize(&demo_checkpoint(), &image, "--weights int4");
    build(&home, "build --release");
    let elf = Path::new(machine.core.triple).join("release/smallest");
    let mut run = qemu(machine.core, machine.qemu, &target().join(elf));
    run.args(["-semihosting-config", "enable=on,target=native"]);
    let printed = String::from_utf8(done(&mut run).stdout).expect("UTF-8");
    let asked = (["--prompt", "Once upon a time"], "-n 100");
    assert_eq!(printed + "\n", stdout(("run", &image, asked)));
}

/// A project of `kinglet new` has this crate and the chip's; `project.rs` builds those.
#[test]
fn the_crate_of_boards_builds() {
    let place = place();
    let home = place.as_ref();
    let manifest = "[package]\nname = \"wren\"\nedition = \"2024\"\n\
        [lib]\npath = \"lib.rs\"\n[dependencies]\nkinglet-board-common = \"0.1\"\n";
    file(home, "Cargo.toml", manifest);
    file(
        home,
        "lib.rs",
        "#![no_std]\npub use kinglet_board_common::Wire;\n",
    );
    let triple = DEFAULT_MACHINE.core.triple;
    build(home, &format!("build --release --target {triple}"));
}

#[test]
#[ignore = "a minute and a half, for a publication"]
fn the_program_compiles_with_the_versions_that_were_tested() {
    let place = place();
    let name = concat!("kinglet-host-", env!("CARGO_PKG_VERSION"));
    build(&unpack(name, place.as_ref()), "check --locked");
}
