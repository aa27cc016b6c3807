//! What targets share.
#![allow(dead_code)]

pub mod checkpoint;

use kinglet_host::checkpoint::{writer::safetensors_bytes, Dtype};
use kinglet_host::text::shown;
use kinglet_host::train::prepare::network;
use kinglet_host::train::settings::Settings;
use kinglet_host::train::trainer::Trainer;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

/// Lets `read` open a file of these bytes.
pub fn with_file<T>(bytes: &[u8], read: impl FnOnce(&Path) -> T) -> T {
    static PATH: LazyLock<PathBuf> =
        LazyLock::new(|| std::env::temp_dir().join(format!("kinglet-fuzz-{}", std::process::id())));
    std::fs::write(&*PATH, bytes).expect("a temporary file");
    read(&PATH)
}

/// An error says in bounded length what is wrong, and nothing to a terminal.
pub fn is_sentence(error: impl std::fmt::Display) {
    let message = shown(&format!("{error:#}"));
    assert!(!message.is_empty() && message.len() < 4000, "{message}");
}

/// The settings of a small training.
pub fn settings() -> Settings {
    Settings {
        layers: 1,
        channels: 32,
        ..Settings::default()
    }
}

/// A small training at its start.
pub fn trainer() -> Trainer {
    let settings = settings();
    Trainer::new(network(&settings, 0), settings.optimizer, 1)
}

/// A small model's checkpoint with these notes.
pub fn noted(notes: &[(&str, &str)]) -> Vec<u8> {
    static TRAINER: LazyLock<Trainer> = LazyLock::new(trainer);
    let entries = TRAINER.network.layout.entries().iter();
    let tensors: Vec<_> = entries
        .map(|entry| {
            let values = &TRAINER.weights[entry.range()];
            (&*entry.name, &entry.shape[..], Dtype::F16, values)
        })
        .collect();
    safetensors_bytes(&tensors, &map(notes)).expect("good tensors")
}

/// Notes of a file.
pub fn map(notes: &[(&str, &str)]) -> BTreeMap<String, String> {
    let owned = |(key, value): &(&str, &str)| (key.to_string(), value.to_string());
    notes.iter().map(owned).collect()
}

/// The text before the first NUL, and that after it.
pub fn halves(bytes: &[u8]) -> Option<(&str, &str)> {
    let text = std::str::from_utf8(bytes).ok()?;
    Some(text.split_once('\0').unwrap_or((text, "")))
}
