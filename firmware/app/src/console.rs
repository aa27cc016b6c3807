//! The conversation: a line is a prompt or a command.

use crate::answer;
use crate::engine::{BootError, Model, TextError};
use crate::port::{Line, LineBuffer, Port};
use crate::settings::{Command, Settings, HELP};
use crate::Board;
use core::fmt::{self, Write as _};
use embedded_io::{Read, ReadReady, Write};
use kinglet::{BlockSampler, Sample, Sampler};
use kinglet_protocol::console::{
    End, Speed, Statistics, GREETING, LINE_BYTES, READY, TEXT_BEGINS, TEXT_ENDS,
};

/// Answers until the input ends.
///
/// `flash` begins with the model's image; what lies behind it does not matter.
/// `arena` is the RAM that the model works in. Greedy until told otherwise.
///
/// # Errors
/// There is no model to speak with, and why.
pub fn converse<P: Read + ReadReady + Write, B: Board>(
    stream: &mut P,
    board: &B,
    flash: &[u8],
    arena: &mut [f32],
) -> Result<(), BootError> {
    let model = Model::open(flash, arena)?;
    #[cfg(feature = "defmt")]
    defmt::info!("{}", model.image.header());
    let mut console = Console {
        port: Port::new(stream),
        board,
        model,
        settings: Settings::default(),
    };
    // An error is one of the port's: nobody is there to be told.
    let _ = console.run();
    Ok(())
}

struct Console<'m, 'p, P, B> {
    port: Port<'p, P>,
    board: &'p B,
    model: Model<'m>,
    settings: Settings,
}

/// What an answer took, and why it ended.
struct Answer {
    tokens: u32,
    micros: u32,
    end: End,
}

impl<P: Read + ReadReady + Write, B: Board> Console<'_, '_, P, B> {
    fn run(&mut self) -> fmt::Result {
        self.greet()?;
        let mut line = LineBuffer::new();
        loop {
            match self.settings.frames {
                true => self.port.put(READY)?,
                false => self.port.write_str("> ")?,
            }
            match self.port.read_line(&mut line) {
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
                Line::End => return Ok(()),
            }
        }
    }

    // Not inlined, as others here: the model's answer is deeper in the stack
    // than any of them, and need not lie behind their variables.
    #[inline(never)]
    fn greet(&mut self) -> fmt::Result {
        let image = &self.model.image;
        let header = image.header();
        let name = image
            .metadata()
            .map_or("a model without a name", |metadata| metadata.name);
        let bytes = header.image_bytes;
        let ram = header.state_bytes() + header.scratch_bytes();
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
        writeln!(port, "network: {}", header.version)?;
        writeln!(port, "image bytes: {}", header.image_bytes)?;
        writeln!(port, "layers: {}", header.n_layer)?;
        writeln!(port, "channels: {}", header.n_embd)?;
        writeln!(port, "vocabulary: {}", header.n_vocab)?;
        writeln!(port, "labels: {}", header.n_class)?;
        writeln!(port, "state bytes: {}", header.state_bytes())?;
        writeln!(port, "scratch bytes: {}", header.scratch_bytes())?;
        for state in image.states() {
            writeln!(port, "state: {}", state.name)?;
        }
        Ok(())
    }

    fn reply(&mut self, prompt: &[u8]) -> fmt::Result {
        let frames = self.settings.frames;
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
            Ok(Answer {
                tokens,
                micros,
                end,
            }) => {
                #[cfg(feature = "defmt")]
                defmt::info!("{} tokens in {} us", tokens, micros);
                let rate = u64::from(tokens) * 100_000_000 / u64::from(micros.max(1));
                let statistics = Statistics {
                    tokens,
                    speed: Speed::CentitokensPerSecond(rate),
                    stack_bytes: self.board.stack_bytes(),
                    end,
                };
                writeln!(self.port, "\n{statistics}")
            }
            Err(error) => writeln!(self.port, "{error}"),
        }
    }

    /// What the model says to a prompt.
    fn answer(&mut self, prompt: &[u8]) -> Result<Answer, TextError> {
        let settings = &self.settings;
        let image = self.model.image;
        let tokenizer = image.tokenizer().ok_or(TextError::NoTokenizer)?;
        let (mut whole, mut blocks);
        let mut session = self.model.session()?;
        let sampler: &mut dyn Sample = if session.has_room_for_logits() {
            whole = Sampler::new(settings.sampling, settings.seed);
            &mut whole
        } else {
            blocks = BlockSampler::<64>::new(settings.sampling, settings.seed)?;
            &mut blocks
        };
        let session = &mut session;
        let read = answer::read(prompt, &tokenizer, session, &mut self.port, settings)?;
        let start = self.board.micros();
        let (tokens, end) = match read {
            None => (0, End::Abort),
            Some(token) if image.header().n_class > 0 => {
                (1, answer::label(token, session, &mut self.port)?)
            }
            Some(token) => {
                let port = &mut self.port;
                answer::generate(token, &tokenizer, session, sampler, port, settings)?
            }
        };
        Ok(Answer {
            tokens,
            micros: self.board.micros().wrapping_sub(start),
            end,
        })
    }
}
