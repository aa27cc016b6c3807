//! Checkpoints in several files: an index names the file of each tensor.

use super::error::{excerpt, Problem};
use crate::input::{read_limited, MOST_SMALL_BYTES};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The names that a folder's one model has, the best first.
const WHOLE: [&str; 4] = [
    "model.safetensors.index.json",
    "model.safetensors",
    "pytorch_model.bin.index.json",
    "pytorch_model.bin",
];

const SUFFIXES: [&str; 6] = ["safetensors", "st", "pth", "pt", "bin", "gguf"];

/// What an index says: the tensors of each file.
pub(super) type Index = BTreeMap<PathBuf, BTreeSet<String>>;

fn problem(text: impl Into<String>) -> Problem {
    Problem::Parts(text.into())
}

/// The checkpoint in a folder, whole or its index.
pub(super) fn in_folder(folder: &Path) -> Result<PathBuf, Problem> {
    let usual = WHOLE.map(|name| folder.join(name));
    if let Some(path) = usual.into_iter().find(|path| path.is_file()) {
        return Ok(path);
    }
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let suffix = path.extension().unwrap_or_default().to_string_lossy();
        let name = path.to_string_lossy();
        let is_one = SUFFIXES.contains(&&*suffix) && part_of(&path).is_none();
        if path.is_file() && (is_one || name.ends_with(".index.json")) {
            found.push(path);
        }
    }
    match &mut found[..] {
        [one] => Ok(std::mem::take(one)),
        [] => Err(problem(
            "the folder holds no checkpoint, nor the index of one",
        )),
        several => Err(problem(format!(
            "the folder holds {} checkpoints: name one of them",
            several.len()
        ))),
    }
}

/// Which part of how many the name of a file says that it is, where there are others.
/// A GGUF file says it itself, and has no index.
pub(super) fn part_of(path: &Path) -> Option<(u32, u32)> {
    if path.extension().is_some_and(|suffix| suffix == "gguf") {
        return None;
    }
    let stem = path.file_stem()?.to_str()?;
    let (before, all) = stem.rsplit_once("-of-")?;
    let (_, part) = before.rsplit_once('-')?;
    let number = |text: &str| text.parse::<u32>().ok();
    Some((number(part)?, number(all)?)).filter(|&(_, all)| all > 1)
}

/// A part without the others.
pub(super) fn alone((part, all): (u32, u32)) -> Problem {
    problem(format!(
        "is part {part} of {all} of a checkpoint: name the folder that all parts are in, or the index (`.index.json`)"
    ))
}

/// The index in a file of JSON.
pub(super) fn read_index(path: &Path) -> Result<Index, Problem> {
    // About a hundred bytes a tensor.
    let bytes = read_limited(path, MOST_SMALL_BYTES)?;
    let no_index = || {
        problem(
            "is JSON, but no index of a checkpoint's parts (it has no `weight_map`): name the file that has the weights",
        )
    };
    let json: serde_json::Value = serde_json::from_slice(&bytes).map_err(|_| no_index())?;
    let map = json["weight_map"].as_object().ok_or_else(no_index)?;
    let folder = path.parent().unwrap_or(Path::new(""));
    let mut index = Index::new();
    for (tensor, file) in map {
        let file = file.as_str().unwrap_or_default();
        // A part lies beside its index, and nowhere else.
        if file.is_empty() || Path::new(file).file_name() != Some(file.as_ref()) {
            return Err(problem(format!(
                "the index names the file `{}`, which is no file beside it",
                excerpt(file)
            )));
        }
        index
            .entry(folder.join(file))
            .or_default()
            .insert(tensor.clone());
    }
    match index.is_empty() {
        true => Err(problem("the index names no tensors")),
        false => Ok(index),
    }
}

/// The part at `path` has the tensors that the index says.
pub(super) fn check<'n>(
    path: &Path,
    told: &BTreeSet<String>,
    found: impl Iterator<Item = &'n str>,
) -> Result<(), Problem> {
    let found: BTreeSet<&str> = found.collect();
    let told: BTreeSet<&str> = told.iter().map(|name| &**name).collect();
    let name = excerpt(&path.file_name().unwrap_or_default().to_string_lossy());
    if let Some(missing) = told.difference(&found).next() {
        let tensor = excerpt(missing);
        return Err(problem(format!(
            "the part `{name}` lacks the tensor `{tensor}`, which the index says it has: download both again"
        )));
    }
    match found.difference(&told).next() {
        None => Ok(()),
        Some(more) => Err(problem(format!(
            "the part `{name}` has the tensor `{}`, which the index does not name: download both again",
            excerpt(more)
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_told_by_their_names() {
        for (name, expected) in [
            ("model-00001-of-00002.safetensors", Some((1, 2))),
            ("pytorch_model-00003-of-00010.bin", Some((3, 10))),
            ("model-00001-of-00001.safetensors", None),
            ("model-of-2.pth", None),
            ("a-b-of-2.pth", None),
            ("model.pth", None),
            ("", None),
        ] {
            assert_eq!(part_of(Path::new(name)), expected, "{name}");
        }
    }
}
