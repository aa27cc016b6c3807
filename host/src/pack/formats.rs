//! Which format each matrix of an image has.

use crate::misuse::BadUse;
use anyhow::{ensure, Result};
use kinglet::image::HEADER_BYTES;
use kinglet::shape::{Bits, BitsSet, Dim, Kind, Part, Shape, Version, AFTER_LAYERS, BEFORE_LAYERS};
use kinglet::Image;
use std::collections::BTreeMap;

/// The bits of the weights: defaults, and those of single matrices.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Formats {
    /// Bits of the layers' matrices, but for those of low rank, which have eight.
    pub weights: Bits,
    /// Bits of the embedding.
    pub embedding: Bits,
    /// Bits of the head.
    pub head: Bits,
    /// Bits of the key and value matrices of RWKV-5 to 7, whose products enter a
    /// matrix state, where an error stays for many tokens; RWKV-4's are those of the
    /// other matrices.
    pub keys: Bits,
    /// Other formats of single matrices, by layer and name; of all layers where there
    /// is none. See [`Formats::set`].
    pub forced: BTreeMap<(Option<usize>, String), Format>,
}

/// The format of a matrix, and of the vectors that it is multiplied with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Format {
    /// Bits of a weight.
    pub bits: Bits,
    /// Whether vectors have 16 bits, not eight.
    pub fine: bool,
}

impl Format {
    /// What the name of a format with vectors of 16 bits ends with.
    const FINE: &str = "x16";

    /// As options and tables call it: `int4`, or `int4x16` with vectors of 16 bits.
    pub fn name(self) -> String {
        let vectors = if self.fine { Self::FINE } else { "" };
        self.bits.name().to_owned() + vectors
    }

    /// The format of this name.
    pub fn named(name: &str) -> Option<Self> {
        let (weights, fine) = match name.strip_suffix(Self::FINE) {
            Some(weights) => (weights, true),
            None => (name, false),
        };
        let bits = Bits::ALL.into_iter().find(|bits| bits.name() == weights)?;
        Some(Self { bits, fine })
    }
}

impl From<Bits> for Format {
    /// With vectors of eight bits.
    fn from(bits: Bits) -> Self {
        Self { bits, fine: false }
    }
}

impl Formats {
    /// Eight bits everywhere.
    pub const INT8: Self = Self::of(Bits::Int8);

    /// These bits in the layers, eight in embedding, head, keys and values.
    pub const fn of(weights: Bits) -> Self {
        Self {
            weights,
            embedding: Bits::Int8,
            head: Bits::Int8,
            keys: Bits::Int8,
            forced: BTreeMap::new(),
        }
    }

    /// These bits in all matrices but those of low rank.
    pub const fn all(bits: Bits) -> Self {
        Self {
            weights: bits,
            embedding: bits,
            head: bits,
            keys: bits,
            forced: BTreeMap::new(),
        }
    }

    /// Gives a matrix this format, whatever the others have: that of a layer, or those
    /// of all layers; the name is as [`Part::name`], `ffn.value.weight`. A layer's own
    /// choice is before that of all layers.
    pub fn set(&mut self, layer: Option<usize>, name: &str, format: impl Into<Format>) {
        self.forced.insert((layer, name.to_owned()), format.into());
    }

    /// The format of a part; eight bits of a vector, which has no weights.
    pub fn format(&self, version: Version, layer: Option<usize>, part: &Part) -> Format {
        let forced = |layer| self.forced.get(&(layer, part.name.to_owned()));
        let default = match Class::of(version, layer, part) {
            Class::Vector | Class::LowRank => return Bits::Int8.into(),
            Class::Embedding => self.embedding,
            Class::Head => self.head,
            Class::Keys => self.keys,
            Class::Weights => self.weights,
        };
        let forced = forced(layer).or_else(|| forced(None));
        forced.copied().unwrap_or(default.into())
    }

