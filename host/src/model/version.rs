//! RWKV versions, told by the names of the tensors.

use super::tensors::{layer_names, shared_tensors};
use super::{Dimensions, ModelError};
use crate::checkpoint::{excerpt, Checkpoint};
use kinglet::image;
use std::collections::BTreeSet;
use std::fmt;

/// An RWKV version, as checkpoints have it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// RWKV-4 "Dove".
    V4,
    /// RWKV-5.0, without gate, with one decay per head.
    V5,
    /// RWKV-5.1, with gate and one decay per head.
    V51,
    /// RWKV-5.2 "Eagle", with gate and one decay per channel.
    V52,
    /// RWKV-6 "Finch".
    V6,
    /// RWKV-7 "Goose".
    V7,
}

impl Version {
    /// All of them.
    const ALL: [Self; 6] = [Self::V4, Self::V5, Self::V51, Self::V52, Self::V6, Self::V7];

    /// The recurrence that an image of it needs: that of 5.2 serves 5.1.
    pub fn recurrence(self) -> image::Version {
        match self {
            Self::V4 => image::Version::V4,
            Self::V5 => image::Version::V5,
            Self::V51 | Self::V52 => image::Version::V52,
            Self::V6 => image::Version::V6,
            Self::V7 => image::Version::V7,
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::V4 => "RWKV-4",
            Self::V5 => "RWKV-5.0",
            Self::V51 => "RWKV-5.1",
            Self::V52 => "RWKV-5.2",
            Self::V6 => "RWKV-6",
            Self::V7 => "RWKV-7",
        })
    }
}

/// The version whose tensors the first layer of the checkpoint has. Any of a
/// version's own names tells it, so that a file that lacks one of them is
/// still told right.
pub fn detect_version(checkpoint: &Checkpoint) -> Version {
    let info = |name: &str| checkpoint.info(&format!("blocks.0.{name}"));
    let any = |names: &[&str]| names.iter().any(|name| info(name).is_some());
    let elements = |name: &str| info(name).map(|info| info.shape.iter().product::<usize>());
    if any(&["att.r_k", "att.k_k", "att.x_r"]) {
        Version::V7
    } else if any(&["att.time_maa_x", "att.time_maa_w1", "att.time_decay_w1"]) {
        Version::V6
    } else if any(&["att.gate.weight", "att.time_mix_g"]) {
        // A decay per channel, or fewer.
        match elements("att.time_decay") == elements("ln1.weight") {
            true => Version::V52,
            false => Version::V51,
        }
    } else if any(&["att.ln_x.weight", "att.ln_x.bias"]) {
        Version::V5
    } else {
        Version::V4
    }
}

/// Each tensor of the file must be one that the version uses, or the value
/// residual of RWKV-7's first layer, which published files have and nobody
/// reads. Without another the image would be another model.
pub(super) fn check_names(checkpoint: &Checkpoint, version: Version) -> Result<(), ModelError> {
    let own = layer_names(version);
    let all: BTreeSet<_> = Version::ALL.into_iter().flat_map(layer_names).collect();
    let shared = shared_tensors(&Dimensions::default());
    let mut unknown = Vec::new();
    for info in checkpoint.tensors() {
        if shared.iter().any(|(name, _)| *name == info.name) {
            continue;
        }
        let in_layer = info.name.strip_prefix("blocks.");
        match in_layer.and_then(|rest| rest.split_once('.')) {
            Some((layer, name)) if layer.parse::<usize>().is_ok() && own.contains(name) => {}
            Some((_, name)) if all.contains(name) => {
                return Err(ModelError::Mixed {
                    path: checkpoint.path().to_path_buf(),
                    name: info.name.clone(),
                    version,
                });
            }
            _ => unknown.push(&*info.name),
        }
    }
    match unknown.is_empty() {
        true => Ok(()),
        false => Err(ModelError::Unknown {
            path: checkpoint.path().to_path_buf(),
            names: some_of(&unknown),
            version,
        }),
    }
}

/// The first names, and how many more there are.
fn some_of(names: &[&str]) -> String {
    const SHOWN: usize = 3;
    let first: Vec<_> = names
        .iter()
        .take(SHOWN)
        .map(|name| format!("`{}`", excerpt(name)))
        .collect();
    match names.len().saturating_sub(SHOWN) {
        0 => first.join(", "),
        more => format!("{} and {more} more", first.join(", ")),
    }
}
