//! Where things are, and running other programs.

use anyhow::{bail, Context, Result};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

/// A file that only the root of a checkout has at this place.
const MARK: &str = "tools/workshop/Cargo.toml";

/// The root of the checkout that this program runs in.
///
/// It is looked for when the program runs: a checkout may be moved or copied
/// together with what was built in it. Cargo tells the programs that it starts
/// where their package is; without cargo the current directory counts.
pub fn find_root() -> Result<&'static Path> {
    static ROOT: OnceLock<Option<PathBuf>> = OnceLock::new();
    let find = || {
        let package = std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
        let folders = package.into_iter().chain(std::env::current_dir().ok());
        folders.into_iter().find_map(|folder| checkout(&folder))
    };
    let root = ROOT.get_or_init(find).as_deref();
    root.context("this is no checkout of Kinglet: go to a folder of one")
}

/// The same for callers that are in a checkout.
///
/// # Panics
/// Where there is none.
pub fn root() -> &'static Path {
    find_root().unwrap_or_else(|error| panic!("{error}"))
}

/// The innermost checkout that a folder is in.
fn checkout(folder: &Path) -> Option<PathBuf> {
    let mut folders = folder.ancestors();
    folders
        .find(|folder| folder.join(MARK).is_file())
        .map(Path::to_path_buf)
}

/// Where cargo puts what it builds.
pub fn target_dir() -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    let target = target.unwrap_or_else(|| root().join("target"));
    std::path::absolute(&target).unwrap_or(target)
}

/// A folder of this name for what a command makes, in the target directory.
pub fn work_folder(name: &str) -> Result<PathBuf> {
    let folder = target_dir().join(name);
    std::fs::create_dir_all(&folder)
        .with_context(|| format!("cannot create {}", folder.display()))?;
    Ok(folder)
}

/// The cargo that runs this program.
pub fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root());
    command
}

/// Builds the program `kinglet` and returns its path.
pub fn build_kinglet() -> Result<PathBuf> {
    // A package by itself has other features, and all of it is compiled again.
    let mut selection = vec!["--bin", "kinglet"];
    if std::env::var_os(AMONG_TESTS).is_some() {
        selection.extend(["--test", "bad_files"]);
    }
    build("kinglet", &selection)
}

/// The environment variable that says that tests build the program: a target of
/// theirs beside it turns on what their dependencies turn on, so that all that they
/// have compiled is used.
pub const AMONG_TESTS: &str = "KINGLET_AMONG_TESTS";

/// Builds the program that `cargo xtask` runs, as that does, and returns its path.
pub fn build_xtask() -> Result<PathBuf> {
    build("xtask", &["--package", "xtask"])
}

/// Builds a program of the workspace, selected so, and returns its path.
fn build(program: &str, selection: &[&str]) -> Result<PathBuf> {
    let mut build = cargo();
    build.args(["build", "--quiet"]).args(selection);
    build.arg("--target-dir").arg(target_dir());
    run(&mut build)?;
    let name = format!("{program}{}", std::env::consts::EXE_SUFFIX);
    Ok(target_dir().join("debug").join(name))
}

/// Runs a program to its end and returns what it prints on standard output.
pub fn output(command: &mut Command) -> Result<String> {
    let output = command
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("cannot start {}", name(command)))?;
    if !output.status.success() {
        bail!("`{}` failed ({})", words(command), output.status);
    }
    Ok(String::from_utf8(output.stdout)?)
}

/// Runs a program to its end; what it prints goes where ours goes.
pub fn run(command: &mut Command) -> Result<()> {
    let status = command
        .status()
        .with_context(|| format!("cannot start {}", name(command)))?;
    if !status.success() {
        bail!("`{}` failed ({status})", words(command));
    }
    Ok(())
}

/// Whether a program starts and succeeds; prints nothing.
pub fn succeeds(command: &mut Command) -> bool {
    let command = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// A command as one would type it.
pub fn words(command: &Command) -> String {
    let arguments = command.get_args().map(OsString::from);
    let words = std::iter::once(name(command).into()).chain(arguments);
    words
        .map(|word: OsString| quoted(&word.to_string_lossy()))
        .collect::<Vec<_>>()
        .join(" ")
}

/// The name of the program that a command starts.
pub fn name(command: &Command) -> String {
    let program = Path::new(command.get_program());
    program
        .file_name()
        .unwrap_or(program.as_os_str())
        .to_string_lossy()
        .into_owned()
}

fn quoted(word: &str) -> String {
    if word.is_empty() || word.contains([' ', '"', '$']) {
        format!("'{word}'")
    } else {
        word.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_checkout_within_another_is_the_one() {
        let outer = tempfile::tempdir().unwrap();
        assert_eq!(checkout(outer.path()), None);
        let inner = outer.path().join("copies/second");
        for root in [outer.path(), &inner] {
            fs::create_dir_all(root.join("tools/workshop/src")).unwrap();
            fs::write(root.join(MARK), "").unwrap();
            let within = root.join("tools/workshop/src");
            assert_eq!(checkout(&within).as_deref(), Some(root));
        }
        let between = inner.parent().unwrap();
        assert_eq!(checkout(between).as_deref(), Some(outer.path()));
    }
}
