//! Checkpoint files: named float tensors, read one at a time.
//!
//! Three formats are told apart by content: safetensors, the zip archive that
//! PyTorch writes (`.pth`, `.pt`), and llama.cpp's GGUF. Opening reads the
//! table of tensors only; [`Checkpoint::load`] then seeks to one tensor and
//! decodes it to f32, so that memory holds one tensor at a time.
//!
//! Every byte of a file is taken as hostile: lengths are compared with the
//! file's own length before anything is allocated, arithmetic is checked, and
//! the pickle inside a PyTorch file is interpreted under an allow-list and
//! never executed. No content of a file makes anything here panic.
//!
//! | room | what it does |
//! |---|---|
//! | `source` | reads at an offset, within the file |
//! | `dtype` | types of values, and the decoding of floats |
//! | `layout` | where a tensor's values lie, and how to fetch them |
//! | `order` | names in natural order |
//! | `foreign` | tells files of other kinds |
//! | `parts` | checkpoints in several files |
//! | `safetensors` | the table of a safetensors file |
//! | `gguf` | the table of a GGUF file |
//! | `pth` | the zip archive of a PyTorch file |
//! | `pickle`, `machine`, `globals`, `state_dict` | the table inside that archive |
//! | [`writer`] | writes safetensors files |

mod dtype;
mod error;
mod foreign;
pub(crate) mod gguf;
mod globals;
mod layout;
mod machine;
mod order;
mod parts;
mod pickle;
mod pth;
mod safetensors;
mod source;
mod state_dict;
pub mod writer;

#[cfg(test)]
pub(crate) mod gguf_testing;
#[cfg(test)]
mod hostile_gguf_tests;
#[cfg(test)]
mod hostile_pickle_tests;
#[cfg(test)]
mod hostile_tests;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

pub use dtype::Dtype;
pub use error::{CheckpointError, Problem};
pub use writer::{write_safetensors, SafetensorsFile};

pub(crate) use error::excerpt;
use layout::Layout;
use source::Source;
use std::cmp::Ordering;
use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::fs::File;
use std::io::{self, Cursor};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// A tensor, decoded to f32.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    /// Sizes of the dimensions, the outermost first: a matrix is
    /// `[rows, cols]`, a scalar is `[]`.
    pub shape: Vec<usize>,
    /// The values, row-major and contiguous; as many as the product of
    /// `shape`. NaN and infinities are passed through.
    pub data: Vec<f32>,
}

/// The description of a tensor in a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorInfo {
    /// The name, e.g. `blocks.0.att.key.weight`.
    pub name: String,
    /// Sizes of the dimensions, the outermost first: `[rows, cols]`.
    pub shape: Vec<usize>,
    /// The type of the values in the file.
    pub dtype: Dtype,
    /// The name in the file, where that is another.
    pub alias: Option<String>,
}

impl TensorInfo {
    /// The name in the file.
    pub fn file_name(&self) -> &str {
        self.alias.as_ref().unwrap_or(&self.name)
    }
}

/// Another way to see a tensor of a file.
#[derive(Debug)]
pub(crate) struct SeenAs {
    /// Its name.
    pub name: String,
    /// Whether the last two dimensions change places.
    pub turned: bool,
    /// The row that it is of the tensor, if not all.
    pub row: Option<usize>,
    /// The length of the rows that a vector is cut into.
    pub cut: Option<usize>,
    /// What its values are times those in the file.
    pub times: f32,
    /// The order of the blocks of a matrix's rows, and whether they stay one
    /// dimension; if so, rows are those before it is turned.
    pub blocks: Option<(&'static [usize], bool)>,
}

impl SeenAs {
    /// The whole tensor under this name.
    pub fn named(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            turned: false,
            row: None,
            cut: None,
            times: 1.0,
            blocks: None,
        }
    }

    /// One of its rows.
    pub fn row(self, row: usize) -> Self {
        let row = Some(row);
        Self { row, ..self }
    }
}

/// The file formats that the first bytes of a file can tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// safetensors: a JSON table, then the values.
    Safetensors,
    /// The zip archive that PyTorch writes since version 1.6.
    PyTorch,
    /// llama.cpp's GGUF, of the architectures `rwkv6` and `rwkv7`.
    Gguf,
    /// What PyTorch wrote before (a bare pickle, or a tar): recognised, and
    /// refused by [`Checkpoint::open`] with a sentence on what to do.
    LegacyPyTorch,
}

impl Format {
    /// The name of the format, for messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Safetensors => "safetensors",
            Self::PyTorch => "PyTorch",
            Self::Gguf => "GGUF",
            Self::LegacyPyTorch => "old PyTorch",
        }
    }
}

