//! A new folder with files: all of them, or no folder.

use super::signals::listed;
use super::{folder, plain, PARTIAL};
use std::ffi::OsString;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::Path;

/// Makes the folder `path` with these files, by their names relative to it; it is
/// filled under another name, which a failure or a signal removes.
///
/// # Errors
/// Something is at `path` already, or the system's.
pub fn write_folder(path: &Path, files: &[(&str, impl AsRef<[u8]>)]) -> io::Result<()> {
    let [first, last] = PARTIAL;
    let mut name = path.file_name().map(OsString::from).unwrap_or_default();
    name.push(first);
    let mut builder = tempfile::Builder::new();
    builder.prefix(&name).suffix(last);
    #[cfg(unix)]
    builder.permissions({
        use std::os::unix::fs::PermissionsExt;
        fs::Permissions::from_mode(0o777)
    });
    let make = || builder.tempdir_in(folder(path)).map_err(plain);
    let (partial, _listed) = listed(make, |partial| partial.path().to_owned())?;
    for (name, bytes) in files {
        let file = partial.path().join(name);
        fs::create_dir_all(folder(&file))?;
        fs::write(&file, bytes)?;
    }
    // The system would let it take the place of an empty folder.
    if path.symlink_metadata().is_ok() {
        return Err(ErrorKind::AlreadyExists.into());
    }
    fs::rename(partial.path(), path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_whole_or_not_there() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("bird");
        let entries = || fs::read_dir(place.path()).unwrap().count();
        // A file cannot be a folder, too.
        let clash = [("wing", ""), ("wing/feather", "")];
        assert!(write_folder(&path, &clash).is_err());
        assert_eq!(entries(), 0);
        write_folder(&path, &[("head", "a"), ("wing/feather", "b")]).unwrap();
        assert_eq!(fs::read(path.join("wing/feather")).unwrap(), b"b");
        let error = write_folder(&path, &[("head", "c")]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AlreadyExists);
        assert_eq!(fs::read(path.join("head")).unwrap(), b"a");
        assert_eq!(entries(), 1);
    }
}
