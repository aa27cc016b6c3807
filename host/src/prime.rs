//! Images with named states: texts that were read once, on the workstation.

use anyhow::{ensure, Result};
use kinglet::image::{
    image_crc32, is_state_name, states_bytes, Header, NamedState, Span, CRC_OFFSET, EMPTY_STATE,
    HEADER_BYTES, MAX_STATES, STATE_NAME_BYTES,
};
use kinglet::{Image, Shape};

/// The bytes of an image with this state added, in place of one of the same
/// name.
///
/// # Errors
/// A sentence that says why the image cannot take the state.
pub fn with_state(image: &Image<'_>, state: &NamedState<'_>) -> Result<Vec<u8>> {
    check(image.shape(), state)?;
    let mut states: Vec<NamedState<'_>> = image.states().collect();
    match states.iter_mut().find(|other| other.name == state.name) {
        Some(same) => *same = *state,
        None => states.push(*state),
    }
    ensure!(
        states.len() <= MAX_STATES,
        "the image has {MAX_STATES} states already: replace one of them by giving its name"
    );
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
/// It has no bytes or too many, a control character, or a meaning.
pub fn check_name(name: &str) -> Result<()> {
    ensure!(
        is_state_name(name) && name != EMPTY_STATE,
        "a state's name has 1 to {STATE_NAME_BYTES} bytes, no control characters, and is not `{EMPTY_STATE}`: \
         choose another --name"
    );
    Ok(())
}

fn check(shape: &Shape, state: &NamedState<'_>) -> Result<()> {
    check_name(state.name)?;
    let is_tuned = state.tokens == 0 && state.next_token == 0;
    ensure!(
        is_tuned || state.tokens > 0 && state.next_token < shape.n_vocab,
        "the text has no last token that the model knows"
    );
    let (found, expected) = (state.words.len(), shape.state_len());
    ensure!(
        found == expected,
        "the state has {found} words, but the image's states have {expected}"
    );
    Ok(())
}

/// The header of the image with this number of states, its checksum still empty.
fn header(old: &Header, states: usize) -> Result<Header> {
    let offset = match old.states.bytes {
        0 => old.metadata.offset,
        _ => old.states.offset,
    };
    let bytes = states_bytes(&old.shape, states);
    let metadata = u64::from(offset) + bytes;
    let image_bytes = metadata + u64::from(old.metadata.bytes);
    ensure!(
        image_bytes <= u64::from(u32::MAX),
        "the image would take {image_bytes} bytes, more than the 4 GiB that the format can address"
    );
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
pub(crate) fn write_states(bytes: &mut Vec<u8>, states: &[NamedState<'_>]) {
    bytes.extend((states.len() as u32).to_le_bytes());
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
