//! The RWKV versions and the tensors of each. A table per version has the facts of each
//! tensor: name, shape, its part in the image, the values
//! that training begins with, and random ones. Core's list of parts has the
//! bits of each part.
//!
//! Nothing else matches on a tensor's name. Names are those of BlinkDL's
//! files: [`crate::model::Model::new`] begins with those of other dialects,
//! before any table is read.

pub(crate) mod dialects;
pub(crate) mod gguf;
mod gpt;
mod initial;
pub(crate) mod names;
mod random;
mod sizes;
mod stored;
mod v4;
mod v5;
mod v6;
mod v7;

pub use gpt::GPT;
pub use initial::{Depth, Fill};
pub use random::Spread;
pub use sizes::{Dimensions, Size};
use std::f64::consts::LOG2_E;
pub use stored::Stored;
pub(crate) use stored::{complement, turn};

use initial::{ONE, ZERO};
use kinglet::shape;
use names::{EMB, HEAD, LN0, LN1, LN2, LN_OUT};
use std::fmt;

/// An RWKV version, as checkpoints have it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Version {
    /// RWKV-4 "Dove"
    V4,
    /// RWKV-5.0: a matrix state, one decay per head, no gate
    #[value(name = "v5.0")]
    V5,
    /// RWKV-5.1: the same with a gate
    #[value(name = "v5.1")]
    V51,
    /// RWKV-5.2 "Eagle": a decay per channel
    #[value(name = "v5")]
    V52,
    /// RWKV-6 "Finch"
    V6,
    /// RWKV-7 "Goose"
    V7,
}

impl Version {
    /// All of them, the oldest first.
    pub const ALL: [Self; 6] = [Self::V4, Self::V5, Self::V51, Self::V52, Self::V6, Self::V7];

    /// The recurrence that an image of it needs: that of 5.2 serves 5.1.
    pub fn recurrence(self) -> shape::Version {
        match self {
            Self::V4 => shape::Version::V4,
            Self::V5 => shape::Version::V5,
            Self::V51 | Self::V52 => shape::Version::V52,
            Self::V6 => shape::Version::V6,
            Self::V7 => shape::Version::V7,
        }
    }

    /// Whether models of it are still trained: of RWKV-5 the last form.
    pub fn is_trained(self) -> bool {
        !matches!(self, Self::V5 | Self::V51)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::V51 => f.write_str("RWKV-5.1"),
            _ => self.recurrence().fmt(f),
        }
    }
}

/// A tensor: a row of the table.
#[derive(Debug)]
pub struct Tensor {
    /// Its name in a checkpoint, of layers after `blocks.N.`.
    pub name: &'static str,
    /// Another name that it may have.
    pub other_name: Option<&'static str>,
    /// Its shape, but for dimensions of one.
    pub sizes: &'static [Size],
    /// Its part in the image.
    pub stored: Stored,
    /// What the part is multiplied by: `log2(e)` where it goes into an
    /// exponential.
    pub times: f64,
    /// What is added then.
    pub plus: f64,
    /// The initial value for training, in a layer of this depth.
    pub initial: fn(&Depth) -> Fill,
    /// How random values are spread.
    pub random: Spread,
    /// The first layer that reads it.
    pub first_layer: usize,
}

/// The tensors of a version. Random values are drawn, and weights in
/// training laid out, in this order.
#[derive(Debug)]
pub struct Table {
    /// Before those of layers.
    before: &'static [Tensor],
    /// Those of each layer.
    layer: &'static [&'static [Tensor]],
    /// After those of layers.
    after: &'static [Tensor],
    /// The ranks of low-rank matrices where nobody says others.
    pub ranks: Ranks,
    /// The decay of the state.
    pub decay: Decay,
}

/// Ranks of the low-rank matrices of a model of some channels and layers.
#[derive(Clone, Copy, Debug)]
pub struct Ranks {
    /// Those of published models, never above the channels.
    pub published: fn(usize, usize) -> [usize; 4],
    /// Those of a small model that is trained: in proportion to the channels.
    pub trained: fn(usize, usize) -> [usize; 4],
}

/// How fast a state decays, but for what the data add to it.
#[derive(Clone, Copy, Debug)]
pub struct Decay {
    /// The tensor of a layer that says it.
    pub name: &'static str,
    /// What is left of the state after a token, where the tensor has a value.
    pub left: fn(f64) -> f64,
}

/// A tensor of a model: a row, in its layer.
#[derive(Clone, Copy, Debug)]
pub struct Placed {
    /// The layer, if it is a layer's.
    pub layer: Option<usize>,
    /// The row.
    pub tensor: &'static Tensor,
}

impl Placed {
    /// The whole name.
    pub fn name(&self) -> String {
        full_name(self.layer, self.tensor.name)
    }
}

