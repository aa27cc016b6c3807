//! The networks that can be trained: one file for each, letters as in the
//! engine's.

mod channel_mix;
mod gpt;
mod init;
mod layout;
mod v4;
mod v5;
mod v6;
mod v7;

#[cfg(test)]
mod tests;

use super::real::Real;
use super::tape::{Param, Tape, Var};
use crate::model::{Dimensions, Version};
use crate::tensors::names::{Norm, EMB, HEAD, LN0, LN1, LN2, LN_OUT};
use crate::tensors::{table, Table, GPT};
use clap::builder::PossibleValue;
use clap::ValueEnum;
pub use init::initial_weights;
pub use layout::{Entry, Layout};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt;
use std::sync::LazyLock;

/// The kind of network that is trained. Options and recipes name it as other
/// commands name versions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Arch {
    /// RWKV of a version.
    Rwkv(Version),
    /// A Transformer, to compare with: its files run nowhere else.
    Gpt,
}

impl fmt::Display for Arch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rwkv(version) => version.fmt(f),
            Self::Gpt => f.write_str("Transformer"),
        }
    }
}

impl ValueEnum for Arch {
    fn value_variants<'a>() -> &'a [Self] {
        static TRAINED: LazyLock<Vec<Arch>> = LazyLock::new(|| {
            let versions = Version::ALL.into_iter().filter(|v| v.is_trained());
            versions.map(Arch::Rwkv).chain([Arch::Gpt]).collect()
        });
        &TRAINED
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        match self {
            Self::Rwkv(version) => version.to_possible_value(),
            Self::Gpt => {
                let help = "A Transformer, to compare with: nothing else runs it";
                Some(PossibleValue::new("gpt").help(help))
            }
        }
    }
}

impl TryFrom<String> for Arch {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        Self::from_str(&name, false).map_err(|_| {
            let known = Self::value_variants()
                .iter()
                .map(|&arch| String::from(arch));
            format!(
                "`{name}` is none of {}",
                known.collect::<Vec<_>>().join(", ")
            )
        })
    }
}

impl From<Arch> for String {
    fn from(arch: Arch) -> Self {
        let value = arch.to_possible_value();
        value.map_or_else(Self::new, |value| value.get_name().to_owned())
    }
}

impl Arch {
    /// Whether its channels are divided into heads.
    pub fn has_heads(self) -> bool {
        match self {
            Self::Rwkv(version) => version.recurrence().has_heads(),
            Self::Gpt => true,
        }
    }

    /// Its tensors.
    pub fn table(self) -> &'static Table {
        match self {
            Self::Rwkv(version) => table(version),
            Self::Gpt => &GPT,
        }
    }
}

/// A network: what it is, how large, and where its weights lie.
#[derive(Clone, Debug)]
pub struct Network {
    /// Its kind.
    pub arch: Arch,
    /// How large.
    pub dimensions: Dimensions,
    /// Where the weights lie in the flat vector.
    pub layout: Layout,
    /// The epsilon of group norms.
    pub gn_eps: f64,
    /// Where products read rounded activations, as the engine's do, and the embedding's
    /// rows lie after the weights: where the matrices begin whose vectors have 16 bits;
    /// all others' have eight.
    pub rounding: Option<BTreeSet<usize>>,
}

impl Network {
    /// A network of these sizes.
    pub fn new(arch: Arch, dimensions: Dimensions) -> Self {
        Self {
            arch,
            dimensions,
            layout: Layout::new(arch.table(), &dimensions),
            gn_eps: f64::from(crate::reference::DEFAULT_GN_EPS),
            rounding: None,
        }
    }

