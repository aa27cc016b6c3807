//! The bits of an image's weights, as users of `quantize` and `train` choose them.

use super::{Format, Formats, StoredPart};
use crate::quantize::Precision;
use kinglet::shape::Bits;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Bits of what is not like the layers' other matrices.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Precisions {
    /// Precision of the head [default: int8; of `train` that of --qat]
    #[arg(long, value_enum)]
    pub head: Option<Precision>,
    /// Precision of the embedding [default: int8]
    #[arg(long, value_enum)]
    pub embedding: Option<Precision>,
    /// Precision of the key and value matrices of RWKV-5 to 7, whose errors
    /// stay in the state [default: int8]
    #[arg(long, value_enum)]
    pub keys: Option<Precision>,
    /// Format of one matrix of all layers, or of a single one
    /// (blocks.3.ffn.value=int4); may be repeated. An image may also have int8x16 and its
    /// like, which read vectors of 16 bits in twice the instructions
    #[arg(long, value_name = "NAME=FORMAT")]
    pub force: Vec<Forced>,
}

impl Precisions {
    /// The formats of an image whose layers have `weights`, and its head `head`, but for
    /// what was chosen.
    pub fn formats(&self, weights: Precision, head: Precision) -> Formats {
        let bits = |asked: Option<Precision>| asked.map_or(Bits::Int8, Bits::from);
        let mut formats = Formats {
            embedding: bits(self.embedding),
            head: self.head.unwrap_or(head).into(),
            keys: bits(self.keys),
            ..Formats::of(weights.into())
        };
        for forced in &self.force {
            forced.set(&mut formats);
        }
        formats
    }
}

/// The format of one matrix, in a layer or in all.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Forced {
    /// The layer's index; all layers without one.
    pub layer: Option<usize>,
    /// The part's name.
    pub name: String,
    /// Its format.
    pub format: Format,
}

impl Forced {
    /// Gives the matrix its format.
    pub fn set(&self, formats: &mut Formats) {
        formats.set(self.layer, &self.name, self.format);
    }

    /// Whether it names this part.
    pub fn names(&self, part: &StoredPart) -> bool {
        self.name == part.part.name && (self.layer.is_none() || self.layer == part.layer)
    }
}

/// As the option has it.
impl fmt::Display for Forced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(layer) = self.layer {
            write!(f, "blocks.{layer}.")?;
        }
        let name = self.name.trim_end_matches(".weight");
        write!(f, "{name}={}", self.format.name())
    }
}

impl From<Forced> for String {
    fn from(forced: Forced) -> Self {
        forced.to_string()
    }
}

impl TryFrom<String> for Forced {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl FromStr for Forced {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let form = "write NAME=FORMAT, such as ffn.value=int4 or blocks.3.ffn.value=int8";
        let (name, format) = text.split_once('=').ok_or(form)?;
        let format = Format::named(format).ok_or_else(|| {
            let names = Bits::ALL.map(Bits::name).join(", ");
            format!("`{format}` is not a format: take one of {names}, or one of these with x16 at its end")
        })?;
        let (layer, name) = match name.strip_prefix("blocks.") {
            None => (None, name),
            Some(rest) => {
                let (layer, name) = rest.split_once('.').ok_or(form)?;
                (Some(layer.parse().map_err(|_| form)?), name)
            }
        };
        Ok(Self {
            layer,
            name: format!("{}.weight", name.trim_end_matches(".weight")),
            format,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matrices_are_named_with_or_without_a_layer() {
        let forced = |text: &str| {
            text.parse::<Forced>()
                .map(|f| (f.layer, f.name, f.format.name()))
        };
        let value = || "ffn.value.weight".to_owned();
        assert_eq!(
            forced("ffn.value=int4"),
            Ok((None, value(), "int4".to_owned()))
        );
        let third = Ok((Some(3), value(), "int8x16".to_owned()));
        assert_eq!(forced("blocks.3.ffn.value.weight=int8x16"), third);
        for text in ["ffn.value=int4x16", "blocks.3.ffn.value=int6"] {
            let forced: Forced = text.parse().expect("a matrix and a format");
            assert_eq!(forced.to_string(), text);
        }
        for bad in [
            "ffn.value=x16",
            "ffn.value",
            "ffn.value=int5",
            "blocks.x.ffn.value=int4",
            "blocks.3=int4",
        ] {
            assert!(forced(bad).is_err(), "{bad}");
        }
    }
}
