//! From prompt to tokens, with the instructions that each of them costs.

use crate::flash::Failure;
use kinglet_app::origin;
use crate::work::{Step, Work};
use core::fmt::Write;
use kinglet::{
    Answer, BufferError, Encoder, NotInBlocks, Sample, StepError, TokenText, UnknownByte,
    UnknownState, START_TOKEN,
};
use kinglet_machine::say;
use kinglet_protocol::Line;

/// A label as it is printed.
pub type LabelText = heapless::String<64>;

/// A sign of life is due after so many instructions without one.
const SIGN_OF_LIFE: u64 = 500_000_000;

/// Why a request cannot be carried out.
pub enum TextError {
    /// The vocabulary does not have this byte.
    Byte(UnknownByte),
    /// The model does not read this token.
    Step(StepError),
    /// The image has no tokenizer.
    NoTokenizer,
    /// The buffers are too small.
    Buffer(BufferError),
    /// Tokens cannot be chosen so.
    Sampler(NotInBlocks),
    /// The image has no such state.
    State(UnknownState),
    /// A snapshot could not be saved or restored.
    Snapshot(Failure),
}

impl core::fmt::Display for TextError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Byte(error) => error.fmt(f),
            Self::Step(error) => error.fmt(f),
            Self::Buffer(error) => error.fmt(f),
            Self::Sampler(error) => error.fmt(f),
            Self::State(error) => error.fmt(f),
            Self::Snapshot(error) => error.fmt(f),
            Self::NoTokenizer => f.write_str("the image has no tokenizer that reads a prompt"),
        }
    }
}

impl From<UnknownByte> for TextError {
    fn from(error: UnknownByte) -> Self {
        Self::Byte(error)
    }
}

impl From<StepError> for TextError {
    fn from(error: StepError) -> Self {
        Self::Step(error)
    }
}

impl From<BufferError> for TextError {
    fn from(error: BufferError) -> Self {
        Self::Buffer(error)
    }
}

impl From<Failure> for TextError {
    fn from(error: Failure) -> Self {
        Self::Snapshot(error)
    }
}

impl From<UnknownState> for TextError {
    fn from(error: UnknownState) -> Self {
        Self::State(error)
    }
}

impl From<NotInBlocks> for TextError {
    fn from(error: NotInBlocks) -> Self {
        Self::Sampler(error)
    }
}

/// What to print while the prompt is read.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Report {
    /// Nothing.
    Nothing,
    /// A line now and then, so that a long prompt shows a sign of life.
    Life,
    /// The hash of the logits at every position. Without it the head of the
    /// model is skipped.
    Logits,
}

/// A text at work: prompt first, then tokens.
///
/// It stays one token behind its input: the last token of a prompt is where
/// generating begins, and only who reads on knows which one is the last.
pub struct Text<'s, 'b> {
    work: &'s mut Work<'b>,
    sampler: &'s mut dyn Sample,
    report: Report,
    /// What has been typed and is not a token yet; `None` without a tokenizer.
    encoder: Option<Encoder<'static>>,
    /// Given, but not read by the model yet.
    last: Option<u32>,
    /// Tokens given.
    pub tokens: u32,
    /// Instructions for all tokens read so far.
    pub instructions: u64,
    signs_of_life: u64,
}

impl<'s, 'b> Text<'s, 'b> {
    /// A text that goes on from `from`, see [`origin`].
    pub fn new(
        work: &'s mut Work<'b>,
        sampler: &'s mut dyn Sample,
        report: Report,
        from: &str,
    ) -> Result<Self, UnknownState> {
        let last = origin(from, |name| work.start_from(name))?;
        Ok(Self {
            encoder: work.image().tokenizer().map(Encoder::new),
            work,
            sampler,
            report,
            last,
            tokens: u32::from(last.is_some()),
            instructions: 0,
            signs_of_life: 0,
        })
    }

    /// Takes the next byte of the prompt.
    pub fn push(&mut self, byte: u8) -> Result<(), TextError> {
        let encoder = self.encoder.as_mut().ok_or(TextError::NoTokenizer)?;
        encoder.push(byte);
        self.give_all()
    }

    /// Ends the prompt; an empty one becomes the start token.
    pub fn end_prompt(&mut self) -> Result<(), TextError> {
        if let Some(encoder) = &mut self.encoder {
            encoder.finish();
        }
        self.give_all()?;
        if self.last.is_none() {
            self.give(START_TOKEN)?;
        }
        Ok(())
    }

    /// Gives the model all tokens that are certain.
    fn give_all(&mut self) -> Result<(), TextError> {
        while let Some(token) = self.encoder.as_mut().and_then(Encoder::next_token) {
            self.give(token?)?;
        }
        Ok(())
    }

    /// Reads the token that is still to be read, without generating.
    pub fn finish(&mut self) -> Result<(), TextError> {
        match self.last.take() {
            Some(token) => self.read(token),
            None => Ok(()),
        }
    }

    fn give(&mut self, token: u32) -> Result<(), TextError> {
        self.finish()?;
        self.last = Some(token);
        self.tokens += 1;
        Ok(())
    }

    fn read(&mut self, token: u32) -> Result<(), TextError> {
        if self.report == Report::Logits {
            let step = self.work.step(token, &mut |_, _| {})?;
            self.instructions += step.instructions;
            say!("{}", Line::Logits(step.hash));
        } else {
            self.instructions += self.work.feed(token)?;
        }
        self.show_life();
        Ok(())
    }

    fn show_life(&mut self) {
        if self.report == Report::Life && self.instructions / SIGN_OF_LIFE > self.signs_of_life {
            self.signs_of_life = self.instructions / SIGN_OF_LIFE;
            // The token last given is the one that is not read yet.
            say!("{}", Line::Reading(self.tokens));
        }
    }

    /// Generates a token. Behind a prompt, see [`Text::end_prompt`].
    pub fn choose(&mut self) -> Result<(u32, Step), TextError> {
        let last = self.last.unwrap_or(START_TOKEN);
        let (id, step) = self.work.choose(last, self.sampler)?;
        self.last = Some(id);
        Ok((id, step))
    }

    /// Answers with a class. Behind a prompt, see [`Text::end_prompt`].
    pub fn answer(&mut self) -> Result<(Answer, Step), TextError> {
        self.work.answer(self.last.take().unwrap_or(START_TOKEN))
    }

    /// Whether the model answers with a label.
    pub fn has_labels(&self) -> bool {
        self.work.image().header().n_class > 0
    }

    /// A label and how sure the model is of it.
    pub fn label(&self, answer: &Answer) -> LabelText {
        let metadata = self.work.image().metadata();
        let name = metadata.and_then(|metadata| metadata.label(answer.class));
        let mut text = LabelText::new();
        // A name that is too long is cut.
        let _ = write!(text, "{} %: {}", answer.percent(), name.unwrap_or("?"));
        text
    }

    /// The bytes that a token stands for.
    pub fn decode(&self, token: u32) -> TokenText {
        let tokenizer = self.work.image().tokenizer();
        tokenizer.map_or_else(TokenText::default, |tokenizer| tokenizer.decode(token))
    }
}
