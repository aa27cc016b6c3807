//! The card of a trained model, in Markdown.

use super::prepare::{Data, Prepared};
use super::run::Trained;
use super::settings::Settings;
use crate::text::{noun, shown_line};
use std::path::{Path, PathBuf};

/// The second paragraph of every card.
const MADE_BY: &str = "Trained with `kinglet train`.";

/// Where the card of a checkpoint is.
pub fn card_file(output: &Path) -> PathBuf {
    output.with_extension("md")
}

/// Whether a file is a card, or begins as one.
pub fn is_card(path: &Path) -> bool {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let mut lines = text.lines();
    lines.next().is_some_and(|title| title.starts_with("# ")) && lines.nth(1) == Some(MADE_BY)
}

/// A model's size, data, training and scores.
pub fn card(output: &Path, settings: &Settings, prepared: &Prepared, trained: &Trained) -> String {
    let name = |path: &Path| {
        path.file_stem()
            .map(|name| shown_line(&name.to_string_lossy()))
            .unwrap_or_default()
    };
    let title = name(output);
    let texts: Vec<_> = settings.text.iter().map(|path| name(path)).collect();
    let mut text = format!("# {title}\n\n{MADE_BY}\n\n| | |\n|---|---|\n");
    let mut row = |what: &str, value: String| text += &format!("| {what} | {value} |\n");
    row("network", settings.version.to_string());
    row(
        "size",
        format!(
            "{} {}, {} channels, {} hidden, {} parameters",
            settings.layers,
            noun(settings.layers as u64, "layer", "layers"),
            settings.channels,
            settings.hidden(),
            prepared.network.layout.len()
        ),
    );
    match (&settings.from, settings.vocab) {
        (Some(from), _) => row("distilled from", name(from)),
        (None, 256) => row("vocabulary", "the 256 bytes".to_owned()),
        (None, entries) => row(
            "vocabulary",
            format!("{entries} entries, longest match, learned"),
        ),
    }
    if !texts.is_empty() {
        row("learned from", texts.join(", "));
    }
    let read = u64::from(trained.trainer.step) * (settings.batch * settings.context) as u64;
    match &prepared.data {
        Data::Text([learned, _]) => {
            row("tokens in the text", learned.len().to_string());
            row("tokens read", read.to_string());
        }
        Data::Taught([learned, _]) => {
            row("tokens in the texts", learned.tokens().len().to_string());
            row("tokens read", read.to_string());
        }
        Data::Lines([learned, _], labels) => {
            row("lines", learned.all().len().to_string());
            row("labels", labels.join(", "));
            if settings.shuffle_words > 0.0 {
                let share = settings.shuffle_words;
                row("words in another order", format!("in {share} of the lines"));
            }
        }
    }
    row("steps", trained.trainer.step.to_string());
    if let Some(bits) = settings.qat {
        row("rounded in training as", format!("{bits:?}").to_lowercase());
    }
    if let Some((loss, step)) = trained.progress.best {
        let unit = prepared.data.unit();
        row("validation", format!("{loss:.4} {unit}, step {step}"));
    }
    if let (Some(right), Data::Lines([_, validation], _)) = (trained.progress.right, &prepared.data)
    {
        row("right", validation.right(right));
    }
    row("seed", settings.seed.to_string());
    text
}

#[cfg(test)]
mod tests {
    use super::is_card;
    use crate::train::curve::is_curve;
    use std::path::Path;

    #[test]
    fn the_shipped_cards_and_curves_are_known() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        for name in [
            "models/stories",
            "firmware/examples/intents/intents",
            "firmware/examples/sensor/sensor",
        ] {
            let file = root.join(name);
            assert!(is_card(&file.with_extension("md")), "{name}");
            assert!(is_curve(&file.with_extension("svg")), "{name}");
        }
        assert!(!is_card(&root.join("README.md")));
    }
}
