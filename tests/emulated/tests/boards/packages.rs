//! The crates as a registry gives them, in a folder that has nothing else: the manual's
//! smallest program runs in QEMU, the firmware of `kinglet new` builds, and so
//! does the program `kinglet`, with the versions that it was tested with.
//!
//! The registry is a folder (a "directory source" of cargo's): the packed crates, and links to
//! what cargo has fetched for this repository.

use kinglet_targets::DEFAULT_MACHINE;
use kinglet_tests::crates::{cargo, published, text, WORKSPACES};
use kinglet_tests::{arg, demo_image, file, folder, kept_folder, manual, root, stdout};
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

/// Adds the crates of a lock file.
fn add_locked(registry: &Path, workspace: &Path) {
    done(cargo(workspace).args(["fetch", "--locked"]));
    let lock = fs::read_to_string(workspace.join("Cargo.lock")).expect("a lock file");
    for package in lock.split("[[package]]\n").skip(1) {
        let value = |key: &str| {
            let line = package.lines().find_map(|line| line.strip_prefix(key));
            line.and_then(|line| line.strip_prefix(" = \"")?.strip_suffix('"'))
        };
        let (Some(name), Some(version)) = (value("name"), value("version")) else {
            continue;
        };
        let Some(checksum) = value("checksum") else {
            continue;
        };
        let name = format!("{name}-{version}");
        let unpacked = registry.join(&name);
        if unpacked.exists() {
            continue;
        }
        let source = fetched().into_iter().map(|folder| folder.join(&name));
        let source = source.filter(|folder| folder.exists()).next();
        let source = source.unwrap_or_else(|| panic!("{name} is not fetched"));
        fs::create_dir(&unpacked).expect("a folder");
        for entry in fs::read_dir(source).expect("a crate") {
            let entry = entry.expect("an entry");
            symlink(entry.path(), unpacked.join(entry.file_name())).expect("a link");
        }
        add_checksum(&unpacked, checksum);
    }
}

/// Packs the crates of a workspace that may be published and adds them.
fn add_packed(registry: &Path, workspace: &str) {
    let target = kept_folder("packed");
    let crates = published(workspace);
    let mut pack = cargo(&root().join(workspace));
    // What is built from them is built by these tests.
    pack.args(["package", "--offline", "--no-verify", "--allow-dirty"]);
    // Boards are a workspace of their own, whose lock would ask for the others' crates.
    pack.args(Some("--exclude-lockfile").filter(|_| !workspace.is_empty()));
    pack.args(crates.iter().flat_map(|it| ["--package", text(it, "name")]));
    done(pack.arg("--target-dir").arg(&target));
    for it in &crates {
        let name = format!("{}-{}", text(it, "name"), text(it, "version"));
        let packed = target.join("package").join(format!("{name}.crate"));
        done(
            Command::new("tar")
                .arg("xf")
                .arg(&packed)
                .arg("-C")
                .arg(registry),
        );
        let sum = done(Command::new("sha256sum").arg(&packed)).stdout;
        let sum = String::from_utf8(sum).expect("a checksum");
        let sum = sum.split_whitespace().next().expect("a checksum");
        add_checksum(&registry.join(name), sum);
    }
}

/// A folder in which cargo knows this registry alone. It is outside of the repository.
struct Place(tempfile::TempDir);

impl Place {
    fn get() -> &'static Self {
        static PLACE: OnceLock<Place> = OnceLock::new();
        PLACE.get_or_init(|| {
            let place = Self(folder());
            fs::create_dir(place.registry()).expect("a folder");
            LOCKED.map(|workspace| add_locked(&place.registry(), &root().join(workspace)));
            WORKSPACES.map(|workspace| add_packed(&place.registry(), workspace));
            fs::create_dir(place.0.path().join(".cargo")).expect("a folder");
            let config = format!(
                "[source.crates-io]\nreplace-with = \"packed\"\n\
                 [source.packed]\ndirectory = {:?}\n",
                arg(&place.registry())
            );
            file(place.0.path(), ".cargo/config.toml", config);
            place
        })
    }

    fn registry(&self) -> PathBuf {
        self.0.path().join("registry")
    }

    /// Runs a command of cargo in a folder of it, with its options.
    #[track_caller]
    fn cargo(&self, folder: &Path, options: &str) {
        let target = kept_folder("packages");
        let mut command = cargo(folder);
        command.args(options.split(' ')).arg("--offline");
        done(command.env("CARGO_TARGET_DIR", target));
    }
}

