//! The zip archive of a PyTorch file.
//!
//! It holds `<prefix>/data.pkl`, the table of tensors as a pickle, and a file
//! `<prefix>/data/<key>` for each storage, uncompressed, so that a tensor can
//! be read by offset. The checksums of the archive are not verified: PyTorch
//! can be told not to compute them.

use super::dtype::Dtype;
use super::error::{excerpt, Problem};
use super::layout::{byte_len, count, is_contiguous, span, Layout};
use super::pickle::{interpret, MAX_PICKLE};
use super::source::Source;
use super::state_dict::{tensors, StateTensor};
use super::{check_names, Entry, Table, TensorInfo};
use std::collections::{BTreeMap, HashMap};
use std::io::BufReader;
use zip::result::ZipError;
use zip::{CompressionMethod, ZipArchive};

/// Whether a file of these first bytes can be a zip archive: an entry, or the
/// end of an archive without entries.
pub(super) fn is_zip(first_bytes: &[u8]) -> bool {
    first_bytes.starts_with(b"PK\x03\x04") || first_bytes.starts_with(b"PK\x05\x06")
}

/// Whether these are the first bytes of what PyTorch wrote before 1.6: a bare
/// pickle of protocol 2 to 5, or a tar.
pub(super) fn is_legacy(first_bytes: &[u8]) -> bool {
    let pickle = matches!(first_bytes, [0x80, 2..=5, ..]);
    pickle || first_bytes.get(257..262) == Some(b"ustar")
}

/// Reads and checks the table of tensors.
pub(super) fn read_table(source: &mut Source) -> Result<Table, Problem> {
    let archive = Archive::read(source)?;
    archive.check_byte_order(source)?;
    let pickle = archive.read_file(source, "data.pkl", MAX_PICKLE)?;
    let (top, objects) = interpret(&pickle)?;
    let tensors = tensors(top, &objects)?;
    check_names(tensors.iter().map(|tensor| tensor.name))?;
    let entry = |tensor: StateTensor<'_>| archive.entry(tensor);
    let entries = tensors.into_iter().map(entry).collect::<Result<_, _>>()?;
    Ok(Table {
        entries,
        metadata: BTreeMap::new(),
    })
}

/// A file inside the archive.
#[derive(Clone, Copy)]
struct File {
    /// Its first byte, in the archive.
    start: u64,
    /// Length in bytes.
    len: u64,
    /// Whether its bytes lie in the archive as they are.
    plain: bool,
}

/// The files below the archive's one folder, by the rest of their names.
struct Archive {
    files: HashMap<String, File>,
}

impl Archive {
    fn read(source: &mut Source) -> Result<Self, Problem> {
        let files = list(source).map_err(|error| {
            let error = excerpt(&error.to_string());
            Problem::Archive(format!(
                "cannot be read ({error}); it is truncated or damaged: download it again"
            ))
        })?;
        let prefix = prefix(&files).map_err(|problem| Problem::Archive(problem.to_owned()))?;
        let files = files.into_iter();
        let strip = |(name, file): (String, File)| {
            name.strip_prefix(&prefix)
                .map(|rest| (rest.to_owned(), file))
        };
        Ok(Self {
            files: files.filter_map(strip).collect(),
        })
    }

    /// The place of a file, whose bytes can be read as they are.
    fn file(&self, name: &str) -> Result<File, Problem> {
        let Some(file) = self.files.get(name) else {
            let problem = format!(
                "lacks the file `{}`; it is damaged: download it again",
                excerpt(name)
            );
            return Err(Problem::Archive(problem));
        };
        if !file.plain {
            let name = excerpt(name);
            let problem = format!(
                "holds `{name}` compressed, encrypted or cut off: PyTorch stores files as they \
                 are, so save the checkpoint again with `torch.save`"
            );
            return Err(Problem::Archive(problem));
        }
        Ok(*file)
    }

    fn read_file(&self, source: &mut Source, name: &str, limit: u64) -> Result<Vec<u8>, Problem> {
        let file = self.file(name)?;
        if file.len > limit {
            let problem = format!(
                "holds `{name}` of {} bytes, but {limit} are allowed",
                file.len
            );
            return Err(Problem::Archive(problem));
        }
        Ok(source.read_vec(file.start, file.len)?)
    }

