//! The instructions of a token, predicted from an image's header.
//!
//! A token is the sum of its matrix products, whose costs the bench firmware
//! counts one by one, and of the rest, whose coefficients are fitted to whole
//! tokens of random models: one for each kind of work
//! ([`TERMS`]). All coefficients are measured in QEMU by
//! `cargo xtask bench --coefficients`, which prints `cores.toml`.

use super::{packed_for, Planned};
use crate::pack::{Format, StoredPart};
use kinglet::shape::{round_up, Layout, Shape, StateFormat, BLOCK_ROWS, FINE_COLS};
use kinglet_targets::Core;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The measured coefficients.
const MEASURED: &str = include_str!("cores.toml");

/// A matrix whose product with a vector a token needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Product {
    /// Weights and vector.
    pub format: Format,
    /// Outputs.
    pub rows: usize,
    /// Inputs.
    pub cols: usize,
}

/// Instructions of products with matrices of one precision.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProductCosts {
    /// Per multiply-add; rows and columns are padded as in the image.
    pub mac: f64,
    /// Per row.
    pub row: f64,
    /// Per column of the vector, to quantize it.
    pub column: f64,
    /// Per product, with the preparation of its vector.
    pub product: f64,
}

impl ProductCosts {
    /// The counts of a product: multiply-adds, rows.
    pub fn sizes(layout: Layout, product: Product) -> (f64, f64) {
        let step = product.format.bits.step_cols(layout);
        let rows = round_up(product.rows, BLOCK_ROWS) as f64;
        (rows * round_up(product.cols, step) as f64, rows)
    }

    fn of(&self, layout: Layout, product: Product) -> f64 {
        let (macs, rows) = Self::sizes(layout, product);
        self.mac * macs + self.row * rows + self.column * product.cols as f64 + self.product
    }
}

/// The kinds of work beside the products, in the order of [`terms`].
pub const TERMS: [&str; 10] = [
    "layer",
    "layer_channel",
    "layer_hidden",
    "layer_rank",
    "layer_head",
    "layer_state_i16",
    "layer_state_i8",
    "channel",
    "vocab",
    "token",
];

/// How often a token needs each kind of work.
pub fn terms(shape: &Shape) -> [f64; TERMS.len()] {
    let layers = f64::from(shape.n_layer);
    let channels = f64::from(shape.n_embd);
    let ranks: u32 = shape.ranks.iter().map(|&rank| u32::from(rank)).sum();
    let state = layers * channels * shape.head_size() as f64;
    let (i16, i8) = match shape.state {
        StateFormat::I16 => (state, 0.0),
        StateFormat::I8 => (0.0, state),
    };
    [
        layers,
        layers * channels,
        layers * f64::from(shape.n_ffn),
        layers * f64::from(ranks),
        layers * f64::from(shape.n_head),
        i16,
        i8,
        channels,
        f64::from(shape.outputs()),
        1.0,
    ]
}

/// The products of a token, the head's last.
pub fn products<'p>(
    shape: &'p Shape,
    parts: &'p [StoredPart],
) -> impl Iterator<Item = Product> + 'p {
    parts.iter().filter_map(|part| {
        let (rows, cols) = part.product()?;
        Some(Product {
            format: part.format(),
            rows: shape.dim(rows),
            cols: shape.dim(cols),
        })
    })
}

/// All coefficients of a core.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CoreCosts {
    /// Products with matrices of a format, by its name. With vectors of 16 bits, where they
    /// are not there or have more than [`FINE_COLS`] columns, twice those with eight bits.
    pub products: BTreeMap<String, ProductCosts>,
    /// Instructions of each of [`TERMS`], by the version's name; those that
    /// are not there cost nothing.
    pub rest: BTreeMap<String, BTreeMap<String, f64>>,
}

impl CoreCosts {
    /// Instructions of all products of a token; nothing where a precision was
    /// not measured.
    pub fn of_products(&self, shape: &Shape, parts: &[StoredPart]) -> Option<f64> {
        let cost = |product: Product| {
            let Format { bits, fine } = product.format;
            let counted = self.products.get(&product.format.name());
            let at_once = !fine || product.cols <= FINE_COLS;
            match counted.filter(|_| at_once) {
                Some(costs) => Some(costs.of(shape.layout, product)),
                None => Some(2.0 * self.products.get(bits.name())?.of(shape.layout, product)),
            }
        };
        products(shape, parts).map(cost).sum()
    }
}

/// The coefficients of all cores, by name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Costs(BTreeMap<String, CoreCosts>);

impl Costs {
    /// The measured coefficients; nothing if `cores.toml` cannot be read, which a
    /// test rules out.
    pub fn measured() -> Option<Self> {
        toml::from_str(MEASURED).ok()
    }

    /// The coefficients of a core.
    pub fn of(&self, core: &Core) -> Option<&CoreCosts> {
        self.0.get(core.first_of_code().name)
    }

    /// Instructions of a generated token, the likeliest, its choice included;
    /// nothing where the core or the version was not measured.
    pub fn token(&self, core: &Core, image: &Planned) -> Option<u64> {
        let shape = &packed_for(&image.shape, core);
        let costs = self.of(core)?;
        let rest = costs.rest.get(&shape.version.to_string())?;
        let cost = |name: &str| rest.get(name).copied().unwrap_or(0.0);
        let terms = terms(shape).into_iter().zip(TERMS);
        let rest: f64 = terms.map(|(count, name)| count * cost(name)).sum();
        let products = costs.of_products(shape, &image.parts)?;
        Some((products + rest).round() as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensors::Version;
    use kinglet::shape::Bits;
    use kinglet_targets::CORES;

    #[test]
    fn every_core_and_version_was_measured() {
        let costs: Costs = toml::from_str(MEASURED).unwrap();
        for core in CORES {
            let core = core.first_of_code().name;
            let costs = &costs.0[core];
            for bits in Bits::ALL {
                assert!(costs.products[bits.name()].mac > 0.0);
            }
            for version in Version::ALL {
                let version = version.recurrence().to_string();
                let rest = &costs.rest[&version];
                assert!(rest.keys().all(|key| TERMS.contains(&key.as_str())));
                assert!(rest["layer_channel"] > 0.0, "{core} {version}");
            }
        }
    }

    #[test]
    fn a_product_is_padded_as_its_image() {
        let sizes = |layout, bits: Bits| {
            let (rows, cols) = (5, 33);
            let product = Product {
                format: bits.into(),
                rows,
                cols,
            };
            ProductCosts::sizes(layout, product)
        };
        let [wide, .., narrow] = Bits::ALL;
        assert_eq!(sizes(Layout::Rows4, wide), (8.0 * 36.0, 8.0));
        assert_eq!(sizes(Layout::Lanes16, wide), (8.0 * 48.0, 8.0));
        assert_eq!(sizes(Layout::Pairs, narrow), (8.0 * 64.0, 8.0));
    }
}
