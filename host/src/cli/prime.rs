//! `kinglet prime`: a prompt that a board need not read.

use super::bad_use;
use super::output::{check_outputs, print_json, progress_bar, report_to, write_file, Output};
use super::prompt::Prompt;
use super::start::Origin;
use super::table::thousands;
use crate::engine::{open_image, Engine};
use crate::model::{Convention, Reading, TunedState};
use crate::output::Identity;
use crate::prime::{check_name, with_state};
use crate::text::{noun, shown_path};
use anyhow::{Context, Result};
use kinglet::image::{NamedState, EMPTY_STATE, START_STATE};
use kinglet::Shape;
use serde::Serialize;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Tokens between two steps of the progress bar.
const CHUNK_TOKENS: usize = 32;

/// Read a prompt on the workstation, or a tuned state, and put the resulting state into the image
///
/// A board, or `kinglet run`, then starts from that state without reading the
/// prompt. An image holds up to 64 named states; a state of the same name is
/// replaced. The state named `start` is where texts start by default.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    kinglet prime model.kgl --prompt \"Once upon a time\" -o primed.kgl\n  \
    kinglet prime primed.kgl --prompt-file manual.txt --name manual -o primed.kgl\n  \
    kinglet prime model.kgl --state tuned.pth -o tuned.kgl\n  \
    kinglet run primed.kgl --from manual --prompt \" The end\"")]
pub struct Args {
    /// An image
    image: PathBuf,
    #[command(flatten)]
    prompt: Prompt,
    /// A tuned state in place of a prompt: a .pth or .safetensors file with `blocks.N.att.time_state`
    #[arg(long, value_name = "FILE", conflicts_with_all = ["prompt", "prompt_file", "tokens", "from"])]
    state: Option<PathBuf>,
    /// Whose files the tuned state is like, where that is not told
    #[arg(long, value_enum, requires = "state")]
    read_as: Option<Convention>,
    /// The name of the state: 1 to 24 bytes
    #[arg(long, default_value = START_STATE)]
    name: String,
    /// The state that the prompt starts from: a name in the image, or `empty`
    #[arg(long, value_name = "NAME", default_value = EMPTY_STATE)]
    from: String,
    /// The image to write; may be the one that is read
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    /// Print one JSON object: name, tokens, replaced (whether the name was there), image_bytes
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Serialize)]
struct Report<'a> {
    name: &'a str,
    tokens: u32,
    replaced: bool,
    image_bytes: usize,
}

pub fn run(args: &Args) -> Result<()> {
    // An image that is its own output gains a state, and loses nothing else.
    let output = Identity::of(&args.output);
    let image = Some(&args.image).filter(|image| Identity::of(image) != output);
    check_outputs(
        &[image, args.prompt.file(), args.state.as_ref()],
        &[Output::named(&args.output)],
    )?;
    check_name(&args.name).or_else(bad_use)?;
    let engine = Engine::open(&args.image, 0.0, &Reading::default())?;
    if !engine.is_image() {
        let file = args.image.display();
        return bad_use(format!(
            "{file}: a checkpoint holds no states: pack it with `kinglet quantize` first"
        ));
    }
    let file = open_image(&args.image)?;
    let primed = match &args.state {
        Some(path) => tuned(path, args.read_as, file.image().shape())?,
        None => read(args, &engine)?,
    };
    let state = NamedState {
        name: &args.name,
        tokens: primed.tokens,
        next_token: primed.next_token,
        words: &primed.words,
    };
    let bytes =
        with_state(&file.image(), &state).with_context(|| args.image.display().to_string())?;
    write_file(&args.output, |out| Ok(out.write_all(&bytes)?))?;
    let report = Report {
        name: &args.name,
        tokens: state.tokens,
        replaced: file.image().state_named(&args.name).is_some(),
        image_bytes: bytes.len(),
    };
    if args.json {
        return print_json(&report);
    }
    let text = match report.tokens {
        0 => "a tuned state".to_owned(),
        tokens => {
            let nouns = noun(tokens.into(), "token", "tokens");
            format!("a text of {} {nouns}", thousands(tokens.into()))
        }
    };
    let bytes = thousands(bytes.len() as u64);
    let (output, name) = (shown_path(&args.output), &args.name);
    let done = if report.replaced { "replaced" } else { "added" };
    writeln!(
        report_to(),
        "{output}: {done} state `{name}`, {text}; image of {bytes} bytes"
    )?;
    Ok(())
}

/// A state for the image.
struct Primed {
    tokens: u32,
    next_token: u32,
    words: Vec<i32>,
}

/// The state in a file.
fn tuned(path: &Path, convention: Option<Convention>, shape: &Shape) -> Result<Primed> {
    Ok(Primed {
        tokens: 0,
        next_token: 0,
        words: TunedState::open(path, shape, convention)?.words(shape),
    })
}

/// Reads the prompt, all but its last token.
fn read(args: &Args, engine: &Engine) -> Result<Primed> {
    let start = Origin::new(Some(&args.from)).start(engine, &args.image)?;
    let mut tokens: Vec<u32> = start.next_token.into_iter().collect();
    tokens.extend(args.prompt.tokens(engine)?);
    let given = tokens.len() - usize::from(start.next_token.is_some());
    let Some((&last, before)) = tokens.split_last().filter(|_| given > 0) else {
        return bad_use("the prompt is empty: give a text with --prompt or --prompt-file");
    };
    let mut runner = start.runner;
    let bar = progress_bar(before.len() as u64, "tokens");
    for chunk in before.chunks(CHUNK_TOKENS) {
        runner.feed(chunk)?;
        bar.inc(chunk.len() as u64);
    }
    bar.finish_and_clear();
    let counted = start.tokens as usize + given;
    Ok(Primed {
        tokens: u32::try_from(counted).context("the prompt has 2^32 tokens or more")?,
        next_token: last,
        words: runner.state().context("an image has a state")?.to_vec(),
    })
}
