//! `kinglet verify`: compares a firmware with the workstation.

mod junit;

use super::monitor::{open, prompt_line};
use super::output::{check_outputs, print_json, write_file, Output};
use super::start::BoardStart;
use super::{bad_use, BadUse};
use crate::engine::open_image;
use crate::monitor::{Console, Left, Limits, Line, Link, Printed};
use crate::verify::{Difference, Expected};
use anyhow::{anyhow, bail, Result};
use kinglet::{End, Image};
use kinglet_protocol::console::{image_checksum, FRAMES_WITH_HASHES};
use serde::Serialize;
use std::io::{self, Write};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Check that a firmware computes exactly what the workstation computes from its image
///
/// Asks the firmware with each prompt and compares, token by token, what it chooses and the hash of the
/// logits that it chose from, then the text. The first difference is one sentence and exit code 1; exit
/// code 0 says that there is none. Tokens are the likeliest ones.
///
/// COMMAND is a program whose standard input and output are the firmware's console: an emulator, or a
/// script that flashes a board and opens its port. It is ended with all that it has started. Without it
/// the firmware is on a board, at --port.
///
/// With --lines the firmware needs no console: it prints a line `token ID HASH` for each token that it chooses
/// after a prompt of its own (`kinglet::hash::Hashed` has the hash, 16 hexadecimal digits), and may print
/// `image checksum: CRC32` before. Other lines, and other words of these lines, may be anything.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    kinglet verify model.kgl --prompt \"Once upon a time\" -- qemu-system-arm -machine netduinoplus2 \
    -display none -serial stdio -kernel firmware.elf\n  \
    kinglet verify model.kgl --prompt \"Once\" --prompt \"The dog\" -n 100 --json\n  \
    kinglet verify model.kgl --prompt \"Once upon a time\" -n 20 --lines -- probe-rs run --chip STM32F405RG firmware.elf")]
pub struct Args {
    /// The image that the firmware is to have
    image: PathBuf,
    /// Ask with this; several times for several prompts [default: an empty one]
    #[arg(long, value_name = "TEXT")]
    prompt: Vec<String>,
    /// Tokens of an answer, at most
    #[arg(short, default_value_t = 64, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    n: u32,
    #[command(flatten)]
    start: BoardStart,
    /// The firmware has no console and prints lines by itself; --prompt is what it reads
    #[arg(long)]
    lines: bool,
    /// A serial port, or tcp:HOST:PORT [default: the only serial port on USB]
    #[arg(long, conflicts_with = "command")]
    port: Option<String>,
    /// Bits a second, of a serial port
    #[arg(long, default_value_t = 115_200)]
    baud: u32,
    /// Print a JSON object: agrees, sentence, image_checksum, prompts, tokens, difference
    #[arg(long)]
    json: bool,
    /// Write the outcome to this file as JUnit's XML, too
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// Give up when the firmware is silent for this long
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..=86_400))]
    timeout: u32,
    /// Give up when an answer takes longer than this
    #[arg(long, value_name = "SECONDS", default_value_t = 3600, value_parser = clap::value_parser!(u32).range(1..=604_800))]
    limit: u32,
    /// A program that runs the firmware, and its arguments
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Report<'a> {
    agrees: bool,
    sentence: &'a str,
    image_checksum: String,
    prompts: usize,
    /// Of the workstation.
    tokens: usize,
    difference: Option<&'a Difference>,
}

pub fn run(args: &Args) -> Result<()> {
    let outputs = args.junit.iter().map(|path| Output::named(path));
    let outputs: Vec<_> = outputs.collect();
    check_outputs(&[Some(&args.image)], &outputs)?;
    let start = Instant::now();
    let outcome = verify(args);
    let is_bad_use = matches!(&outcome, Err(error) if error.is::<BadUse>());
    let report = |path: &PathBuf| {
        write_file(path, |out| {
            junit::write(out, &args.image, &outcome, start.elapsed())
        })
    };
    // Of a command that is wrong there is no outcome.
    let reported = match args.junit.as_ref().filter(|_| !is_bad_use) {
        Some(path) => report(path),
        None => Ok(()),
    };
    outcome.and(reported)
}

