//! Text to tokens and back.

use crate::kgl_status::{self, *};
use crate::memory::{disjoint, slice, Out, OutArray, Span};
use crate::session::{kgl_session, Held};
use core::ffi::c_int;

/// The token that a text begins with where the prompt is empty; in published
/// vocabularies it also ends a text.
pub const KGL_START_TOKEN: u32 = 0;

/// The most bytes that a token stands for.
pub const KGL_TOKEN_BYTES: usize = 128;

const _: () = assert!(KGL_START_TOKEN == kinglet::START_TOKEN);
const _: () = assert!(KGL_TOKEN_BYTES == kinglet::tokenizer::MAX_TOKEN_BYTES);

/// Cuts a text into tokens. A text has no more tokens than bytes.
///
/// `capacity`: tokens that fit into `tokens`. `n_tokens` becomes the number of
/// those written; after `KGL_ERROR_ROOM` and `KGL_ERROR_BYTE` too, which leave
/// the tokens before that point.
///
/// # Safety
/// `session` is initialized, or zeros; `text` has `text_bytes` bytes, `tokens`
/// room for `capacity` values, and they do not overlap; `n_tokens` may be written.
#[no_mangle]
pub unsafe extern "C" fn kgl_encode(
    session: *const kgl_session,
    text: *const u8,
    text_bytes: usize,
    tokens: *mut u32,
    capacity: usize,
    n_tokens: *mut usize,
) -> c_int {
    let encode = || {
        let text_at = Span::of(text, text_bytes)?;
        // SAFETY: C promises memory for the results, which nobody else uses.
        let (mut tokens, n_tokens) =
            unsafe { (OutArray::new(tokens, capacity)?, Out::new(n_tokens)?) };
        disjoint(&[text_at, tokens.span()?, n_tokens.span()?])?;
        // SAFETY: C promises memory of a session.
        let held = unsafe { Held::of(session) }?;
        held.apart(session, &[tokens.span()?, n_tokens.span()?])?;
        let tokenizer = held.image.tokenizer().ok_or(KGL_ERROR_NO_TOKENIZER)?;
        // SAFETY: C promises `text_bytes` bytes; the results do not lie in them.
        let text = unsafe { slice(text, text_bytes) }?;
        let result = tokenizer
            .encode(text)
            .try_for_each(|token| tokens.push(token?));
        n_tokens.put(tokens.written());
        result
    };
    kgl_status::of(encode())
}

/// The bytes that a token stands for; none for one without text. They may be a
/// part of a character.
///
/// `capacity`: bytes that fit into `text`; `KGL_TOKEN_BYTES` are always
/// enough. `text_bytes` becomes the number of those written.
///
/// # Safety
/// `session` is initialized, or zeros; `text` has room for `capacity` bytes;
/// `text_bytes` may be written.
#[no_mangle]
pub unsafe extern "C" fn kgl_decode(
    session: *const kgl_session,
    token: u32,
    text: *mut u8,
    capacity: usize,
    text_bytes: *mut usize,
) -> c_int {
    let decode = || {
        // SAFETY: C promises memory for the results, which nobody else uses.
        let (mut text, text_bytes) =
            unsafe { (OutArray::new(text, capacity)?, Out::new(text_bytes)?) };
        // SAFETY: C promises memory of a session.
        let held = unsafe { Held::of(session) }?;
        held.apart(session, &[text.span()?, text_bytes.span()?])?;
        let image = held.image;
        let tokenizer = image.tokenizer().ok_or(KGL_ERROR_NO_TOKENIZER)?;
        if token >= image.shape().n_vocab {
            return Err(KGL_ERROR_TOKEN);
        }
        let bytes = tokenizer.decode(token);
        if bytes.len() > capacity {
            return Err(KGL_ERROR_ROOM);
        }
        bytes.iter().try_for_each(|&byte| text.push(byte))?;
        text_bytes.put(text.written());
        Ok(())
    };
    kgl_status::of(decode())
}
