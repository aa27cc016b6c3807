//! Checkpoints against the tables: which version a file is, and whether all
//! of it is read.

use super::reading::{matches, Reading};
use super::strangers::{is_attention, is_harmless, network};
use super::Version;
use crate::checkpoint::{excerpt, Checkpoint, TensorInfo};
use crate::tensors::names::att::{TIME_DECAY, TIME_STATE};
use crate::tensors::names::LN1;
use crate::tensors::{full_name, split_name, table, Tensor};
use anyhow::{anyhow, bail, Result};

/// The version whose tensors the first layer of the checkpoint has: the one
/// with the most of them there and the fewest missing, of several the newest.
/// So a file that lacks a tensor or has an unknown one still has its version.
pub fn detect_version(checkpoint: &Checkpoint) -> Version {
    let info = |name: &str| checkpoint.info(&full_name(Some(0), name));
    let fit = |version: &Version| {
        let tensors = table(*version).layer_tensors();
        let own = tensors.filter(|tensor| tensor.first_layer == 0);
        let one = own.map(|tensor| {
            let names = [Some(tensor.name), tensor.other_name];
            let found = names.into_iter().flatten().any(|name| info(name).is_some());
            if found {
                1
            } else {
                -1
            }
        });
        one.sum::<i32>()
    };
    let best = Version::ALL.into_iter().max_by_key(fit);
    let best = best.expect("there are versions");
    // 5.1 and 5.2 have the same names. A decay per channel, or fewer:
    let elements = |name: &str| info(name).map(|info| info.shape.iter().product::<usize>());
    match best {
        Version::V52 if elements(TIME_DECAY) != elements(LN1[0]) => Version::V51,
        best => best,
    }
}

/// The name of a tensor in a checkpoint: of two that it may have, the one that
/// is there.
pub fn name_of(checkpoint: &Checkpoint, layer: Option<usize>, tensor: &Tensor) -> String {
    let usual = full_name(layer, tensor.name);
    let other = tensor.other_name.map(|name| full_name(layer, name));
    let has = |name: &String| checkpoint.info(name).is_some();
    match other {
        Some(other) if !has(&usual) && has(&other) => other,
        _ => usual,
    }
}

/// Tensors that a model is read without.
#[derive(Debug, Default)]
pub struct Unread {
    /// Of kinds that no network needs.
    pub harmless: Vec<String>,
    /// Those that the user leaves out.
    pub ignored: Vec<String>,
}

/// Each tensor of the file must be one that the version reads, or of a kind that
/// no network needs, or one that the user leaves out: without it the image would
/// be another model.
///
/// # Errors
/// The first that belongs to another version, or the first that belong to
/// none; a pattern of the user's that matches none, or one that is read.
pub fn accept(checkpoint: &Checkpoint, version: Version, reading: &Reading) -> Result<Unread> {
    let path = checkpoint.path().display();
    let mut unread = Unread::default();
    let mut unknown = Vec::new();
    for info in checkpoint.tensors() {
        let name = &info.name;
        let ignored = reading.ignores(name);
        match place(checkpoint, version, name) {
            Place::Read if ignored => bail!(
                "{path}: the tensor `{}` is one that {version} reads: --ignore cannot leave it out",
                excerpt(name)
            ),
            Place::Read => {}
            _ if ignored => unread.ignored.push(name.clone()),
            Place::Unused => unread.harmless.push(name.clone()),
            Place::Elsewhere => bail!(
                "{path}: the tensor `{name}` belongs to another version than {version}, which the first layer has: \
                 the file mixes versions"
            ),
            Place::Nowhere if is_harmless(info) => unread.harmless.push(name.clone()),
            Place::Nowhere => unknown.push(info),
        }
    }
    for pattern in &reading.ignore {
        if !unread.ignored.iter().any(|name| matches(pattern, name)) {
            bail!("{path}: has no tensor of the pattern `{pattern}`: leave out this --ignore");
        }
    }
    match unknown.is_empty() {
        true => Ok(unread),
        false => Err(unread_error(checkpoint, version, &unknown)),
    }
}

/// Where a tensor belongs.
enum Place {
    /// In the version.
    Read,
    /// In the version, but not in this layer: published files of RWKV-7 have a
    /// value residual in the first layer too, where nothing reads it.
    Unused,
    /// In another version.
    Elsewhere,
    /// In none.
    Nowhere,
}

/// The layer and the row of a name in a version.
fn find(version: Version, name: &str) -> Option<(Option<usize>, &'static Tensor)> {
    let (layer, in_layer) = split_name(name);
    match table(version).find(false, name) {
        Some(tensor) => Some((None, tensor)),
        None => Some((Some(layer?), table(version).find(true, in_layer)?)),
    }
}

/// Whether a version has a tensor of this name.
pub fn is_known(name: &str) -> bool {
    let mut versions = Version::ALL.into_iter();
    versions.any(|version| find(version, name).is_some())
}

fn place(checkpoint: &Checkpoint, version: Version, name: &str) -> Place {
    let (layer, in_layer) = split_name(name);
    let has_states = version.recurrence().has_heads() && layer.is_some();
    if has_states && in_layer == TIME_STATE {
        return Place::Read;
    }
    match find(version, name) {
        // One of two names that a tensor may have is read.
        Some((layer, tensor)) if name_of(checkpoint, layer, tensor) == name => {
            match layer.is_some_and(|layer| layer < tensor.first_layer) {
                true => Place::Unused,
                false => Place::Read,
            }
        }
        None if is_known(name) => Place::Elsewhere,
        _ => Place::Nowhere,
    }
}

/// Names the first tensors that nothing reads, and says what they are.
fn unread_error(
    checkpoint: &Checkpoint,
    version: Version,
    unknown: &[&TensorInfo],
) -> anyhow::Error {
    const SHOWN: usize = 3;
    let path = checkpoint.path().display();
    // The first that is known says the most: a LoRA's scale says little.
    let known = unknown
        .iter()
        .find_map(|info| network(&info.name).or_else(|| network(info.file_name())));
    let what = known.unwrap_or("without them it would be another model: leave out of the file what the model does not need");
    let first = unknown.iter().take(SHOWN);
    let names: Vec<_> = first
        .map(|info| format!("`{}` {:?}", excerpt(info.file_name()), info.shape))
        .collect();
    let names = names.join(", ");
    let more = match unknown.len().saturating_sub(SHOWN) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let offer = match unknown.iter().any(|info| is_attention(&info.name)) {
        true => "",
        false => "; `--ignore PATTERN` would read the file as a model without them",
    };
    anyhow!("{path}: nothing in {version} reads {names}{more}: {what}{offer}")
}
