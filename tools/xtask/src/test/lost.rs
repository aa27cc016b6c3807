//! Tests that no job runs: there must be none.

use anyhow::{Context, Result};
use kinglet_workshop::workspace::{cargo, output};
use serde::Deserialize;
use std::collections::HashSet;
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
    describe.args(["metadata", "--no-deps", "--offline"]);
    describe.args(["--format-version", "1"]);
    let metadata: Metadata = serde_json::from_str(&output(&mut describe)?)?;
    let (mut run, mut lost) = (HashSet::new(), Vec::new());
    for Package { name, targets } in metadata.packages {
        for target in targets.into_iter().filter(|target| target.test) {
            let needs_job = name == by_name && target.kind == ["test"];
            if needs_job && !jobs.contains(&target.name) {
                lost.push(format!("there is no job {} for its tests", target.name));
            }
            let file = fs::canonicalize(target.src_path)?;
            let folder = file.parent().unwrap_or(root).to_path_buf();
            add_modules(file, &folder, &mut run)?;
        }
    }
    let root = fs::canonicalize(root)?;
    add_lost(&root, &root, &run, &mut lost)?;
    Ok(lost)
}

fn read(file: &Path) -> Result<String> {
    fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))
}

/// Adds the file of a crate or a module, and those of the modules in it, which
/// lie in `folder`.
fn add_modules(file: PathBuf, folder: &Path, run: &mut HashSet<PathBuf>) -> Result<()> {
    for line in read(&file)?.lines() {
        let declared = line.trim().strip_suffix(';');
        let declared = declared.and_then(|line| line.rsplit_once("mod "));
        let is_module = |before: &str| before.is_empty() || before.starts_with("pub");
        let Some((_, name)) = declared.filter(|(before, _)| is_module(before)) else {
            continue;
        };
        let within = folder.join(name);
        let files = [within.with_extension("rs"), within.join("mod.rs")];
        for file in files.into_iter().filter(|file| file.is_file()) {
            add_modules(file, &within, run)?;
        }
    }
    run.insert(file);
    Ok(())
}

/// Adds a sentence for each file in a folder that has tests and is not run;
/// leaves out what cargo made.
fn add_lost(
    root: &Path,
    folder: &Path,
    run: &HashSet<PathBuf>,
    lost: &mut Vec<String>,
) -> Result<()> {
    let failed = || format!("cannot read {}", folder.display());
    for entry in fs::read_dir(folder).with_context(failed)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if path.is_dir() && name != "target" && !name.starts_with('.') {
            add_lost(root, &path, run, lost)?;
        } else if path.extension().is_some_and(|extension| extension == "rs")
            && !run.contains(&path)
            && read(&path)?.lines().any(|line| line.trim() == "#[test]")
        {
            lost.push(format!(
                "{}: no job runs its tests: it is a module of no crate that is tested",
                path.strip_prefix(root).unwrap_or(&path).display()
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEST: &str = "#[test]\nfn holds() {}\n";

    /// What is found in a workspace of a library, of tests by name, and of one
    /// more file.
    fn found(path: &str, text: &str) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        let files = [
            ("Cargo.toml", "[workspace]\nmembers = [\"a\", \"b\"]\n"),
            ("a/Cargo.toml", "[package]\nname = \"a\"\n"),
            ("a/src/lib.rs", "mod one;\npub(crate) mod two;\n"),
            ("a/src/one.rs", "mod inner;\n"),
            ("a/src/one/inner.rs", TEST),
            ("a/src/two/mod.rs", TEST),
            ("a/src/no_test.rs", "// no #[test]\n"),
            ("a/tests/whole.rs", TEST),
            ("b/Cargo.toml", "[package]\nname = \"b\"\n"),
            ("b/src/lib.rs", ""),
            ("b/tests/qemu/main.rs", "mod kernels;\n"),
            ("b/tests/qemu/kernels.rs", TEST),
            (path, text),
        ];
        for (path, text) in files {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        lost(folder.path(), "b", &["qemu".to_owned()]).unwrap()
    }

    #[test]
    fn a_test_in_no_crate_module_or_job_is_lost() {
        assert_eq!(found("a/src/one.rs", "mod inner;\n"), [""; 0]);
        for path in [
            "a/src/inner.rs",
            "a/src/one/two.rs",
            "b/tests/qemu/slices.rs",
            "c/src/lib.rs",
        ] {
            let found = found(path, TEST);
            assert!(found.len() == 1 && found[0].starts_with(path), "{found:?}");
        }
        // A file between is not a module.
        let found_below = found("a/src/lib.rs", "mod two;\n");
        assert!(
            found_below[0].starts_with("a/src/one/inner.rs"),
            "{found_below:?}"
        );
        let found_job = found("b/tests/boards/main.rs", TEST);
        assert_eq!(found_job, ["there is no job boards for its tests"]);
        let untested = "[package]\nname = \"a\"\n[[test]]\nname = \"whole\"\ntest = false\n";
        assert!(found("a/Cargo.toml", untested)[0].starts_with("a/tests/whole.rs"));
    }
}