/// The whole name of a tensor.
pub fn full_name(layer: Option<usize>, name: &str) -> String {
    match layer {
        Some(layer) => format!("blocks.{layer}.{name}"),
        None => name.to_owned(),
    }
}

/// Layer and name in a whole name, as [`full_name`] writes it.
pub fn split_name(name: &str) -> (Option<usize>, &str) {
    let in_layer = name.strip_prefix("blocks.");
    let split = in_layer.and_then(|rest| rest.split_once('.'));
    match split.map(|(layer, rest)| (layer.parse(), rest)) {
        Some((Ok(layer), rest)) if full_name(Some(layer), rest) == name => (Some(layer), rest),
        _ => (None, name),
    }
}

/// The table of a version.
pub fn table(version: Version) -> &'static Table {
    match version {
        Version::V4 => &v4::TABLE,
        Version::V5 => &v5::V5,
        Version::V51 => &v5::V51,
        Version::V52 => &v5::V52,
        Version::V6 => &v6::TABLE,
        Version::V7 => &v7::TABLE,
    }
}

impl Table {
    /// The rows of layers.
    pub fn layer_tensors(&self) -> impl Iterator<Item = &'static Tensor> {
        self.layer.iter().copied().flatten()
    }

    /// All tensors of a model of `layers` layers.
    pub fn tensors(&'static self, layers: usize) -> impl Iterator<Item = Placed> {
        let outside = |tensors: &'static [Tensor]| {
            let placed = |tensor| Placed {
                layer: None,
                tensor,
            };
            tensors.iter().map(placed)
        };
        let layer = |layer| {
            let rows = self.layer_tensors();
            let own = rows.filter(move |tensor| layer >= tensor.first_layer);
            own.map(move |tensor| Placed {
                layer: Some(layer),
                tensor,
            })
        };
        outside(self.before)
            .chain((0..layers).flat_map(layer))
            .chain(outside(self.after))
    }

    /// The row of a name as it follows `blocks.N.` in a layer, or of a whole
    /// one outside.
    pub fn find(&'static self, in_layer: bool, name: &str) -> Option<&'static Tensor> {
        let mut tensors = self.tensors_of(in_layer);
        tensors.find(|tensor| tensor.name == name || tensor.other_name == Some(name))
    }

    /// The row that a part of an image is made from; of several matrices
    /// that are one tensor, which.
    ///
    /// # Panics
    /// Core has a part that the table lacks: a test compares them.
    pub fn of_part(&'static self, in_layer: bool, part: &str) -> (&'static Tensor, Option<usize>) {
        self.tensors_of(in_layer)
            .find_map(|tensor| Some((tensor, tensor.part_index(part)?)))
            .unwrap_or_else(|| panic!("no tensor is stored as {part}"))
    }

    /// The mixes of the channel mix: for the key, and for the receptance where
    /// the version has one.
    ///
    /// # Panics
    /// No channel mix: a Transformer's table.
    pub fn channel_mixes(&'static self) -> (&'static Tensor, Option<&'static Tensor>) {
        let one_of = |names: &[&str]| names.iter().find_map(|name| self.find(true, name));
        let key = one_of(&names::ffn::MIX_K).expect("a channel mix");
        (key, one_of(&names::ffn::MIX_R))
    }

    /// How many ranks a model has.
    pub fn rank_count(&self) -> usize {
        let sizes = self.layer_tensors().flat_map(|tensor| tensor.sizes);
        let counts = sizes.map(|size| match size {
            Size::Rank(rank) | Size::FiveRanks(rank) => rank + 1,
            _ => 0,
        });
        counts.max().unwrap_or(0)
    }

    fn tensors_of(&'static self, in_layer: bool) -> impl Iterator<Item = &'static Tensor> {
        let outside = self.before.iter().chain(self.after);
        let outside = (!in_layer).then_some(outside).into_iter().flatten();
        let own = in_layer.then(|| self.layer_tensors());
        outside.chain(own.into_iter().flatten())
    }
}

impl Tensor {
    /// Its shape in a model of such sizes.
    pub fn shape(&self, dimensions: &Dimensions) -> Vec<usize> {
        let sizes = self.sizes.iter();
        sizes.map(|&size| dimensions.size(size)).collect()
    }

    /// Whether it is a matrix of a product; per-head values are a vector.
    pub fn is_matrix(&self) -> bool {
        self.sizes.len() > 1 && self.sizes[0] != Size::Heads
    }

    /// Whether the image's part of this name is made from it; of several
    /// matrices, which.
    fn part_index(&self, part: &str) -> Option<Option<usize>> {
        match self.stored {
            Stored::Folded => None,
            Stored::Slices(parts) => parts.iter().position(|&name| name == part).map(Some),
            Stored::As(name) => (name == part).then_some(None),
            _ => {
                let named = self.name == part || self.other_name == Some(part);
                named.then_some(None)
            }
        }
    }
}

const fn tensor(name: &'static str, sizes: &'static [Size], initial: fn(&Depth) -> Fill) -> Tensor {
    Tensor {
        name,
        other_name: None,
        sizes,
        stored: Stored::Plain,
        times: 1.0,
        plus: 0.0,
        initial,
        random: Spread::Scaled(1.2, 1),
        first_layer: 0,
    }
}

impl Tensor {
    const fn stored(self, stored: Stored) -> Self {
        Self { stored, ..self }
    }

    const fn to_base_2(self) -> Self {
        let times = LOG2_E;
        Self { times, ..self }
    }

    /// The argument of a hyperbolic tangent, which is twice that of an exponential.
    const fn to_tanh(self) -> Self {
        let times = 2.0 * LOG2_E;
        Self { times, ..self }
    }

    const fn random(self, random: Spread) -> Self {
        Self { random, ..self }
    }

    const fn or_named(self, name: &'static str) -> Self {
        let other_name = Some(name);
        Self { other_name, ..self }
    }

    const fn after_first_layer(self) -> Self {
        let first_layer = 1;
        Self {
            first_layer,
            ..self
        }
    }
}

/// A vector of channels.
const fn vector(name: &'static str, initial: fn(&Depth) -> Fill) -> Tensor {
    tensor(name, &[Size::Embd], initial)
}

/// A number for each channel of each head.
const fn per_head_channel(name: &'static str, initial: fn(&Depth) -> Fill) -> Tensor {
    tensor(name, &[Size::Heads, Size::HeadSize], initial)
}

/// The weight of the current token, in RWKV-4 and 5.
const fn mix(name: &'static str, initial: fn(&Depth) -> Fill) -> Tensor {
    vector(name, initial).random(Spread::Mix(0.5, 0.25))
}

/// The weight of the previous token, in RWKV-6 and 7.
const fn mix_previous(name: &'static str, initial: fn(&Depth) -> Fill) -> Tensor {
    mix(name, initial).stored(Stored::Complement)
}

/// A matrix `[outputs, inputs]` of channels.
const fn square(name: &'static str, initial: fn(&Depth) -> Fill) -> Tensor {
    tensor(name, &[Size::Embd, Size::Embd], initial)
}

const fn norm_weight(name: &'static str, initial: fn(&Depth) -> Fill) -> Tensor {
    vector(name, initial).random(Spread::Normal(1.0, 0.15))
}

const fn norm_bias(name: &'static str) -> Tensor {
    vector(name, ZERO).random(Spread::Normal(0.0, 0.1))
}

/// The parts that versions share.
const EMBEDDING: Tensor = tensor(EMB, &[Size::Vocab, Size::Embd], |_| Fill::Flat(1e-4));

const BEFORE: &[Tensor] = &[
    EMBEDDING.stored(Stored::Normalized),
    norm_weight(LN0[0], ONE).stored(Stored::Folded),
    norm_bias(LN0[1]).stored(Stored::Folded),
    norm_weight(LN_OUT[0], ONE),
    norm_bias(LN_OUT[1]),
    tensor(HEAD, &[Size::Outputs, Size::Embd], |_| Fill::Tall(0.5)),
];
const NORM_1: &[Tensor] = &[norm_weight(LN1[0], ONE), norm_bias(LN1[1])];
const NORM_2: &[Tensor] = &[norm_weight(LN2[0], ONE), norm_bias(LN2[1])];

const HEAD_NORM: &[Tensor] = &[
    norm_weight(names::att::LN_X[0], |d| {
        let layer = (1 + d.layer) as f32 / d.layers as f32;
        Fill::Constant(layer.powf(0.7))
    }),
    norm_bias(names::att::LN_X[1]),
];

/// The layer adds nothing yet.
const OUTPUT: &[Tensor] = &[OUTPUT_MATRIX];
const OUTPUT_MATRIX: Tensor = square(names::att::OUTPUT, ZERO);

/// After a gate, which is multiplied by its own argument, to base 2.
const GATED_OUTPUT: &[Tensor] = &[Tensor {
    times: std::f64::consts::LN_2,
    ..OUTPUT_MATRIX
}];

const fn rwkv(layer: &'static [&'static [Tensor]]) -> Table {
    Table {
        before: BEFORE,
        layer,
        after: &[],
        ranks: Ranks {
            published: |_, _| [0; 4],
            trained: |_, _| [0; 4],
        },
        decay: Decay {
            name: names::att::TIME_DECAY,
            left: |value| (-value.exp()).exp(),
        },
    }
}

/// A share of the channels, in steps of eight: the rank of a small model.
fn share(channels: usize, share: usize) -> usize {
    (channels / share).next_multiple_of(8).clamp(8, 64)
}

#[cfg(test)]
mod tests;
