//! From a prompt to text: everything around the steps of a model.

use super::{End, Writer, START_TOKEN};
use crate::tokenizer::{Encoder, TokenText, Tokenizer, UnknownByte};
use crate::{BufferError, Image, ImageError, Sample, Session, StepError};
use core::borrow::Borrow;

/// Why there is no text.
///
/// It gathers the errors of this crate: `?` converts each of them, so that a
/// program has one type from [`Image::new`] to the last token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Error {
    /// The image cannot be used.
    Image(ImageError),
    /// The image has no tokenizer.
    NoTokenizer,
    /// The vocabulary does not have this byte.
    Byte(UnknownByte),
    /// The image has no such state.
    #[cfg(feature = "states")]
    State(crate::UnknownState),
    /// The session's buffers are too short.
    Buffer(BufferError),
    /// The session does not take the step.
    Step(StepError),
    /// The model answers with a label and writes no text: see [`Answer`](crate::Answer).
    Labels,
}

impl core::fmt::Display for Error {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Image(error) => error.fmt(f),
            Self::NoTokenizer => f.write_str("the image has no tokenizer that reads a prompt"),
            Self::Byte(error) => error.fmt(f),
            #[cfg(feature = "states")]
            Self::State(error) => error.fmt(f),
            Self::Buffer(error) => error.fmt(f),
            Self::Step(error) => error.fmt(f),
            Self::Labels => f.write_str("the model answers with a label and writes no text"),
        }
    }
}

impl core::error::Error for Error {}

/// Makes an [`Error`] of each of these errors.
macro_rules! from {
    ($($error:ty => $variant:ident),*) => {$(
        impl From<$error> for Error {
            fn from(error: $error) -> Self {
                Self::$variant(error)
            }
        }
    )*};
}
from!(ImageError => Image, UnknownByte => Byte, BufferError => Buffer, StepError => Step);
#[cfg(feature = "states")]
from!(crate::UnknownState => State);

/// A text under way: a prompt goes in, then the tokens that a model chooses,
/// and text comes out.
///
/// It holds no session: [`Text::generate`] takes all steps, or the caller takes them,
/// whole, in blocks or in slices, and may count their cost or abort the text:
///
/// ```
#[doc = concat!("# let bytes = kinglet::include_image!(\"", env!("CARGO_MANIFEST_DIR"), "/tests/data/tiny.kgl\");")]
/// # use kinglet::{End, Image, Sampler, Sampling, Session, Text};
/// # let image = Image::new(bytes)?;
/// # let mut state = vec![0; image.shape().state_len()];
/// # let mut scratch = vec![0; image.shape().scratch_len()];
/// # let mut session = Session::new(&image, &mut state, &mut scratch)?;
/// # let mut sampler = Sampler::new(Sampling::greedy(), 0);
/// let mut text = Text::new(&image, 100)?.until(&[b"\n", b"The end"]);
/// for token in text.prompt(b"Once upon a time") {
///     session.feed(&[token?])?;
/// }
/// while text.end().is_none() {
///     let token = session.choose(text.token(), &mut sampler)?;
///     text.push(token, |piece| print!("{piece}"));
/// }
/// let why = match text.end() {
///     Some(End::Length) => "100 tokens",
///     Some(End::Stop) => "a line's end, or that of the story",
///     _ => "the model's token for it",
/// };
/// # assert_ne!(why, "");
/// # Ok::<(), kinglet::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Text<'i, 's> {
    encoder: Encoder<'i>,
    /// The next token to be fed, held back: generating begins with the last token
    /// of a prompt, and only the end of the prompt shows which one that is.
    last: Option<u32>,
    writer: Writer<'s>,
}

impl<'i, 's> Text<'i, 's> {
    /// An empty text of at most `limit` tokens after its prompt.
    ///
    /// # Errors
    /// [`Error::NoTokenizer`]: the image runs on token ids.
    pub fn new(image: &Image<'i>, limit: u32) -> Result<Self, Error> {
        let tokenizer = image.tokenizer().ok_or(Error::NoTokenizer)?;
        Ok(Self::with_tokenizer(tokenizer, limit))
    }

    /// The same with a tokenizer that need not be the image's.
    /// Its token ids must be those of the model; a session refuses others with
    /// [`StepError::UnknownToken`].
    pub fn with_tokenizer(tokenizer: Tokenizer<'i>, limit: u32) -> Self {
        Self {
            encoder: Encoder::new(tokenizer),
            last: None,
            writer: Writer::new(limit),
        }
    }

