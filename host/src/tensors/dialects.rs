//! Names of tensors in other programs' files, in the words of BlinkDL's, which the
//! tables have: those of Hugging Face's transformers, those of fla, those that
//! training adds. llama.cpp's are in `gguf`.

use super::names::{att, ffn, EMB, HEAD, LN_OUT};

/// Modules that training programs wrap around others.
const WRAPPERS: [&str; 6] = [
    "module",
    "_orig_mod",
    "_forward_module",
    "_fsdp_wrapped_module",
    "_checkpoint_wrapped_module",
    "state_dict",
];

/// Modules around the whole model.
const AROUND: [&str; 2] = ["model", "rwkv"];

/// fla's RWKV-6: in a block, its names and ours.
const FLA_6: [(&str, &str); 15] = [
    ("attn.x_proj.0.mu", att::TIME_MAA_X),
    ("attn.x_proj.0.linear.weight", att::TIME_MAA_W1),
    ("attn.x_proj.2.weight", att::TIME_MAA_W2),
    ("attn.r_proj.linear.weight", att::RECEPTANCE),
    ("attn.k_proj.linear.weight", att::KEY),
    ("attn.v_proj.linear.weight", att::VALUE),
    ("attn.g_proj.linear.weight", att::GATE),
    ("attn.w_proj.linear.lora.0.weight", att::TIME_DECAY_W1),
    ("attn.w_proj.linear.lora.2.weight", att::TIME_DECAY_W2),
    ("attn.w_proj.linear.lora.2.bias", att::TIME_DECAY),
    ("attn.bonus", att::TIME_FAAAA),
    ("ffn.key.linear.weight", ffn::KEY),
    ("ffn.key.mu", ffn::TIME_MAA_K),
    ("ffn.receptance.linear.weight", ffn::RECEPTANCE),
    ("ffn.receptance.mu", ffn::TIME_MAA_R),
];

const OUTSIDE: [(&str, &str); 4] = [
    ("embeddings.weight", EMB),
    ("norm.weight", LN_OUT[0]),
    ("norm.bias", LN_OUT[1]),
    ("lm_head.weight", HEAD),
];

const BLOCKS: [(&str, &str); 7] = [
    ("attention", "att"),
    ("attn", "att"),
    ("feed_forward", "ffn"),
    ("pre_ln", "ln0"),
    ("pre_norm", "ln0"),
    ("attn_norm", "ln1"),
    ("ffn_norm", "ln2"),
];

/// In the time mix.
const ATT: [(&str, &str); 5] = [
    ("r_proj", "receptance"),
    ("k_proj", "key"),
    ("v_proj", "value"),
    ("o_proj", "output"),
    ("g_norm", "ln_x"),
];

/// What transformers' mixes are of.
const MIXED: [(&str, &str); 4] = [
    ("key", "k"),
    ("value", "v"),
    ("receptance", "r"),
    ("gate", "g"),
];

/// fla's two layers around a low rank: the part, its digit, and whether it is a
/// matrix, which lies the other way.
const LOW_RANK: [(&str, char, bool); 3] = [
    ("lora.0.weight", '1', true),
    ("lora.2.weight", '2', true),
    ("lora.2.bias", '0', false),
];

/// The mixes that older versions of fla have in one tensor, in its order.
pub const FUSED_MIXES: &str = "att.x_x";

/// The mixes of fla's RWKV-6, and where those of BlinkDL's order are among them.
pub const FLA_MIXES: &str = "att.x_bias";
pub const FLA_ORDER: [usize; 5] = [1, 2, 3, 0, 4];

/// A tensor's name in BlinkDL's words.
#[derive(Debug, PartialEq, Eq)]
pub struct Original {
    /// The name; as it was where nothing is known of it.
    pub name: String,
    /// Whether it is a matrix that lies the other way in the file.
    pub turned: bool,
}

/// The name of a tensor in BlinkDL's words.
pub fn original(name: &str) -> Original {
    let is_wrapper = |part: &&str| !WRAPPERS.contains(part);
    let parts: Vec<&str> = name.split('.').filter(is_wrapper).collect();
    let inner = parts.iter().position(|part| !AROUND.contains(part));
    let parts = &parts[inner.unwrap_or(0)..];
    let [blocks @ ("blocks" | "layers"), layer, block, rest @ ..] = parts else {
        let name = parts.join(".");
        return Original {
            name: renamed(&OUTSIDE, &name).to_owned(),
            turned: false,
        };
    };
    // A list of layers that is none has a name of its own.
    let blocks = match layer.parse::<usize>() {
        Ok(_) => "blocks",
        Err(_) => blocks,
    };
    let theirs = [&[*block], rest].concat().join(".");
    let six = renamed(&FLA_6, &theirs);
    if six != theirs {
        return Original {
            name: format!("{blocks}.{layer}.{six}"),
            turned: six.ends_with("_w1") || six.ends_with("_w2"),
        };
    }
    let block = renamed(&BLOCKS, block);
    let (rest, turned) = match block {
        "att" => in_time_mix(&rest.join(".")),
        _ => (in_mix(&rest.join(".")), false),
    };
    let name = match rest.is_empty() {
        true => format!("{blocks}.{layer}.{block}"),
        false => format!("{blocks}.{layer}.{block}.{rest}"),
    };
    Original { name, turned }
}