    /// Every matrix that was named is one of the model's, and has the format.
    ///
    /// # Errors
    /// A sentence that names the matrix and those there are.
    pub(super) fn check(&self, parts: &[StoredPart]) -> Result<()> {
        for (layer, name) in self.forced.keys() {
            let is_it = |part: &&StoredPart| {
                part.part.name == name && (layer.is_none() || *layer == part.layer)
            };
            let mut chosen = parts.iter().filter(|part| part.has_choice());
            ensure!(
                chosen.any(|part| is_it(&part)),
                BadUse(format!(
                    "the model has no matrix `{}{}` whose format can be chosen; there are {}",
                    layer.map_or(String::new(), |layer| format!("blocks.{layer}.")),
                    name.trim_end_matches(".weight"),
                    choices(parts).join(", ").replace(".weight", "")
                ))
            );
        }
        ensure!(
            !parts
                .iter()
                .any(|part| part.fine && part.product().is_none()),
            BadUse(format!(
                "the embedding is read, not multiplied with a vector: give it a format without `{}`",
                Format::FINE
            ))
        );
        Ok(())
    }
}

/// The names of the matrices that have a choice, in stored order, each once.
pub fn choices(parts: &[StoredPart]) -> Vec<&'static str> {
    let mut names: Vec<&str> = Vec::new();
    for part in parts.iter().filter(|part| part.has_choice()) {
        if !names.contains(&part.part.name) {
            names.push(part.part.name);
        }
    }
    names
}

/// What the format of a part depends on where nobody named it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// It has no weights.
    Vector,
    /// It always has eight bits.
    LowRank,
    /// [`Formats::embedding`].
    Embedding,
    /// [`Formats::head`].
    Head,
    /// [`Formats::keys`].
    Keys,
    /// [`Formats::weights`].
    Weights,
}

impl Class {
    /// The class of a part of a layer, or of one outside.
    pub fn of(version: Version, layer: Option<usize>, part: &Part) -> Self {
        let is_key = matches!(part.name, "att.key.weight" | "att.value.weight");
        match part.kind {
            Kind::Factors(_) | Kind::Mix(_) | Kind::Fixed(_) => Self::Vector,
            Kind::LowRank(..) => Self::LowRank,
            Kind::Table(..) => Self::Embedding,
            Kind::Matrix(..) if layer.is_none() => Self::Head,
            Kind::Matrix(..) if is_key && version.has_heads() => Self::Keys,
            Kind::Matrix(..) => Self::Weights,
        }
    }
}

/// A part of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoredPart {
    /// The layer's index; `None` outside the layers.
    pub layer: Option<usize>,
    /// The part.
    pub part: Part,
    /// The bits of its weights; eight where it has none.
    pub bits: Bits,
    /// Whether the vectors that it is multiplied with have 16 bits.
    pub fine: bool,
}

impl StoredPart {
    /// Outputs and inputs of a matrix that vectors are multiplied with.
    pub fn product(&self) -> Option<(Dim, Dim)> {
        match self.part.kind {
            Kind::Matrix(rows, cols) | Kind::LowRank(rows, cols) => Some((rows, cols)),
            Kind::Factors(_) | Kind::Mix(_) | Kind::Fixed(_) | Kind::Table(..) => None,
        }
    }

    /// Its name in options and recipes: `head`, `blocks.3.ffn.value`.
    pub fn short_name(&self) -> String {
        let layer = self.layer.map(|layer| format!("blocks.{layer}."));
        layer.unwrap_or_default() + self.part.name.trim_end_matches(".weight")
    }

    /// Whether [`Formats::set`] may name it.
    pub fn has_choice(&self) -> bool {
        matches!(self.part.kind, Kind::Matrix(..) | Kind::Table(..))
    }

    /// The name of its format.
    pub fn format_name(&self) -> String {
        match self.part.kind {
            Kind::Factors(_) | Kind::Mix(_) => "i16".to_owned(),
            Kind::Fixed(_) => "i32".to_owned(),
            _ => self.format().name(),
        }
    }

    /// The same part in another format.
    pub fn with(self, Format { bits, fine }: Format) -> Self {
        Self { bits, fine, ..self }
    }

