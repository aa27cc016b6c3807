//! Checkpoints against the tables: which version a file is, and whether all
//! of it is read.

use super::Version;
use crate::checkpoint::{excerpt, Checkpoint};
use crate::tensors::names::{att::TIME_DECAY, LN1};
use crate::tensors::{full_name, split_name, table, Tensor};
use anyhow::{bail, Result};

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

/// Each tensor of the file must be one that the version reads: without it the
/// image would be another model.
///
/// # Errors
/// The first that belongs to another version, or the first that belong to
/// none.
pub fn accept(checkpoint: &Checkpoint, version: Version) -> Result<()> {
    let path = checkpoint.path().display();
    let mut unknown = Vec::new();
    for info in checkpoint.tensors() {
        let (layer, name) = split_name(&info.name);
        let find = |version| match table(version).find(false, &info.name) {
            Some(tensor) => Some((None, tensor)),
            None => Some((Some(layer?), table(version).find(true, name)?)),
        };
        match find(version) {
            // One of two names that a tensor may have is read. Published
            // files of RWKV-7 have a value residual in the first layer too,
            // where nothing reads it.
            Some((layer, tensor)) if name_of(checkpoint, layer, tensor) == info.name => {}
            None if Version::ALL
                .into_iter()
                .any(|version| find(version).is_some()) =>
            {
                let name = &info.name;
                bail!(
                    "{path}: the tensor `{name}` belongs to another version than {version}, which the first layer has: \
                     the file mixes versions"
                );
            }
            _ => unknown.push(&*info.name),
        }
    }
    if !unknown.is_empty() {
        let names = some_of(&unknown);
        bail!(
            "{path}: nothing in {version} reads {names}, and without them it is another model: merge adapters and \
             tuned states into the weights first, or leave out of the file what the model does not need"
        );
    }
    Ok(())
}

/// The first names, and how many more there are.
fn some_of(names: &[&str]) -> String {
    const SHOWN: usize = 3;
    let first = names.iter().take(SHOWN);
    let first: Vec<_> = first.map(|name| format!("`{}`", excerpt(name))).collect();
    match names.len().saturating_sub(SHOWN) {
        0 => first.join(", "),
        more => format!("{} and {more} more", first.join(", ")),
    }
}
