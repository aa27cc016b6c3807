//! The shape of a model that is packed, and the parts it has.

use super::formats::{formats_of, parts_bytes, stored_parts, StoredPart};
use super::{too_large, Options};
use crate::misuse::BadUse;
use crate::model::{Dimensions, Version};
use crate::tokenizer::Vocabulary;
use anyhow::{bail, Result};
use kinglet::image::TokenizerKind;
use kinglet::shape::{BitsSet, Shape, StateFormat, MAX_COLS, MAX_LAYERS, MAX_VOCAB};

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

/// The model's shape, and its parts in stored order.
pub(crate) fn shape(
    version: Version,
    dimensions: &Dimensions,
    options: &Options<'_>,
) -> Result<(Shape, Vec<StoredPart>)> {
    let version = version.recurrence();
    if !version.has_heads() && options.state != StateFormat::I16 {
        let problem = "the state of RWKV-4 has no matrices: leave out --state";
        bail!(BadUse(problem.to_owned()));
    }
    let mut ranks = [0; 4];
    for (to, rank) in ranks.iter_mut().zip(dimensions.ranks) {
        *to = fits("low-rank channels", rank, MAX_COLS)? as u16;
    }
    let mut shape = Shape {
        version,
        layout: options.layout,
        formats: BitsSet::EMPTY,
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
    let parts = stored_parts(&shape, &options.formats);
    options.formats.check(&parts)?;
    shape.formats = formats_of(&parts);
    let bytes = parts_bytes(&shape, &parts);
    if bytes > u64::from(u32::MAX) {
        return Err(too_large(bytes));
    }
    Ok((shape, parts))
}
