//! Files of a training: the checkpoint, and what resuming needs.

use super::arch::Network;
use super::run::Progress;
use super::settings::{Floats, Settings, Task};
use super::trainer::Trainer;
use crate::checkpoint::{write_safetensors, Checkpoint, CheckpointError, Dtype};
use crate::labels::probability;
use crate::model::{Model, LABELS_KEY, UNKNOWN_BELOW_KEY, VOCABULARY_KEY};
use crate::output::{beside, destination};
use crate::tokenizer::Vocabulary;
use anyhow::{anyhow, ensure, Result};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Where it holds the settings of its training, as JSON.
const SETTINGS_KEY: &str = "kinglet.training";
/// Where a saved training says how far it is, as JSON.
const PROGRESS_KEY: &str = "kinglet.progress";

/// The file that a running training is saved in.
pub fn training_file(output: &Path) -> PathBuf {
    beside(output, ".training")
}

/// The file by which a training keeps its output to itself.
pub fn lock_file(output: &Path) -> PathBuf {
    beside(&destination(output), ".lock")
}

/// Whether a file holds a saved training.
pub fn is_training(path: &Path) -> bool {
    Checkpoint::open(path).is_ok_and(|saved| saved.metadata().contains_key(PROGRESS_KEY))
}

/// Whether a model learned with rounded weights, which lie on the grid of an image.
pub fn is_rounded(model: &Model) -> bool {
    let settings = model.checkpoint().metadata().get(SETTINGS_KEY);
    let settings = settings.and_then(|text| serde_json::from_str::<serde_json::Value>(text).ok());
    settings.is_some_and(|settings| !settings["qat"].is_null())
}

/// The progress of a saved training.
#[derive(Debug, Serialize, Deserialize)]
struct Saved {
    step: u32,
    /// Of the texts that it learned from.
    hash: u64,
    progress: Progress,
}

/// Saves a training on texts of this hash, so that it can be resumed.
///
/// # Errors
/// The file cannot be written; the one before is still there.
pub fn save_training(
    output: &Path,
    settings: &Settings,
    hash: u64,
    trainer: &Trainer,
    progress: &Progress,
) -> Result<(), CheckpointError> {
    let saved = Saved {
        hash,
        step: trainer.step,
        progress: progress.clone(),
    };
    let json = |value: serde_json::Result<String>| value.unwrap_or_default();
    let metadata = BTreeMap::from([
        (
            SETTINGS_KEY.to_owned(),
            json(serde_json::to_string(settings)),
        ),
        (PROGRESS_KEY.to_owned(), json(serde_json::to_string(&saved))),
    ]);
    let shape = [trainer.weights.len()];
    let best = progress.best_weights.as_ref().unwrap_or(&trainer.weights);
    let tensors = [
        ("best", best),
        ("first", &trainer.moments.first),
        ("second", &trainer.moments.second),
        ("weights", &trainer.weights),
    ];
    let tensors = tensors.map(|(name, data)| (name, &shape[..], Dtype::F32, &data[..]));
    write_safetensors(&training_file(output), &tensors, &metadata)
}

/// Resumes a saved training, if there is one; `trainer` is a new one.
///
/// # Errors
/// A sentence that names the file.
pub fn take_up(
    output: &Path,
    settings: &Settings,
    hash: u64,
    trainer: &mut Trainer,
) -> Result<Option<Progress>> {
    let path = training_file(output);
    if !path.exists() {
        return Ok(None);
    }
    let not_a_training = || {
        let path = path.display();
        anyhow!("{path}: not a saved training; delete it, or choose another output")
    };
    let checkpoint = Checkpoint::open(&path)?;
    let note = |key: &str| checkpoint.metadata().get(key).ok_or_else(not_a_training);
    let theirs: serde_json::Value =
        serde_json::from_str(note(SETTINGS_KEY)?).map_err(|_| not_a_training())?;
    // By way of text, as theirs: a float's text is not its value in binary.
    let ours = serde_json::to_string(settings).unwrap_or_default();
    let ours: serde_json::Value = serde_json::from_str(&ours).unwrap_or_default();
    let differences = differences(&ours, &theirs);
    ensure!(
        differences.is_empty(),
        "{}: saved with other settings ({differences}); give the same, another output, or --fresh to start from scratch",
        path.display()
    );
    let saved: Saved = serde_json::from_str(note(PROGRESS_KEY)?).map_err(|_| not_a_training())?;
    ensure!(
        saved.hash == hash,
        "{}: saved with other texts; give the same, another output, or --fresh to start from scratch",
        path.display()
    );
    let load = |name: &str| -> Result<Vec<f32>> {
        let data = checkpoint.load(name)?.data;
        match data.len() == trainer.weights.len() {
            true => Ok(data),
            false => Err(not_a_training()),
        }
    };
    let (weights, best) = (load("weights")?, load("best")?);
    (trainer.moments.first, trainer.moments.second) = (load("first")?, load("second")?);
    trainer.weights = weights;
    trainer.step = saved.step;
    let mut progress = saved.progress;
    progress.best_weights = progress.best.map(|_| best);
    Ok(Some(progress))
}

/// The names of the settings that differ.
fn differences(ours: &serde_json::Value, theirs: &serde_json::Value) -> String {
    let empty = serde_json::Map::new();
    let (ours, theirs) = (
        ours.as_object().unwrap_or(&empty),
        theirs.as_object().unwrap_or(&empty),
    );
    // Settings that were not given may be absent from either.
    let names: BTreeSet<&str> = ours
        .keys()
        .chain(theirs.keys())
        .map(|name| &**name)
        .collect();
    let differ = names
        .into_iter()
        .filter(|&name| ours.get(name) != theirs.get(name));
    differ.collect::<Vec<_>>().join(", ")
}

/// Writes the checkpoint: tensors by their published names, the vocabulary,
/// labels with the threshold for unknown answers, and settings as notes.
///
/// # Errors
/// The file cannot be written; one before is still there.
pub fn save_checkpoint(
    output: &Path,
    settings: &Settings,
    network: &Network,
    weights: &[f32],
    vocabulary: Option<&Vocabulary>,
    (labels, unknown_below): (&[String], u16),
) -> Result<(), CheckpointError> {
    // File names of texts without folders: a checkpoint is passed on.
    let mut told = settings.clone();
    let paths = told.text.iter_mut().chain(&mut told.validation);
    let paths = paths.chain(&mut told.from);
    paths.for_each(|path| *path = path.file_name().map(PathBuf::from).unwrap_or_default());
    let settings_text = serde_json::to_string(&told).unwrap_or_default();
    let mut metadata = BTreeMap::from([(SETTINGS_KEY.to_owned(), settings_text)]);
    if let Some(vocabulary) = vocabulary {
        metadata.insert(VOCABULARY_KEY.to_owned(), vocabulary.to_text());
    }
    if settings.task == Task::Classify {
        metadata.insert(LABELS_KEY.to_owned(), labels.join("\n"));
        let share = probability(unknown_below).to_string();
        metadata.insert(UNKNOWN_BELOW_KEY.to_owned(), share);
    }
    let dtype = match settings.floats {
        Floats::F16 => Dtype::F16,
        Floats::F32 => Dtype::F32,
    };
    let tensors: Vec<_> = network
        .layout
        .entries()
        .iter()
        .map(|entry| {
            (
                &*entry.name,
                &entry.shape[..],
                dtype,
                &weights[entry.range()],
            )
        })
        .collect();
    write_safetensors(output, &tensors, &metadata)
}
