//! What the header of an image says, and what follows it.

use super::{Options, PackError};
use crate::model::{Dimensions, Version};
use crate::tokenizer::Vocabulary;
use kinglet::image::{
    Header, Part, Span, StateFormat, TokenizerKind, AFTER_LAYERS, BEFORE_LAYERS, MAX_COLS,
    MAX_LAYERS, MAX_VOCAB,
};

/// All parts in stored order, those of layers with the layer's index.
pub(crate) fn stored_parts(header: &Header) -> Vec<(Option<usize>, Part)> {
    let outside = |parts: &'static [Part]| parts.iter().map(|&part| (None, part));
    let layer = |index: u32| {
        let parts = header.layer_parts(index).iter().copied().flatten();
        parts.map(move |&part| (Some(index as usize), part))
    };
    outside(BEFORE_LAYERS)
        .chain((0..header.n_layer).flat_map(layer))
        .chain(outside(AFTER_LAYERS))
        .collect()
}

/// A span that is not known yet.
const NOWHERE: Span = Span {
    offset: 0,
    bytes: 0,
};

/// A tokenizer for this vocabulary, if the model has all its ids.
fn trie(vocabulary: &Vocabulary, entries: usize) -> Result<TokenizerKind, PackError> {
    let (id, vocab) = (vocabulary.max_id(), entries as u32);
    if id >= vocab {
        return Err(PackError::Vocabulary { id, vocab });
    }
    Ok(TokenizerKind::Trie)
}

fn fits(what: &'static str, found: usize, most: usize) -> Result<u32, PackError> {
    if found <= most {
        Ok(found as u32)
    } else {
        Err(PackError::TooLarge { what, found, most })
    }
}

/// The header, its spans and checksum still empty.
pub(crate) fn header(
    version: Version,
    dimensions: &Dimensions,
    options: &Options<'_>,
) -> Result<Header, PackError> {
    let version = version.recurrence();
    let formats = options.formats;
    if !version.has_heads() && options.state != StateFormat::F32 {
        return Err(PackError::NoMatrixState);
    }
    let mut ranks = [0; 4];
    for (to, rank) in ranks.iter_mut().zip(dimensions.ranks) {
        *to = fits("low-rank channels", rank, MAX_COLS)? as u16;
    }
    let header = Header {
        image_bytes: 0,
        crc32: 0,
        version,
        layout: options.layout,
        weight_bits: formats.weights,
        head_bits: formats.head,
        entry_bits: if version.has_heads() {
            formats.keys
        } else {
            formats.weights
        },
        state: options.state,
        tokenizer: match options.vocabulary {
            Some(vocabulary) => trie(vocabulary, dimensions.vocab)?,
            // A vocabulary of at most 256 entries is one of bytes: nobody
            // publishes another kind of that size.
            None if dimensions.vocab <= 256 => TokenizerKind::Bytes,
            None => TokenizerKind::None,
        },
        n_layer: fits("layers", dimensions.layers, MAX_LAYERS)?,
        n_embd: fits("channels", dimensions.embd, MAX_COLS)?,
        n_ffn: fits("hidden channels", dimensions.ffn, MAX_COLS)?,
        n_vocab: fits("vocabulary entries", dimensions.vocab, MAX_VOCAB)?,
        n_class: fits("classes", dimensions.classes, MAX_VOCAB)?,
        n_head: fits("heads", dimensions.heads, MAX_COLS)?,
        gn_eps: if version.has_heads() {
            options.gn_eps
        } else {
            0.0
        },
        ranks,
        metadata: NOWHERE,
        vocabulary: NOWHERE,
        states: NOWHERE,
    };
    let bytes = header.weights_bytes();
    if bytes > u64::from(u32::MAX) {
        return Err(PackError::ImageSize { bytes });
    }
    Ok(header)
}
