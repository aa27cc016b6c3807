//! The tensors of each version: names and shapes as checkpoints hold them.

use super::{Dimensions, Version};
use crate::checkpoint::Checkpoint;
use std::collections::BTreeSet;

/// The bonus of RWKV-5 and 6.
const BONUS: &str = "att.time_faaaa";

/// Its logarithm in RWKV-5; RWKV-4 has its own meaning of it.
const LOG_BONUS: &str = "att.time_first";

/// A name and the shape it must have, but for dimensions of one.
pub type Expected = (&'static str, Vec<usize>);

/// The tensors outside the layers.
pub fn shared_tensors(dimensions: &Dimensions) -> Vec<Expected> {
    let Dimensions { embd, vocab, .. } = *dimensions;
    vec![
        ("emb.weight", vec![vocab, embd]),
        ("blocks.0.ln0.weight", vec![embd]),
        ("blocks.0.ln0.bias", vec![embd]),
        ("ln_out.weight", vec![embd]),
        ("ln_out.bias", vec![embd]),
        ("head.weight", vec![dimensions.outputs(), embd]),
    ]
}

/// The tensors of layer `layer`, behind `blocks.N.`. Low-rank matrices are
/// `[inputs, outputs]`, all others `[outputs, inputs]`.
pub fn layer_tensors(version: Version, dimensions: &Dimensions, layer: usize) -> Vec<Expected> {
    let (c, f) = (dimensions.embd, dimensions.ffn);
    let vectors = |names: &[&'static str]| -> Vec<Expected> {
        names.iter().map(|&name| (name, vec![c])).collect()
    };
    let mut tensors = vectors(&["ln1.weight", "ln1.bias"]);
    tensors.extend(time_mix(version, dimensions, layer, vectors));
    tensors.push(("att.output.weight", vec![c, c]));
    tensors.extend(vectors(&["ln2.weight", "ln2.bias"]));
    tensors.extend(vectors(match version {
        Version::V7 => &["ffn.x_k"],
        Version::V6 => &["ffn.time_maa_k", "ffn.time_maa_r"],
        _ => &["ffn.time_mix_k", "ffn.time_mix_r"],
    }));
    tensors.push(("ffn.key.weight", vec![f, c]));
    if version != Version::V7 {
        tensors.push(("ffn.receptance.weight", vec![c, c]));
    }
    tensors.push(("ffn.value.weight", vec![c, f]));
    tensors
}

/// The names that a layer of this version may have, behind `blocks.N.`.
pub(super) fn layer_names(version: Version) -> BTreeSet<&'static str> {
    let tensors = layer_tensors(version, &Dimensions::default(), 1);
    let names = tensors.into_iter().map(|(name, _)| name);
    let bonuses = has_two_bonuses(version).then_some([BONUS, LOG_BONUS]);
    names.chain(bonuses.into_iter().flatten()).collect()
}

/// The full name of a tensor of layer `layer`, of which `name` is the usual
/// one. Checkpoints of RWKV-5 hold the bonus or its logarithm, whatever their
/// minor version.
pub(super) fn name_in_layer(
    checkpoint: &Checkpoint,
    version: Version,
    layer: usize,
    name: &str,
) -> String {
    let usual = format!("blocks.{layer}.{name}");
    let other = match name {
        BONUS => LOG_BONUS,
        LOG_BONUS => BONUS,
        _ => return usual,
    };
    let other = format!("blocks.{layer}.{other}");
    let has = |name: &str| checkpoint.info(name).is_some();
    match has_two_bonuses(version) && !has(&usual) && has(&other) {
        true => other,
        false => usual,
    }
}

fn has_two_bonuses(version: Version) -> bool {
    matches!(version, Version::V5 | Version::V51 | Version::V52)
}

/// Whether this tensor of RWKV-5 is the logarithm of the bonus.
pub(crate) fn is_log_bonus(name: &str) -> bool {
    name.ends_with(LOG_BONUS)
}

fn time_mix(
    version: Version,
    dimensions: &Dimensions,
    layer: usize,
    vectors: impl Fn(&[&'static str]) -> Vec<Expected>,
) -> Vec<Expected> {
    let Dimensions { embd: c, heads, .. } = *dimensions;
    let per_head = || vec![heads];
    let per_channel = || vec![heads, dimensions.head_size()];
    let mut tensors: Vec<Expected> = match version {
        Version::V6 => v6_time_mix(dimensions, &vectors),
        Version::V7 => v7_time_mix(dimensions, layer, &vectors),
        _ => vectors(&["att.time_mix_k", "att.time_mix_v", "att.time_mix_r"]),
    };
    tensors.extend(match version {
        Version::V4 => vectors(&["att.time_decay", LOG_BONUS]),
        Version::V5 | Version::V51 => vec![("att.time_decay", per_head()), (LOG_BONUS, per_head())],
        Version::V52 => vec![("att.time_decay", per_channel()), (BONUS, per_channel())],
        Version::V6 => vec![("att.time_decay", vec![c]), (BONUS, per_channel())],
        Version::V7 => vec![("att.r_k", per_channel())],
    });
    for name in [
        "att.key.weight",
        "att.value.weight",
        "att.receptance.weight",
    ] {
        tensors.push((name, vec![c, c]));
    }
    if matches!(version, Version::V51 | Version::V52) {
        tensors.extend(vectors(&["att.time_mix_g"]));
    }
    if matches!(version, Version::V51 | Version::V52 | Version::V6) {
        tensors.push(("att.gate.weight", vec![c, c]));
    }
    if version != Version::V4 {
        tensors.extend(vectors(&["att.ln_x.weight", "att.ln_x.bias"]));
    }
    tensors
}

fn v6_time_mix(
    dimensions: &Dimensions,
    vectors: impl Fn(&[&'static str]) -> Vec<Expected>,
) -> Vec<Expected> {
    let Dimensions { embd: c, ranks, .. } = *dimensions;
    let [decay, shift, ..] = ranks;
    let mut tensors = vectors(&[
        "att.time_maa_x",
        "att.time_maa_w",
        "att.time_maa_k",
        "att.time_maa_v",
        "att.time_maa_r",
        "att.time_maa_g",
    ]);
    tensors.extend([
        ("att.time_maa_w1", vec![c, 5 * shift]),
        ("att.time_maa_w2", vec![5, shift, c]),
        ("att.time_decay_w1", vec![c, decay]),
        ("att.time_decay_w2", vec![decay, c]),
    ]);
    tensors
}

fn v7_time_mix(
    dimensions: &Dimensions,
    layer: usize,
    vectors: impl Fn(&[&'static str]) -> Vec<Expected>,
) -> Vec<Expected> {
    let Dimensions { embd: c, ranks, .. } = *dimensions;
    let [decay, rate, value, gate] = ranks;
    let mut tensors = vectors(&[
        "att.x_r", "att.x_w", "att.x_k", "att.x_v", "att.x_a", "att.x_g", "att.w0", "att.a0",
        "att.k_k", "att.k_a",
    ]);
    let mut pair = |names: [&'static str; 2], rank| {
        tensors.push((names[0], vec![c, rank]));
        tensors.push((names[1], vec![rank, c]));
    };
    pair(["att.w1", "att.w2"], decay);
    pair(["att.a1", "att.a2"], rate);
    pair(["att.g1", "att.g2"], gate);
    // The first layer's values are those that the others lean on.
    if layer > 0 {
        pair(["att.v1", "att.v2"], value);
        tensors.extend(vectors(&["att.v0"]));
    }
    tensors
}
