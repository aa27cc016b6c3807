//! `kinglet monitor`: talks to a board.

use super::lines::Lines;
use super::output::print_json;
use super::start::BoardStart;
use super::{bad_use, complain, mention};
use crate::engine::Engine;
use crate::monitor::{
    only_board, ports, workstation, Answer, Console, Event, EventSender, Left, Limits, Link,
    Refused,
};
use crate::text::{shown, without_unknown, Unknown};
use anyhow::{ensure, Context, Result};
use kinglet::UnknownByte;
use kinglet_protocol::console::{Speed, LINE_BYTES};
use serde::Serialize;
use std::io::{self, IsTerminal, Write};
use std::time::Duration;

/// Talk to a board that runs Kinglet's console, or to one in QEMU
///
/// PORT is a serial port, or tcp:HOST:PORT. In its place a program after
/// `--` can be the board: its standard input and output are the console.
/// Where this machine has one serial port on USB, it need not be named.
///
/// Without --prompt, every line you type is a prompt or a command of the
/// board's (`/help`). Lines are edited as in a shell, arrow keys find those
/// before; Ctrl-C ends an answer, Ctrl-D leaves. Answers are shown while they
/// are generated.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    kinglet monitor\n  \
    kinglet monitor /dev/ttyACM0 --prompt \"Once upon a time\" -n 200 --temperature 0.8 --seed 7\n  \
    kinglet monitor tcp:localhost:4444 --prompt \"Once\" --stop . --json\n  \
    kinglet monitor -- cargo xtask board stm32f405 --image model.kgl")]
pub struct Args {
    /// A serial port, or tcp:HOST:PORT [default: the only serial port on USB]
    #[arg(conflicts_with = "command")]
    port: Option<String>,
    /// Bits a second, of a serial port
    #[arg(long, default_value_t = 115_200)]
    baud: u32,
    /// Ask this and leave after the answer; several times for several prompts
    #[arg(long, value_name = "TEXT", value_parser = prompt_line)]
    prompt: Vec<String>,
    /// Tokens of an answer, at most
    #[arg(short, default_value_t = 100, value_name = "N")]
    n: u32,
    #[command(flatten)]
    sampling: kinglet_options::Sampling,
    /// An answer ends before this text, of 32 bytes at most
    #[arg(long, value_name = "TEXT", default_value = "")]
    stop: String,
    #[command(flatten)]
    start: BoardStart,
    /// What becomes of characters that the board's vocabulary lacks
    #[arg(long, value_enum, default_value = "refuse")]
    unknown: Unknown,
    /// Print a JSON object for every answer: prompt, text, prompt_tokens, tokens, tokens_per_second
    /// or instructions_per_token, stack_bytes, reason
    #[arg(long)]
    json: bool,
    /// Give up when the board is silent for this long [default: 10; of a program, which may build and boot first, 300]
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(1..=86_400))]
    timeout: Option<u32>,
    /// Give up when an answer takes longer than this
    #[arg(long, value_name = "SECONDS", default_value_t = 3600, value_parser = clap::value_parser!(u32).range(1..=604_800))]
    limit: u32,
    /// A program that is the board, and its arguments
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<String>,
}

/// The most bytes of an answer in a conversation.
const CONVERSATION_BYTES: usize = 16 << 20;

/// How long the workstation may take: as long as the person waits.
const PATIENCE: Duration = Duration::from_secs(7 * 86_400);

#[derive(Debug, Serialize)]
struct Report<'a> {
    prompt: &'a str,
    text: &'a str,
    prompt_tokens: u32,
    tokens: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    tokens_per_second: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    instructions_per_token: Option<u64>,
    stack_bytes: u32,
    reason: &'static str,
}

pub fn run(args: &Args) -> Result<()> {
    let link = open(
        args.port.as_deref(),
        args.baud,
        &args.command,
        "name a port",
    )?;
    let sender = link.sender();
    let seconds = if args.command.is_empty() { 10 } else { 300 };
    let limits = Limits {
        silence: Duration::from_secs(args.timeout.map_or(seconds, u64::from)),
        answer: Duration::from_secs(args.limit.into()),
        bytes: match args.prompt.as_slice() {
            // Lines may change the number of tokens.
            [] => CONVERSATION_BYTES,
            _ => Limits::bytes_of(args.n),
        },
    };
    let settings = Settings {
        n: args.n,
        sampling: args.sampling,
        from: &args.start.from,
        stop: &args.stop,
    };
    let monitor = Monitor {
        console: Console::attach(link, limits)?,
        unknown: args.unknown,
        json: args.json,
        shows_progress: io::stderr().is_terminal(),
    };
    monitor.talk(&settings, &args.prompt, sender)
}

