//! The parts of a token: its instructions by kind of work.

use super::kernels::Costs;
use anyhow::{bail, Result};
use serde::{Deserialize, Serialize};

/// The instructions of a token by the kind of work; their sum is the token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parts {
    /// Products of the layers' matrices with vectors, scales included.
    pub products: u64,
    /// What no other part counts: token shift, weighted average, activation
    /// functions, residuals, embedding.
    pub elementwise: u64,
    /// Layer norms.
    pub norms: u64,
    /// Quantizing and arranging the vectors of the layers' products.
    pub quantization: u64,
    /// The product that gives the logits, and the quantization of its vector.
    pub head: u64,
    /// Choosing the likeliest token.
    pub sampling: u64,
}

impl Parts {
    /// All of them, with their names.
    pub fn named(&self) -> [(&'static str, u64); 6] {
        [
            ("products", self.products),
            ("elementwise", self.elementwise),
            ("norms", self.norms),
            ("quantization", self.quantization),
            ("head", self.head),
            ("sampling", self.sampling),
        ]
    }
}

/// What `kinglet inspect` says about an image.
#[derive(Debug, Deserialize)]
pub struct Shape {
    layers: u32,
    channels: u32,
    ffn: u32,
    vocab: u32,
    weight_bits: u32,
    head_bits: u32,
}

/// Instructions of products, and of preparing their vectors.
#[derive(Clone, Copy, Debug, Default)]
pub struct Multiplied {
    pub products: u64,
    pub quantization: u64,
}

/// How often a token needs a product; each has its own vector.
struct Product {
    times: u64,
    bits: u32,
    shape: (u32, u32),
}

impl Product {
    fn macs(&self) -> u64 {
        self.times * u64::from(self.shape.0) * u64::from(self.shape.1)
    }

    /// Nothing if such a product has not been counted.
    fn cost(&self, costs: &Costs) -> Option<Multiplied> {
        let mut costs = costs.products.iter();
        let cost = costs.find(|cost| (cost.bits, cost.shape) == (self.bits, self.shape))?;
        Some(Multiplied {
            products: self.times * cost.scaled,
            quantization: self.times * cost.prepare,
        })
    }
}

impl Shape {
    fn layers(&self) -> [Product; 3] {
        let layers = u64::from(self.layers);
        let product = |times, shape| Product {
            times,
            bits: self.weight_bits,
            shape,
        };
        [
            // Key, value, receptance and output of the time mix, receptance
            // of the channel mix.
            product(5 * layers, (self.channels, self.channels)),
            product(layers, (self.ffn, self.channels)),
            product(layers, (self.channels, self.ffn)),
        ]
    }

    fn head(&self) -> Product {
        Product {
            times: 1,
            bits: self.head_bits,
            shape: (self.vocab, self.channels),
        }
    }

    /// Multiply-adds of all products of a token.
    pub fn macs(&self) -> u64 {
        let layers: u64 = self.layers().iter().map(Product::macs).sum();
        layers + self.head().macs()
    }

    /// The instructions of the products of all layers, and of the head's.
    pub fn multiplied(&self, costs: &Costs) -> Option<(Multiplied, Multiplied)> {
        let mut all = Multiplied::default();
        for product in self.layers() {
            let cost = product.cost(costs)?;
            all.products += cost.products;
            all.quantization += cost.quantization;
        }
        Some((all, self.head().cost(costs)?))
    }

    /// The parts of a token that takes `total` instructions; nothing if one of
    /// them has not been counted.
    ///
    /// # Errors
    /// The parts that were counted are more than the whole.
    pub fn parts(&self, total: u64, costs: &Costs) -> Result<Option<Parts>> {
        let Some((layers, head)) = self.multiplied(costs) else {
            return Ok(None);
        };
        let norm = costs.norms.get(&self.channels);
        let (Some(norm), Some(&sampling)) = (norm, costs.greedy.get(&self.vocab)) else {
            return Ok(None);
        };
        let mut parts = Parts {
            products: layers.products,
            elementwise: 0,
            // Two for each layer, and one in front of the head.
            norms: (2 * u64::from(self.layers) + 1) * norm,
            quantization: layers.quantization,
            head: head.products + head.quantization,
            sampling,
        };
        let counted: u64 = parts.named().iter().map(|(_, part)| part).sum();
        let Some(rest) = total.checked_sub(counted) else {
            bail!("a token takes {total} instructions, but its parts {counted}")
        };
        parts.elementwise = rest;
        Ok(Some(parts))
    }
}

#[cfg(test)]
mod tests {
    use super::super::kernels::Cost;
    use super::*;

    const DEMO: Shape = Shape {
        layers: 4,
        channels: 128,
        ffn: 512,
        vocab: 256,
        weight_bits: 4,
        head_bits: 8,
    };

    fn costs() -> Costs {
        let cost = |bits, shape, scaled, prepare| Cost {
            bits,
            shape,
            scaled,
            prepare,
        };
        Costs {
            products: vec![
                cost(4, (128, 128), 100, 10),
                cost(8, (128, 128), 1_000_000, 1_000_000),
                cost(4, (512, 128), 400, 20),
                cost(4, (128, 512), 500, 30),
                cost(8, (256, 128), 300, 40),
            ],
            norms: [(128, 7)].into(),
            greedy: [(256, 9)].into(),
        }
    }

    #[test]
    fn products_of_the_demo_model_are_its_matrices() {
        assert_eq!(DEMO.macs(), 4 * (5 * 128 * 128 + 2 * 128 * 512) + 256 * 128);
    }

    #[test]
    fn the_parts_are_the_whole() {
        let parts = DEMO.parts(10_000, &costs()).unwrap().unwrap();
        let expected = Parts {
            products: 4 * (5 * 100 + 400 + 500),
            elementwise: 10_000 - 5_600 - 63 - 400 - 340 - 9,
            norms: 9 * 7,
            quantization: 4 * (5 * 10 + 20 + 30),
            head: 340,
            sampling: 9,
        };
        assert_eq!(parts, expected);
        let sum: u64 = parts.named().iter().map(|(_, part)| part).sum();
        assert_eq!(sum, 10_000);
    }

    #[test]
    fn no_part_is_negative() {
        let refusal = DEMO.parts(6_411, &costs()).unwrap_err().to_string();
        assert!(refusal.contains("6412"), "{refusal}");
        let parts = DEMO.parts(6_412, &costs()).unwrap().unwrap();
        assert_eq!(parts.elementwise, 0);
    }

    #[test]
    fn what_was_not_counted_is_not_guessed() {
        let mut costs = costs();
        costs.norms.clear();
        assert_eq!(DEMO.parts(10_000, &costs).unwrap(), None);
        costs.products.pop();
        assert!(DEMO.multiplied(&costs).is_none());
    }
}
