//! Writing results, for all subcommands.

use super::{bad_use, is_quiet};
use crate::input;
use crate::output::{
    destination, is_stream, probe, standard_output_has_result, write, Identity, Out,
};
use anyhow::{anyhow, Result};
use indicatif::{ProgressBar, ProgressStyle};
use std::ffi::OsStr;
use std::io::{self, Write};
use std::path::{is_separator, Path, PathBuf};

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
    bar(len).with_style(style).with_message(what)
}

/// One that nobody sees where all is to be quiet.
pub fn bar(len: u64) -> ProgressBar {
    match is_quiet() {
        true => ProgressBar::hidden(),
        false => ProgressBar::new(len),
    }
}

/// A file that a subcommand is going to write.
#[derive(Debug)]
pub struct Output {
    path: PathBuf,
    /// What it is, for people.
    what: &'static str,
    /// Whether a file that is there may be replaced.
    replaces: fn(&Path) -> bool,
    /// What one is that may not, and what to do.
    other: &'static str,
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
            other: "a file that Kinglet did not write; choose another output",
        }
    }

    /// The same, of a file in which nobody writes but Kinglet: one that is there and not its own
    /// may be damaged.
    pub fn or_damaged(self) -> Self {
        Self {
            other: "a file that is damaged or not Kinglet's: delete it, or choose another output",
            ..self
        }
    }
}

/// Refuses, before any work begins, outputs that would destroy something: an
/// input, another output, a folder, or a file of the user's where the user
/// named none; and those that cannot be written. Files are compared by
/// identity, not by path. Devices and pipes are written to, and lose nothing.
///
/// Inputs that were not given are `None`.
pub fn check_outputs(inputs: &[Option<&PathBuf>], outputs: &[Output]) -> Result<()> {
    let inputs = inputs.iter().flatten();
    let inputs = inputs.flat_map(|path| files_of(path));
    let inputs: Vec<_> = inputs.map(|path| Identity::of(&path)).collect();
    let mut taken = Vec::new();
    for output in outputs {
        let path = &output.path;
        let is_stream = is_stream(&destination(path));
        if is_stream && !path.is_file() {
            continue;
        }
        let identity = Identity::of(path);
        let over = if inputs.contains(&identity) {
            "an input; choose another output"
        } else if taken.contains(&identity) {
            "another output; choose another output"
        } else if is_folder(path) {
            "a folder; choose another output"
        } else if !is_stream && is_there(path) && !(output.replaces)(path) {
            output.other
        } else {
            taken.push(identity);
            continue;
        };
        let (path, what) = (path.display(), output.what);
        return bad_use(format!("{path}: {what} would be written over {over}"));
    }
    let probe = |path: &PathBuf| probe(path).map_err(|error| not_written(path, error));
    outputs
        .iter()
        .map(|output| &output.path)
        .try_for_each(probe)
}

/// Refuses to write a checkpoint under the name of an image.
pub fn check_checkpoint_name(path: &Path) -> Result<()> {
    let is_image = |end: &OsStr| end.eq_ignore_ascii_case("kgl");
    if path.extension().is_some_and(is_image) {
        let path = path.display();
        return bad_use(format!(
            "{path}: .kgl is the ending of images, and this is to be a checkpoint: write a .safetensors file"
        ));
    }
    Ok(())
}

/// The files of an input: a folder, or an index, stands for the parts of a
/// checkpoint that lie in its folder.
fn files_of(input: &Path) -> Vec<PathBuf> {
    let is_index = input.to_string_lossy().ends_with(".index.json");
    let folder = match input.is_dir() {
        true => Some(input),
        false => input.parent().filter(|_| is_index),
    };
    let entries = folder.and_then(|folder| folder.read_dir().ok());
    let paths = entries
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path());
    let parts = paths.filter(|path| path.extension().is_some_and(|end| end == "safetensors"));
    parts.chain([input.to_owned()]).collect()
}

/// Reads a file of settings.
pub fn read_text(path: &Path) -> Result<String> {
    let bytes = input::read(path, input::MOST_SMALL_BYTES)?;
    let text = String::from_utf8(bytes);
    text.or_else(|_| {
        let path = path.display();
        bad_use(format!("{path}: is no text: give a file in TOML"))
    })
}

/// Whether something is there, be it a link to nothing.
pub fn is_there(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}

/// Whether a path is that of a folder, or can be of nothing else.
fn is_folder(path: &Path) -> bool {
    let ends_as_one = path.to_string_lossy().ends_with(is_separator);
    path.is_dir() || path.file_name().is_none() || ends_as_one
}

/// [`crate::output::write`], with errors that name the file.
pub fn write_file<T>(path: &Path, make: impl FnOnce(&mut Out<'_>) -> Result<T>) -> Result<T> {
    let made = write(path, anyhow::Error::new, make);
    // An error of what was to be written says itself where it comes from.
    made.map_err(|error| match error.downcast::<io::Error>() {
        Ok(error) => not_written(path, error),
        Err(error) => error,
    })
}

/// As text: a result that is lost in a closed pipe is a failure.
pub fn not_written(path: &Path, error: io::Error) -> anyhow::Error {
    let (path, folder) = (path.display(), destination(path));
    match folder
        .parent()
        .filter(|_| error.kind() == io::ErrorKind::NotFound)
    {
        Some(folder) => anyhow!(
            "{path}: cannot be written: there is no folder {}",
            folder.display()
        ),
        None => anyhow!("{path}: cannot be written: {error}"),
    }
}

/// Where a command reports: standard output, or standard error where the
/// former has the result.
pub fn report_to() -> Box<dyn Write> {
    match standard_output_has_result() {
        true => Box::new(io::stderr()),
        false => Box::new(io::stdout()),
    }
}

/// Prints a JSON value and a newline.
pub fn print_json(value: &impl serde::Serialize) -> Result<()> {
    let text = serde_json::to_string(value)?;
    writeln!(report_to(), "{text}")?;
    Ok(())
}
