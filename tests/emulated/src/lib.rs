//! What tests of firmware share: running `cargo xtask`.
//!
//! They are a separate crate, so that all other tests run without an emulator,
//! and none of these can skip itself.

use kinglet_tests::{says, Args};
use serde_json::Value;
use std::path::Path;
use std::process::{Output, Stdio};

/// Runs `cargo xtask` to its end.
pub fn run(args: impl Args) -> Output {
    let mut command = kinglet_tests::xtask();
    let command = command.args(args.list()).stdin(Stdio::null());
    command.output().expect("xtask starts")
}

/// Runs `cargo xtask`, expects success and returns the JSON it prints.
#[track_caller]
pub fn json(args: impl Args) -> Value {
    let output = run(&args);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{:?}: {errors}", args.list());
    serde_json::from_slice(&output.stdout).expect("xtask prints JSON")
}

/// The JSON of `command` on an image; nothing else is said.
#[track_caller]
pub fn on_image(command: &str, image: &Path, args: impl Args) -> Value {
    let args = (command, "--image", image, "--json", args);
    let output = run(&args);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{:?}: {errors}", args.list());
    assert_eq!(errors, "", "{:?}", args.list());
    serde_json::from_slice(&output.stdout).expect("xtask prints JSON")
}

/// The JSON of a run in QEMU.
#[track_caller]
pub fn qemu(image: &Path, args: impl Args) -> Value {
    on_image("qemu", image, args)
}

/// Runs `cargo xtask`, expects this exit code and that the error contains
/// `part`; returns the error.
#[track_caller]
pub fn fails(args: impl Args, code: i32, part: &str) -> String {
    let output = run(&args);
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    let found = output.status.code();
    assert_eq!(found, Some(code), "{:?}: {errors}", args.list());
    says(&errors, part);
    errors
}

/// Expects exit code 1 and one sentence of `cargo xtask qemu`; returns it.
#[track_caller]
pub fn failure(args: impl Args) -> String {
    let errors = fails(("qemu", args), 1, "");
    assert_eq!(errors.trim_end().lines().count(), 1, "{errors}");
    errors
}

/// Runs both and compares all that both report; the firmware's test mode
/// continues after the end of a text.
#[track_caller]
pub fn assert_same(image: &Path, args: impl Args, board: impl Args) {
    let expected = kinglet_tests::json(("run", image, "--ignore-end --json", &args));
    let found = qemu(image, (&args, board));
    for key in [
        "tokens",
        "logits_hashes",
        "prompt_logits_hashes",
        "prompt_tokens",
        "text",
    ] {
        let (image, args) = (image.display(), args.list());
        assert_eq!(found[key], expected[key], "{key} of {image} {args:?}");
    }
}
