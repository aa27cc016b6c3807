//! A checked checkpoint: its RWKV version, its dimensions, and whether every
//! tensor that the version needs is there with the right shape.

mod accept;
mod dimensions;
mod gguf;
mod reading;
mod strangers;
mod translate;
mod tuned;

pub use crate::tensors::{Dimensions, Version};
pub use accept::Unread;
pub use reading::{Convention, Reading};
pub(crate) use translate::{has_clear_shapes, LOW_RANK_KEY};
pub use tuned::TunedState;

use crate::checkpoint::{excerpt, Checkpoint, Tensor, TensorInfo};
use crate::labels::unknown_below;
use crate::tensors::names::{HEAD, LN1};
use crate::tensors::{full_name, split_name, table, Placed, Tensor as Row};
use crate::tokenizer::Vocabulary;
use accept::{accept, detect_version, name_of};
use anyhow::{anyhow, bail, Result};
use std::ops::Range;

/// Where a checkpoint's notes hold its vocabulary, in the text format of
/// World's.
pub const VOCABULARY_KEY: &str = "kinglet.vocabulary";
/// Where they hold the names of its labels, one in a line.
pub const LABELS_KEY: &str = "kinglet.labels";
/// Where they hold the probability below which an answer is none of them.
pub const UNKNOWN_BELOW_KEY: &str = "kinglet.unknown-below";

/// A checkpoint whose tensors were all found, with the right shapes.
#[derive(Debug)]
pub struct Model {
    checkpoint: Checkpoint,
    version: Version,
    dimensions: Dimensions,
    unread: Unread,
}

impl Model {
    /// Finds version and dimensions, and checks names and shapes of all
    /// tensors; reads no weights yet.
    ///
    /// # Errors
    /// A sentence that names file and tensor.
    pub fn new(mut checkpoint: Checkpoint, reading: &Reading) -> Result<Self> {
        translate::names(&mut checkpoint, reading)?;
        let name = full_name(Some(0), LN1[0]);
        if checkpoint.info(&name).is_none() {
            return Err(strangers::no_model(&checkpoint, &name));
        }
        let version = detect_version(&checkpoint);
        translate::values(&mut checkpoint, version, reading)?;
        let unread = accept(&checkpoint, version, reading)?;
        let dimensions = dimensions::dimensions(&checkpoint, version)?;
        translate::check_heads(&checkpoint, version, &dimensions, reading)?;
        let model = Self {
            checkpoint,
            version,
            dimensions,
            unread,
        };
        model.check_layers()?;
        model.check_shapes()?;
        Ok(model)
    }

    /// Opens a file about which all is known, and checks it.
    ///
    /// # Errors
    /// As [`Model::new`].
    pub fn open(path: &std::path::Path) -> Result<Self> {
        Self::new(Checkpoint::open(path)?, &Reading::default())
    }

    /// The RWKV version.
    pub fn version(&self) -> Version {
        self.version
    }

    /// The sizes.
    pub fn dimensions(&self) -> Dimensions {
        self.dimensions
    }

    /// The file underneath.
    pub fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// The tensors of the file that the model is read without.
    pub fn unread(&self) -> &Unread {
        &self.unread
    }

    /// The tuned state that is merged into the model, if there is one.
    ///
    /// # Errors
    /// A layer lacks it, or has another shape; as [`Model::load`].
    pub fn tuned_state(&self) -> Result<Option<TunedState>> {
        let Dimensions { layers, heads, .. } = self.dimensions;
        let sizes = [layers, heads, self.dimensions.head_size()];
        match self.version.recurrence().has_heads() {
            true => TunedState::load(&self.checkpoint, sizes),
            false => Ok(None),
        }
    }

    /// The names of the classes, for a model that answers with a label.
    pub fn labels(&self) -> Vec<String> {
        let labels = self.checkpoint.metadata().get(LABELS_KEY);
        labels.map_or_else(Vec::new, |labels| {
            labels.lines().map(str::to_owned).collect()
        })
    }

    /// Of a model that answers with a label: what [`Header::unknown_below`] of its images
    /// is, 0 where the file says nothing.
    ///
    /// [`Header::unknown_below`]: kinglet::Header::unknown_below
    ///
    /// # Errors
    /// The file's notes say it in another way than [`unknown_below`] reads.
    pub fn unknown_below(&self) -> Result<u16> {
        let note = self.checkpoint.metadata().get(UNKNOWN_BELOW_KEY);
        let Some(note) = note.filter(|_| self.dimensions.classes > 0) else {
            return Ok(0);
        };
        unknown_below(note).map_err(|error| {
            let path = self.checkpoint.path().display();
            anyhow!("{path}: `{UNKNOWN_BELOW_KEY}` in the file's notes: {error}")
        })
    }

    /// The vocabulary in the file, if it has one.
    ///
    /// # Errors
    /// It has a flaw, or more entries than the model.
    pub fn vocabulary(&self) -> Result<Option<Vocabulary>> {
        let Some(text) = self.checkpoint.metadata().get(VOCABULARY_KEY) else {
            return Ok(None);
        };
        let fits = |vocabulary: Vocabulary| match vocabulary.max_id() as usize {
            id if id < self.dimensions.vocab => Ok(vocabulary),
            id => bail!(
                "the token id {id} is beyond the {} entries of the model",
                self.dimensions.vocab
            ),
        };
        let vocabulary = Vocabulary::parse(text.as_bytes()).and_then(fits);
        vocabulary.map(Some).map_err(|error| {
            let path = self.checkpoint.path().display();
            anyhow!("{path}: the vocabulary in the file's notes: {error}")
        })
    }

