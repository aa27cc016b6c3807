//! The conversation with a person: a line is a prompt or a command.

use crate::batch;
use crate::generate::{Report, Text, TextError};
use crate::input::{Input, Typed};
use crate::model::Model;
use crate::work::{Way, Work};
use kinglet::{Sampler, Utf8Stream, START_TOKEN};
use kinglet_app::{Command, Settings, Stop, HELP};
use kinglet_board::{put, say, stack_bytes, write_byte, MACHINE};
use kinglet_protocol::console::{
    shown, End, Speed, Statistics, GREETING, READY, TEXT_BEGINS, TEXT_ENDS, TOKEN_READ,
};
use kinglet_protocol::FRAME_START;

/// No line of commands is longer.
const COMMAND_MAX: usize = 128;

/// Answers until it is told to leave.
pub fn converse(mut model: Model) -> ! {
    greet(&model);
    let mut settings = Settings::default();
    let mut input = Input::new();
    loop {
        match settings.frames {
            true => write_byte(READY),
            false => put!("> "),
        }
        match input.next() {
            Typed::Byte(FRAME_START) => batch::serve(&mut model),
            Typed::Byte(b'/') => command_or_slash(&mut model, &mut settings, &mut input),
            Typed::EndOfInput => quit(),
            Typed::Abort => {}
            first => reply(&mut model, &settings, &mut input, first),
        }
    }
}

fn greet(model: &Model) {
    let image = &model.image;
    let header = image.header();
    let name = image
        .metadata()
        .map_or("a model without a name", |metadata| metadata.name);
    let (bytes, ram) = (
        header.image_bytes,
        header.state_bytes() + header.scratch_bytes(),
    );
    write_byte(GREETING);
    say!(
        "Kinglet on a {} ({}): {name}, {bytes} bytes, RAM {ram}.",
        MACHINE.core.title,
        MACHINE.name
    );
    say!("Type a prompt, or /help.");
}

fn quit() -> ! {
    say!();
    kinglet_board::exit(0)
}

fn command_or_slash(model: &mut Model, settings: &mut Settings, input: &mut Input) {
    let mut line = heapless::String::<COMMAND_MAX>::new();
    loop {
        match input.next() {
            // Two slashes are the beginning of a prompt.
            slash @ Typed::Byte(b'/') if line.is_empty() => {
                return reply(model, settings, input, slash);
            }
            Typed::Byte(byte) if line.push(char::from(byte)).is_ok() => {}
            Typed::Byte(_) => {
                input.skip_line();
                return say!("No line of commands is so long; /help shows them all.");
            }
            Typed::Abort => return,
            Typed::EndOfLine | Typed::EndOfInput => return command(model, settings, &line),
        }
    }
}

fn command(model: &Model, settings: &mut Settings, line: &str) {
    match settings.apply(line) {
        Command::Changed => say!("{settings}"),
        Command::Help => say!("{HELP}\nSettings: {settings}"),
        Command::Info => inform(model),
        Command::Quit => quit(),
        Command::Unknown => say!("/{line}: no such command, or its value does not fit; see /help."),
    }
}

/// Lines of a key, a colon and a value.
fn inform(model: &Model) {
    let image = &model.image;
    let header = image.header();
    let name = image.metadata().map_or("", |metadata| metadata.name);
    say!(
        "board: {} ({})\nmodel: {name}",
        MACHINE.core.title,
        MACHINE.name
    );
    say!("network: {}", header.version);
    say!("image bytes: {}", header.image_bytes);
    for state in image.states() {
        say!("state: {}", state.name);
    }
}

/// Reads the rest of a line as it is typed, then answers.
fn reply(model: &mut Model, settings: &Settings, input: &mut Input, first: Typed) {
    let mut sampler = Sampler::new(settings.sampling, settings.seed);
    let mut work = match Work::new(model, Way::default()) {
        Ok(work) => work,
        Err(error) => {
            input.skip_line();
            return say!("{error}");
        }
    };
    let from = settings.from.as_str();
    let mut text = match Text::new(&mut work, &mut sampler, Report::Nothing, from) {
        Ok(text) => text,
        Err(error) => {
            input.skip_line();
            return say!("{error}");
        }
    };
    let mut typed = first;
    while let Typed::Byte(byte) = typed {
        if let Err(error) = text.push(byte) {
            input.skip_line();
            return say!("{error}");
        }
        typed = input.next();
    }
    if typed == Typed::Abort {
        return;
    }
    if settings.frames {
        write_byte(TEXT_BEGINS);
        // They were, while they were typed; but the last.
        (1..text.tokens).for_each(|_| write_byte(TOKEN_READ));
    }
    let answer = stream(&mut text, settings, input);
    if settings.frames {
        write_byte(TEXT_ENDS);
    }
    match answer {
        Ok(statistics) => say!("\n{statistics}"),
        Err(error) => say!("{error}"),
    }
}

/// Prints tokens as they come. The token that ends a text ends the answer.
fn stream(
    text: &mut Text<'_, '_>,
    settings: &Settings,
    input: &mut Input,
) -> Result<Statistics, TextError> {
    text.end_prompt()?;
    if text.has_labels() {
        let (answer, step) = text.answer()?;
        put!("{}", text.label(&answer));
        return Ok(statistics(1, step.instructions, End::Text));
    }
    let mut utf8 = Utf8Stream::new();
    let mut stop = Stop::new(&settings.stop);
    let mut put = |byte| put!("{}", utf8.push(shown(byte, settings.frames)));
    let (mut tokens, mut instructions) = (0, 0);
    let end = loop {
        if tokens >= settings.tokens {
            break End::Length;
        }
        if input.is_aborted() {
            break End::Abort;
        }
        let (id, step) = text.choose()?;
        if id == START_TOKEN {
            break End::Text;
        }
        (tokens, instructions) = (tokens + 1, instructions + step.instructions);
        let decoded = text.decode(id);
        let mut bytes = decoded.iter();
        if bytes.any(|&byte| stop.push(byte, &mut put)) {
            break End::Stop;
        }
    };
    if end != End::Stop {
        stop.finish(&mut put);
    }
    put!("{}", utf8.finish());
    Ok(statistics(tokens, instructions, end))
}

fn statistics(tokens: u32, instructions: u64, end: End) -> Statistics {
    Statistics {
        tokens,
        speed: Speed::InstructionsPerToken(instructions / u64::from(tokens.max(1))),
        stack_bytes: stack_bytes(),
        end,
    }
}
