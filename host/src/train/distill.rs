//! Distillation: a model's image learns to predict what the model predicts.
//!
//! The model is the teacher, and writes the texts. Its rounded twin begins with the weights
//! that `quantize` would store, whose errors make up for each other, and learns with the
//! image's rounding in the forward pass.

use super::arch::{Arch, Network};
use super::data::Texts;
use super::gradient::Teacher;
use super::prepare::{Data, Lesson, Prepared};
use super::settings::{Budget, Settings};
use crate::model::Model;
use crate::pack::{shape, Options};
use crate::quantize::compensate::{Calibration, Compensator, TEXT_TOKENS};
use crate::tensors::names::att::TIME_FIRST;
use crate::tensors::{split_name, table, Stored};
use anyhow::{ensure, Result};
use kinglet::hash::fnv1a;
use std::ops::RangeInclusive;

/// Texts that are learned from: as many as are read, within bounds: writing them should not
/// take long beside the learning.
const LEARNED: RangeInclusive<usize> = 8..=256;
/// Texts to validate with, where there are eight times as many to learn from.
const VALIDATION: usize = 4;

/// How many texts a distillation learns from, and how many more it validates with.
pub fn text_counts(settings: &Settings) -> [usize; 2] {
    let most = *LEARNED.end();
    let learned = match settings.budget {
        Budget::Steps(steps) => {
            (steps as usize).saturating_mul(settings.batch * settings.context) / TEXT_TOKENS
        }
        Budget::Minutes(_) => most,
    };
    let learned = learned.clamp(*LEARNED.start(), most);
    [learned, VALIDATION.min(learned / 8)]
}

/// Distills `model` into an image of `options`, on `texts`, of which the last `validation` are
/// not learned from. `options.calibration` are the texts by which the start is rounded.
///
/// # Errors
/// A sentence that names the tensor that cannot be read or trained.
pub fn prepare(
    model: &Model,
    options: &Options<'_>,
    texts: Calibration,
    validation: usize,
) -> Result<Prepared> {
    let mut network = Network::new(Arch::Rwkv(model.version()), model.dimensions());
    network.gn_eps = options.gn_eps.into();
    let weights = weights(model, &network)?;
    let mut start = weights.clone();
    if let Some(calibration) = options.calibration {
        round(model, &network, options, calibration, &mut start)?;
    }
    let mut learned = texts.tokens;
    let validation = learned.split_off(learned.len() - validation * TEXT_TOKENS);
    let words = weights.iter().map(|w| w.to_bits());
    let words = words.chain(learned.iter().copied());
    let hash = fnv1a(words.flat_map(u32::to_le_bytes));
    let teacher = Teacher {
        network: network.clone(),
        weights,
    };
    Ok(Prepared {
        network,
        data: Data::Taught([learned, validation].map(|tokens| Texts::new(tokens, TEXT_TOKENS))),
        vocabulary: model.vocabulary()?,
        lesson: Some(Lesson { teacher, start }),
        notes: Vec::new(),
        hash,
    })
}

/// The weights of a model, as they lie in its network.
fn weights(model: &Model, network: &Network) -> Result<Vec<f32>> {
    let mut weights = Vec::with_capacity(network.layout.len());
    for entry in network.layout.entries() {
        let name = model.name_of(entry.layer, entry.tensor);
        let mut values = model.load(&name)?.data;
        if entry.tensor.stored == Stored::BonusPerChannel {
            // A network of RWKV-5.2 has the bonus, one of those before its logarithm.
            let has_logarithm = split_name(&name).1 == TIME_FIRST;
            match (has_logarithm, entry.tensor.name == TIME_FIRST) {
                (true, false) => values.iter_mut().for_each(|x| *x = x.exp()),
                (false, true) => {
                    ensure!(
                        values.iter().all(|&x| x > 0.0),
                        "the tensor `{name}` has no logarithm, which training needs"
                    );
                    values.iter_mut().for_each(|x| *x = x.ln());
                }
                _ => {}
            }
        }
        weights.extend(values);
    }
    Ok(weights)
}

/// Replaces matrices by what `quantize` would store.
fn round(
    model: &Model,
    network: &Network,
    options: &Options<'_>,
    calibration: &Calibration,
    weights: &mut [f32],
) -> Result<()> {
    let (_, parts) = shape(model.version(), &model.dimensions(), options)?;
    let mut compensator = Compensator::new(model, options.gn_eps, &parts, calibration)?;
    for part in &parts {
        if let Some(rounded) = compensator.take(part.layer, part.part.name)? {
            let of_part = table(model.version()).of_part(part.layer.is_some(), part.part.name);
            let entry = network.layout.entry(part.layer, of_part.0.name);
            rounded.values(&mut weights[entry.range()]);
        }
    }
    Ok(())
}
