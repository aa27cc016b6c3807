//! Intents of the JSON that the package home-assistant-intents carries.

use super::file::{Intent, Template};
use super::hassil::{Names, Reader};
use super::home;
use anyhow::{bail, ensure, Context, Result};
use kinglet::hash::fnv1a;
use serde::de::IgnoredAny;
use serde::Deserialize;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// How many values a range may have.
const MAX_VALUES: i64 = 10_000;

/// One template of an intent in this many is for the test.
const PER_HELD_OUT: usize = 10;

/// An intent of fewer templates has none for the test.
const MIN_TEMPLATES: usize = 4;

#[derive(Deserialize)]
struct Language {
    intents: BTreeMap<String, Data>,
    #[serde(default)]
    lists: BTreeMap<String, List>,
    #[serde(default)]
    expansion_rules: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct Data {
    data: Vec<Block>,
}

#[derive(Deserialize)]
struct Block {
    sentences: Vec<String>,
    #[serde(default)]
    requires_context: Value,
    #[serde(default)]
    slots: Value,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum List {
    Values(Vec<Item>),
    Range(Range),
    Wildcard(IgnoredAny),
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Item {
    Text(String),
    Pair {
        #[serde(rename = "in")]
        said: String,
    },
}

/// Whole numbers; what Home Assistant makes of them, such as negative ones
/// of `multiplier`, is not said.
#[derive(Deserialize)]
struct Range {
    from: i64,
    to: i64,
    #[serde(default = "one")]
    step: i64,
}

fn one() -> i64 {
    1
}

/// Reads the JSON. An error names the intent and the template.
pub fn parse(text: &str) -> Result<Vec<Intent>> {
    let language: Language =
        serde_json::from_str(text).context("it is not the JSON of home-assistant-intents")?;
    let intents = language.intents.iter();
    let intents: Result<Vec<_>> = intents
        .map(|(label, data)| {
            intent(label, data, &language).with_context(|| format!("intent {label}"))
        })
        .collect();
    let intents = intents?;
    ensure!(!intents.is_empty(), "there is no intent");
    Ok(intents)
}

fn intent(label: &str, data: &Data, language: &Language) -> Result<Intent> {
    ensure!(
        !label.contains(char::is_control),
        "its name has a control character"
    );
    let held_out = held_out(label, data);
    let mut templates = Vec::new();
    for block in &data.data {
        let names = Home {
            language,
            domains: domains(block),
        };
        let mut reader = Reader::new(&names);
        for text in &block.sentences {
            let pattern = reader
                .read(text)
                .with_context(|| format!("template {text:?}"))?;
            templates.push(Template {
                line: templates.len() + 1,
                held_out: held_out.contains(text.as_str()),
                pattern,
            });
        }
    }
    Ok(Intent {
        label: label.to_owned(),
        templates,
    })
}

/// The templates for the test: those of the smallest hashes, so that which
/// ones they are depends on nothing but their text. A template that occurs
/// twice is one.
fn held_out<'a>(label: &str, data: &'a Data) -> BTreeSet<&'a str> {
    let templates: BTreeSet<&str> = data
        .data
        .iter()
        .flat_map(|block| block.sentences.iter().map(String::as_str))
        .collect();
    if templates.len() < MIN_TEMPLATES {
        return BTreeSet::new();
    }
    let count = ((templates.len() + PER_HELD_OUT / 2) / PER_HELD_OUT).max(1);
    let mut by_hash: Vec<_> = templates
        .into_iter()
        .map(|text| (fnv1a(label.bytes().chain([0]).chain(text.bytes())), text))
        .collect();
    by_hash.sort_unstable();
    by_hash
        .into_iter()
        .take(count)
        .map(|(_, text)| text)
        .collect()
}

/// The kinds of device that `{name}` may be.
fn domains(block: &Block) -> Vec<&str> {
    let domain = [&block.requires_context, &block.slots]
        .into_iter()
        .find_map(|of| of.get("domain"));
    match domain {
        Some(Value::String(one)) => vec![one],
        Some(Value::Array(some)) => some.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

/// The lists and rules of a block of templates.
struct Home<'a> {
    language: &'a Language,
    domains: Vec<&'a str>,
}

impl Names for Home<'_> {
    fn list(&self, name: &str) -> Result<Vec<String>> {
        match self.language.lists.get(name) {
            Some(List::Values(items)) => Ok(items.iter().map(said).collect()),
            Some(List::Range(range)) => numbers(range, name),
            Some(List::Wildcard(_)) => Ok(home::wildcard(name)),
            None => home::list(name, &self.domains)
                .with_context(|| format!("there is no list {{{name}}}")),
        }
    }

    fn rule(&self, name: &str) -> Result<&str> {
        match self.language.expansion_rules.get(name) {
            Some(text) => Ok(text),
            None => bail!("there is no rule <{name}>"),
        }
    }
}

fn said(item: &Item) -> String {
    match item {
        Item::Text(text) | Item::Pair { said: text } => text.clone(),
    }
}

fn numbers(range: &Range, name: &str) -> Result<Vec<String>> {
    let Range { from, to, step } = *range;
    let count = to.checked_sub(from).filter(|_| step > 0).map(|d| d / step);
    ensure!(
        count.is_some_and(|count| (0..MAX_VALUES).contains(&count)),
        "list {{{name}}}: {from} to {to} in steps of {step} are no range of up to {MAX_VALUES} values"
    );
    let step = usize::try_from(step)?;
    Ok((from..=to).step_by(step).map(|n| n.to_string()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(templates: &str, lists: &str) -> String {
        format!(
            r#"{{"language": "en", "intents": {{"Go": {{"data": [
                {{"sentences": [{templates}], "requires_context": {{"domain": "vacuum"}}}}]}}}},
                "lists": {{{lists}}}, "expansion_rules": {{"to": "(to|towards)"}}}}"#
        )
    }

    fn sentences(template: &str, lists: &str) -> Vec<String> {
        let intents = parse(&json(&format!("{template:?}"), lists)).unwrap();
        intents[0].templates[0].pattern.sentences().collect()
    }

    fn error(template: &str, lists: &str) -> String {
        format!(
            "{:#}",
            parse(&json(&format!("{template:?}"), lists)).unwrap_err()
        )
    }

    #[test]
    fn lists_of_all_kinds_are_filled() {
        let values = r#""n": {"values": ["A[n]", {"in": "b", "out": 1}]}"#;
        assert_eq!(sentences("go <to> {n:x}", values).len(), 6);
        let range = r#""n": {"range": {"from": 10, "to": 20, "step": 5, "multiplier": -1}}"#;
        assert_eq!(sentences("{n}%", range), ["10%", "15%", "20%"]);
        let wildcard = r#""n": {"wildcard": true}"#;
        assert!(sentences("{n}", wildcard).contains(&"number three".to_owned()));
        assert!(sentences("{area}", "").contains(&"kitchen".to_owned()));
        let names = sentences("{name}", "");
        assert!(names.contains(&"robot vacuum".to_owned()), "{names:?}");
        assert!(!names.contains(&"desk lamp".to_owned()));
    }

    #[test]
    fn a_tenth_is_held_out_whatever_the_order() {
        let of = |numbers: &mut dyn Iterator<Item = u32>| {
            let templates: Vec<_> = numbers.map(|n| format!("\"go {n}\"")).collect();
            let intents = parse(&json(&templates.join(","), "")).unwrap();
            let held_out = intents[0].templates.iter().filter(|t| t.held_out);
            let mut texts: Vec<_> = held_out.flat_map(|t| t.pattern.sentences()).collect();
            texts.sort();
            texts
        };
        assert_eq!(of(&mut (0..30)).len(), 3);
        assert_eq!(of(&mut (0..30)), of(&mut (0..30).rev()));
        assert_eq!(of(&mut (0..4)).len(), 1);
        assert!(of(&mut (0..3)).is_empty());
    }

    #[test]
    fn hostile_files_are_errors() {
        assert!(error("go {x}", "").starts_with("intent Go: template \"go {x}\": there is no list"));
        for (from, to, step) in [
            (0, i64::MAX, 1),
            (i64::MIN, i64::MAX, 1),
            (0, 9, 0),
            (9, 0, 1),
        ] {
            let range =
                format!(r#""n": {{"range": {{"from": {from}, "to": {to}, "step": {step}}}}}"#);
            assert!(error("{n}", &range).contains("no range"), "{range}");
        }
        let cycle = r#""n": {"values": ["x {n}"]}"#;
        assert!(error("{n}", cycle).contains("nested deeper"));
        assert!(error("{n}", r#""n": {"values": []}"#).contains("is empty"));
        for text in [
            "",
            "[]",
            "{}",
            "{\"intents\": {}}",
            "{\"intents\": {\"a\": 1}}",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
