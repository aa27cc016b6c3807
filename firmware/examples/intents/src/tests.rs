//! The templates of the repository keep what their header promises.

use super::file::{Intent, Template};
use super::{load, TEMPLATES};
use kinglet_workshop::workspace::root;
use std::collections::{BTreeSet, HashSet};

/// Words that make no other sentence of one.
const FILLERS: [&str; 24] = [
    "a", "an", "the", "please", "now", "right", "can", "could", "would", "will", "you", "hey",
    "for", "me", "thanks", "ok", "some", "bit", "little", "it", "this", "that", "is", "are",
];

fn committed() -> Vec<Intent> {
    let text = std::fs::read_to_string(root().join(TEMPLATES)).unwrap();
    load(&text).unwrap_or_else(|error| panic!("{error:#}"))
}

fn of(intent: &Intent, held_out: bool) -> impl Iterator<Item = &Template> {
    intent
        .templates
        .iter()
        .filter(move |template| template.held_out == held_out)
}

/// That no sentence has two labels or is in both sets is a matter of `load`.
#[test]
fn every_intent_has_templates_and_a_fifth_is_held_out() {
    let intents = committed();
    assert!(intents.iter().any(|intent| intent.label == "none"));
    for intent in &intents {
        let held_out = of(intent, true).count();
        let all = intent.templates.len();
        assert!(all >= 14, "{}: {all} templates", intent.label);
        let share = held_out as f64 / all as f64;
        let label = &intent.label;
        assert!(
            (0.15..=0.25).contains(&share),
            "{label}: {held_out} of {all}"
        );
    }
}

#[test]
fn words_of_held_out_templates_occur_in_training() {
    let intents = committed();
    let words = |held_out| {
        let templates = intents.iter().flat_map(move |intent| of(intent, held_out));
        let sentences = templates.flat_map(|template| template.pattern.sentences());
        let mut words = BTreeSet::new();
        for sentence in sentences {
            words.extend(sentence.split(' ').map(str::to_owned));
        }
        words
    };
    let (train, held_out) = (words(false), words(true));
    let unknown: Vec<_> = held_out.difference(&train).collect();
    assert!(unknown.is_empty(), "{unknown:?}");
}

#[test]
fn held_out_sentences_differ_from_training_in_more_than_fillers() {
    let mut same = Vec::new();
    for intent in committed() {
        let train: HashSet<_> = of(&intent, false)
            .flat_map(|template| template.pattern.sentences())
            .map(|sentence| content(&sentence))
            .collect();
        for template in of(&intent, true) {
            let mut sentences = template.pattern.sentences();
            if let Some(sentence) = sentences.find(|sentence| train.contains(&content(sentence))) {
                same.push(format!("line {}: {sentence}", template.line));
            }
        }
    }
    assert!(same.is_empty(), "{same:#?}");
}

/// The words of a sentence that are not fillers, in alphabetical order: the
/// same words in another order are no other wording.
fn content(sentence: &str) -> Vec<String> {
    let words = sentence.split(' ').filter(|word| !FILLERS.contains(word));
    let mut words: Vec<_> = words.map(str::to_owned).collect();
    words.sort();
    words
}