    /// As [`Writer::until`].
    pub fn until(self, stops: &'s [&'s [u8]]) -> Self {
        let writer = self.writer.until(stops);
        Self { writer, ..self }
    }

    /// As [`Writer::ignore_end`].
    pub fn ignore_end(self) -> Self {
        let writer = self.writer.ignore_end();
        Self { writer, ..self }
    }

    /// The whole text: from the image's state `start`, where it has one, through the prompt
    /// to the end, which is returned. `show` takes the text in pieces.
    ///
    /// # Errors
    /// [`Error::Byte`], [`Error::Step`], and [`Error::Labels`] of a model of labels.
    pub fn generate(
        mut self,
        session: &mut Session<'_, '_>,
        prompt: &[u8],
        sampler: &mut dyn Sample,
        mut show: impl FnMut(&str),
    ) -> Result<End, Error> {
        if session.image().shape().n_class > 0 {
            return Err(Error::Labels);
        }
        #[cfg(feature = "states")]
        self.start_from(session, "")?;
        for token in self.prompt(prompt) {
            session.feed(&[token?])?;
        }
        loop {
            if let Some(end) = self.end() {
                return Ok(end);
            }
            let token = session.choose(self.token(), sampler)?;
            self.push(token, &mut show);
        }
    }

    /// Starts the text from a named state of the session's image, without a name
    /// from `start`; the text stays empty where that is absent, and with the
    /// name `empty`. To be called before the prompt.
    ///
    /// # Errors
    /// [`Error::State`]: a name other than these that the image does not have.
    /// The session's state is then unchanged.
    #[cfg(feature = "states")]
    pub fn start_from(&mut self, session: &mut Session<'_, '_>, name: &str) -> Result<(), Error> {
        use crate::image::{EMPTY_STATE, START_STATE};
        self.last = match name {
            EMPTY_STATE => None,
            "" => session.start_text(START_STATE).ok().flatten(),
            name => session.start_text(name)?,
        };
        Ok(())
    }

    /// Reads a prompt to its end: yields the tokens that the model has to
    /// [`feed`](Session::feed) on, which are all but the last.
    ///
    /// The prompt may arrive while it is read: each byte is asked for when the
    /// tokens before it have been yielded.
    ///
    /// # Errors
    /// An item is [`Error::Byte`] where the vocabulary cannot express the
    /// prompt.
    pub fn prompt<B>(&mut self, bytes: B) -> Prompt<'_, 'i, 's, B::IntoIter>
    where
        B: IntoIterator<Item: Borrow<u8>>,
    {
        Prompt {
            text: self,
            bytes: bytes.into_iter(),
            ended: false,
        }
    }

    /// The token to be read next, whose step chooses the one after: the last
    /// of the prompt, then the one that was pushed last.
    /// Of an empty text it is [`START_TOKEN`].
    pub fn token(&self) -> u32 {
        self.last.unwrap_or(START_TOKEN)
    }

    /// Takes the token that was chosen, and shows the text that is complete by
    /// then, in pieces. After the end nothing is taken.
    pub fn push(&mut self, token: u32, mut show: impl FnMut(&str)) {
        self.last = Some(token);
        let bytes = self.decode(token);
        self.writer.push(token, &bytes, &mut show);
    }

    /// The bytes that a token stands for.
    /// It holds for the text's own tokenizer: see [`Tokenizer::decode`].
    pub fn decode(&self, token: u32) -> TokenText {
        self.encoder.tokenizer().decode(token)
    }

    /// As [`Writer::finish`]: to abort a text.
    pub fn finish(&mut self, end: End, mut show: impl FnMut(&str)) {
        self.writer.finish(end, &mut show);
    }

    /// As [`Writer::end`].
    pub fn end(&self) -> Option<End> {
        self.writer.end()
    }

    /// As [`Writer::tokens`].
    pub fn tokens(&self) -> u32 {
        self.writer.tokens()
    }

    /// The next token that is certain and not the last.
    fn due(&mut self) -> Option<Result<u32, Error>> {
        loop {
            match self.encoder.next_token()? {
                Ok(token) => {
                    if let Some(due) = self.last.replace(token) {
                        return Some(Ok(due));
                    }
                }
                Err(error) => return Some(Err(error.into())),
            }
        }
    }
}

/// The tokens of a prompt but the last: see [`Text::prompt`].
#[derive(Debug)]
pub struct Prompt<'t, 'i, 's, B> {
    text: &'t mut Text<'i, 's>,
    bytes: B,
    /// Whether the encoder was told that no byte follows.
    ended: bool,
}

impl<B: Iterator<Item: Borrow<u8>>> Iterator for Prompt<'_, '_, '_, B> {
    type Item = Result<u32, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(due) = self.text.due() {
                return Some(due);
            }
            if self.ended {
                return None;
            }
            match self.bytes.next() {
                Some(byte) => {
                    self.text.encoder.push(*byte.borrow());
                }
                None => {
                    self.text.encoder.finish();
                    self.ended = true;
                }
            }
        }
    }
}
