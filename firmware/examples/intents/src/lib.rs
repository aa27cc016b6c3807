//! `cargo xtask intents`: sentences to train a classifier of commands with.

mod file;
mod hassil;
mod home;
mod home_assistant;
mod pattern;
mod sets;

#[cfg(test)]
mod tests;

use anyhow::{Context, Result};
use file::Intent;
use kinglet_workshop::table::Table;
use kinglet_workshop::workspace::root;
use serde::Serialize;
use sets::Sets;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

/// The templates of the repository.
const TEMPLATES: &str = "firmware/examples/intents/templates.txt";

/// Write labelled sentences to train a classifier of voice commands with
///
/// Expands the templates of firmware/examples/intents/templates.txt, whose top
/// explains their format. Writes into DIR, one sentence, a tab and its label a line:
///
///   train.tsv    sentences of the training templates
///   seen.tsv     other sentences of the same templates
///   heldout.tsv  sentences of the templates that are held out of training
///
/// The lines are in the order of the templates: shuffle them for training.
/// The same templates, options and seed give the same files everywhere.
#[derive(Debug, clap::Args)]
#[command(
    verbatim_doc_comment,
    after_help = "Examples:\n  cargo xtask intents -o intents\n  cargo xtask intents -o intents --per-template 100 --seed 7\n  cargo xtask intents --home-assistant en.json -o intents"
)]
pub struct Args {
    /// The directory to write into; made if it is not there
    #[arg(short, long, value_name = "DIR")]
    output: PathBuf,

    /// The templates; without it, those of the repository
    #[arg(long, value_name = "FILE")]
    templates: Option<PathBuf>,

    /// Templates of Home Assistant in place of them: data/en.json of the
    /// package home-assistant-intents
    #[arg(long, value_name = "FILE", conflicts_with = "templates")]
    home_assistant: Option<PathBuf>,

    /// Sentences of one template in train.tsv, at most; in seen.tsv an eighth
    /// as many, in heldout.tsv a quarter
    #[arg(long, value_name = "N", default_value_t = 24, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    per_template: u32,

    /// Which of the sentences
    #[arg(long, value_name = "S", default_value_t = 1)]
    seed: u64,

    /// Print a JSON list of {label, templates, train, seen, heldout}
    #[arg(long)]
    json: bool,
}

/// How many sentences an intent has.
#[derive(Serialize)]
struct Count<'a> {
    label: &'a str,
    templates: usize,
    train: usize,
    seen: usize,
    heldout: usize,
}

/// The command `intents`.
pub fn run(args: &Args) -> Result<()> {
    let intents = match (&args.home_assistant, &args.templates) {
        (Some(path), _) => read(path, home_assistant::parse)?,
        (None, Some(path)) => read(path, load)?,
        (None, None) => read(&root().join(TEMPLATES), load)?,
    };
    let mut sets = sets::draw(&intents, args.per_template as usize, args.seed);
    let ambiguous = sets::drop_ambiguous(&mut sets);
    if ambiguous > 0 {
        eprintln!("{ambiguous} sentences have two labels and are left out");
    }
    write_sets(&args.output, &intents, &sets)?;
    let counts: Vec<_> = intents.iter().zip(&sets).map(count).collect();
    let mut out = std::io::stdout();
    if args.json {
        writeln!(out, "{}", serde_json::to_string(&counts)?)?;
    } else {
        write!(out, "{}", table(&counts, &sets))?;
    }
    Ok(())
}

fn read(path: &Path, parse: fn(&str) -> Result<Vec<Intent>>) -> Result<Vec<Intent>> {
    let text = fs::read_to_string(path)
        .with_context(|| format!("cannot read the templates {}", path.display()))?;
    parse(&text).with_context(|| path.display().to_string())
}

fn load(text: &str) -> Result<Vec<Intent>> {
    let intents = file::parse(text)?;
    sets::check(&intents)?;
    Ok(intents)
}

fn write_sets(directory: &Path, intents: &[Intent], sets: &[Sets]) -> Result<()> {
    fs::create_dir_all(directory)
        .with_context(|| format!("cannot make the directory {}", directory.display()))?;
    write_set(&directory.join("train.tsv"), intents, sets, |s| &s.train)?;
    write_set(&directory.join("seen.tsv"), intents, sets, |s| &s.seen)?;
    write_set(&directory.join("heldout.tsv"), intents, sets, |s| {
        &s.held_out
    })
}

fn write_set(
    path: &Path,
    intents: &[Intent],
    sets: &[Sets],
    choose: fn(&Sets) -> &[String],
) -> Result<()> {
    let mut text = String::new();
    for (intent, sets) in intents.iter().zip(sets) {
        for sentence in choose(sets) {
            text.extend([sentence, "\t", &intent.label, "\n"]);
        }
    }
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

fn count<'a>((intent, sets): (&'a Intent, &Sets)) -> Count<'a> {
    Count {
        label: &intent.label,
        templates: intent.templates.len(),
        train: sets.train.len(),
        seen: sets.seen.len(),
        heldout: sets.held_out.len(),
    }
}

fn table(counts: &[Count], sets: &[Sets]) -> Table {
    let mut table = Table::default();
    table.row("intent", "train", "");
    let remark = |seen, heldout| format!("{seen} seen, {heldout} held out");
    for count in counts {
        table.row(count.label, count.train, remark(count.seen, count.heldout));
    }
    let total = |of: fn(&Count) -> usize| counts.iter().map(of).sum();
    let (seen, heldout) = (total(|c| c.seen), total(|c| c.heldout));
    let train: usize = total(|c| c.train);
    table.row("all", train, remark(seen, heldout));
    let sentences = sets
        .iter()
        .flat_map(|s| [&s.train, &s.seen, &s.held_out])
        .flatten();
    let longest = sentences.map(String::len).max().unwrap_or(0);
    table.row("longest", longest, "bytes");
    table
}