fn renamed<'a>(table: &[(&str, &'static str)], name: &'a str) -> &'a str {
    let found = table.iter().find(|(theirs, _)| *theirs == name);
    found.map_or(name, |(_, ours)| ours)
}

/// The rest of a name in a time mix, and whether it is of a matrix that lies the
/// other way.
fn in_time_mix(rest: &str) -> (String, bool) {
    let (first, more) = rest.split_once('.').unwrap_or((rest, ""));
    let of = first
        .strip_suffix("_lora")
        .filter(|of| matches!(*of, "w" | "a" | "v" | "g"));
    let low_rank = LOW_RANK.iter().find(|(part, ..)| *part == more);
    if let (Some(of), Some((_, digit, turned))) = (of, low_rank) {
        // The gate has no bias, and its matrices are the first and the second.
        return (format!("{of}{digit}"), *turned);
    }
    match more {
        "" => (in_mix(rest), false),
        _ => (format!("{}.{more}", renamed(&ATT, first)), false),
    }
}

/// A mix of transformers by one letter, as `time_mix_key`.
fn in_mix(rest: &str) -> String {
    for front in ["time_mix_", "time_maa_"] {
        if let Some(of) = rest.strip_prefix(front) {
            return format!("{front}{}", renamed(&MIXED, of));
        }
    }
    rest.to_owned()
}

#[cfg(test)]
mod tests {
    use super::{original, Original};

    #[test]
    fn names_of_other_programs_are_translated() {
        for (theirs, name, turned) in [
            ("rwkv.embeddings.weight", "emb.weight", false),
            ("rwkv.blocks.0.pre_ln.bias", "blocks.0.ln0.bias", false),
            (
                "rwkv.blocks.1.attention.time_mix_receptance",
                "blocks.1.att.time_mix_r",
                false,
            ),
            (
                "rwkv.blocks.1.feed_forward.time_mix_key",
                "blocks.1.ffn.time_mix_k",
                false,
            ),
            (
                "rwkv.blocks.1.feed_forward.key.weight",
                "blocks.1.ffn.key.weight",
                false,
            ),
            (
                "rwkv.blocks.1.attention.time_maa_gate",
                "blocks.1.att.time_maa_g",
                false,
            ),
            (
                "rwkv.blocks.1.attention.ln_x.weight",
                "blocks.1.att.ln_x.weight",
                false,
            ),
            ("rwkv.ln_out.weight", "ln_out.weight", false),
            (
                "model.layers.3.attn.w_lora.lora.0.weight",
                "blocks.3.att.w1",
                true,
            ),
            (
                "model.layers.3.attn.g_lora.lora.2.weight",
                "blocks.3.att.g2",
                true,
            ),
            (
                "model.layers.3.attn.v_lora.lora.2.bias",
                "blocks.3.att.v0",
                false,
            ),
            (
                "model.layers.3.attn.g_norm.weight",
                "blocks.3.att.ln_x.weight",
                false,
            ),
            ("model.layers.3.attn.r_k", "blocks.3.att.r_k", false),
            (
                "model.layers.3.attn_norm.weight",
                "blocks.3.ln1.weight",
                false,
            ),
            ("model.layers.3.ffn.x_k", "blocks.3.ffn.x_k", false),
            ("model.norm.bias", "ln_out.bias", false),
            ("lm_head.weight", "head.weight", false),
            (
                "_forward_module.model.blocks.1._orig_mod.att.key.weight",
                "blocks.1.att.key.weight",
                false,
            ),
            (
                "module.blocks.2.ffn.key.module.weight",
                "blocks.2.ffn.key.weight",
                false,
            ),
            // An adapter's matrix is no matrix of the model.
            (
                "model.layers.3.attn.k_proj.lora_A.weight",
                "blocks.3.att.key.lora_A.weight",
                false,
            ),
            (
                "model.layers.3.attn.x_lora.lora.0.weight",
                "blocks.3.att.x_lora.lora.0.weight",
                false,
            ),
            ("model.layers.x.attn", "layers.x.att", false),
            (
                "base_model.model.head.weight",
                "base_model.model.head.weight",
                false,
            ),
            ("blocks.0.att.key.weight", "blocks.0.att.key.weight", false),
            ("model", "model", false),
            ("", "", false),
        ] {
            let name = name.to_owned();
            assert_eq!(original(theirs), Original { name, turned }, "{theirs}");
        }
    }
}
