//! From settings to a network and its data.

use super::arch::Network;
use super::data::{Corpus, Lines, Texts};
use super::gradient::Teacher;
use super::settings::{Settings, Task};
use super::vocabulary::learn;
use super::word_order::Shuffler;
use crate::input;
use crate::model::Dimensions;
use crate::text::{end_documents, fold};
use crate::tokenizer::Vocabulary;
use anyhow::{anyhow, bail, ensure, Result};
use kinglet::hash::fnv1a;
use kinglet::tokenizer::Trie;
use kinglet::Tokenizer;
use std::path::{Path, PathBuf};

/// The shortest text, in bytes, that a training accepts.
const FEWEST_BYTES: usize = 1024;

/// Typography is folded in texts with at most one other character beyond ASCII
/// for this many typographic ones: not in languages that need such characters.
const MOST_OTHERS: usize = 9;

/// The data of a training.
#[derive(Debug)]
pub enum Data {
    /// Texts: to learn from, and to validate with.
    Text([Corpus; 2]),
    /// Lines with labels, likewise, and the labels' names.
    Lines([Lines; 2], Vec<String>),
    /// Texts in which a teacher's distributions are learned, likewise.
    Taught([Texts; 2]),
}

impl Data {
    /// The unit of losses.
    pub fn unit(&self) -> &'static str {
        match self {
            Self::Text(_) => "bits per byte",
            Self::Lines(..) => "nats per line",
            Self::Taught(_) => "nats per token",
        }
    }
}

/// What a network is taught by another.
#[derive(Debug)]
pub struct Lesson {
    /// The other.
    pub teacher: Teacher,
    /// The weights to begin with.
    pub start: Vec<f32>,
}

/// All that a training needs.
#[derive(Debug)]
pub struct Prepared {
    /// The network.
    pub network: Network,
    /// Its data.
    pub data: Data,
    /// Its tokens, which the checkpoint carries; bytes without.
    pub vocabulary: Option<Vocabulary>,
    /// A teacher, if there is one.
    pub lesson: Option<Lesson>,
    /// What was changed in the texts, in sentences.
    pub notes: Vec<String>,
    /// A hash of the texts and the vocabulary: a training goes on with the same.
    pub hash: u64,
}

/// Reads the texts, learns a vocabulary and lays out the network.
///
/// # Errors
/// A sentence that names the file.
pub fn prepare(settings: &Settings) -> Result<Prepared> {
    let paths = settings.text.iter().chain(&settings.validation);
    let mut texts: Vec<Vec<u8>> = paths
        .map(|path| input::read(path, input::MOST_BYTES))
        .collect::<Result<_, _>>()?;
    let notes = edit(settings, &mut texts);
    let held_out = settings.validation.as_ref().and_then(|_| texts.pop());
    if let (Some(path), Some([] | [_])) = (&settings.validation, held_out.as_deref()) {
        bail!("{}: too short a text to validate with", path.display());
    }
    let bytes: usize = texts.iter().map(Vec::len).sum();
    ensure!(
        bytes >= FEWEST_BYTES,
        "{}: {bytes} bytes of text are too few to learn from; give at least {FEWEST_BYTES}",
        names(&settings.text)
    );
    let vocabulary = match settings.vocab {
        256 => Vocabulary::bytes(),
        entries => {
            let others = held_out.as_deref().unwrap_or_default();
            learn(&texts.concat(), others, entries)?
        }
    };
    let trie = vocabulary.to_trie();
    let trie = Trie::new(&trie, settings.vocab as u32).expect("built for this size");
    let tokenizer = Tokenizer::trie(trie);
    let (data, classes) = match settings.task {
        Task::Text => {
            let data = split_texts(&texts, held_out.as_deref(), &tokenizer);
            (data, 0)
        }
        Task::Classify => {
            let (mut lines, labels) =
                read_lines(settings, &texts, held_out.as_deref(), &tokenizer)?;
            if settings.shuffle_words > 0.0 {
                let [learned, _] = &mut lines;
                let share = settings.shuffle_words;
                learned.shuffle_words(Shuffler::new(share, &vocabulary, settings.vocab));
            }
            let count = labels.len();
            (Data::Lines(lines, labels), count)
        }
    };
    Ok(Prepared {
        network: network(settings, classes),
        hash: fnv1a(texts.iter().chain(&held_out).flatten().copied()),
        data,
        vocabulary: (settings.vocab != 256).then_some(vocabulary),
        lesson: None,
        notes,
    })
}

