//! Sentences for training and test, drawn from templates.

use super::file::{Intent, Template};
use super::pattern::below;
use anyhow::{bail, Result};
use kinglet::Pcg32;
use std::collections::{HashMap, HashSet};

/// How many times as often as there are sentences wanted a template is drawn
/// from: some sentences are much rarer than others.
const PATIENCE: usize = 64;

/// Training sentences of a template for each one kept for the test.
const TRAIN_PER_SEEN: usize = 8;

/// Sentences of a training template for each one of a held-out template.
const TRAIN_PER_HELD_OUT: usize = 4;

/// Sentences of one intent; none is in two sets or twice in one.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Sets {
    /// To train on.
    pub train: Vec<String>,
    /// Other sentences of the same templates.
    pub seen: Vec<String>,
    /// Sentences of held-out templates.
    pub held_out: Vec<String>,
}

/// Draws the sets of each intent: of a template at most `per_template`
/// sentences for training, an eighth as many others for the test; a quarter
/// as many of a template that is held out.
pub fn draw(intents: &[Intent], per_template: usize, seed: u64) -> Vec<Sets> {
    let mut random = Pcg32::new(seed);
    intents
        .iter()
        .map(|intent| draw_intent(intent, per_template, &mut random))
        .collect()
}

fn draw_intent(intent: &Intent, per_template: usize, random: &mut Pcg32) -> Sets {
    let mut sets = Sets::default();
    for template in &intent.templates {
        if template.held_out {
            let most = per_template.div_ceil(TRAIN_PER_HELD_OUT);
            sets.held_out.extend(distinct(template, most, random));
            continue;
        }
        let most = per_template + per_template.div_ceil(TRAIN_PER_SEEN);
        let mut sentences = distinct(template, most, random);
        // Of a template with a few sentences training needs each.
        let seen = sentences.len() / (TRAIN_PER_SEEN + 1);
        sets.seen.extend(sentences.drain(..seen));
        sentences.truncate(per_template);
        sets.train.extend(sentences);
    }
    let mut taken = HashSet::new();
    for set in [&mut sets.train, &mut sets.seen, &mut sets.held_out] {
        set.retain(|sentence| taken.insert(sentence.clone()));
    }
    sets
}

/// Drops sentences that were drawn under two labels: templates of others may
/// have them. How many different ones.
pub fn drop_ambiguous(sets: &mut [Sets]) -> usize {
    let mut labels: HashMap<&str, usize> = HashMap::new();
    let mut ambiguous = HashSet::new();
    for (label, sets) in sets.iter().enumerate() {
        for sentence in [&sets.train, &sets.seen, &sets.held_out]
            .into_iter()
            .flatten()
        {
            if *labels.entry(sentence).or_insert(label) != label {
                ambiguous.insert(sentence.clone());
            }
        }
    }
    for sets in sets {
        for set in [&mut sets.train, &mut sets.seen, &mut sets.held_out] {
            set.retain(|sentence| !ambiguous.contains(sentence));
        }
    }
    ambiguous.len()
}

/// At most `most` sentences of a template, in random order.
fn distinct(template: &Template, most: usize, random: &mut Pcg32) -> Vec<String> {
    let pattern = &template.pattern;
    let most = most.min(usize::try_from(pattern.ways()).unwrap_or(usize::MAX));
    let mut known = HashSet::new();
    let mut sentences = Vec::new();
    for _ in 0..most.saturating_mul(PATIENCE) {
        if sentences.len() == most {
            break;
        }
        let sentence = pattern.draw(random);
        if known.insert(sentence.clone()) {
            sentences.push(sentence);
        }
    }
    // The likely ones were found first.
    for end in (1..sentences.len()).rev() {
        sentences.swap(end, below(end + 1, random));
    }
    sentences
}

/// Looks at every sentence of every template, whether drawn or not: none may
/// have two labels, or be both held out and in training.
pub fn check(intents: &[Intent]) -> Result<()> {
    let mut known: HashMap<String, (&Intent, &Template)> = HashMap::new();
    for intent in intents {
        for template in &intent.templates {
            for sentence in template.pattern.sentences() {
                let (other, first) = *known.entry(sentence.clone()).or_insert((intent, template));
                let lines = format!("lines {} and {}", first.line, template.line);
                if other.label != intent.label {
                    let labels = format!("{} and {}", other.label, intent.label);
                    bail!("{lines}: \"{sentence}\" has two labels, {labels}: change one template");
                }
                if first.held_out != template.held_out {
                    bail!(
                        "{lines}: \"{sentence}\" is held out and in training: change one template"
                    );
                }
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::file::parse;
    use super::*;

    const TEXT: &str = "
@ n
0|1|2|3|4|5|6|7|8|9
= a
say {n} {n}
say [it] {n}
? it is {n} {n}
= b
go
? move";

    #[test]
    fn sets_are_disjoint_capped_and_follow_from_the_seed() {
        let intents = parse(TEXT).unwrap();
        let sets = draw(&intents, 16, 3);
        // Two templates of 16 + 2 sentences, one of 100 / 4.
        assert_eq!(sets[0].train.len(), 32);
        assert_eq!(sets[0].seen.len(), 4);
        assert_eq!(sets[0].held_out.len(), 4);
        assert_eq!(sets[1].train, ["go"]);
        assert!(sets[1].seen.is_empty());
        assert_eq!(sets[1].held_out, ["move"]);
        let all = [&sets[0].train, &sets[0].seen, &sets[0].held_out];
        let distinct: HashSet<_> = all.into_iter().flatten().collect();
        assert_eq!(distinct.len(), 40);
        assert_eq!(draw(&intents, 16, 3), sets);
        assert_ne!(draw(&intents, 16, 4), sets);
    }

    #[test]
    fn all_sentences_of_a_small_template_are_found() {
        let intents = parse("= a\n{n}\n? x".replace("{n}", "(a|b|c [d|e])").as_str()).unwrap();
        let mut train = draw(&intents, 16, 1).remove(0).train;
        train.sort();
        assert_eq!(train, ["a", "b", "c", "c d", "c e"]);
    }

    #[test]
    fn sentences_of_two_labels_are_dropped_everywhere() {
        let intents = parse("= a\n(go|stay)\n? x\n= b\n(run|x)\n? (go|y)").unwrap();
        let mut sets = draw(&intents, 16, 1);
        assert_eq!(drop_ambiguous(&mut sets), 2);
        assert_eq!(sets[0].train, ["stay"]);
        assert!(sets[0].held_out.is_empty());
        assert_eq!(sets[1].train, ["run"]);
        assert_eq!(sets[1].held_out, ["y"]);
    }

    #[test]
    fn ambiguous_sentences_are_errors() {
        assert!(check(&parse(TEXT).unwrap()).is_ok());
        let error = |text| check(&parse(text).unwrap()).unwrap_err().to_string();
        let two = error("= a\ngo [on]\n? x\n= b\ngo (up|on)\n? y");
        assert!(
            two.starts_with("lines 2 and 5: \"go on\" has two labels, a and b"),
            "{two}"
        );
        let both = error("= a\ngo [on]\n? (x|go)");
        assert!(
            both.starts_with("lines 2 and 3: \"go\" is held out and in training"),
            "{both}"
        );
    }
}
