//! Tests that no job runs: there must be none.

use anyhow::{Context, Result};
use kinglet_workshop::workspace::{cargo, output};
use serde::Deserialize;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// What `cargo metadata` says of the workspace that the jobs test.
#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    targets: Vec<Target>,
}

#[derive(Deserialize)]
struct Target {
    name: String,
    kind: Vec<String>,
    src_path: PathBuf,
    /// Whether `cargo test` builds its tests.
    test: bool,
}

/// A sentence for each file of `root` whose tests no job runs. Test targets of
/// the package `by_name` run in the job of their name alone; all other tests
/// of the workspace run in one job.
pub fn lost(root: &Path, by_name: &str, jobs: &[String]) -> Result<Vec<String>> {
    let mut describe = cargo();
    describe.current_dir(root);
    describe.args([
        "metadata",
        "--no-deps",
        "--offline",
        "--format-version",
        "1",
    ]);
    let metadata: Metadata = serde_json::from_str(&output(&mut describe)?)?;
    let (mut run, mut lost) = (BTreeSet::new(), Vec::new());
    for Package { name, targets } in metadata.packages {
        for target in targets.into_iter().filter(|target| target.test) {
            let needs_job = name == by_name && target.kind == ["test"];
            if needs_job && !jobs.contains(&target.name) {
                lost.push(format!("there is no job {} for its tests", target.name));
            }
            add_modules(&target.src_path, true, &mut run)?;
        }
    }
    for file in sources(root)? {
        if has_tests(&file)? && !run.contains(&file) {
            let file = file.strip_prefix(root).unwrap_or(&file).display();
            lost.push(format!(
                "{file}: no job runs its tests: it is a module of no crate that is tested"
            ));
        }
    }
    Ok(lost)
}

/// Adds a file, and the files of its modules.
fn add_modules(file: &Path, is_crate: bool, found: &mut BTreeSet<PathBuf>) -> Result<()> {
    let file = fs::canonicalize(file).unwrap_or_else(|_| file.to_path_buf());
    let folder = file.parent().unwrap_or(Path::new("")).to_path_buf();
    let own = if is_crate || file.ends_with("mod.rs") {
        folder.clone()
    } else {
        file.with_extension("")
    };
    let text = read(&file)?;
    if !found.insert(file) {
        return Ok(());
    }
    let mut path = None;
    for line in text.lines().map(str::trim) {
        if let Some(rest) = line.strip_prefix("#[path = \"") {
            path = rest.strip_suffix("\"]").map(|path| folder.join(path));
        }
        let Some(name) = module(line) else { continue };
        let flat = own.join(name).with_extension("rs");
        let nested = own.join(name).join("mod.rs");
        let files = path.take().into_iter().chain([flat, nested]);
        for file in files.filter(|file| file.is_file()).take(1) {
            add_modules(&file, false, found)?;
        }
    }
    Ok(())
}

/// The name in `mod name;`, with any visibility.
fn module(line: &str) -> Option<&str> {
    let (before, rest) = line.split_once("mod ")?;
    let name = rest.strip_suffix(';')?;
    (before.is_empty() || before.starts_with("pub")).then_some(name)
}

fn has_tests(file: &Path) -> Result<bool> {
    Ok(read(file)?.lines().any(|line| line.trim() == "#[test]"))
}

fn read(file: &Path) -> Result<String> {
    fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))
}

/// All files of Rust in a folder but those that cargo made.
fn sources(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let failed = || format!("cannot read {}", folder.display());
    for entry in fs::read_dir(folder).with_context(failed)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if path.is_dir() && name != "target" && !name.starts_with('.') {
            files.extend(sources(&path)?);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(fs::canonicalize(&path)?);
        }
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEST: &str = "#[test]\nfn holds() {}\n";

    /// A workspace of a library, tests by name, and a crate outside.
    fn workspace() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let package = |name| format!("[package]\nname = \"{name}\"\nedition = \"2021\"\n");
        let files = [
            (
                "Cargo.toml",
                "[workspace]\nresolver = \"2\"\nmembers = [\"a\", \"b\"]\n".to_owned(),
            ),
            ("a/Cargo.toml", package("a")),
            (
                "a/src/lib.rs",
                "mod one;\npub(crate) mod two;\n#[path = \"3.rs\"]\nmod three;\n".to_owned(),
            ),
            ("a/src/one.rs", TEST.to_owned() + "mod inner;\n"),
            ("a/src/one/inner.rs", TEST.to_owned()),
            ("a/src/two/mod.rs", TEST.to_owned()),
            ("a/src/3.rs", TEST.to_owned()),
            ("a/src/no_test.rs", "// no #[test]\n".to_owned()),
            ("a/tests/whole.rs", TEST.to_owned()),
            ("b/Cargo.toml", package("b")),
            ("b/src/lib.rs", String::new()),
            ("b/tests/qemu/main.rs", "mod kernels;\n".to_owned()),
            ("b/tests/qemu/kernels.rs", TEST.to_owned()),
        ];
        for (path, text) in files {
            write(folder.path(), path, &text);
        }
        folder
    }

    fn write(root: &Path, path: &str, text: &str) {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn found(folder: &tempfile::TempDir) -> Vec<String> {
        let root = fs::canonicalize(folder.path()).unwrap();
        lost(&root, "b", &["qemu".to_owned()]).unwrap()
    }

    #[test]
    fn tests_of_crates_and_jobs_are_run() {
        assert_eq!(found(&workspace()), [""; 0]);
    }

    #[test]
    fn a_file_that_is_no_module_is_lost() {
        for path in [
            "a/src/other.rs",
            "a/src/one/two.rs",
            "b/tests/qemu/slices.rs",
            "c/src/lib.rs",
        ] {
            let folder = workspace();
            write(folder.path(), path, TEST);
            let found = found(&folder);
            assert_eq!(found.len(), 1, "{found:?}");
            assert!(found[0].starts_with(path), "{found:?}");
        }
    }

    #[test]
    fn a_folder_that_is_no_job_is_lost() {
        let folder = workspace();
        write(folder.path(), "b/tests/boards/main.rs", TEST);
        assert_eq!(found(&folder), ["there is no job boards for its tests"]);
    }

    #[test]
    fn a_target_without_tests_is_lost() {
        let folder = workspace();
        let manifest = "[package]\nname = \"a\"\n[[test]]\nname = \"whole\"\ntest = false\n";
        write(folder.path(), "a/Cargo.toml", manifest);
        assert!(found(&folder)[0].starts_with("a/tests/whole.rs"));
    }
}