    /// The output of the last layer, normalized: `[T, C]`.
    pub fn hidden<F: Real>(&self, tape: &mut Tape<'_, F>, tokens: &[u32]) -> Var {
        let mut first_values = None;
        let mut x = self.embedding(tape, tokens);
        if self.rounding.is_some() {
            x = tape.replace_by_rows(x, tokens, self.table());
        }
        for index in 0..self.dimensions.layers {
            let layer = Layer {
                network: self,
                index,
            };
            let xx = layer.normalize(tape, x, LN1);
            let out = match self.arch {
                Arch::Rwkv(Version::V7) => v7::time_mix(&layer, tape, xx, &mut first_values),
                Arch::Rwkv(Version::V6) => v6::time_mix(&layer, tape, xx),
                Arch::Rwkv(Version::V5 | Version::V51 | Version::V52) => {
                    v5::time_mix(&layer, tape, xx)
                }
                Arch::Rwkv(Version::V4) => v4::time_mix(&layer, tape, xx),
                Arch::Gpt => gpt::attention(&layer, tape, xx),
            };
            x = tape.add(x, out);
            let xx = layer.normalize(tape, x, LN2);
            let out = match self.arch {
                Arch::Rwkv(_) => channel_mix::channel_mix(&layer, tape, xx),
                Arch::Gpt => gpt::feed_forward(&layer, tape, xx),
            };
            x = tape.add(x, out);
        }
        self.normalize(tape, x, None, LN_OUT)
    }

    /// The input of the first layer: `[T, C]`.
    pub(super) fn embedding<F: Real>(&self, tape: &mut Tape<'_, F>, tokens: &[u32]) -> Var {
        let x = tape.embed(tokens, self.layout.param(None, EMB));
        match self.arch {
            Arch::Gpt => x,
            Arch::Rwkv(_) => self.normalize(tape, x, None, LN0),
        }
    }

    /// Where the embedding lies as an image holds it, normalized and rounded:
    /// after the weights.
    pub(super) fn table(&self) -> Param {
        Param {
            offset: self.layout.len(),
            rows: self.dimensions.vocab,
            cols: self.dimensions.embd,
        }
    }

    /// The head's outputs for rows `hidden`.
    pub fn head<F: Real>(&self, tape: &mut Tape<'_, F>, hidden: Var) -> Var {
        self.product(tape, hidden, self.layout.param(None, HEAD))
    }

    /// The logits `[T, V]` after each token.
    pub fn logits<F: Real>(&self, tape: &mut Tape<'_, F>, tokens: &[u32]) -> Var {
        let hidden = self.hidden(tape, tokens);
        self.head(tape, hidden)
    }

    /// Layer norm, or that of a Transformer: without a mean and a bias.
    fn normalize<F: Real>(
        &self,
        tape: &mut Tape<'_, F>,
        x: Var,
        layer: Option<usize>,
        names: Norm,
    ) -> Var {
        match self.arch {
            Arch::Rwkv(_) => tape.layer_norm(x, self.layout.norm(layer, names)),
            Arch::Gpt => gpt::norm(tape, x, self.layout.param(layer, names[0])),
        }
    }

    /// A product as the engine computes it.
    fn product<F: Real>(&self, tape: &mut Tape<'_, F>, x: Var, weights: Param) -> Var {
        let x = self.rounded(tape, x, weights);
        tape.linear(x, weights)
    }

    /// A vector as the product with `weights` reads it.
    fn rounded<F: Real>(&self, tape: &mut Tape<'_, F>, x: Var, weights: Param) -> Var {
        match &self.rounding {
            Some(fine) => tape.round_rows(x, fine.contains(&weights.offset)),
            None => x,
        }
    }
}

/// A layer of a network.
struct Layer<'n> {
    network: &'n Network,
    index: usize,
}

impl Layer<'_> {
    fn param(&self, name: &str) -> Param {
        self.network.layout.param(Some(self.index), name)
    }

    fn norm(&self, names: Norm) -> [Param; 2] {
        self.network.layout.norm(Some(self.index), names)
    }

    fn normalize<F: Real>(&self, tape: &mut Tape<'_, F>, x: Var, names: Norm) -> Var {
        self.network.normalize(tape, x, Some(self.index), names)
    }

    fn product<F: Real>(&self, tape: &mut Tape<'_, F>, x: Var, name: &str) -> Var {
        self.network.product(tape, x, self.param(name))
    }

    /// The product with a low-rank matrix, stored `[inputs, outputs]`.
    fn product_left<F: Real>(&self, tape: &mut Tape<'_, F>, x: Var, weights: Param) -> Var {
        let x = self.network.rounded(tape, x, weights);
        tape.linear_left(x, weights)
    }

    fn head_size(&self) -> usize {
        self.network.dimensions.head_size()
    }
}