    /// Files without a note on their byte order are little-endian.
    fn check_byte_order(&self, source: &mut Source) -> Result<(), Problem> {
        if !self.files.contains_key("byteorder") {
            return Ok(());
        }
        let order = self.read_file(source, "byteorder", 64)?;
        if order.trim_ascii() == b"little" {
            return Ok(());
        }
        let order = excerpt(&String::from_utf8_lossy(&order));
        let problem =
            format!("is in byte order `{order}`: save it again on a little-endian machine");
        Err(Problem::Archive(problem))
    }

    /// Checks a tensor against the file of its storage.
    fn entry(&self, tensor: StateTensor<'_>) -> Result<Entry, Problem> {
        let dtype = tensor.dtype;
        let file = self.file(&format!("data/{}", tensor.key))?;
        let storage_bytes = tensor.storage_count.checked_mul(dtype.bytes() as u64);
        if storage_bytes != Some(file.len) {
            let problem = format!(
                "has a storage of {} {dtype} values, but its file has {} bytes",
                tensor.storage_count, file.len
            );
            return Err(Problem::tensor(tensor.name, problem));
        }
        let problem = "does not fit in its storage";
        let layout =
            layout(&tensor, dtype, file).ok_or_else(|| Problem::tensor(tensor.name, problem))?;
        let info = TensorInfo {
            name: tensor.name.to_owned(),
            shape: tensor.shape,
            dtype,
            alias: None,
        };
        Ok(Entry {
            info,
            layout,
            file: 0,
            times: 1.0,
        })
    }
}

/// The most values of a tensor that repeats those of its storage (stride 0): it
/// could ask for any amount of memory.
const MAX_REPEATED: u64 = 1 << 22;

/// Where the values lie, if they lie within the storage.
fn layout(tensor: &StateTensor<'_>, dtype: Dtype, file: File) -> Option<Layout> {
    let span = span(&tensor.shape, &tensor.strides)?;
    let end = tensor.offset.checked_add(span)?;
    byte_len(&tensor.shape, dtype)?;
    if end > tensor.storage_count || count(&tensor.shape)? > tensor.storage_count.max(MAX_REPEATED)
    {
        return None;
    }
    let layout = Layout {
        first: tensor.offset,
        ..Layout::contiguous(file.start, span)
    };
    Some(match is_contiguous(&tensor.shape, &tensor.strides) {
        true => layout,
        false => layout.strided(&tensor.strides),
    })
}

/// The files of the archive, by name.
fn list(source: &mut Source) -> Result<HashMap<String, File>, ZipError> {
    let len = source.len();
    let mut archive = ZipArchive::new(BufReader::new(source.reader()))?;
    let mut files = HashMap::new();
    for index in 0..archive.len() {
        let file = archive.by_index_raw(index)?;
        let Ok(name) = std::str::from_utf8(file.name_raw()) else {
            continue;
        };
        let start = file.data_start().unwrap_or(u64::MAX);
        let plain = file.compression() == CompressionMethod::Stored
            && !file.encrypted()
            && file.compressed_size() == file.size()
            && start.checked_add(file.size()).is_some_and(|end| end <= len);
        files.insert(
            name.to_owned(),
            File {
                start,
                len: file.size(),
                plain,
            },
        );
    }
    Ok(files)
}

/// The folder that `data.pkl` lies in, with the slash.
fn prefix(files: &HashMap<String, File>) -> Result<String, &'static str> {
    let folders = files
        .keys()
        .filter_map(|name| name.strip_suffix("data.pkl"));
    let mut prefixes = folders.filter(|prefix| prefix.ends_with('/'));
    match (prefixes.next(), prefixes.next()) {
        (Some(prefix), None) => Ok(prefix.to_owned()),
        (None, _) => Err("has no file `data.pkl`: it is no PyTorch checkpoint"),
        _ => Err("has more than one file `data.pkl`: save the checkpoint again with `torch.save`"),
    }
}