/// A conversation with the model of an image, without a board.
pub fn converse(engine: Engine, settings: &Settings<'_>, unknown: Unknown) -> Result<()> {
    let link = workstation(engine)?;
    interrupts_of(&link)?;
    let sender = link.sender();
    let limits = Limits {
        silence: PATIENCE,
        answer: PATIENCE,
        bytes: CONVERSATION_BYTES,
    };
    let monitor = Monitor {
        console: Console::attach(link, limits)?,
        unknown,
        json: false,
        shows_progress: true,
    };
    monitor.talk(settings, &[], sender)
}

/// Opens the port, or starts the program; Ctrl-C becomes an event. Where neither is
/// given, it is the board's port.
pub fn open(port: Option<&str>, baud: u32, command: &[String], how: &str) -> Result<Link> {
    let link = match (port, command.split_first()) {
        (Some(port), _) => Link::open(port, baud)?,
        (None, Some((program, arguments))) => Link::program(program, arguments)?,
        (None, None) => Link::open(&found(how)?, baud)?,
    };
    interrupts_of(&link)?;
    Ok(link)
}

/// The board's port, said on standard error. Where that is in doubt, the error begins
/// with `how` to name one.
fn found(how: &str) -> Result<String> {
    let ports = ports();
    if let Some(port) = only_board(&ports) {
        complain(format_args!("the board is taken to be at {port}"));
        return Ok(port.to_owned());
    }
    let there_are = if ports.is_empty() {
        "this machine has no serial port now".to_owned()
    } else {
        format!("this machine has {}", ports.join(", "))
    };
    bad_use(format!(
        "{how} ({there_are}), tcp:HOST:PORT, or a program after --"
    ))
}

/// Makes Ctrl-C an event of the link.
fn interrupts_of(link: &Link) -> Result<()> {
    let interrupts = link.sender();
    // An error means that the receiver is gone: the program is ending.
    ctrlc::set_handler(move || drop(interrupts.send(Event::Interrupt)))
        .context("cannot listen for Ctrl-C")
}

/// What a board is told before the first prompt.
#[derive(Debug)]
pub struct Settings<'a> {
    /// Tokens of an answer, at most.
    pub n: u32,
    /// How they are chosen.
    pub sampling: kinglet_options::Sampling,
    /// The state that a prompt starts from; without a name that of the image.
    pub from: &'a str,
    /// An answer ends before this text, if there is one.
    pub stop: &'a str,
}

struct Monitor {
    console: Console,
    unknown: Unknown,
    json: bool,
    shows_progress: bool,
}

impl Monitor {
    /// Asks the prompts, or where there is none what is typed.
    fn talk(
        mut self,
        settings: &Settings<'_>,
        prompts: &[String],
        sender: EventSender,
    ) -> Result<()> {
        let talk = self.set(settings).and_then(|()| {
            if prompts.is_empty() {
                return self.converse(sender);
            }
            let mut prompts = prompts.iter();
            prompts.try_for_each(|prompt| self.ask(prompt, false))
        });
        match talk {
            Err(error) if error.is::<Left>() && prompts.is_empty() => {}
            talk => talk?,
        }
        self.console.detach();
        Ok(())
    }

    /// Sends the board all settings: it may have others from before.
    fn set(&mut self, settings: &Settings<'_>) -> Result<()> {
        let options = settings.sampling;
        let lines = [
            format!("/n {} /temperature {}", settings.n, options.temperature),
            format!("/top-k {} /top-p {}", options.top_k, options.top_p),
            format!(
                "/repetition-penalty {} /seed {}",
                options.repetition_penalty, options.seed
            ),
            format!("/from {}", settings.from),
            format!("/stop {}", escaped(settings.stop)),
        ];
        for line in lines {
            self.console.set(&line)?;
        }
        Ok(())
    }

    /// Lines from the keyboard or a pipe, until they end.
    fn converse(&mut self, sender: EventSender) -> Result<()> {
        let is_person = io::stdin().is_terminal() && io::stdout().is_terminal() && !self.json;
        if is_person {
            let info = self.console.command("/info")?;
            let how = "Type a prompt, or /help; Ctrl-C ends an answer, Ctrl-D leaves.";
            writeln!(io::stdout(), "{info}{how}")?;
        }
        let lines = match is_person {
            true => Lines::edited(sender)?,
            false => Lines::read(sender),
        };
        let (mut may_leave, mut all_answered) = (!is_person, true);
        loop {
            lines.ask();
            match self.console.typed() {
                // Perhaps meant for the answer that has just ended.
                Err(error) if error.is::<Left>() && !may_leave => {
                    writeln!(io::stdout(), "Ctrl-C again, or Ctrl-D, leaves.")?;
                    may_leave = true;
                    continue;
                }
                typed => match typed? {
                    Some(line) => match self.line(&line) {
                        Ok(true) => break,
                        Ok(false) => {}
                        // The board goes on, and so does who talks to it.
                        Err(error) if error.is::<Refused>() => {
                            complain(shown(&format!("error: {error}")));
                            all_answered = false;
                        }
                        Err(error) => return Err(error),
                    },
                    None => break,
                },
            }
            may_leave = !is_person;
        }
        ensure!(is_person || all_answered, "not every line was answered");
        Ok(())
    }

