//! What the subcommands share in writing their results.

use anyhow::{Context, Result};
use indicatif::{ProgressBar, ProgressStyle};
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::Path;

/// Whether an error is that nobody reads standard output any more.
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

/// Writes a file so that nobody ever sees half of it: under another name
/// first, which it loses when complete.
pub fn write_file(
    path: &Path,
    write: impl FnOnce(&mut BufWriter<File>) -> Result<()>,
) -> Result<()> {
    let name = path
        .file_name()
        .with_context(|| format!("{}: not a file name", path.display()))?;
    let mut partial_name = name.to_owned();
    partial_name.push(".partial");
    let partial = path.with_file_name(partial_name);
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