fn verify(args: &Args) -> Result<()> {
    let file = open_image(&args.image)?;
    let image = file.image();
    let expected = expected(args, &image)?;
    let how = "name a port with --port";
    let link = open(args.port.as_deref(), args.baud, &args.command, how)?;
    let name = link.name().to_owned();
    let limits = Limits {
        silence: Duration::from_secs(args.timeout.into()),
        answer: Duration::from_secs(args.limit.into()),
        bytes: Limits::bytes_of(args.n),
    };
    let difference = match args.lines {
        true => listen(Printed::over(link, limits), &image, &expected[0])?,
        false => ask(args, link, limits, &image, &expected)?,
    };
    let tokens = expected.iter().map(|expected| expected.chosen.len()).sum();
    let prompts = match expected.len() {
        1 => "a prompt".to_owned(),
        count => format!("{count} prompts"),
    };
    let sentence = match &difference {
        Some(difference) => difference.to_string(),
        None => format!(
            "{name} computes what the workstation computes: {tokens} tokens after {prompts}, with all of their logits"
        ),
    };
    let report = Report {
        agrees: difference.is_none(),
        sentence: &sentence,
        image_checksum: format!("{:08x}", image.header().crc32),
        prompts: expected.len(),
        tokens,
        difference: difference.as_ref(),
    };
    match args.json {
        true => print_json(&report)?,
        false if report.agrees => writeln!(io::stdout(), "{}", crate::text::shown(&sentence))?,
        false => {}
    }
    match report.agrees {
        true => Ok(()),
        false => Err(anyhow!("{sentence}")),
    }
}

/// What the workstation computes, before anything is started.
fn expected(args: &Args, image: &Image<'_>) -> Result<Vec<Expected>> {
    let mut prompts = args.prompt.clone();
    if prompts.is_empty() {
        prompts.push(String::new());
    }
    if args.lines && prompts.len() > 1 {
        return bad_use("with --lines there is one --prompt: the firmware reads its own, once");
    }
    let answer = |prompt: &String| {
        if !args.lines {
            prompt_line(prompt).or_else(|why| bad_use(format!("--prompt: {why}")))?;
        }
        let image_file = args.image.display();
        Expected::of(image, prompt, args.n, &args.start.from)
            .or_else(|error| bad_use(format!("{image_file}, prompt {prompt:?}: {error}")))
    };
    prompts.iter().map(answer).collect()
}

/// Asks a firmware with a console; the first difference.
fn ask(
    args: &Args,
    link: Link,
    limits: Limits,
    image: &Image<'_>,
    expected: &[Expected],
) -> Result<Option<Difference>> {
    let mut console = Console::attach(link, limits)?;
    let difference = converse(args, &mut console, image, expected)?;
    console.detach();
    Ok(difference)
}

fn converse(
    args: &Args,
    console: &mut Console,
    image: &Image<'_>,
    expected: &[Expected],
) -> Result<Option<Difference>> {
    let info = console.command("/info")?;
    let Some(checksum) = info.lines().find_map(image_checksum) else {
        bail!("the firmware's console does not say which image it has: build it with `kinglet-app` of this version");
    };
    if let Some(difference) = Difference::of_image(image, checksum) {
        return Ok(Some(difference));
    }
    // All settings: it may have others from before.
    console.set(&format!(
        "/n {} /temperature 0 {FRAMES_WITH_HASHES}",
        args.n
    ))?;
    console.set("/top-k 0 /top-p 1 /repetition-penalty 1 /seed 0")?;
    console.set(&format!("/from {}", args.start.from))?;
    console.set("/stop")?;
    for expected in expected {
        let answer = console.ask(&expected.prompt, &mut |_| Ok(()))?;
        if answer.statistics.end == End::Abort {
            return Err(Left.into());
        }
        let difference = Difference::of_tokens(image, expected, &answer.chosen)
            .or_else(|| Difference::of_length(expected, answer.chosen.len()))
            .or_else(|| Difference::of_text(expected, &answer.text));
        if difference.is_some() {
            return Ok(difference);
        }
    }
    Ok(None)
}

/// Reads what a firmware without a console prints; the first difference.
fn listen(
    mut printed: Printed,
    image: &Image<'_>,
    expected: &Expected,
) -> Result<Option<Difference>> {
    let mut found = Vec::new();
    while found.len() < expected.chosen.len() {
        match printed.next_line()? {
            Some(Line::Image(checksum)) => {
                if let Some(difference) = Difference::of_image(image, checksum) {
                    return Ok(Some(difference));
                }
            }
            Some(Line::Token(chosen)) => {
                let is_equal = expected.chosen[found.len()] == chosen;
                found.push(chosen);
                if !is_equal {
                    break;
                }
            }
            None if found.is_empty() => {
                bail!("{} has printed no line `token ID HASH`", printed.name())
            }
            None => break,
        }
    }
    let difference = Difference::of_tokens(image, expected, &found);
    Ok(difference.or_else(|| Difference::of_length(expected, found.len())))
}