/// A tensor and the place of its values.
#[derive(Clone)]
struct Entry {
    info: TensorInfo,
    layout: Layout,
    /// Which of the checkpoint's files.
    file: usize,
    /// What the values are times those in the file.
    times: f32,
}

impl Entry {
    /// The same values, seen so. A row that is not there, the turning of a vector,
    /// and a cut that would leave a rest, change nothing.
    fn seen(&self, view: SeenAs) -> Self {
        let Self {
            mut info,
            mut layout,
            file,
            times,
        } = self.clone();
        let row = view
            .row
            .filter(|row| info.shape.first().is_some_and(|rows| row < rows));
        let rows = row.and_then(|row| layout.rows(&info.shape, row, 1));
        if let Some(rows) = rows {
            layout = rows;
            info.shape[0] = 1;
        }
        if let (Some(cut), &[len]) = (view.cut, &info.shape[..]) {
            if cut > 0 && len.is_multiple_of(cut) {
                info.shape = vec![len / cut, cut];
            }
        }
        let entry = Self {
            info,
            layout,
            file,
            times: times * view.times,
        };
        let entry = match view.blocks {
            Some((order, true)) => entry.blocks(order, true).turned(view.turned),
            Some((order, false)) => entry.turned(view.turned).blocks(order, false),
            None => entry.turned(view.turned),
        };
        entry.named(view.name)
    }

    /// With the last two dimensions changed, if so.
    fn turned(mut self, turned: bool) -> Self {
        if turned && self.info.shape.len() > 1 {
            self.layout = self.layout.turned(&self.info.shape);
            let last = self.info.shape.len() - 1;
            self.info.shape.swap(last - 1, last);
        }
        self
    }

    /// A matrix with the blocks of its rows in this order.
    fn blocks(mut self, order: &[usize], joined: bool) -> Self {
        let &[rows, cols] = &self.info.shape[..] else {
            return self;
        };
        // Rows without values may be any number, and each costs memory here.
        if cols > 0 && rows.is_multiple_of(order.len()) {
            let shape = [order.len(), rows / order.len(), cols];
            self.layout = self.layout.blocks(&self.info.shape, order);
            match joined {
                true => self.layout = self.layout.joined(&shape),
                false => self.info.shape = shape.to_vec(),
            }
        }
        self
    }

    fn named(mut self, name: String) -> Self {
        if self.info.name != name {
            let old = std::mem::replace(&mut self.info.name, name);
            self.info.alias.get_or_insert(old);
        }
        self
    }
}

/// What a format's reader finds in the header of a file.
struct Table {
    entries: Vec<Entry>,
    metadata: BTreeMap<String, String>,
}

/// An open checkpoint.
///
/// It can be shared between threads; loads then take turns at the file.
pub struct Checkpoint {
    path: PathBuf,
    format: Format,
    entries: Vec<Entry>,
    metadata: BTreeMap<String, String>,
    /// One, or those of the parts.
    sources: Vec<Mutex<Source>>,
}

/// How many first bytes [`Checkpoint::sniff`] looks at.
pub const SNIFF_BYTES: usize = 512;

impl Checkpoint {
    /// Opens a checkpoint file, whose format is told by its content and not by
    /// its suffix, and checks its table of tensors against the file's length. A
    /// folder or an index (`.index.json`) is that of a checkpoint in parts.
    ///
    /// # Errors
    /// The file cannot be read, is no checkpoint or a part of one, is truncated or
    /// damaged, or holds a tensor of a type that [`Dtype`] does not know. Never
    /// panics.
    pub fn open(path: &Path) -> Result<Self, CheckpointError> {
        let fail = |problem| CheckpointError::new(path, problem);
        let file = match path.is_dir() {
            true => parts::in_folder(path).map_err(fail)?,
            false => path.to_path_buf(),
        };
        if file.extension().is_some_and(|suffix| suffix == "json") {
            return Self::open_parts(&file, path);
        }
        match parts::part_of(&file) {
            Some(part) if file.is_file() => Err(fail(parts::alone(part))),
            _ => Self::from_source(open_source(&file), path),
        }
    }

    /// Opens the checkpoint that an index is of.
    fn open_parts(index: &Path, path: &Path) -> Result<Self, CheckpointError> {
        let fail = |problem| CheckpointError::new(path, problem);
        let mut whole: Option<Self> = None;
        for (part, tensors) in parts::read_index(index).map_err(fail)? {
            let mut opened = Self::from_source(open_source(&part), &part)?;
            let found = opened.entries.iter().map(|entry| &*entry.info.name);
            parts::check(&part, &tensors, found).map_err(fail)?;
            opened.path = path.to_path_buf();
            match &mut whole {
                None => whole = Some(opened),
                Some(whole) => whole.add(opened),
            }
        }
        let whole = whole.ok_or(Problem::Unrecognized).map_err(fail)?;
        check_names(whole.entries.iter().map(|entry| &*entry.info.name)).map_err(fail)?;
        Ok(whole)
    }

