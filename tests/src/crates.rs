//! Crates as cargo describes them.

use crate::root;
use kinglet_workshop::workspace;
use serde_json::Value;
use std::path::Path;
use std::process::Command;

/// The workspaces that have crates for users.
pub const WORKSPACES: [&str; 2] = ["", "firmware/boards"];

/// The cargo that runs this test, in a folder.
pub fn cargo(folder: &Path) -> Command {
    let mut command = workspace::cargo();
    command.current_dir(folder);
    command
}

/// What cargo reads in the manifests of a workspace.
pub fn packages(workspace: &Path) -> Vec<Value> {
    let mut command = cargo(workspace);
    command.args(["metadata", "--no-deps", "--offline", "--format-version=1"]);
    let output = command.output().expect("cargo starts");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    let read: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    read["packages"].as_array().expect("a list").clone()
}

/// The crates of a workspace that may be published.
pub fn published(workspace: &str) -> Vec<Value> {
    let packages = packages(&root().join(workspace)).into_iter();
    packages.filter(|it| it["publish"].is_null()).collect()
}

/// A text of such a description.
pub fn text<'v>(value: &'v Value, key: &str) -> &'v str {
    value[key]
        .as_str()
        .unwrap_or_else(|| panic!("{key} of {value}"))
}
