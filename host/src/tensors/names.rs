//! The names of tensors, as BlinkDL's files have them: those of layers
//! follow `blocks.N.`.

/// Weight and bias of a norm.
pub type Norm = [&'static str; 2];

pub const EMB: &str = "emb.weight";
pub const LN0: Norm = ["blocks.0.ln0.weight", "blocks.0.ln0.bias"];
pub const LN_OUT: Norm = ["ln_out.weight", "ln_out.bias"];
pub const HEAD: &str = "head.weight";

pub const LN1: Norm = ["ln1.weight", "ln1.bias"];
pub const LN2: Norm = ["ln2.weight", "ln2.bias"];

/// The time mix, or a Transformer's attention.
pub mod att {
    use super::Norm;

    pub const QUERY: &str = "att.query.weight";
    pub const KEY: &str = "att.key.weight";
    pub const VALUE: &str = "att.value.weight";
    pub const RECEPTANCE: &str = "att.receptance.weight";
    pub const GATE: &str = "att.gate.weight";
    pub const OUTPUT: &str = "att.output.weight";
    pub const LN_X: Norm = ["att.ln_x.weight", "att.ln_x.bias"];

    pub const TIME_DECAY: &str = "att.time_decay";
    pub const TIME_FIRST: &str = "att.time_first";
    pub const TIME_FAAAA: &str = "att.time_faaaa";
    /// What state tuning adds: no part of an image.
    pub const TIME_STATE: &str = "att.time_state";
    pub const TIME_MIX_K: &str = "att.time_mix_k";
    pub const TIME_MIX_V: &str = "att.time_mix_v";
    pub const TIME_MIX_R: &str = "att.time_mix_r";
    pub const TIME_MIX_G: &str = "att.time_mix_g";

    pub const TIME_MAA_X: &str = "att.time_maa_x";
    /// Of decay, key, value, receptance and gate, as the matrices of
    /// [`TIME_MAA_W2`].
    pub const TIME_MAA: [&str; 5] = [
        "att.time_maa_w",
        "att.time_maa_k",
        "att.time_maa_v",
        "att.time_maa_r",
        "att.time_maa_g",
    ];
    pub const TIME_MAA_W1: &str = "att.time_maa_w1";
    pub const TIME_MAA_W2: &str = "att.time_maa_w2";
    /// Its matrices, as images have them.
    pub const TIME_MAA_W2_PARTS: [&str; 5] = [
        "att.time_maa_w2.w",
        "att.time_maa_w2.k",
        "att.time_maa_w2.v",
        "att.time_maa_w2.r",
        "att.time_maa_w2.g",
    ];
    pub const TIME_DECAY_W1: &str = "att.time_decay_w1";
    pub const TIME_DECAY_W2: &str = "att.time_decay_w2";
    /// What is added to the product of two matrices, and these.
    pub const DECAY: [&str; 3] = [TIME_DECAY, TIME_DECAY_W1, TIME_DECAY_W2];

    /// Of receptance, decay, key, value, learning rate and gate.
    pub const X: [&str; 6] = [
        "att.x_r", "att.x_w", "att.x_k", "att.x_v", "att.x_a", "att.x_g",
    ];
    /// What is added to two matrices' product, and these: of the decay,
    pub const W: [&str; 3] = ["att.w0", "att.w1", "att.w2"];
    /// the learning rate
    pub const A: [&str; 3] = ["att.a0", "att.a1", "att.a2"];
    /// and the value.
    pub const V: [&str; 3] = ["att.v0", "att.v1", "att.v2"];
    /// The gate has matrices only.
    pub const G: [&str; 2] = ["att.g1", "att.g2"];
    pub const K_K: &str = "att.k_k";
    pub const K_A: &str = "att.k_a";
    pub const R_K: &str = "att.r_k";
}

/// The channel mix.
pub mod ffn {
    pub const KEY: &str = "ffn.key.weight";
    pub const VALUE: &str = "ffn.value.weight";
    /// What multiplies the hidden values of a Transformer.
    pub const GATE: &str = "ffn.gate.weight";
    pub const RECEPTANCE: &str = "ffn.receptance.weight";
    pub const TIME_MIX_K: &str = "ffn.time_mix_k";
    pub const TIME_MIX_R: &str = "ffn.time_mix_r";
    pub const TIME_MAA_K: &str = "ffn.time_maa_k";
    pub const TIME_MAA_R: &str = "ffn.time_maa_r";
    pub const X_K: &str = "ffn.x_k";
    /// The mix for the key, and for the receptance, in one of the versions.
    pub const MIX_K: [&str; 3] = [TIME_MIX_K, TIME_MAA_K, X_K];
    pub const MIX_R: [&str; 2] = [TIME_MIX_R, TIME_MAA_R];
}
