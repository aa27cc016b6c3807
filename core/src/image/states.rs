//! Named states in the image, of texts that were read on the workstation: a
//! board continues from them at once.
//!
//! The section has 16 bytes with the number of states, an entry of
//! [`ENTRY_BYTES`] for each, then the states.

use crate::shape::Shape;

/// The most states of an image.
pub const MAX_STATES: usize = 64;

/// The longest name of a state, in bytes.
pub const STATE_NAME_BYTES: usize = 24;

/// The name of the state that programs start from by default.
pub const START_STATE: &str = "start";

/// The name of the empty text where programs take a name: no state should have
/// it.
pub const EMPTY_STATE: &str = "empty";

/// Whether a state can have this name: 1 to [`STATE_NAME_BYTES`] bytes without
/// control characters.
pub fn is_state_name(name: &str) -> bool {
    (1..=STATE_NAME_BYTES).contains(&name.len()) && !name.chars().any(char::is_control)
}

/// Bytes of an entry: name, number of tokens, next token.
const ENTRY_BYTES: usize = STATE_NAME_BYTES + 8;

/// Bytes in front of the entries.
const FRONT_BYTES: usize = 4;

/// A text that has been read, all but its last token; or a state that was tuned,
/// from which texts start.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NamedState<'a> {
    /// Its name, 1 to [`STATE_NAME_BYTES`] bytes.
    pub name: &'a str,
    /// Tokens of the text, the last one included; 0 of a tuned state.
    pub tokens: u32,
    /// The last token of the text. It has not been read: its step gives the
    /// logits of the continuation. Of a tuned state it is 0.
    pub next_token: u32,
    /// The state, [`Shape::state_len`] words.
    pub words: &'a [i32],
}

impl<'a> NamedState<'a> {
    /// A tuned state.
    pub const fn tuned(name: &'a str, words: &'a [i32]) -> Self {
        Self {
            name,
            tokens: 0,
            next_token: 0,
            words,
        }
    }
}

/// The named states of an image, in stored order.
/// An iterator over them; cloned, it goes over the rest again.
#[derive(Clone, Debug)]
pub struct States<'a> {
    section: &'a [u8],
    state_bytes: usize,
    index: usize,
}

/// Bytes of the section of `count` states.
pub const fn states_bytes(shape: &Shape, count: usize) -> u64 {
    FRONT_BYTES as u64 + count as u64 * (ENTRY_BYTES + shape.state_bytes()) as u64
}

impl<'a> States<'a> {
    /// The states of a section that was checked.
    pub(super) fn new(section: &'a [u8], shape: &Shape) -> Self {
        Self {
            section,
            state_bytes: shape.state_bytes(),
            index: 0,
        }
    }

    fn stored(&self) -> usize {
        u32_at(self.section, 0).unwrap_or(0) as usize
    }

    fn get(&self, index: usize) -> Option<NamedState<'a>> {
        let at = FRONT_BYTES.checked_add(index.checked_mul(ENTRY_BYTES)?)?;
        let (name, _) = self.section.get(at..)?.split_at_checked(STATE_NAME_BYTES)?;
        let len = name.iter().take_while(|&&byte| byte != 0).count();
        let state_at = FRONT_BYTES + self.stored() * ENTRY_BYTES + index * self.state_bytes;
        let state = self.section.get(state_at..)?.get(..self.state_bytes)?;
        Some(NamedState {
            name: core::str::from_utf8(name.get(..len)?).ok()?,
            tokens: u32_at(self.section, at + STATE_NAME_BYTES)?,
            next_token: u32_at(self.section, at + STATE_NAME_BYTES + 4)?,
            words: bytemuck::try_cast_slice(state).ok()?,
        })
    }
}

impl<'a> Iterator for States<'a> {
    type Item = NamedState<'a>;

    fn next(&mut self) -> Option<NamedState<'a>> {
        if self.index >= self.stored() {
            return None;
        }
        self.index += 1;
        self.get(self.index - 1)
    }
}

/// Checks a section that is not empty.
///
/// # Errors
/// The first byte of what is wrong, from the start of the section.
pub(super) fn check(section: &[u8], shape: &Shape) -> Result<(), usize> {
    let count = u32_at(section, 0).unwrap_or(0) as usize;
    if count == 0 || count > MAX_STATES || states_bytes(shape, count) != section.len() as u64 {
        return Err(0);
    }
    let states = States::new(section, shape);
    for index in 0..count {
        let at = FRONT_BYTES + index * ENTRY_BYTES;
        let state = states.get(index).ok_or(at)?;
        is_zero(section, at + state.name.len()..at + STATE_NAME_BYTES)?;
        let mut before = states.clone().take(index);
        if !is_state_name(state.name) || before.any(|other| other.name == state.name) {
            return Err(at);
        }
        let is_tuned = state.tokens == 0;
        if state.next_token >= shape.n_vocab || is_tuned && state.next_token != 0 {
            return Err(at + STATE_NAME_BYTES);
        }
    }
    Ok(())
}

fn is_zero(section: &[u8], range: core::ops::Range<usize>) -> Result<(), usize> {
    let start = range.start;
    let bytes = section.get(range).ok_or(start)?;
    match bytes.iter().position(|&byte| byte != 0) {
        Some(at) => Err(start + at),
        None => Ok(()),
    }
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    let word = bytes.get(at..)?.first_chunk()?;
    Some(u32::from_le_bytes(*word))
}