    /// Adds the tensors of another part.
    fn add(&mut self, part: Self) {
        let file = self.sources.len();
        let entries = part.entries.into_iter();
        self.entries
            .extend(entries.map(|entry| Entry { file, ..entry }));
        self.entries
            .sort_by(|a, b| order::natural(&a.info.name, &b.info.name));
        self.sources.extend(part.sources);
        self.metadata.extend(part.metadata);
    }

    /// Opens a checkpoint that is in memory; its path is given as `<memory>`.
    ///
    /// # Errors
    /// Those of [`Checkpoint::open`]. Never panics.
    pub fn from_bytes(bytes: Vec<u8>) -> Result<Self, CheckpointError> {
        let source = Source::new(Box::new(Cursor::new(bytes)));
        Self::from_source(source, Path::new("<memory>"))
    }

    fn from_source(source: io::Result<Source>, path: &Path) -> Result<Self, CheckpointError> {
        let read = || {
            let mut source = source?;
            if source.len() == 0 {
                let is_other = path.exists() && !path.is_file();
                return Err(if is_other {
                    Problem::NoFile
                } else {
                    Problem::Empty
                });
            }
            let head = source.read_vec(0, source.len().min(SNIFF_BYTES as u64))?;
            let Some(format) = Self::sniff(&head) else {
                let kind = foreign::kind(&head, source.len());
                return Err(kind.map_or(Problem::Unrecognized, Problem::Foreign));
            };
            let table = match format {
                Format::Safetensors => safetensors::read_table(&mut source)?,
                Format::PyTorch => pth::read_table(&mut source)?,
                Format::Gguf => gguf::read_table(&mut source)?,
                Format::LegacyPyTorch => return Err(Problem::Legacy),
            };
            Ok((source, format, table))
        };
        let (source, format, mut table) =
            read().map_err(|problem| CheckpointError::new(path, problem))?;
        table
            .entries
            .sort_by(|a, b| order::natural(&a.info.name, &b.info.name));
        Ok(Self {
            path: path.to_path_buf(),
            format,
            entries: table.entries,
            metadata: table.metadata,
            sources: vec![Mutex::new(source)],
        })
    }

    /// Sees tensors another way: for each the views that take its place, none
    /// where it stays.
    ///
    /// # Errors
    /// Two tensors have one name then.
    pub(crate) fn view(
        &mut self,
        see: impl Fn(&TensorInfo) -> Vec<SeenAs>,
    ) -> Result<(), CheckpointError> {
        let mut entries = Vec::with_capacity(self.entries.len());
        for entry in &self.entries {
            let views = see(&entry.info);
            match views.is_empty() {
                true => entries.push(entry.clone()),
                false => entries.extend(views.into_iter().map(|view| entry.seen(view))),
            }
        }
        check_names(entries.iter().map(|entry| &*entry.info.name))
            .map_err(|problem| self.error(problem))?;
        entries.sort_by(|a, b| order::natural(&a.info.name, &b.info.name));
        self.entries = entries;
        Ok(())
    }

    /// Whether the file has this format.
    pub(crate) fn is(&self, format: Format) -> bool {
        self.format == format
    }

    /// The tensors, by name in natural order (`blocks.2` before `blocks.10`).
    pub fn tensors(&self) -> impl ExactSizeIterator<Item = &TensorInfo> {
        self.entries.iter().map(|entry| &entry.info)
    }

    /// The description of the tensor `name`, if the file has it.
    pub fn info(&self, name: &str) -> Option<&TensorInfo> {
        self.entry(name).map(|entry| &entry.info)
    }

    /// Reads one tensor and decodes it to f32.
    ///
    /// # Errors
    /// There is no such tensor, or none of floats; the file cannot be read or
    /// has become shorter since it was opened; memory is short. Never panics.
    pub fn load(&self, name: &str) -> Result<Tensor, CheckpointError> {
        let entry = self.find(name)?;
        self.read(entry, &entry.layout, &entry.info)
    }

