//! One program at a time: a lock that ends with its process.

use super::signals::{self, Listed};
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

/// A lock, held until it is dropped or its process ends, however it ends.
#[derive(Debug)]
pub struct Lock {
    path: PathBuf,
    _file: File,
    listed: Option<Listed>,
}

impl Lock {
    /// Locks by means of an empty file, which is removed when the lock is dropped;
    /// one that a process left is as good as none. `None`: another process
    /// has it.
    ///
    /// # Errors
    /// The file cannot be made.
    pub fn take(path: &Path) -> io::Result<Option<Self>> {
        loop {
            let mut options = File::options();
            let file = options
                .create(true)
                .truncate(false)
                .write(true)
                .open(path)?;
            if !try_lock(&file) {
                return Ok(None);
            }
            // Who had the lock may have removed the file in between.
            if is_at(&file, path)? {
                let (_file, listed) = signals::listed(|| Ok(file), |_| path.to_owned())?;
                let (path, listed) = (path.to_owned(), Some(listed));
                return Ok(Some(Self {
                    path,
                    _file,
                    listed,
                }));
            }
        }
    }
}

/// Locks a file; `false`: another process has it locked. A file system without
/// locks is no reason to do nothing.
pub(super) fn try_lock(file: &File) -> bool {
    !matches!(file.try_lock(), Err(TryLockError::WouldBlock))
}

/// Whether a file is still the one at `path`.
pub(super) fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    #[cfg(unix)]
    return Ok(super::Identity::known(&file.metadata()?) == super::Identity::of(path));
    #[cfg(not(unix))]
    Ok(path.exists())
}

impl Drop for Lock {
    fn drop(&mut self) {
        // A signal that comes after another process made the file anew is not
        // to remove that one.
        drop(self.listed.take());
        // While it is still locked: nobody else has it.
        let _ = fs::remove_file(&self.path);
    }
}

/// Whether a file is one that a lock left.
pub fn is_left(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|found| found.is_file() && found.len() == 0)
}
