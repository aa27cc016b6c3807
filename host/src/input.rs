//! Whole files in memory, up to a limit: a device or a pipe may have no end.

use anyhow::{Context, Result};
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// The longest text or image that is read.
pub const MOST_BYTES: u64 = 4 << 30;

/// The longest file of settings, prompt or vocabulary, or index of a checkpoint's parts,
/// that is read; RWKV's World vocabulary takes 1.2 MB.
pub const MOST_SMALL_BYTES: u64 = 64 << 20;

/// Reads a file of `most_bytes` at most.
///
/// # Errors
/// It cannot be read, or is longer. The sentence begins with the path.
pub fn read(path: &Path, most_bytes: u64) -> Result<Vec<u8>> {
    read_limited(path, most_bytes).with_context(|| path.display().to_string())
}

/// As [`read`], of which the sentence does not say the path.
///
/// # Errors
/// The same.
pub fn read_limited(path: &Path, most_bytes: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?
        .take(most_bytes + 1)
        .read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most_bytes {
        let most = most_bytes >> 20;
        let problem = format!("longer than {most} MiB, the most that is read of such a file");
        return Err(io::Error::other(problem));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_than_the_limit_is_read() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("egg");
        std::fs::write(&path, vec![7; 3 << 20]).unwrap();
        assert_eq!(read(&path, 3 << 20).unwrap().len(), 3 << 20);
        let error = format!("{:#}", read(&path, 2 << 20).unwrap_err());
        assert!(error.contains("egg: longer than 2 MiB, "), "{error}");
        #[cfg(unix)]
        assert!(read(Path::new("/dev/zero"), 1 << 20).is_err());
    }
}
