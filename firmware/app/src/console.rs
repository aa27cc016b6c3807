//! The conversation: a line is a prompt or a command.

use crate::port::{Line, LineBuffer, Port};
use crate::settings::{Command, Frames, Settings, HELP};
use crate::{Board, Model};
use core::fmt::{self, Write as _};
use embedded_io::{Read, ReadReady, Write};
use kinglet::hash::Hashed;
use kinglet::{Answer, End, Error, Sample, Sampler, Session, StepError, Text};
use kinglet_protocol::console::{
    Chosen, Statistics, GREETING, IMAGE_CHECKSUM, LINE_BYTES, READY, TEXT_BEGINS, TEXT_ENDS,
    TOKEN_CHOSEN, TOKEN_READ,
};

/// The largest top-k where the RAM has no room for all logits.
const TOP_K: usize = 64;

/// Answers until the input ends or a command ends it. Greedy until a command
/// changes that.
pub fn converse<P: Read + ReadReady + Write, B: Board>(
    stream: &mut P,
    board: &mut B,
    model: &mut Model<'_>,
) {
    #[cfg(feature = "defmt")]
    defmt::info!("{}", model.image.header());
    let mut console = Console {
        port: Port::new(stream),
        board,
        model,
        settings: Settings::default(),
    };
    // An error is the port's: it cannot be reported through that port.
    let _ = console.run();
}

struct Console<'m, 'p, P, B> {
    port: Port<'p, P>,
    board: &'p mut B,
    model: &'p mut Model<'m>,
    settings: Settings,
}

impl<P: Read + ReadReady + Write, B: Board> Console<'_, '_, P, B> {
    fn run(&mut self) -> fmt::Result {
        self.greet()?;
        let mut line = LineBuffer::new();
        loop {
            match self.settings.frames {
                Frames::Off => self.port.write_str("> ")?,
                Frames::On | Frames::Hashes => self.port.put(READY)?,
            }
            match self.port.read_line(&mut line, B::REQUEST) {
                Line::Complete => match &line[..] {
                    [b'/', rest @ ..] if rest.first() != Some(&b'/') => {
                        if self.command(rest)? {
                            return Ok(());
                        }
                    }
                    // Two slashes are the beginning of a prompt.
                    [b'/', prompt @ ..] | prompt => self.reply(prompt)?,
                },
                Line::TooLong => writeln!(self.port, "No line has more than {LINE_BYTES} bytes.")?,
                Line::Request => self.board.serve(&mut self.port, self.model),
                Line::End => return Ok(()),
            }
        }
    }

    // Not inlined, as others here: the model's answer is deeper in the stack
    // than any of them, and need not lie on top of their variables.
    #[inline(never)]
    fn greet(&mut self) -> fmt::Result {
        let image = &self.model.image;
        let header = image.header();
        let name = image
            .metadata()
            .map_or("a model without a name", |metadata| metadata.name);
        let bytes = header.image_bytes;
        let ram = header.shape.state_bytes() + header.shape.scratch_bytes();
        self.port.put(GREETING)?;
        writeln!(
            self.port,
            "Kinglet on a {}: {name}, {bytes} bytes, RAM {ram}.\nType a prompt, or /help.",
            self.board.title()
        )
    }

    /// Carries out commands; returns whether that ends the conversation.
    #[inline(never)]
    fn command(&mut self, line: &[u8]) -> Result<bool, fmt::Error> {
        let line = core::str::from_utf8(line).unwrap_or("?");
        match self.settings.apply(line) {
            Command::Changed => writeln!(self.port, "{}", self.settings)?,
            Command::Help => writeln!(self.port, "{HELP}\nSettings: {}", self.settings)?,
            Command::Info => self.inform()?,
            Command::Quit => return Ok(true),
            Command::Unknown => writeln!(
                self.port,
                "/{line}: no such command, or its value does not fit; see /help."
            )?,
        }
        Ok(false)
    }

