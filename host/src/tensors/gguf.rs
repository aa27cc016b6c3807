//! Names of tensors in GGUF files of llama.cpp's, in the words of BlinkDL's.

use super::names::{att, ffn, EMB, HEAD, LN0, LN1, LN2, LN_OUT};
use super::Version;

type Names = &'static [(&'static str, &'static str)];

const OUTSIDE: Names = &[
    ("token_embd.weight", EMB),
    ("token_embd_norm.weight", LN0[0]),
    ("token_embd_norm.bias", LN0[1]),
    ("output_norm.weight", LN_OUT[0]),
    ("output_norm.bias", LN_OUT[1]),
    ("output.weight", HEAD),
];

/// In the layers of both versions.
const LAYER: Names = &[
    ("attn_norm.weight", LN1[0]),
    ("attn_norm.bias", LN1[1]),
    ("attn_norm_2.weight", LN2[0]),
    ("attn_norm_2.bias", LN2[1]),
    ("time_mix_key.weight", att::KEY),
    ("time_mix_value.weight", att::VALUE),
    ("time_mix_receptance.weight", att::RECEPTANCE),
    ("time_mix_output.weight", att::OUTPUT),
    ("time_mix_ln.weight", att::LN_X[0]),
    ("time_mix_ln.bias", att::LN_X[1]),
    ("channel_mix_key.weight", ffn::KEY),
    ("channel_mix_value.weight", ffn::VALUE),
];

const V6: Names = &[
    ("time_mix_lerp_x.weight", att::TIME_MAA_X),
    // Older files have these by themselves.
    ("time_mix_lerp_w.weight", att::TIME_MAA[0]),
    ("time_mix_lerp_k.weight", att::TIME_MAA[1]),
    ("time_mix_lerp_v.weight", att::TIME_MAA[2]),
    ("time_mix_lerp_r.weight", att::TIME_MAA[3]),
    ("time_mix_lerp_g.weight", att::TIME_MAA[4]),
    ("time_mix_w1.weight", att::TIME_MAA_W1),
    ("time_mix_w2.weight", att::TIME_MAA_W2),
    ("time_mix_decay.weight", att::TIME_DECAY),
    ("time_mix_decay_w1.weight", att::TIME_DECAY_W1),
    ("time_mix_decay_w2.weight", att::TIME_DECAY_W2),
    ("time_mix_first.weight", att::TIME_FAAAA),
    ("time_mix_gate.weight", att::GATE),
    ("channel_mix_lerp_k.weight", ffn::TIME_MAA_K),
    ("channel_mix_lerp_r.weight", ffn::TIME_MAA_R),
    ("channel_mix_receptance.weight", ffn::RECEPTANCE),
];

const V7: Names = &[
    ("time_mix_w0.weight", att::W[0]),
    ("time_mix_w1.weight", att::W[1]),
    ("time_mix_w2.weight", att::W[2]),
    ("time_mix_a0.weight", att::A[0]),
    ("time_mix_a1.weight", att::A[1]),
    ("time_mix_a2.weight", att::A[2]),
    ("time_mix_v0.weight", att::V[0]),
    ("time_mix_v1.weight", att::V[1]),
    ("time_mix_v2.weight", att::V[2]),
    ("time_mix_g1.weight", att::G[0]),
    ("time_mix_g2.weight", att::G[1]),
    ("time_mix_k_k.weight", att::K_K),
    ("time_mix_k_a.weight", att::K_A),
    ("time_mix_r_k.weight", att::R_K),
    ("channel_mix_lerp_k.weight", ffn::X_K),
];

/// The mixes of a layer in one tensor.
pub const FUSED: &str = "time_mix_lerp_fused.weight";

/// The mixes in [`FUSED`], in its order.
pub fn mixes(version: Version) -> &'static [&'static str] {
    match version {
        Version::V6 => &att::TIME_MAA,
        _ => &att::X,
    }
}

/// Layer and name in a whole name.
pub fn split(name: &str) -> (Option<usize>, &str) {
    let in_layer = name.strip_prefix("blk.");
    let split = in_layer.and_then(|rest| rest.split_once('.'));
    match split.map(|(layer, rest)| (layer.parse(), rest)) {
        Some((Ok(layer), rest)) => (Some(layer), rest),
        _ => (None, name),
    }
}

/// The name of a tensor in BlinkDL's words, in a layer what follows `blocks.N.`.
pub fn original(version: Version, in_layer: bool, name: &str) -> Option<&'static str> {
    let own = match version {
        Version::V6 => V6,
        _ => V7,
    };
    let tables = match in_layer {
        true => [LAYER, own],
        false => [OUTSIDE, &[]],
    };
    let mut names = tables.into_iter().flatten();
    names.find_map(|(theirs, ours)| (*theirs == name).then_some(*ours))
}