    /// Reads a tensor's values and checks that they are finite.
    ///
    /// # Errors
    /// The file cannot be read, or holds an infinity or a NaN there.
    pub fn load(&self, name: &str) -> Result<Tensor> {
        self.checked(name, 0, self.checkpoint.load(name)?)
    }

    /// Reads a tensor of layer `layer`.
    ///
    /// # Errors
    /// As [`Model::load`].
    pub fn load_layer(&self, layer: usize, name: &str) -> Result<Tensor> {
        self.load(&full_name(Some(layer), name))
    }

    /// Reads a vector as images have it.
    ///
    /// # Errors
    /// As [`Model::load`].
    pub fn load_stored(&self, layer: Option<usize>, row: &Row) -> Result<Vec<f32>> {
        let name = self.name_of(layer, row);
        let values = self.load(&name)?.data;
        Ok(row.stored_vector(split_name(&name).1, values, self.dimensions.embd))
    }

    /// The name of a tensor in the file.
    pub fn name_of(&self, layer: Option<usize>, row: &Row) -> String {
        name_of(&self.checkpoint, layer, row)
    }

    /// Rows of a matrix, read and checked like [`Model::load`].
    ///
    /// # Errors
    /// As [`Model::load`].
    pub fn load_rows(&self, name: &str, rows: Range<usize>) -> Result<Tensor> {
        let first = rows.start;
        let tensor = self.checkpoint.load_rows(name, rows)?;
        let cols: usize = tensor.shape.iter().skip(1).product();
        self.checked(name, first * cols, tensor)
    }

    /// The tensor, if all its values are finite; they begin at index `first`.
    fn checked(&self, name: &str, first: usize, tensor: Tensor) -> Result<Tensor> {
        match tensor.data.iter().position(|v| !v.is_finite()) {
            None => Ok(tensor),
            Some(at) => bail!(
                "{}: the tensor `{name}` holds {} at index {}",
                self.checkpoint.path().display(),
                tensor.data[at],
                first + at
            ),
        }
    }

    /// The layers end where the next one's first norm is missing; no tensor of a
    /// later layer may follow.
    fn check_layers(&self) -> Result<()> {
        let layers = self.dimensions.layers;
        let tensors = self.checkpoint.tensors();
        let mut found = tensors.map(|info| &info.name);
        let Some(later) = found.find(|name| split_name(name).0 >= Some(layers)) else {
            return Ok(());
        };
        let error = missing(&self.checkpoint, &full_name(Some(layers), LN1[0]));
        bail!("{error}, but there is `{}`", excerpt(later))
    }

    fn check_shapes(&self) -> Result<()> {
        let mut tensors = table(self.version).tensors(self.dimensions.layers);
        tensors.try_for_each(|Placed { layer, tensor }| {
            let shape = tensor.shape(&self.dimensions);
            self.check(&self.name_of(layer, tensor), &shape, !tensor.is_matrix())
        })
    }

    /// Vectors come as `[C]`, as `[1, 1, C]` and as `[H, 1]`; a matrix may have
    /// dimensions of one before its own.
    fn check(&self, name: &str, expected: &[usize], is_per_head: bool) -> Result<()> {
        let info = self.checkpoint.info(name);
        let info = info.ok_or_else(|| missing(&self.checkpoint, name))?;
        self.checkpoint.check_type(info)?;
        let (ones, own) = info
            .shape
            .split_at(info.shape.len().saturating_sub(expected.len()));
        let as_is = own == expected && ones.iter().all(|&size| size == 1);
        // By head and channel: as `[H, N, 1]` too.
        let is_vector = expected.len() == 1 || is_per_head && info.shape.len() > 2;
        let sizes = |shape: &[usize]| -> Vec<usize> {
            shape.iter().copied().filter(|&size| size != 1).collect()
        };
        if as_is || is_vector && sizes(&info.shape) == sizes(expected) {
            return Ok(());
        }
        Err(unlikely(&self.checkpoint, info, expected))
    }
}

/// The checkpoint lacks a tensor that the version needs.
fn missing(checkpoint: &Checkpoint, name: &str) -> anyhow::Error {
    let path = checkpoint.path().display();
    let hint = match name == HEAD {
        true => ": where the embedding is the head too, say --tied-head",
        false => "",
    };
    let (layer, _) = split_name(name);
    // The most alike is the likeliest stray.
    let alike = |other: &&String| {
        name.bytes()
            .zip(other.bytes())
            .take_while(|(a, b)| a == b)
            .count()
    };
    let tensors = checkpoint.tensors().map(|info| &info.name);
    let of_layer = tensors.filter(|name| layer.is_some() && split_name(name).0 == layer);
    let there = of_layer.max_by_key(alike);
    let there = there.map_or_else(String::new, |there| {
        format!(", though there is `{}`", excerpt(there))
    });
    anyhow!("{path}: the tensor `{name}` is missing{there}{hint}")
}

/// A tensor has another shape than the other tensors imply.
fn unlikely(checkpoint: &Checkpoint, info: &TensorInfo, expected: &[usize]) -> anyhow::Error {
    let path = checkpoint.path().display();
    let (name, shape) = (excerpt(&info.name), &info.shape);
    let alias = info.alias.as_ref();
    let alias = alias.map_or_else(String::new, |alias| {
        format!(" (in the file `{}`)", excerpt(alias))
    });
    anyhow!("{path}: the tensor `{name}`{alias} has shape {shape:?}, expected {expected:?}")
}

#[cfg(test)]
mod gguf_tests;
#[cfg(test)]
mod tests;