/// The folder of what is built for a target.
fn built(target: &str) -> PathBuf {
    kept_folder("packages").join(target).join("release")
}

#[test]
fn the_smallest_program_runs_in_qemu() {
    let place = Place::get();
    let home = place.0.path().join("smallest");
    let machine = DEFAULT_MACHINE;
    fs::create_dir_all(home.join(".cargo")).expect("a folder");
    let image = demo_image(&home, "int4");
    fs::rename(&image, home.join("model.kgl")).expect("a file");
    let manifest = "[package]\nname = \"smallest\"\nedition = \"2024\"\n\
        [[bin]]\nname = \"smallest\"\npath = \"main.rs\"\n\
        [dependencies]\nkinglet = \"0.1\"\n\
        cortex-m = { version = \"0.7\", features = [\"critical-section-single-core\"] }\n\
        cortex-m-rt = \"0.7\"\n\
        semihosting = { version = \"0.1\", features = [\"panic-handler\", \"stdio\"] }\n";
    file(&home, "Cargo.toml", manifest);
    let (flash, ram) = (machine.flash, machine.ram);
    let memory = format!(
        "MEMORY {{\n  FLASH : ORIGIN = {}, LENGTH = {}\n  RAM : ORIGIN = {}, LENGTH = {}\n}}\n",
        flash.origin, flash.bytes, ram.origin, ram.bytes
    );
    file(&home, "memory.x", memory);
    let triple = machine.core.triple;
    let config = format!(
        "[build]\ntarget = \"{triple}\"\n[target.{triple}]\n\
         rustflags = [\"-Clink-arg=-Tlink.x\", \"-Clink-arg=--nmagic\"]\n"
    );
    file(&home, ".cargo/config.toml", config);
    let program = format!(
        "#![no_std]\n#![no_main]\n#![forbid(unsafe_code)]\n{}\n\
         struct Uart;\n\
         impl Uart {{ fn write(&mut self, text: &str) {{ semihosting::print!(\"{{text}}\") }} }}\n\
         #[cortex_m_rt::entry]\n\
         fn main() -> ! {{\n\
             write(&mut Uart).unwrap();\n\
             semihosting::process::exit(0)\n\
         }}\n",
        manual::smallest()
    );
    file(&home, "main.rs", program);
    place.cargo(&home, "build --release");
    let mut run = qemu(machine.core, machine.qemu, &built(triple).join("smallest"));
    run.args(["-semihosting-config", "enable=on,target=native"]);
    let printed = String::from_utf8(done(&mut run).stdout).expect("UTF-8");
    let asked = (["--prompt", "Once upon a time"], "-n 100");
    let expected = stdout(("run", &home.join("model.kgl"), asked));
    assert_eq!(printed + "\n", expected);
}

#[test]
fn the_firmware_of_a_board_builds() {
    let place = Place::get();
    let project = place.0.path().join("wren");
    let options = ["--board", "microbit-v1", "--kinglet", arg(root())];
    stdout(("new", &project, options));
    // As it will be when the crates are in a registry.
    let manifest = fs::read_to_string(project.join("Cargo.toml")).expect("a manifest");
    let of_checkout = format!(", path = \"{}/firmware/boards/common\"", arg(root()));
    assert!(manifest.contains(&of_checkout), "{manifest}");
    file(&project, "Cargo.toml", manifest.replace(&of_checkout, ""));
    place.cargo(&project, "build --release");
    assert!(built("thumbv6m-none-eabi").join("wren").exists());
}

#[test]
fn the_program_compiles_with_the_versions_that_were_tested() {
    let place = Place::get();
    let (host, version) = (place.registry(), env!("CARGO_PKG_VERSION"));
    place.cargo(
        &host.join(format!("kinglet-host-{version}")),
        "check --locked",
    );
}
