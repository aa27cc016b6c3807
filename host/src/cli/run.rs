//! `kinglet run`: generates text.

use super::bad_use;
use super::model::ModelArgs;
use super::monitor::{converse, Settings};
use super::output::print_json;
use super::prompt::Prompt;
use super::start::{Origin, Start};
use crate::engine::{fixed, is_image, Engine, Runner};
use crate::text::shown;
use anyhow::Result;
use kinglet::hash::logits_hash;
use kinglet::{Answer, End, Sampler, Sampling, Writer, START_TOKEN};
use serde::Serialize;
use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;

/// Generate text from an image, exactly as a board does, or from a checkpoint in float
///
/// A model of labels prints the label of the prompt and its probability, or that it is
/// unknown where that is too little for the model. Else the text is printed while it is generated, until the model ends it with
/// token 0, as on a board. An empty prompt starts from that token. An image with a
/// state named `start` (`kinglet prime`) starts from it.
///
/// At a terminal an image without a prompt is a conversation: every line you type is a
/// prompt or a command, as on a board (`/help`). Lines are edited as in a shell, arrow
/// keys find those before; Ctrl-C ends an answer, Ctrl-D leaves.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    kinglet run model.kgl\n  \
    kinglet run model.kgl --prompt \"Once upon a time\" -n 200\n  \
    kinglet run model.kgl --prompt-file story.txt -n 100 --temperature 0.8 --top-p 0.9 --seed 7\n  \
    kinglet run model.safetensors --prompt \"Once\" -n 16 --json\n  \
    kinglet run pile.pth --tokenizer 20B_tokenizer.json --prompt \"Once\"")]
pub struct Args {
    /// An image or a checkpoint
    file: PathBuf,
    #[command(flatten)]
    prompt: Prompt,
    /// The state that the prompt starts from: a name that `kinglet prime` put into the image, or `empty`
    /// [default: `start`, if the image has it, else `empty`]
    #[arg(long, value_name = "NAME")]
    from: Option<String>,
    #[command(flatten)]
    model: ModelArgs,
    /// Tokens to generate, at most [default: 64]
    #[arg(short, value_name = "N")]
    n: Option<u32>,
    /// End before this text; several times for several texts
    #[arg(long, value_name = "TEXT")]
    stop: Vec<String>,
    /// Continue after token 0, which ends a text
    #[arg(long)]
    ignore_end: bool,
    #[command(flatten)]
    sampling: kinglet_options::Sampling,
    /// Print one JSON object: image_checksum (of an image), prompt_tokens, tokens, logits_hashes, text, reason
    /// (`end` of the text, `length` or `stop`); of a model of labels image_checksum, prompt_tokens, label (null
    /// where it is unknown), likeliest, probability, logits_hash
    #[arg(long)]
    json: bool,
    /// With --json: also hash the logits at every token of the prompt
    #[arg(long, requires = "json")]
    every_logits: bool,
}

/// Tokens to generate, unless others are asked for.
const TOKENS: u32 = 64;

impl Args {
    fn tokens(&self) -> u32 {
        self.n.unwrap_or(TOKENS)
    }

    /// A model of labels writes nothing that these options are about.
    fn check_labels(&self) -> Result<()> {
        let is_of_text = self.n.is_some()
            || !self.stop.is_empty()
            || self.ignore_end
            || self.every_logits
            || self.sampling != kinglet_options::Sampling::default();
        match is_of_text {
            true => bad_use(
                "a model of labels writes no text: leave out -n, --stop, --ignore-end, --every-logits and \
                 the options of drawing tokens (--temperature to --seed)",
            ),
            false => Ok(()),
        }
    }

    /// The image, where a person is to talk to it.
    fn conversation(&self) -> Result<Option<Engine>> {
        let is_person = io::stdin().is_terminal() && io::stdout().is_terminal();
        // A board's console has neither a tokenizer beside the image nor weights in float.
        let is_for_boards = self.model.tokenizer().is_none();
        if !is_person || !is_for_boards || self.json || !self.prompt.is_none() {
            return Ok(None);
        }
        if !is_image(&self.file)? {
            return Ok(None);
        }
        let engine = self.model.open(&self.file)?;
        Ok(Some(engine).filter(Engine::carries_tokenizer))
    }

    fn converse(&self, engine: Engine) -> Result<()> {
        // A name that the image lacks is an error now, not of each prompt.
        Origin::new(self.from.as_deref()).start(&engine, &self.file)?;
        if self.stop.len() > 1 || self.ignore_end {
            return bad_use(
                "a conversation has one --stop and no --ignore-end, as a board has: give a --prompt",
            );
        }
        let settings = Settings {
            n: self.tokens(),
            sampling: self.sampling,
            from: self.from.as_deref().unwrap_or_default(),
            stop: self.stop.first().map_or("", String::as_str),
        };
        converse(engine, &settings, self.prompt.unknown())
    }
}