/// Ends documents with token 0, and folds typography where a learned
/// vocabulary is the better for it; says what was changed.
fn edit(settings: &Settings, texts: &mut [Vec<u8>]) -> Vec<String> {
    let mut notes = Vec::new();
    if settings.task == Task::Text {
        let mut count = 0;
        for text in &mut *texts {
            let (ended, more) = end_documents(text);
            if more > 0 {
                *text = ended.into_owned();
            }
            count += more;
        }
        if count > 0 {
            notes.push(format!("{count} times <|endoftext|> became token 0"));
        }
    }
    if settings.vocab != 256 && !settings.keep_typography {
        let (folded, counts): (Vec<_>, Vec<_>) = texts.iter().map(|text| fold(text)).unzip();
        let [typographic, others] = counts
            .into_iter()
            .fold([0, 0], |[a, b], [more, others]| [a + more, b + others]);
        if typographic > 0 && others <= typographic / MOST_OTHERS {
            texts
                .iter_mut()
                .zip(folded)
                .for_each(|(text, folded)| *text = folded);
            notes.push(format!(
                "{typographic} typographic characters became ASCII, as \u{2019} became '; \
                 --keep-typography leaves them"
            ));
        }
    }
    notes
}

fn names(paths: &[PathBuf]) -> String {
    let names: Vec<_> = paths
        .iter()
        .map(|path| path.display().to_string())
        .collect();
    names.join(", ")
}

/// The tokens of a text. All its bytes are tokens, so there is no error.
pub fn encode(tokenizer: &Tokenizer<'_>, text: &[u8]) -> Vec<u32> {
    tokenizer.encode(text).filter_map(Result::ok).collect()
}

fn split_texts(texts: &[Vec<u8>], held_out: Option<&[u8]>, tokenizer: &Tokenizer<'_>) -> Data {
    let mut learned = Corpus::default();
    let mut validation = Corpus::default();
    for text in texts {
        let cut = match held_out {
            Some(_) => text.len(),
            None => text.len() - text.len() / 20,
        };
        let (first, last) = text.split_at(cut);
        learned.append(encode(tokenizer, first), first.len());
        validation.append(encode(tokenizer, last), last.len());
    }
    if let Some(text) = held_out {
        validation.append(encode(tokenizer, text), text.len());
    }
    Data::Text([learned, validation])
}

fn read_lines(
    settings: &Settings,
    texts: &[Vec<u8>],
    held_out: Option<&[u8]>,
    tokenizer: &Tokenizer<'_>,
) -> Result<([Lines; 2], Vec<String>)> {
    let mut labels = Vec::new();
    let bad_line = |path: &Path, (line, problem): (usize, String)| {
        let path = path.display();
        anyhow!("{path}: line {line} {problem}; each line is a text, a tab and a label")
    };
    let mut learned = Lines::default();
    for (path, text) in settings.text.iter().zip(texts) {
        let read = learned.read(text, tokenizer, &mut labels, true);
        read.map_err(|error| bad_line(path, error))?;
    }
    ensure!(
        labels.len() >= 2,
        "{}: all lines have the same label: there is nothing to tell apart",
        names(&settings.text)
    );
    let mut validation = Lines::default();
    match (&settings.validation, held_out) {
        (Some(path), Some(text)) => {
            let read = validation.read(text, tokenizer, &mut labels, false);
            read.map_err(|error| bad_line(path, error))?;
        }
        _ => validation = learned.split_off_every(20),
    }
    Ok(([learned, validation], labels))
}

/// The network that settings ask for; `classes` are 0 for text.
pub fn network(settings: &Settings, classes: usize) -> Network {
    let arch = settings.version;
    let heads = match arch.has_heads() {
        true => settings.channels / settings.head_size(),
        false => 0,
    };
    let dimensions = Dimensions {
        layers: settings.layers,
        embd: settings.channels,
        ffn: settings.hidden(),
        vocab: settings.vocab,
        classes,
        heads,
        ranks: (arch.table().ranks.trained)(settings.channels, settings.layers),
    };
    Network::new(arch, dimensions)
}