    /// Reads the range `rows` of a tensor, so that memory holds a part of a
    /// large tensor only. A row is the slice at one index of its outermost
    /// dimension.
    ///
    /// # Errors
    /// Those of [`Checkpoint::load`], or the tensor has not these rows.
    pub fn load_rows(&self, name: &str, rows: Range<usize>) -> Result<Tensor, CheckpointError> {
        let entry = self.find(name)?;
        let mut info = entry.info.clone();
        let place = match info.shape.first_mut() {
            Some(all) if rows.start <= rows.end && rows.end <= *all => {
                *all = rows.len();
                entry.layout.rows(&entry.info.shape, rows.start, rows.len())
            }
            _ => None,
        };
        let Some(layout) = place else {
            let problem = format!("has no rows {} to {}", rows.start, rows.end);
            return Err(self.error(Problem::tensor(name, problem)));
        };
        self.read(entry, &layout, &info)
    }

    /// Refuses a tensor whose values cannot be loaded.
    pub(crate) fn check_type(&self, info: &TensorInfo) -> Result<(), CheckpointError> {
        if info.dtype.is_read() {
            return Ok(());
        }
        let dtype = info.dtype.name().to_owned();
        Err(self.error(Problem::Dtype(excerpt(&info.name), dtype)))
    }

    fn find(&self, name: &str) -> Result<&Entry, CheckpointError> {
        self.entry(name)
            .ok_or_else(|| self.error(Problem::NotFound(excerpt(name))))
    }

    fn read(
        &self,
        entry: &Entry,
        layout: &Layout,
        info: &TensorInfo,
    ) -> Result<Tensor, CheckpointError> {
        self.check_type(info)?;
        // A panic elsewhere cannot leave the source in a bad state: every read
        // seeks first.
        let source = &self.sources[entry.file];
        let mut source = source.lock().unwrap_or_else(PoisonError::into_inner);
        match layout.read(&mut source, info) {
            Ok(mut data) => {
                if entry.times != 1.0 {
                    data.iter_mut().for_each(|value| *value *= entry.times);
                }
                let shape = info.shape.clone();
                Ok(Tensor { shape, data })
            }
            Err(error) => Err(self.error(match error.kind() {
                io::ErrorKind::UnexpectedEof => Problem::truncated(&info.name),
                io::ErrorKind::OutOfMemory => Problem::Memory(excerpt(&info.name)),
                _ => error.into(),
            })),
        }
    }

    fn error(&self, problem: Problem) -> CheckpointError {
        CheckpointError::new(&self.path, problem)
    }

    fn entry(&self, name: &str) -> Option<&Entry> {
        let by_name = |entry: &Entry| -> Ordering { order::natural(&entry.info.name, name) };
        let index = self.entries.binary_search_by(by_name).ok()?;
        self.entries.get(index)
    }

    /// The name of the file's format: `safetensors`, `PyTorch` or `GGUF`.
    pub fn format(&self) -> &'static str {
        self.format.name()
    }

    /// The path that the checkpoint was opened by.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The free-form notes of a safetensors file, what is needed of a GGUF file's
    /// keys and values; empty for a PyTorch file.
    pub fn metadata(&self) -> &BTreeMap<String, String> {
        &self.metadata
    }

    /// Whether these are the first bytes of a known kind of file that is neither
    /// a checkpoint nor a text.
    pub(crate) fn is_binary(first_bytes: &[u8]) -> bool {
        foreign::is_binary(first_bytes)
    }

    /// The format that a file of these first bytes can have, or `None` when it
    /// is no checkpoint. [`SNIFF_BYTES`] bytes are enough, and fewer will do
    /// for all but a tar.
    pub fn sniff(first_bytes: &[u8]) -> Option<Format> {
        // The most specific first: the length at the start of a safetensors file
        // can look like the start of a pickle, but no pickle continues as such a file.
        if safetensors::is_safetensors(first_bytes) {
            Some(Format::Safetensors)
        } else if gguf::is_gguf(first_bytes) {
            Some(Format::Gguf)
        } else if pth::is_zip(first_bytes) {
            Some(Format::PyTorch)
        } else if pth::is_legacy(first_bytes) {
            Some(Format::LegacyPyTorch)
        } else {
            None
        }
    }
}

fn open_source(path: &Path) -> io::Result<Source> {
    Source::new(Box::new(File::open(path)?))
}

/// No two tensors have the same name.
fn check_names<'n>(mut names: impl Iterator<Item = &'n str>) -> Result<(), Problem> {
    let mut seen = HashSet::new();
    match names.find(|name| !seen.insert(*name)) {
        Some(name) => Err(Problem::tensor(name, "is listed twice")),
        None => Ok(()),
    }
}

impl fmt::Debug for Checkpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Checkpoint")
            .field("path", &self.path)
            .field("format", &self.format)
            .field("tensors", &self.entries.len())
            .finish_non_exhaustive()
    }
}
