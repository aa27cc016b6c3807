//! RWKV versions, told by the names of the tensors.

use super::{Model, ModelError};
use crate::checkpoint::Checkpoint;
use kinglet::image;
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

/// The version whose tensors the first layer of the checkpoint has.
pub fn detect_version(checkpoint: &Checkpoint) -> Version {
    let info = |name: &str| checkpoint.info(&format!("blocks.0.att.{name}"));
    let has = |name: &str| info(name).is_some();
    let elements = |name: &str| info(name).map(|info| info.shape.iter().product::<usize>());
    if has("r_k") {
        Version::V7
    } else if has("time_maa_x") {
        Version::V6
    } else if has("gate.weight") {
        // A decay per channel, or fewer.
        match elements("time_decay") == elements("ln_x.weight") {
            true => Version::V52,
            false => Version::V51,
        }
    } else if has("ln_x.weight") {
        Version::V5
    } else {
        Version::V4
    }
}

/// Tensors that tell versions apart, and the versions that have them.
const MARKS: [(&str, &[Version]); 5] = [
    ("att.r_k", &[Version::V7]),
    ("att.time_maa_x", &[Version::V6]),
    (
        "att.time_mix_k",
        &[Version::V4, Version::V5, Version::V51, Version::V52],
    ),
    (
        "att.gate.weight",
        &[Version::V51, Version::V52, Version::V6],
    ),
    (
        "att.ln_x.weight",
        &[
            Version::V5,
            Version::V51,
            Version::V52,
            Version::V6,
            Version::V7,
        ],
    ),
];

/// No layer may have a tensor that tells another version.
pub(super) fn check_unmixed(model: &Model) -> Result<(), ModelError> {
    let (checkpoint, version) = (model.checkpoint(), model.version());
    for layer in 0..model.dimensions().layers {
        for (mark, versions) in MARKS {
            let name = format!("blocks.{layer}.{mark}");
            if checkpoint.info(&name).is_some() && !versions.contains(&version) {
                let path = checkpoint.path().to_path_buf();
                return Err(ModelError::Mixed {
                    path,
                    name,
                    version,
                });
            }
        }
    }
    Ok(())
}
