//! What the page calls. A text or an image goes in through [`input`], and what a
//! function has to say lies at [`output`] until the next call.

use crate::{Chosen, Writing};
use kinglet::{Sampler, Sampling};
use std::cell::RefCell;
use std::fmt::Display;

/// What is kept between calls.
#[derive(Default)]
struct Page {
    input: Vec<u8>,
    writing: Option<Writing>,
    said: String,
    probability: f32,
    hash: u64,
}

thread_local! {
    static PAGE: RefCell<Page> = RefCell::default();
}

fn with<T>(act: impl FnOnce(&mut Page) -> T) -> T {
    PAGE.with_borrow_mut(act)
}

impl Page {
    /// Keeps what went wrong; whether nothing did.
    fn is_fine(&mut self, result: Result<(), impl Display>) -> bool {
        self.said = match &result {
            Ok(()) => String::new(),
            Err(error) => error.to_string(),
        };
        result.is_ok()
    }
}

/// Room for `len` bytes that a function reads next.
#[no_mangle]
pub extern "C" fn input(len: usize) -> *mut u8 {
    with(|page| {
        page.input = vec![0; len];
        page.input.as_mut_ptr()
    })
}

/// What the last call had to say: a piece of text, or an error.
#[no_mangle]
pub extern "C" fn output() -> *const u8 {
    with(|page| page.said.as_ptr())
}

/// Its bytes.
#[no_mangle]
pub extern "C" fn output_len() -> usize {
    with(|page| page.said.len())
}

/// Takes the image that was put into [`input`]; whether it can be used. One that cannot
/// leaves the one before.
#[no_mangle]
pub extern "C" fn open() -> bool {
    with(|page| {
        let result = Writing::new(&std::mem::take(&mut page.input));
        let result = result.map(|writing| page.writing = Some(writing));
        page.is_fine(result)
    })
}

/// Bytes of the image (0), of the state (1) and of the scratch (2).
#[no_mangle]
pub extern "C" fn bytes(of: usize) -> usize {
    with(|page| {
        let writing = page.writing.as_ref();
        let bytes = writing.and_then(|writing| writing.bytes().get(of).copied());
        bytes.unwrap_or(0)
    })
}

/// Begins a text of at most `limit` tokens after the prompt that was put into [`input`];
/// whether the model can read it.
#[no_mangle]
pub extern "C" fn begin(limit: u32, temperature: f32, top_p: f32, seed: u32) -> bool {
    with(|page| {
        let settings = Sampling {
            temperature,
            top_p,
            ..Sampling::greedy()
        };
        let sampler = Sampler::new(settings, seed.into());
        let prompt = std::mem::take(&mut page.input);
        let writing = page.writing.as_mut();
        let result = writing.map_or(Ok(()), |writing| writing.begin(&prompt, limit, sampler));
        page.is_fine(result)
    })
}

/// Chooses a token; whether there was one before the end of the text.
#[no_mangle]
pub extern "C" fn next() -> bool {
    with(|page| {
        let next = page.writing.as_mut().map(Writing::choose);
        match next {
            Some(Ok(Some(chosen))) => {
                let Chosen {
                    text,
                    probability,
                    hash,
                } = chosen;
                (page.said, page.probability, page.hash) = (text, probability, hash);
                true
            }
            Some(Err(error)) => page.is_fine(Err(error)),
            Some(Ok(None)) | None => false,
        }
    })
}

/// The probability of the last token, 0 to 1.
#[no_mangle]
pub extern "C" fn probability() -> f32 {
    with(|page| page.probability)
}

/// The hash of the logits of the last token.
#[no_mangle]
pub extern "C" fn hash() -> u64 {
    with(|page| page.hash)
}
