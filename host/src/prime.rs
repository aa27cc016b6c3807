//! Images with named states: texts that were read once, on the workstation.

use kinglet::image::{
    image_crc32, is_state_name, states_bytes, Header, NamedState, Span, CRC_OFFSET, EMPTY_STATE,
    HEADER_BYTES, MAX_STATES, STATE_NAME_BYTES,
};
use kinglet::shape::ALIGN;
use kinglet::Image;
use kinglet::Shape;

/// Why an image cannot take a state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PrimeError {
    /// The name has no bytes or too many, a control character, or a meaning.
    #[error("a state's name has 1 to {STATE_NAME_BYTES} bytes, no control characters, and is not `{EMPTY_STATE}`: choose another --name")]
    Name,
    /// The text has no tokens, or a last one that the model does not have.
    #[error("the text has no last token that the model knows")]
    Tokens,
    /// The state has the length of another model's.
    #[error("the state has {found} floats, but the image's states have {expected}")]
    Length {
        /// Floats of the state.
        found: usize,
        /// Floats of the image's states.
        expected: usize,
    },
    /// A value is an infinity or not a number.
    #[error("the text leaves a state that is not finite, which no image holds: the model cannot continue from it")]
    NotFinite,
    /// There are as many as fit.
    #[error("the image has {MAX_STATES} states already: replace one of them by giving its name")]
    TooMany,
    /// The image would exceed 4 GiB.
    #[error("the image would take {0} bytes, more than the 4 GiB that the format can address")]
    ImageSize(u64),
}

/// The bytes of an image with this state added, in place of one of the same
/// name.
///
/// # Errors
/// [`PrimeError`].
pub fn with_state(image: &Image<'_>, state: &NamedState<'_>) -> Result<Vec<u8>, PrimeError> {
    check(image.shape(), state)?;
    let mut states: Vec<NamedState<'_>> = image.states().collect();
    match states.iter_mut().find(|other| other.name == state.name) {
        Some(same) => *same = *state,
        None => states.push(*state),
    }
    if states.len() > MAX_STATES {
        return Err(PrimeError::TooMany);
    }
    let header = header(image.header(), states.len())?;
    let start = header.states.offset as usize;
    let old_metadata = image.header().metadata;
    let metadata = &image.bytes()[old_metadata.offset as usize..][..old_metadata.bytes as usize];
    let mut bytes = header.to_bytes().to_vec();
    bytes.extend_from_slice(&image.bytes()[HEADER_BYTES..start]);
    write_states(&mut bytes, &states);
    bytes.resize(header.metadata.offset as usize, 0);
    bytes.extend_from_slice(metadata);
    let crc32 = image_crc32(&bytes).to_le_bytes();
    bytes[CRC_OFFSET..][..4].copy_from_slice(&crc32);
    Ok(bytes)
}

/// Whether a state can have this name.
///
/// # Errors
/// [`PrimeError::Name`].
pub fn check_name(name: &str) -> Result<(), PrimeError> {
    if !is_state_name(name) || name == EMPTY_STATE {
        return Err(PrimeError::Name);
    }
    Ok(())
}

fn check(shape: &Shape, state: &NamedState<'_>) -> Result<(), PrimeError> {
    check_name(state.name)?;
    if state.tokens == 0 || state.next_token >= shape.n_vocab {
        return Err(PrimeError::Tokens);
    }
    let (found, expected) = (state.words.len(), shape.state_len());
    if found != expected {
        return Err(PrimeError::Length { found, expected });
    }
    if !shape.is_finite_state(state.words) {
        return Err(PrimeError::NotFinite);
    }
    Ok(())
}

/// The header of the image with this number of states, its checksum still empty.
fn header(old: &Header, states: usize) -> Result<Header, PrimeError> {
    let offset = match old.states.bytes {
        0 => old.metadata.offset,
        _ => old.states.offset,
    };
    let bytes = states_bytes(&old.shape, states);
    let metadata = u64::from(offset) + bytes;
    let image_bytes = metadata + u64::from(old.metadata.bytes);
    if image_bytes > u64::from(u32::MAX) {
        return Err(PrimeError::ImageSize(image_bytes));
    }
    Ok(Header {
        image_bytes: image_bytes as u32,
        crc32: 0,
        metadata: Span {
            offset: metadata as u32,
            ..old.metadata
        },
        states: Span {
            offset,
            bytes: bytes as u32,
        },
        ..*old
    })
}

/// The number of states, an entry for each, then the states.
fn write_states(bytes: &mut Vec<u8>, states: &[NamedState<'_>]) {
    let mut front = [0; ALIGN];
    front[..4].copy_from_slice(&(states.len() as u32).to_le_bytes());
    bytes.extend(front);
    for state in states {
        let mut name = [0; STATE_NAME_BYTES];
        name[..state.name.len()].copy_from_slice(state.name.as_bytes());
        bytes.extend(name);
        bytes.extend(state.tokens.to_le_bytes());
        bytes.extend(state.next_token.to_le_bytes());
    }
    for state in states {
        bytes.extend(state.words.iter().flat_map(|word| word.to_le_bytes()));
    }
}
