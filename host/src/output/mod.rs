//! Every file that Kinglet writes: whole or not there, whenever a program or
//! its machine stops.

mod folder;
mod lock;
mod signals;

pub use folder::write_folder;
pub use lock::{is_left, Lock};
pub use signals::Stop;

use lock::{is_at, try_lock};
use signals::Listed;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File, Metadata};
use std::io::{self, BufWriter, Seek, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use tempfile::NamedTempFile;

/// The most links on the way to a file.
const MOST_LINKS: usize = 40;

/// What the name of a partial file has after that of the output, and at its end.
const PARTIAL: [&str; 2] = [".kinglet-", ".partial"];

/// What `make` writes to, to be read and sought in as well.
pub type Out<'f> = BufWriter<&'f mut File>;

/// Writes the file at `path`, all or nothing: `make` fills a file of another
/// name in the same folder, which is synced and then renamed. It is removed if
/// `make` fails, or a signal ends the program.
///
/// Links are followed. What is there and no file, such as a device or a pipe,
/// is not replaced: all bytes are written to it once `make` is done.
///
/// # Errors
/// Those of `make`, and those of the system, of which `failed` makes an `E`.
pub fn write<T, E>(
    path: &Path,
    failed: impl Fn(io::Error) -> E,
    make: impl FnOnce(&mut Out<'_>) -> Result<T, E>,
) -> Result<T, E> {
    let fill = |file: &mut File| {
        let mut out = BufWriter::new(file);
        let made = make(&mut out)?;
        out.flush().map_err(&failed)?;
        Ok(made)
    };
    let path = destination(path);
    if is_stream(&path) {
        let mut file = tempfile::tempfile().map_err(&failed)?;
        let made = fill(&mut file)?;
        copy_to(&path, &mut file).map_err(&failed)?;
        return Ok(made);
    }
    let mut partial = Partial::of(&path).map_err(&failed)?;
    let made = fill(partial.file.as_file_mut())?;
    partial.become_file(&path).map_err(&failed)?;
    Ok(made)
}

/// Whether the file at `path` could be written now, without writing it.
///
/// # Errors
/// The reason why not.
pub fn probe(path: &Path) -> io::Result<()> {
    let path = destination(path);
    match is_stream(&path) {
        true => Ok(()),
        false => Partial::of(&path).map(drop),
    }
}

/// A file that is not complete, beside the one that it is going to be.
struct Partial {
    file: NamedTempFile,
    _listed: Listed,
}

impl Partial {
    fn of(path: &Path) -> io::Result<Self> {
        let [first, last] = PARTIAL;
        let mut name = path.file_name().map(OsString::from).unwrap_or_default();
        name.push(first);
        remove_left(folder(path), &name);
        let mut builder = tempfile::Builder::new();
        builder.prefix(&name).suffix(last);
        #[cfg(unix)]
        builder.permissions({
            use std::os::unix::fs::PermissionsExt;
            let replaced = fs::metadata(path).map(|found| found.permissions());
            replaced.unwrap_or_else(|_| fs::Permissions::from_mode(0o666))
        });
        loop {
            let make = || builder.tempfile_in(folder(path)).map_err(plain);
            let (file, _listed) = signals::listed(make, |file| file.path().to_owned())?;
            // Locked: it is not one that was left. Another process may have
            // taken it for one just before.
            if try_lock(file.as_file()) && is_at(file.as_file(), file.path())? {
                return Ok(Self { file, _listed });
            }
        }
    }

    fn become_file(self, path: &Path) -> io::Result<()> {
        self.file.as_file().sync_all()?;
        self.file.persist(path).map_err(|lost| plain(lost.error))?;
        // The name is data of the folder. Not every system syncs one; the
        // file is complete in any case.
        let _ = File::open(folder(path)).and_then(|folder| folder.sync_all());
        Ok(())
    }
}

/// Removes the partial files that killed processes left: nobody locks them.
fn remove_left(folder: &Path, prefix: &OsStr) {
    let [prefix, suffix] = [prefix, PARTIAL[1].as_ref()].map(OsStr::as_encoded_bytes);
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let name = name.as_encoded_bytes();
        let is_file = entry.file_type().is_ok_and(|kind| kind.is_file());
        if is_file && name.starts_with(prefix) && name.ends_with(suffix) {
            let Ok(file) = File::open(entry.path()) else {
                continue;
            };
            if file.try_lock().is_ok() {
                // Best effort, and under the lock.
                let _ = fs::remove_file(entry.path());
            }
        }
    }
}

/// An error without the name of a file that nobody asked for.
fn plain(error: io::Error) -> io::Error {
    match error.raw_os_error() {
        Some(_) => error,
        None => error.kind().into(),
    }
}

/// The folder of a file.
fn folder(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    }
}