    /// Its format, of a matrix.
    pub fn format(&self) -> Format {
        let Self { bits, fine, .. } = *self;
        Format { bits, fine }
    }
}

/// All parts in stored order, those of layers with the layer's index.
fn parts_of(shape: &Shape) -> impl Iterator<Item = (Option<usize>, Part)> {
    let outside = |parts: &'static [Part]| parts.iter().map(|&part| (None, part));
    let shape = *shape;
    let layer = move |index: u32| {
        let parts = shape.layer_parts(index).iter().copied().flatten();
        parts.map(move |&part| (Some(index as usize), part))
    };
    outside(BEFORE_LAYERS)
        .chain((0..shape.n_layer).flat_map(layer))
        .chain(outside(AFTER_LAYERS))
}

/// All parts in stored order, with the bits that are chosen.
pub fn stored_parts(shape: &Shape, formats: &Formats) -> Vec<StoredPart> {
    let stored = |(layer, part)| {
        let format = formats.format(shape.version, layer, &part);
        let stored = StoredPart {
            layer,
            part,
            bits: Bits::Int8,
            fine: false,
        };
        stored.with(format)
    };
    parts_of(shape).map(stored).collect()
}

/// All parts of an image in stored order.
pub fn image_parts(image: &Image<'_>) -> Vec<StoredPart> {
    let mut from = image.parts();
    let stored = |(layer, part): (Option<usize>, Part)| {
        let (bits, fine) = match part.kind {
            Kind::Factors(dim) | Kind::Mix(dim) => {
                from.factors(dim);
                (Bits::Int8, false)
            }
            Kind::Fixed(dim) => {
                from.fixed(dim);
                (Bits::Int8, false)
            }
            Kind::Matrix(rows, cols) | Kind::LowRank(rows, cols) => {
                let matrix = from.matrix(rows, cols);
                (matrix.bits, matrix.is_fine())
            }
            Kind::Table(rows, cols) => (from.table(rows, cols).bits, false),
        };
        StoredPart {
            layer,
            part,
            bits,
            fine,
        }
    };
    parts_of(image.shape()).map(stored).collect()
}

/// The formats of the matrices that vectors are multiplied with.
pub fn formats_of(parts: &[StoredPart]) -> BitsSet {
    let matrices = parts.iter().filter(|part| part.product().is_some());
    matrices.fold(BitsSet::EMPTY, |set, part| {
        let set = set.with(part.bits);
        if part.fine {
            set.with_fine()
        } else {
            set
        }
    })
}

/// Bytes of a header and of these parts.
pub fn parts_bytes(shape: &Shape, parts: &[StoredPart]) -> u64 {
    let bytes = |part: &StoredPart| part.part.kind.bytes(shape, part.bits);
    HEADER_BYTES as u64 + parts.iter().map(bytes).sum::<u64>()
}

#[cfg(test)]
mod tests {
    use super::*;

    const VALUE: Part = Part {
        name: "att.value.weight",
        kind: Kind::Matrix(Dim::Embd, Dim::Embd),
    };

    #[test]
    fn what_is_named_comes_before_defaults() {
        let mut formats = Formats::of(Bits::Int4);
        let bits = |formats: &Formats, layer| formats.format(Version::V5, Some(layer), &VALUE).bits;
        assert_eq!(bits(&formats, 0), Bits::Int8);
        formats.set(None, VALUE.name, Bits::Int4);
        formats.set(Some(1), VALUE.name, Bits::Int8);
        assert_eq!(
            [0, 1, 2].map(|layer| bits(&formats, layer)),
            [Bits::Int4, Bits::Int8, Bits::Int4]
        );
    }

    /// Only products with a matrix state have a choice of their own.
    #[test]
    fn keys_are_those_of_a_matrix_state() {
        let formats = Formats::of(Bits::Int4);
        let bits = |version| formats.format(version, Some(0), &VALUE).bits;
        assert_eq!(
            [Version::V4, Version::V7].map(bits),
            [Bits::Int4, Bits::Int8]
        );
    }
}
