//! What all tests of firmware share: the program behind `cargo xtask`.

use kinglet_tests::root;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;

/// Whether tests in QEMU can run; says so where not.
#[allow(dead_code)]
pub fn enabled() -> bool {
    let version = Command::new("qemu-system-arm").arg("--version").output();
    let skip = std::env::var_os("KINGLET_SKIP_QEMU").is_some();
    if skip || version.is_err() {
        eprintln!("skipped: no qemu-system-arm, or KINGLET_SKIP_QEMU is set");
        return false;
    }
    true
}

/// A command that runs the program behind `cargo xtask`, built first.
pub fn xtask() -> Command {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    Command::new(PROGRAM.get_or_init(|| {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut build = Command::new(cargo);
        build.args(["build", "--release", "--quiet", "--package", "xtask"]);
        assert!(build
            .current_dir(root())
            .status()
            .expect("cargo starts")
            .success());
        let target = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
        target
            .unwrap_or_else(|| root().join("target"))
            .join("release/xtask")
    }))
}

/// Runs `cargo xtask` to its end.
#[allow(dead_code)]
pub fn run(args: &[&str]) -> Output {
    xtask()
        .args(args)
        .stdin(Stdio::null())
        .output()
        .expect("xtask starts")
}