/// What `--json` prints.
#[derive(Debug, Serialize)]
pub struct Report {
    #[serde(skip_serializing_if = "Option::is_none")]
    image_checksum: Option<String>,
    prompt_tokens: usize,
    #[serde(flatten)]
    answer: Answered,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Answered {
    Text(TextReport),
    Label(LabelReport),
}

#[derive(Debug, Default, Serialize)]
struct TextReport {
    tokens: Vec<u32>,
    logits_hashes: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    prompt_logits_hashes: Option<Vec<String>>,
    text: String,
    reason: &'static str,
}

#[derive(Debug, Serialize)]
struct LabelReport {
    /// None where it is unknown.
    label: Option<String>,
    likeliest: String,
    probability: f32,
    logits_hash: String,
}

pub fn run(args: &Args) -> Result<()> {
    if let Some(engine) = args.conversation()? {
        return args.converse(engine);
    }
    let report = report(args)?;
    match &report.answer {
        _ if args.json => print_json(&report)?,
        // It was printed as it came.
        Answered::Text(_) => {}
        Answered::Label(answer) => {
            let (likeliest, percent) = (shown(&answer.likeliest), 100.0 * answer.probability);
            let mut out = io::stdout();
            match answer.label {
                None => writeln!(out, "unknown ({percent:.1} %: {likeliest})")?,
                Some(_) => writeln!(out, "{likeliest} ({percent:.1} %)")?,
            }
        }
    }
    Ok(())
}

/// Runs the model. Unless a JSON report will hold it, text is printed as it comes.
pub fn report(args: &Args) -> Result<Report> {
    let engine = args.model.open(&args.file)?;
    if !engine.labels().is_empty() {
        args.check_labels()?;
    }
    let from = Origin::new(args.from.as_deref());
    let Start {
        runner, next_token, ..
    } = from.start(&engine, &args.file)?;
    let mut prompt: Vec<u32> = next_token.into_iter().collect();
    prompt.extend(args.prompt.tokens(&engine)?);
    if prompt.is_empty() {
        prompt.push(START_TOKEN);
    }
    let answer = match engine.labels().is_empty() {
        true => Answered::Text(continued(args, &engine, runner, &prompt)?),
        false => Answered::Label(label(&engine, runner, &prompt)?),
    };
    Ok(Report {
        image_checksum: engine.image_checksum().map(|crc| format!("{crc:08x}")),
        prompt_tokens: prompt.len(),
        answer,
    })
}

/// The text after the prompt.
fn continued(
    args: &Args,
    engine: &Engine,
    runner: Runner<'_>,
    prompt: &[u32],
) -> Result<TextReport> {
    let options = args.sampling;
    let settings = Sampling {
        temperature: options.temperature,
        top_k: options.top_k,
        top_p: options.top_p,
        repetition_penalty: options.repetition_penalty,
    };
    let mut sampler = Sampler::new(settings, options.seed);
    let mut report = TextReport::default();
    if args.every_logits {
        report.prompt_logits_hashes = Some(prompt_hashes(runner.clone(), prompt)?);
    }
    generate(args, engine, runner, prompt, &mut sampler, &mut report)?;
    Ok(report)
}

/// The label of the prompt.
fn label(engine: &Engine, mut runner: Runner<'_>, prompt: &[u32]) -> Result<LabelReport> {
    let (&last, before) = prompt.split_last().unwrap_or((&START_TOKEN, &[]));
    runner.feed(before)?;
    let logits = runner.step(last)?;
    let answer = Answer::of(&fixed(logits));
    let likeliest = engine.labels()[answer.class as usize].clone();
    let is_unknown = answer.is_unknown(engine.unknown_below());
    Ok(LabelReport {
        label: (!is_unknown).then(|| likeliest.clone()),
        likeliest,
        probability: answer.probability(),
        logits_hash: hash(logits),
    })
}

fn hash(logits: &[f32]) -> String {
    format!("{:016x}", logits_hash(&fixed(logits)))
}

fn prompt_hashes(mut runner: Runner<'_>, prompt: &[u32]) -> Result<Vec<String>> {
    prompt
        .iter()
        .map(|&token| Ok(hash(runner.step(token)?)))
        .collect()
}

/// Feeds the prompt, then draws tokens, each from logits that are hashed
/// first; prints the text as it comes unless a JSON report will hold it.
fn generate(
    args: &Args,
    engine: &Engine,
    mut runner: Runner<'_>,
    prompt: &[u32],
    sampler: &mut Sampler,
    report: &mut TextReport,
) -> Result<()> {
    let tokenizer = engine.tokenizer();
    let stops: Vec<_> = args.stop.iter().map(String::as_bytes).collect();
    let mut text = Writer::new(args.tokens()).until(&stops);
    if args.ignore_end {
        text = text.ignore_end();
    }
    let mut out = io::stdout();
    let is_terminal = out.is_terminal();
    let (&last, before) = prompt.split_last().unwrap_or((&START_TOKEN, &[]));
    runner.feed(before)?;
    if args.tokens() == 0 {
        // Nothing to generate, but a prompt that cannot be read is an error.
        runner.feed(&[last])?;
    }
    let mut token = last;
    while text.end().is_none() {
        let logits = runner.step(token)?;
        // Before the sampler, which works in place.
        let hash = hash(logits);
        token = sampler.sample(&mut fixed(logits));
        let bytes = match tokenizer {
            Some(tokenizer) => tokenizer.decode(token),
            None => format!("{token} ").into_bytes(),
        };
        let mut piece = String::new();
        text.push(token, &bytes, &mut |more| piece.push_str(more));
        // The token that ended the text is not one of its.
        if text.tokens() as usize > report.tokens.len() {
            report.tokens.push(token);
            report.logits_hashes.push(hash);
        }
        report.text.push_str(&piece);
        if !args.json {
            // A file or a program gets the model's text as it is.
            let piece = if is_terminal { shown(&piece) } else { piece };
            write!(out, "{piece}").and_then(|()| out.flush())?;
        }
    }
    report.reason = text.end().map_or("", End::name);
    if !args.json && args.tokens() > 0 {
        writeln!(out)?;
    }
    Ok(())
}
