//! From tokens to text, until the text ends.

use super::stop::Stop;
use super::{Utf8Stream, START_TOKEN};

/// Why a text ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum End {
    /// The model ended it with [`START_TOKEN`], or gave its label.
    Text,
    /// It has as many tokens as were asked for.
    Length,
    /// A stop text came.
    Stop,
    /// The caller aborted it.
    Abort,
}

impl End {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Text, Self::Length, Self::Stop, Self::Abort];

    /// As consoles print it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Text => "end",
            Self::Length => "length",
            Self::Stop => "stop",
            Self::Abort => "abort",
        }
    }
}

/// Turns the tokens that a model generates into text, whole characters only,
/// until the text ends.
///
/// It needs the bytes of every token, from any tokenizer: [`super::Text`]
/// has that of an image.
///
/// # Example
/// ```
/// use kinglet::{End, Writer};
///
/// let mut shown = String::new();
/// let stops: [&[u8]; 1] = [b"stop"];
/// let mut writer = Writer::new(10).until(&stops);
/// for (token, bytes) in [(1, "one st"), (2, "ep, st"), (3, "op!")] {
///     writer.push(token, bytes.as_bytes(), &mut |piece| shown += piece);
/// }
/// assert_eq!(shown, "one step, ");
/// assert_eq!((writer.end(), writer.tokens()), (Some(End::Stop), 3));
/// ```
#[derive(Clone, Debug)]
pub struct Writer<'s> {
    limit: u32,
    tokens: u32,
    /// Whether `START_TOKEN` is a token like others.
    ignores_end: bool,
    /// Holds back the beginnings of stop texts.
    stop: Stop<'s>,
    /// Holds back the beginnings of characters.
    utf8: Utf8Stream,
    end: Option<End>,
}

impl<'s> Writer<'s> {
    /// A text of `limit` tokens at most.
    /// With a limit of 0 it has ended: [`End::Length`].
    pub fn new(limit: u32) -> Self {
        Self {
            limit,
            tokens: 0,
            ignores_end: false,
            stop: Stop::new(&[]),
            utf8: Utf8Stream::new(),
            end: (limit == 0).then_some(End::Length),
        }
    }

    /// The same text, which also ends before the first of these stop texts. What
    /// may become one is held back.
    /// Empty stop texts stop nothing. To be called before the first token.
    pub fn until(self, stops: &'s [&'s [u8]]) -> Self {
        let stop = Stop::new(stops);
        Self { stop, ..self }
    }

    /// The same text, which [`START_TOKEN`] does not end.
    pub fn ignore_end(mut self) -> Self {
        self.ignores_end = true;
        self
    }

    /// Takes the token that was chosen and the bytes that it stands for, and
    /// shows the text that is complete by then to `show`, in pieces.
    ///
    /// After the end nothing is taken.
    #[inline(never)]
    pub fn push(&mut self, token: u32, bytes: &[u8], show: &mut dyn FnMut(&str)) {
        if self.end.is_some() {
            return;
        }
        if token == START_TOKEN && !self.ignores_end {
            return self.finish(End::Text, show);
        }
        self.tokens += 1;
        let utf8 = &mut self.utf8;
        for &byte in bytes {
            if self
                .stop
                .push(byte, &mut |byte| show_some(show, &utf8.push(byte)))
            {
                show_some(show, &utf8.finish());
                self.end = Some(End::Stop);
                return;
            }
        }
        if self.tokens >= self.limit {
            self.finish(End::Length, show);
        }
    }

    /// Ends the text, unless it has ended, and shows what was held back.
    #[inline(never)]
    pub fn finish(&mut self, end: End, show: &mut dyn FnMut(&str)) {
        if self.end.is_some() {
            return;
        }
        let utf8 = &mut self.utf8;
        self.stop
            .finish(&mut |byte| show_some(show, &utf8.push(byte)));
        show_some(show, &utf8.finish());
        self.end = Some(end);
    }

    /// Why the text has ended; none while it has not.
    pub fn end(&self) -> Option<End> {
        self.end
    }

    /// Its tokens so far: a [`START_TOKEN`] that ended it is not counted, a token
    /// that completed a stop text is.
    pub fn tokens(&self) -> u32 {
        self.tokens
    }
}

fn show_some(show: &mut dyn FnMut(&str), piece: &str) {
    if !piece.is_empty() {
        show(piece);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::String;

    /// The shown text of tokens that are bytes.
    fn write(mut writer: Writer<'_>, tokens: &[u8]) -> (String, Option<End>, u32) {
        let mut text = String::new();
        for &byte in tokens {
            let mut show = |piece: &str| text.push_str(piece);
            writer.push(u32::from(byte), &[byte], &mut show);
        }
        (text, writer.end(), writer.tokens())
    }

    #[test]
    fn a_text_ends_for_the_first_reason() {
        let told = |text: &str, end, tokens| (String::from(text), end, tokens);
        let text = |limit| Writer::new(limit);
        let stops: &[&[u8]] = &[b"cd", b"x"];
        assert_eq!(write(text(9), b"ab"), told("ab", None, 2));
        assert_eq!(write(text(2), b"abc"), told("ab", Some(End::Length), 2));
        assert_eq!(write(text(0), b"abc"), told("", Some(End::Length), 0));
        assert_eq!(write(text(9), b"ab\0c"), told("ab", Some(End::Text), 2));
        let past = text(4).ignore_end();
        assert_eq!(write(past, b"a\0bcd"), told("a\0bc", Some(End::Length), 4));
        let stop = |limit| text(limit).until(stops);
        assert_eq!(write(stop(9), b"abcde"), told("ab", Some(End::Stop), 4));
        assert_eq!(write(stop(9), b"abc"), told("ab", None, 3));
        // Held bytes are shown where the text ends otherwise.
        assert_eq!(write(stop(3), b"abcd"), told("abc", Some(End::Length), 3));
        assert_eq!(write(stop(9), b"abc\0"), told("abc", Some(End::Text), 3));
    }

    #[test]
    fn half_a_character_ends_with_the_text() {
        let mut writer = Writer::new(9);
        let mut text = String::new();
        writer.push(1, "é".as_bytes(), &mut |piece| text.push_str(piece));
        writer.push(2, &"é".as_bytes()[..1], &mut |piece| text.push_str(piece));
        assert_eq!(text, "é");
        writer.finish(End::Abort, &mut |piece| text.push_str(piece));
        assert_eq!(text, "é\u{fffd}");
        writer.finish(End::Text, &mut |piece| text.push_str(piece));
        assert_eq!((writer.end(), &*text), (Some(End::Abort), "é\u{fffd}"));
    }
}
