//! The conversation: a line is a prompt or a command.

use crate::engine::{BootError, Model, TextError};
use crate::port::{Line, LineBuffer, Port, LINE_BYTES};
use crate::settings::{origin, Command, Settings, HELP};
use crate::Board;
use core::fmt::{self, Write as _};
use embedded_io::{Read, Write};
use kinglet::{Utf8Stream, START_TOKEN};

/// Answers until the input ends.
///
/// `flash` begins with the model's image; what lies behind it does not matter.
/// `arena` is the RAM that the model works in. Greedy until told otherwise.
///
/// # Errors
/// There is no model to speak with, and why.
pub fn converse<P: Read + Write, B: Board>(
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

/// What an answer took.
struct Answer {
    tokens: u32,
    micros: u32,
}

impl<P: Read + Write, B: Board> Console<'_, '_, P, B> {
    fn run(&mut self) -> fmt::Result {
        self.greet()?;
        let mut line = LineBuffer::new();
        loop {
            self.port.write_str("> ")?;
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

    fn greet(&mut self) -> fmt::Result {
        let image = &self.model.image;
        let header = image.header();
        let name = image
            .metadata()
            .map_or("a model without a name", |metadata| metadata.name);
        let bytes = header.image_bytes;
        let ram = header.state_bytes() + header.scratch_bytes();
        writeln!(
            self.port,
            "Kinglet on a {}: {name}, {bytes} bytes, RAM {ram}.\nType a prompt, or /help.",
            B::TITLE
        )
    }

    /// Carries out commands; returns whether that ends the conversation.
    fn command(&mut self, line: &[u8]) -> Result<bool, fmt::Error> {
        let line = core::str::from_utf8(line).unwrap_or("?");
        match self.settings.apply(line) {
            Command::Changed => writeln!(self.port, "{}", self.settings)?,
            Command::Help => writeln!(self.port, "{HELP}\nSettings: {}", self.settings)?,
            Command::Quit => return Ok(true),
            Command::Unknown => writeln!(
                self.port,
                "/{line}: no such command, or its value does not fit; see /help."
            )?,
        }
        Ok(false)
    }

    fn reply(&mut self, prompt: &[u8]) -> fmt::Result {
        match self.answer(prompt) {
            Ok(Answer { tokens, micros }) => {
                #[cfg(feature = "defmt")]
                defmt::info!("{} tokens in {} us", tokens, micros);
                let stack = self.board.stack_bytes();
                let hundredths = u64::from(tokens) * 100_000_000 / u64::from(micros.max(1));
                writeln!(
                    self.port,
                    "\n[{tokens} tokens, {}.{:02} tokens/s, stack {stack} bytes]",
                    hundredths / 100,
                    hundredths % 100
                )
            }
            Err(error) => writeln!(self.port, "{error}"),
        }
    }

    /// Prints the label, of a model that answers with one, or else tokens as they come. The token that ends a text ends the answer.
    fn answer(&mut self, prompt: &[u8]) -> Result<Answer, TextError> {
        let Settings {
            tokens,
            sampling,
            ref from,
            seed,
        } = self.settings;
        let tokenizer = self.model.image.tokenizer().ok_or(TextError::NoTokenizer)?;
        let image = self.model.image;
        let mut engine = self.model.engine(sampling, seed)?;
        // One token behind: the last of a prompt is where generating begins.
        let mut encoded = tokenizer.encode(prompt);
        let mut token = match origin(from, |name| engine.start_from(name))? {
            Some(token) => token,
            None => encoded.next().unwrap_or(Ok(START_TOKEN))?,
        };
        for next in encoded {
            engine.feed(token)?;
            token = next?;
        }
        let start = self.board.micros();
        if image.header().n_class > 0 {
            let answer = engine.answer(token)?;
            let metadata = image.metadata();
            let label = metadata.and_then(|metadata| metadata.label(answer.class));
            let (percent, label) = (answer.percent(), label.unwrap_or("?"));
            let _ = write!(self.port, "{percent} %: {label}");
            return Ok(Answer {
                tokens: 1,
                micros: self.board.micros().wrapping_sub(start),
            });
        }
        let mut utf8 = Utf8Stream::new();
        let mut count = 0;
        while count < tokens {
            token = engine.choose(token)?;
            if token == START_TOKEN {
                break;
            }
            count += 1;
            for &byte in tokenizer.decode(token).iter() {
                // An error is one of the port's, which the next line meets.
                let _ = write!(self.port, "{}", utf8.push(byte));
            }
        }
        let _ = write!(self.port, "{}", utf8.finish());
        Ok(Answer {
            tokens: count,
            micros: self.board.micros().wrapping_sub(start),
        })
    }
}