    /// A typed line; returns whether it ends the conversation.
    fn line(&mut self, line: &str) -> Result<bool> {
        prompt_line(line).map_err(Refused)?;
        let is_command = line.starts_with('/') && !line.starts_with("//");
        match line.trim() {
            "/quit" => return Ok(true),
            line if line.contains("/frames") && is_command => {
                let needed = "the monitor needs the frames that it asked for";
                return Err(Refused(needed.to_owned()).into());
            }
            _ if is_command => {
                // Not an answer: where a program reads answers, it goes aside.
                let said = self.console.command(line)?;
                match self.json {
                    true => eprint!("{said}"),
                    false => write!(io::stdout(), "{said}")?,
                }
            }
            _ => self.ask(line.strip_prefix('/').unwrap_or(line), true)?,
        }
        Ok(false)
    }

    /// The prompt without the characters that have this byte.
    fn without(&self, prompt: &str, byte: u8) -> String {
        let first = |text: &[u8]| text.iter().position(|&other| other == byte);
        let (known, _) = without_unknown(prompt.as_bytes(), self.unknown, first);
        String::from_utf8_lossy(&known).into_owned()
    }

    /// Sends a prompt, again without what the board cannot read.
    fn ask(&mut self, prompt: &str, shows_statistics: bool) -> Result<()> {
        let (json, mut out) = (self.json, io::stdout());
        let mut known = prompt.to_owned();
        let answer = loop {
            let answer = self.console.ask(&known, &mut |text| {
                if json {
                    return Ok(());
                }
                write!(out, "{text}")?;
                out.flush()
            });
            match answer
                .as_ref()
                .err()
                .and_then(|error| unknown_byte(error, &known))
            {
                Some(byte) if self.unknown != Unknown::Refuse => {
                    known = self.without(&known, byte);
                }
                _ => break answer,
            }
        };
        if !json {
            // What was shown of an answer that did not end stays on its line.
            writeln!(io::stdout())?;
        }
        let answer = answer?;
        for note in &answer.notes {
            mention(note);
        }
        if json {
            return print_json(&report(prompt, &answer));
        }
        // The workstation's stack is not measured.
        let statistics = answer.statistics.to_string().replace(", stack 0 bytes", "");
        match shows_statistics {
            true => writeln!(io::stdout(), "{statistics}")?,
            false if self.shows_progress => mention(statistics),
            false => {}
        }
        Ok(())
    }
}

/// The byte of the prompt that a board's vocabulary lacks, if that is the error.
fn unknown_byte(error: &anyhow::Error, prompt: &str) -> Option<u8> {
    let said = error.to_string();
    prompt
        .bytes()
        .find(|&byte| said.contains(&UnknownByte(byte).to_string()))
}

fn report<'a>(prompt: &'a str, answer: &'a Answer) -> Report<'a> {
    let statistics = answer.statistics;
    let (tokens_per_second, instructions_per_token) = match statistics.speed {
        Speed::CentitokensPerSecond(rate) => (Some(rate as f64 / 100.0), None),
        Speed::InstructionsPerToken(count) => (None, Some(count)),
    };
    Report {
        prompt,
        text: &answer.text,
        prompt_tokens: answer.prompt_tokens,
        tokens: statistics.tokens,
        tokens_per_second,
        instructions_per_token,
        stack_bytes: statistics.stack_bytes,
        reason: statistics.end.name(),
    }
}

/// A prompt that fits a line of the console.
pub fn prompt_line(text: &str) -> Result<String, String> {
    if text.contains('\u{fffd}') {
        return Err("a console takes UTF-8, which this line is not".to_owned());
    }
    if text.chars().any(|c| c != '\t' && c.is_ascii_control()) {
        return Err(
            "a console takes lines: no line ends or control characters (`kinglet prime` reads any text into the image)"
                .to_owned(),
        );
    }
    let bytes = text.len() + usize::from(text.starts_with('/'));
    if bytes > LINE_BYTES {
        return Err(format!(
            "it has {bytes} bytes, a line has {LINE_BYTES} at most (`kinglet prime` reads a long text into the image)"
        ));
    }
    Ok(text.to_owned())
}

/// A stop text as the console takes it.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\")
        .replace('\n', "\\n")
        .replace('\t', "\\t")
}
