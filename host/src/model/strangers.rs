//! Tensors that no version reads: those that mean another network, and those
//! that no network needs.

use super::accept::is_known;
use super::reading::matches;
use crate::checkpoint::{excerpt, Checkpoint, TensorInfo};
use anyhow::anyhow;

/// The name of a matrix in each layer of a Transformer.
const ATTENTION: &str = "*.att.query.weight";

/// Names of tensors that mean another network, with what they are and what to do.
const NETWORKS: &[(&[&str], &str)] = &[
    (
        &[ATTENTION],
        "a part of a Transformer, such as `kinglet train --version gpt` makes to compare with: no image has it; take RWKV",
    ),
    (
        &["*lora_*", "*.lora.*", "*.base_layer.*", "base_model.*", "*.bone*", "*.disha*"],
        "an adapter (LoRA or its kin) that is not merged: merge it into the weights with the program that trained it",
    ),
    (
        &["*.ffn.s_emb*", "*.ffn.s0", "*.ffn.s1", "*.ffn.s2", "*.ffn.enn*", "*.qkv.*"],
        "a part of RWKV-7a, 7b or 8 (deep embeddings), which are other networks than RWKV-7: take a checkpoint of RWKV-7",
    ),
    (
        &["*.time_state"],
        "a tuned state, which versions with a matrix state have: RWKV-5 to 7",
    ),
    (
        &["*.tiny_*", "*.tiny_ln*"],
        "the tiny attention of RWKV-4b, which looks back at all tokens: no image has it",
    ),
    (
        &["head_q.*", "head_k.*"],
        "a head that copies from the prompt: no image has it; take a checkpoint that was trained without",
    ),
    (
        &["pos_emb*", "*.pos_emb*", "*position_embedding*", "*wpe*", "positions"],
        "position embeddings, which no RWKV version of an image has",
    ),
    (
        &["*_mx", "*_my", "*_rx", "*_ry"],
        "scales of a file that ChatRWKV converted to 8 bits: take the checkpoint that it was converted from",
    ),
    (
        &["*.qweight", "*.qzeros", "*.scales", "*.absmax", "*.quant_*", "*.SCB", "*.weight_scale*"],
        "a part of weights that another program has quantized: take the checkpoint before that",
    ),
    (
        &["*.bias"],
        "a bias, which no matrix of the version has: it adds to every product",
    ),
];

/// Names of tensors that no network needs: what optimizers and loaders of data
/// keep, and constants.
const HARMLESS: &[&str] = &[
    "optimizer*",
    "*.exp_avg",
    "*.exp_avg_sq",
    "*.momentum_buffer",
    "*scheduler*",
    "*dataloader*",
    "*rng_state*",
    "*num_batches_tracked",
    "*_extra_state",
    "*inv_freq",
    "*rotary_emb*",
    "*position_ids",
    "*copy_mask",
    "*tiny_mask",
    "*att_mask",
    "*attn_mask",
    "*causal_mask",
    "*masked_bias",
];

/// Names of counters, where they have one element.
const COUNTERS: &[&str] = &[
    "*step",
    "*steps",
    "*epoch",
    "*iteration",
    "*loss_scale",
    "*counter",
    "*tokens_seen",
    "*best_loss",
];

fn any(patterns: &[&str], name: &str) -> bool {
    patterns.iter().any(|pattern| matches(pattern, name))
}

/// What a tensor is that means another network, and what to do.
pub fn network(name: &str) -> Option<&'static str> {
    let mut known = NETWORKS.iter();
    known.find_map(|(patterns, what)| any(patterns, name).then_some(*what))
}

/// Whether a tensor is of a Transformer's attention, without which nothing is left.
pub fn is_attention(name: &str) -> bool {
    matches(ATTENTION, name)
}

/// Whether a tensor is of a kind that no network needs. Integers are counts,
/// ids and masks; matrices of bytes may be weights.
pub fn is_harmless(info: &TensorInfo) -> bool {
    let TensorInfo {
        name, shape, dtype, ..
    } = info;
    if network(name).is_some() {
        return false;
    }
    let is_one = shape.iter().all(|&size| size == 1);
    let is_count = dtype.is_integer() && (dtype.bytes() > 1 || shape.len() < 2);
    is_count || any(HARMLESS, name) || is_one && any(COUNTERS, name)
}

/// The checkpoint has no first layer, whose tensor of this name is missing.
pub fn no_model(checkpoint: &Checkpoint, name: &str) -> anyhow::Error {
    let path = checkpoint.path().display();
    let strange = checkpoint.tensors().filter(|info| !is_known(&info.name));
    let mut names = strange.map(TensorInfo::file_name);
    if let Some((name, what)) = names.find_map(|name| Some((name, network(name)?))) {
        let name = excerpt(name);
        return anyhow!("{path}: has no layers of a model; `{name}` is {what}");
    }
    let first = checkpoint.tensors().next();
    let found = first.map_or_else(String::new, |info| {
        format!(", but for example `{}`", excerpt(info.file_name()))
    });
    anyhow!(
        "{path}: has no tensor named `{name}`{found}, so it is not an RWKV checkpoint with the names of BlinkDL, \
         Hugging Face's transformers or fla"
    )
}