/// `path` with a suffix after its name.
pub fn beside(path: &Path, more: &str) -> PathBuf {
    let mut name = path.file_name().map(OsString::from).unwrap_or_default();
    name.push(more);
    path.with_file_name(name)
}

/// Where a path leads: links are followed, also to where nothing is yet.
pub fn destination(path: &Path) -> PathBuf {
    let mut path = path.to_owned();
    for _ in 0..MOST_LINKS {
        match fs::read_link(&path) {
            Ok(to) if !is_descriptor(&path) => path = folder(&path).join(to),
            _ => break,
        }
    }
    path
}

/// Whether a path is a name for a file that a program has open.
fn is_descriptor(path: &Path) -> bool {
    let names = ["/dev/fd", "/dev/stdout", "/dev/stderr", "/proc"];
    names.iter().any(|name| path.starts_with(name))
}

/// Whether a destination is written to and never replaced: a device, a pipe.
pub fn is_stream(path: &Path) -> bool {
    let is_special = |found: Metadata| !found.is_file() && !found.is_dir();
    is_descriptor(path) || fs::metadata(path).is_ok_and(is_special)
}

/// Whether standard output has a result, so that it is no place for a report.
static HAS_RESULT: AtomicBool = AtomicBool::new(false);

/// Whether a result was written to standard output.
pub fn standard_output_has_result() -> bool {
    HAS_RESULT.load(Ordering::Relaxed)
}

fn copy_to(stream: &Path, file: &mut File) -> io::Result<()> {
    file.rewind()?;
    let names = ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"];
    if names.map(OsStr::new).contains(&stream.as_os_str()) {
        HAS_RESULT.store(true, Ordering::Relaxed);
        let mut out = io::stdout().lock();
        io::copy(file, &mut out)?;
        return out.flush();
    }
    let mut options = File::options();
    let mut out = options.write(true).truncate(true).open(stream)?;
    io::copy(file, &mut out).map(drop)
}

/// The identity of a file: equal for two paths to the same file.
#[derive(Debug, PartialEq)]
pub enum Identity {
    /// Device and inode of a file that is there.
    #[cfg(unix)]
    Inode(u64, u64),
    /// The one path without links, of a file that need not be there.
    Path(PathBuf),
}

impl Identity {
    /// The identity of what is at `path`, or of what would be written there.
    pub fn of(path: &Path) -> Self {
        let path = destination(path);
        #[cfg(unix)]
        if let Ok(found) = fs::metadata(&path) {
            return Self::known(&found);
        }
        let whole = fs::canonicalize(&path).or_else(|_| {
            let name = path.file_name().unwrap_or_default();
            io::Result::Ok(fs::canonicalize(folder(&path))?.join(name))
        });
        Self::Path(whole.unwrap_or(path))
    }

    #[cfg(unix)]
    fn known(found: &Metadata) -> Self {
        use std::os::unix::fs::MetadataExt;
        Self::Inode(found.dev(), found.ino())
    }
}
