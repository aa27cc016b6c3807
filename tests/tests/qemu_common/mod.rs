//! What all tests of firmware share: the program behind `cargo xtask`.

use kinglet_tests::{arg, json, root};
use serde_json::Value;
use std::path::{Path, PathBuf};
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

/// The JSON of a run in QEMU.
#[allow(dead_code)]
pub fn qemu(image: &Path, args: &[&str]) -> Value {
    let output = run(&[&["qemu", "--image", arg(image), "--json"], args].concat());
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{args:?}: {errors}");
    assert_eq!(errors, "", "{args:?}");
    serde_json::from_slice(&output.stdout).expect("xtask prints JSON")
}

/// Expects exit code 1 and one sentence; returns it.
#[allow(dead_code)]
pub fn failure(args: &[&str]) -> String {
    let output = run(&[&["qemu"], args].concat());
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{args:?}: {errors}");
    assert_eq!(errors.trim_end().lines().count(), 1, "{errors}");
    errors
}

/// Runs both and compares all that both report; the firmware's test mode goes
/// on after the end of a text.
#[allow(dead_code)]
pub fn assert_same(image: &Path, args: &[&str], board: &[&str]) {
    let run = ["run", arg(image), "--ignore-end", "--json"];
    let expected = json(&[&run, args].concat());
    let found = qemu(image, &[args, board].concat());
    let keys = [
        "tokens",
        "logits_hashes",
        "prompt_logits_hashes",
        "prompt_tokens",
        "text",
    ];
    for key in keys {
        assert_eq!(
            found[key],
            expected[key],
            "{key} of {} {args:?}",
            image.display()
        );
    }
}
