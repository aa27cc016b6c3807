//! The bits of an image's weights, as `quantize` and `train` ask for them.

use crate::pack::Format;
use crate::quantize::Precision;
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

/// The format of one matrix, in a layer or in all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forced {
    /// The layer's index; all layers without one.
    pub layer: Option<usize>,
    /// The part's name.
    pub name: String,
    /// Its format.
    pub format: Format,
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

/// Bytes, KiB or MiB.
pub fn size(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit: u64 = match &text[digits.len()..] {
        "" | "B" => 1,
        "KiB" | "K" | "k" => 1 << 10,
        "MiB" | "M" => 1 << 20,
        unit => return Err(format!("`{unit}` is no unit: use KiB or MiB")),
    };
    let number: u64 = digits.parse().map_err(|_| "not a size".to_owned())?;
    number
        .checked_mul(unit)
        .ok_or_else(|| "too large".to_owned())
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
