//! A checkout that was copied or moved with what was built in it works on its
//! own files, not on those of the place where it was built.

use kinglet_tests::{arg, file, folder, xtask};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// What `cargo xtask firmware` of this checkout does in another: where it runs
/// cargo, and the folder that cargo builds into.
fn builds(program: &Path, start: &Path, package: Option<&Path>) -> [String; 2] {
    let folder = folder();
    let (log, cargo) = (folder.path().join("log"), folder.path().join("cargo"));
    let script = format!(
        "#!/bin/sh\necho \"$(pwd -P)|$*\" >> {}\nexit 1\n",
        arg(&log)
    );
    fs::write(&cargo, script).unwrap();
    fs::set_permissions(&cargo, fs::Permissions::from_mode(0o755)).unwrap();
    let mut command = std::process::Command::new(program);
    command.arg("firmware").current_dir(start);
    command.env("CARGO", &cargo).env_remove("CARGO_TARGET_DIR");
    match package {
        Some(package) => command.env("CARGO_MANIFEST_DIR", package),
        None => command.env_remove("CARGO_MANIFEST_DIR"),
    };
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(1), "this cargo fails");
    let log = fs::read_to_string(log).unwrap_or_default();
    let (place, arguments) = log.trim_end().split_once('|').expect("cargo was run");
    let (_, target) = arguments.split_once("--target-dir ").expect(arguments);
    let target = target.split(' ').next().unwrap();
    [place.to_owned(), target.to_owned()]
}

#[test]
fn a_copied_program_builds_the_checkout_that_it_is_in() {
    let folder = folder();
    let copy = fs::canonicalize(folder.path()).unwrap().join("copy");
    for name in ["tools/workshop", "tools/xtask", "firmware", "target"] {
        fs::create_dir_all(copy.join(name)).unwrap();
    }
    file(&copy, "tools/workshop/Cargo.toml", "");
    let program = copy.join("target/xtask");
    fs::copy(xtask().get_program(), &program).unwrap();
    let expected = [copy.join("firmware"), copy.join("target/firmware")];
    let expected = expected.map(|path| arg(&path).to_owned());
    // By `cargo xtask` from anywhere, and directly within the checkout.
    let package = copy.join("tools/xtask");
    assert_eq!(builds(&program, Path::new("/"), Some(&package)), expected);
    assert_eq!(builds(&program, &copy.join("firmware"), None), expected);
}

#[test]
fn outside_of_a_checkout_that_is_said() {
    let mut command = xtask();
    command.arg("firmware").current_dir("/");
    let output = command.env_remove("CARGO_MANIFEST_DIR").output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert_eq!(
        error,
        "error: this is no checkout of Kinglet: go to a folder of one\n"
    );
}
