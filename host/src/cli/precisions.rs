//! The bits of an image's weights, as `quantize` and `train` ask for them.

use crate::quantize::Precision;
use clap::ValueEnum;
use kinglet::shape::Bits;
use std::str::FromStr;

/// Bits of what is not like the layers' other matrices.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct Precisions {
    /// Precision of the head [default: int8; of a training that of --qat]
    #[arg(long, value_enum)]
    pub head: Option<Precision>,
    /// Precision of the embedding [default: int8]
    #[arg(long, value_enum)]
    pub embedding: Option<Precision>,
    /// Precision of the key and value matrices of RWKV-5 to 7, whose errors
    /// stay in the state [default: int8]
    #[arg(long, value_enum)]
    pub keys: Option<Precision>,
}

/// The precision of one matrix, in a layer or in all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forced {
    /// The layer's index; all layers without one.
    pub layer: Option<usize>,
    /// The part's name.
    pub name: String,
    /// Bits of its weights.
    pub bits: Bits,
}

impl FromStr for Forced {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let form = "write NAME=PRECISION, such as ffn.value=int4 or blocks.3.ffn.value=int8";
        let (name, precision) = text.split_once('=').ok_or(form)?;
        let bits = Precision::from_str(precision, false).map_err(|_| {
            let names = Bits::ALL.map(Bits::name).join(", ");
            format!("`{precision}` is not a precision: take one of {names}")
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
            bits: bits.into(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matrices_are_named_with_or_without_a_layer() {
        let forced = |text: &str| text.parse::<Forced>().map(|f| (f.layer, f.name, f.bits));
        let value = || "ffn.value.weight".to_owned();
        assert_eq!(forced("ffn.value=int4"), Ok((None, value(), Bits::Int4)));
        let third = Ok((Some(3), value(), Bits::Int8));
        assert_eq!(forced("blocks.3.ffn.value.weight=int8"), third);
        for bad in [
            "ffn.value",
            "ffn.value=int5",
            "blocks.x.ffn.value=int4",
            "blocks.3=int4",
        ] {
            assert!(forced(bad).is_err(), "{bad}");
        }
    }
}