    /// Lines of a key, a colon and a value.
    fn inform(&mut self) -> fmt::Result {
        let image = self.model.image;
        let header = image.header();
        let name = image.metadata().map_or("", |metadata| metadata.name);
        let port = &mut self.port;
        writeln!(port, "board: {}\nmodel: {name}", self.board.title())?;
        writeln!(port, "network: {}", header.shape.version)?;
        writeln!(port, "image bytes: {}", header.image_bytes)?;
        writeln!(port, "{IMAGE_CHECKSUM}{:08x}", header.crc32)?;
        writeln!(port, "layers: {}", header.shape.n_layer)?;
        writeln!(port, "channels: {}", header.shape.n_embd)?;
        writeln!(port, "vocabulary: {}", header.shape.n_vocab)?;
        writeln!(port, "labels: {}", header.shape.n_class)?;
        writeln!(port, "state bytes: {}", header.shape.state_bytes())?;
        writeln!(port, "scratch bytes: {}", header.shape.scratch_bytes())?;
        for state in image.states() {
            writeln!(port, "state: {}", state.name)?;
        }
        Ok(())
    }

    fn reply(&mut self, prompt: &[u8]) -> fmt::Result {
        let frames = self.settings.frames != Frames::Off;
        if frames {
            self.port.put(TEXT_BEGINS)?;
        }
        let answer = self.answer(prompt);
        if frames {
            self.port.put(TEXT_ENDS)?;
        }
        let lost = self.port.take_lost();
        if lost > 0 {
            writeln!(self.port, "\n{lost} bytes typed meanwhile are lost.")?;
        }
        match answer {
            Ok(statistics) => writeln!(self.port, "\n{statistics}"),
            Err(error) => writeln!(self.port, "{error}"),
        }
    }

    /// Streams the model's answer to a prompt. Errors of the port show when the
    /// next line is read.
    fn answer(&mut self, prompt: &[u8]) -> Result<Statistics, Error> {
        let Self {
            port,
            board,
            model,
            settings,
        } = self;
        let frames = settings.frames;
        let stops = [&settings.stop[..]];
        let mut text = Text::new(&model.image, settings.tokens)?.until(&stops);
        let mut session = Session::new(&model.image, model.state, model.scratch)?;
        text.start_from(&mut session, &settings.from)?;
        let mut aborted = false;
        for token in text.prompt(prompt) {
            aborted = port.is_aborted();
            if aborted {
                break;
            }
            session.feed(&[token?])?;
            if frames != Frames::Off {
                let _ = port.put(TOKEN_READ);
            }
        }
        let mut watch = Watch::start(board.clock());
        let (tokens, end) = if aborted {
            (0, End::Abort)
        } else if model.image.shape().n_class > 0 {
            let mut answer = Answer::new();
            choose(&mut session, text.token(), &mut answer, frames, port)?;
            let _ = write!(port, "{}", answer.label(&model.image));
            watch.lap(board.clock());
            (1, End::Text)
        } else {
            let mut sampler = Sampler::<TOP_K>::with_room(settings.sampling, settings.seed);
            let end = loop {
                match text.end() {
                    Some(end) => break end,
                    None if port.is_aborted() => {
                        text.finish(End::Abort, |piece| port.show(piece));
                    }
                    None => {
                        let token = choose(&mut session, text.token(), &mut sampler, frames, port)?;
                        text.push(token, |piece| port.show(piece));
                    }
                }
                watch.lap(board.clock());
            };
            (text.tokens(), end)
        };
        #[cfg(feature = "defmt")]
        defmt::info!("{} tokens in {} ticks of the clock", tokens, watch.elapsed);
        Ok(Statistics {
            tokens,
            speed: board.speed(tokens, watch.elapsed),
            stack_bytes: board.stack_bytes(),
            end,
        })
    }
}

/// Reads a token and chooses the next; says which, where hashes are asked for.
fn choose<P: Read + ReadReady + Write>(
    session: &mut Session<'_, '_>,
    token: u32,
    sampler: &mut dyn Sample,
    frames: Frames,
    port: &mut Port<'_, P>,
) -> Result<u32, StepError> {
    if frames != Frames::Hashes {
        return session.choose(token, sampler);
    }
    let mut hashed = Hashed::new(sampler);
    let token = session.choose(token, &mut hashed)?;
    let hash = hashed.finish();
    let _ = port.put(TOKEN_CHOSEN);
    let _ = writeln!(port, "{}", Chosen { token, hash });
    Ok(token)
}

/// Time between laps, by a clock that wraps.
struct Watch {
    last: u32,
    elapsed: u64,
}

impl Watch {
    fn start(now: u32) -> Self {
        Self {
            last: now,
            elapsed: 0,
        }
    }

    fn lap(&mut self, now: u32) {
        self.elapsed += u64::from(now.wrapping_sub(self.last));
        self.last = now;
    }
}
