//! An answer in its parts: the prompt is read, then tokens or a label are
//! printed. Errors of the port are left to the next line that is awaited.

use crate::engine::TextError;
use crate::port::Port;
use crate::settings::{origin, Settings};
use crate::stop::Stop;
use core::fmt::Write as _;
use embedded_io::{Read, ReadReady, Write};
use kinglet::{Answer, Sample, Session, Tokenizer, Utf8Stream, START_TOKEN};
use kinglet_protocol::console::{shown, End, TOKEN_READ};

/// Reads a prompt but for its last token, which it returns: that is where
/// generating begins. None if somebody aborted.
///
/// # Errors
/// The vocabulary lacks a byte, the image the state to start from.
pub fn read<P: Read + ReadReady + Write>(
    prompt: &[u8],
    tokenizer: &Tokenizer<'_>,
    session: &mut Session<'_, '_>,
    port: &mut Port<'_, P>,
    settings: &Settings,
) -> Result<Option<u32>, TextError> {
    let mut encoded = tokenizer.encode(prompt);
    let mut token = match origin(&settings.from, |name| session.start_from(name))? {
        Some(token) => token,
        None => encoded.next().unwrap_or(Ok(START_TOKEN))?,
    };
    for next in encoded {
        if port.is_aborted() {
            return Ok(None);
        }
        session.feed(&[token])?;
        if settings.frames {
            let _ = port.put(TOKEN_READ);
        }
        token = next?;
    }
    Ok(Some(token))
}

/// Prints the label that a model answers with.
///
/// # Errors
/// The model does not have the token.
pub fn label<P: Read + Write>(
    token: u32,
    session: &mut Session<'_, '_>,
    port: &mut Port<'_, P>,
) -> Result<End, TextError> {
    let mut answer = Answer::new();
    session.step_in_blocks(token, &mut |first, logits| answer.see(first, logits))?;
    let metadata = session.image().metadata();
    let label = metadata.and_then(|metadata| metadata.label(answer.class));
    let (percent, label) = (answer.percent(), label.unwrap_or("?"));
    let _ = write!(port, "{percent} %: {label}");
    Ok(End::Text)
}

/// Prints tokens as they come, up to the one that ends a text; returns how
/// many, and why they end.
///
/// # Errors
/// The model does not have the token.
pub fn generate<P: Read + ReadReady + Write>(
    mut token: u32,
    tokenizer: &Tokenizer<'_>,
    session: &mut Session<'_, '_>,
    sampler: &mut dyn Sample,
    port: &mut Port<'_, P>,
    settings: &Settings,
) -> Result<(u32, End), TextError> {
    let mut utf8 = Utf8Stream::new();
    let mut stop = Stop::new(&settings.stop);
    let mut tokens = 0;
    let end = loop {
        if tokens >= settings.tokens {
            break End::Length;
        }
        if port.is_aborted() {
            break End::Abort;
        }
        token = session.choose(token, sampler)?;
        if token == START_TOKEN {
            break End::Text;
        }
        tokens += 1;
        let mut put = |byte| {
            let _ = write!(port, "{}", utf8.push(shown(byte, settings.frames)));
        };
        let text = tokenizer.decode(token);
        let mut bytes = text.iter();
        if bytes.any(|&byte| stop.push(byte, &mut put)) {
            break End::Stop;
        }
    };
    if end != End::Stop {
        stop.finish(|byte| {
            let _ = write!(port, "{}", utf8.push(shown(byte, settings.frames)));
        });
    }
    let _ = write!(port, "{}", utf8.finish());
    Ok((tokens, end))
}
