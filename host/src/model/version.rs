//! RWKV versions, told by the names of the tensors.

use super::tensors::layer_names;
use super::ModelError;
use crate::checkpoint::Checkpoint;
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

/// No layer may have a tensor that only other versions have. Tensors that no
/// version has are passed over, and so are those of RWKV-7's first layer that
/// only later layers need: published files have such.
pub(super) fn check_unmixed(checkpoint: &Checkpoint, version: Version) -> Result<(), ModelError> {
    let own = layer_names(version);
    let all: BTreeSet<_> = Version::ALL.into_iter().flat_map(layer_names).collect();
    for info in checkpoint.tensors() {
        let in_layer = info.name.strip_prefix("blocks.");
        let name = in_layer.and_then(|rest| rest.split_once('.'));
        if name.is_some_and(|(_, name)| all.contains(name) && !own.contains(name)) {
            return Err(ModelError::Mixed {
                path: checkpoint.path().to_path_buf(),
                name: info.name.clone(),
                version,
            });
        }
    }
    Ok(())
}
