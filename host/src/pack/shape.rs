//! The shape of a model that is packed, and the parts it has.

use super::{too_large, Options};
use crate::model::{Dimensions, Version};
use crate::tokenizer::Vocabulary;
use anyhow::{bail, Result};
use kinglet::image::TokenizerKind;
use kinglet::shape::{
    Part, Shape, StateFormat, AFTER_LAYERS, BEFORE_LAYERS, MAX_COLS, MAX_LAYERS, MAX_VOCAB,
};

/// All parts in stored order, those of layers with the layer's index.
pub(crate) fn stored_parts(shape: &Shape) -> Vec<(Option<usize>, Part)> {
    let outside = |parts: &'static [Part]| parts.iter().map(|&part| (None, part));
    let layer = |index: u32| {
        let parts = shape.layer_parts(index).iter().copied().flatten();
        parts.map(move |&part| (Some(index as usize), part))
    };
    outside(BEFORE_LAYERS)
        .chain((0..shape.n_layer).flat_map(layer))
        .chain(outside(AFTER_LAYERS))
        .collect()
}

/// The kind of the image's tokenizer. A vocabulary must not have ids that the
/// model lacks.
pub(crate) fn tokenizer_kind(
    dimensions: &Dimensions,
    options: &Options<'_>,
) -> Result<TokenizerKind> {
    let vocab = dimensions.vocab as u32;
    match options.vocabulary.map(Vocabulary::max_id) {
        Some(id) if id >= vocab => bail!(
            "the tokenizer has the token id {id}, but the model has only {vocab} vocabulary entries: \
             they do not belong together"
        ),
        Some(_) => Ok(TokenizerKind::Trie),
        // A vocabulary of at most 256 entries is one of bytes: nobody
        // publishes another kind of that size.
        None if vocab <= 256 => Ok(TokenizerKind::Bytes),
        None => Ok(TokenizerKind::None),
    }
}

fn fits(what: &'static str, found: usize, most: usize) -> Result<u32> {
    if found <= most {
        Ok(found as u32)
    } else {
        bail!("the model has {found} {what}, but an image holds at most {most}")
    }
}

/// The model's shape.
pub(crate) fn shape(
    version: Version,
    dimensions: &Dimensions,
    options: &Options<'_>,
) -> Result<Shape> {
    let version = version.recurrence();
    let formats = options.formats;
    if !version.has_heads() && options.state != StateFormat::I16 {
        bail!("the state of RWKV-4 has no matrices: leave out --state");
    }
    let mut ranks = [0; 4];
    for (to, rank) in ranks.iter_mut().zip(dimensions.ranks) {
        *to = fits("low-rank channels", rank, MAX_COLS)? as u16;
    }
    let shape = Shape {
        version,
        layout: options.layout,
        weight_bits: formats.weights,
        head_bits: formats.head,
        key_bits: if version.has_heads() {
            formats.keys
        } else {
            formats.weights
        },
        state: options.state,
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
    };
    let bytes = shape.weights_bytes();
    if bytes > u64::from(u32::MAX) {
        return Err(too_large(bytes));
    }
    Ok(shape)
}
