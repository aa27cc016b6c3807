//! Writing results, for all subcommands.

use super::bad_use;
use crate::train::save::beside;
use anyhow::Result;
use indicatif::{ProgressBar, ProgressStyle};
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

/// Whether an error says that the reader of standard output is gone.
pub fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let broken = |e: &io::Error| e.kind() == io::ErrorKind::BrokenPipe;
    error
        .chain()
        .any(|cause| cause.downcast_ref::<io::Error>().is_some_and(broken))
}

/// A progress bar on standard error; invisible where that is no terminal.
pub fn progress_bar(len: u64, what: &'static str) -> ProgressBar {
    let style = ProgressStyle::with_template("{msg} {wide_bar} {pos}/{len} {per_sec} eta {eta}")
        .unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(len).with_style(style).with_message(what)
}

/// A file that a subcommand is going to write.
#[derive(Debug)]
pub struct Output {
    path: PathBuf,
    /// What it is, for people.
    what: &'static str,
    /// Whether a file that is there may be replaced.
    replaces: fn(&Path) -> bool,
}

impl Output {
    /// A file that the user named, and which is replaced if it is there.
    pub fn named(path: &Path) -> Self {
        Self::beside(path.to_owned(), "the output", |_| true)
    }

    /// A file beside one that the user named. `is_own` says whether one that
    /// is there was written by Kinglet; others are not replaced.
    pub fn beside(path: PathBuf, what: &'static str, is_own: fn(&Path) -> bool) -> Self {
        Self {
            path,
            what,
            replaces: is_own,
        }
    }
}

/// Refuses, before any work begins, outputs that would destroy something: an
/// input, another output, what is no file, or a file of the user's where the
/// user named none. Files are compared by identity, not by path;
/// the temporary name of an output counts too.
///
/// Inputs that were not given are `None`.
pub fn check_outputs(inputs: &[Option<&PathBuf>], outputs: &[Output]) -> Result<()> {
    let inputs = inputs.iter().flatten();
    let inputs: Vec<_> = inputs.map(|path| identity(path)).collect();
    let mut taken = Vec::new();
    for output in outputs {
        let refuse = |path: &Path, problem: &str| {
            let (path, what) = (path.display(), output.what);
            bad_use(format!(
                "{path}: {what} would be written over {problem}; choose another output"
            ))
        };
        let path = &output.path;
        for path in [path, &partial(path)] {
            let identity = identity(path);
            if inputs.contains(&identity) {
                return refuse(path, "an input");
            }
            if taken.contains(&identity) {
                return refuse(path, "another output");
            }
            taken.push(identity);
        }
        let is_there = path.exists() || path.file_name().is_none();
        if is_there && !path.is_file() {
            return refuse(path, "what is not a file");
        }
        if is_there && !(output.replaces)(path) {
            return refuse(path, "a file that Kinglet did not write");
        }
    }
    Ok(())
}

/// The identity of a file: equal for two paths to the same file.
#[derive(Debug, PartialEq)]
enum Identity {
    /// Device and inode of a file that is there.
    #[cfg(unix)]
    Inode(u64, u64),
    /// The one path without links, of a file that need not be there.
    Path(PathBuf),
}

/// Whether two paths lead to the same file.
pub fn is_same_file(a: &Path, b: &Path) -> bool {
    identity(a) == identity(b)
}

fn identity(path: &Path) -> Identity {
    #[cfg(unix)]
    if let Ok(found) = fs::metadata(path) {
        use std::os::unix::fs::MetadataExt;
        return Identity::Inode(found.dev(), found.ino());
    }
    let whole = fs::canonicalize(path).or_else(|_| {
        let folder = path.parent().filter(|folder| *folder != Path::new(""));
        let folder = fs::canonicalize(folder.unwrap_or(Path::new(".")))?;
        io::Result::Ok(folder.join(path.file_name().unwrap_or_default()))
    });
    Identity::Path(whole.unwrap_or_else(|_| path.to_owned()))
}

/// The temporary name of an output until it is complete.
fn partial(path: &Path) -> PathBuf {
    beside(path, ".partial")
}

/// Writes a file so that it never exists half written: under a temporary name,
/// renamed when complete.
pub fn write_file(
    path: &Path,
    write: impl FnOnce(&mut BufWriter<File>) -> Result<()>,
) -> Result<()> {
    let partial = partial(path);
    let result = write_and_rename(path, &partial, write);
    if result.is_err() {
        // Best effort: the error that matters is the one returned.
        let _ = fs::remove_file(&partial);
    }
    // An error of what was to be written says itself where it comes from.
    result.map_err(|error| match error.is::<io::Error>() {
        true => error.context(format!("{}: cannot be written", path.display())),
        false => error,
    })
}

fn write_and_rename(
    path: &Path,
    partial: &Path,
    write: impl FnOnce(&mut BufWriter<File>) -> Result<()>,
) -> Result<()> {
    // To be read, too: an image's checksum is that of the whole.
    let mut options = File::options();
    options.read(true).write(true).create(true).truncate(true);
    let mut file = BufWriter::new(options.open(partial)?);
    write(&mut file)?;
    file.flush()?;
    fs::rename(partial, path)?;
    Ok(())
}

/// Prints a JSON value and a newline.
pub fn print_json(value: &impl serde::Serialize) -> Result<()> {
    let text = serde_json::to_string(value)?;
    writeln!(io::stdout(), "{text}")?;
    Ok(())
}
