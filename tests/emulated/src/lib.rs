//! What tests of firmware share: running `cargo xtask`.
//!
//! They are a separate crate, so that all other tests run without an emulator,
//! and none of these can skip itself.

use kinglet_tests::{arg, json, xtask};
use serde_json::Value;
use std::path::Path;
use std::process::{Output, Stdio};

/// Runs `cargo xtask` to its end.
pub fn run(args: &[&str]) -> Output {
    xtask()
        .args(args)
        .stdin(Stdio::null())
        .output()
        .expect("xtask starts")
}

/// The JSON of a run in QEMU.
pub fn qemu(image: &Path, args: &[&str]) -> Value {
    let output = run(&[&["qemu", "--image", arg(image), "--json"], args].concat());
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{args:?}: {errors}");
    assert_eq!(errors, "", "{args:?}");
    serde_json::from_slice(&output.stdout).expect("xtask prints JSON")
}

/// Expects exit code 1 and one sentence; returns it.
pub fn failure(args: &[&str]) -> String {
    let output = run(&[&["qemu"], args].concat());
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{args:?}: {errors}");
    assert_eq!(errors.trim_end().lines().count(), 1, "{errors}");
    errors
}

/// Runs both and compares all that both report; the firmware's test mode
/// continues after the end of a text.
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
