//! Tokens: what a whole step of a model costs, and what of it are products.

use super::kernels::Cost;
use super::Results;
use crate::prompt::Sampling;
use crate::qemu::prepare;
use crate::table::thousands;
use crate::workspace::{build_kinglet, output, root, target_dir};
use anyhow::{Context, Result};
use kinglet_protocol::Machine;
use serde::{Deserialize, Serialize};
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Tokens that are generated; the median counts.
const TOKENS: u32 = 7;

/// What a token costs.
#[derive(Debug, Serialize, Deserialize)]
pub struct Tokens {
    pub core: String,
    pub machine: String,
    pub model: String,
    pub weights: String,
    pub instructions_per_token: u64,
    pub matrix_macs: u64,
    pub instructions_per_mac: f64,
    /// Products of matrices with vectors, from the counts of the kernels.
    pub matrix_instructions: Option<u64>,
    /// Quantizing and arranging vectors, likewise.
    pub prepare_instructions: Option<u64>,
    /// All else: norms, element-wise work, embedding, sampling.
    pub other_instructions: Option<u64>,
}

/// What `kinglet inspect` says about an image.
#[derive(Debug, Deserialize)]
struct Shape {
    layers: u32,
    channels: u32,
    ffn: u32,
    vocab: u32,
    weight_bits: u32,
    head_bits: u32,
}

/// The products of a token: how often, with how many bits, rows and columns,
/// and how many vectors are prepared for them.
struct Product {
    times: u64,
    bits: u32,
    shape: (u32, u32),
    vectors: u64,
}

impl Shape {
    fn products(&self) -> [Product; 4] {
        let layers = u64::from(self.layers);
        let (channels, ffn) = (self.channels, self.ffn);
        let product = |times, shape, vectors| Product {
            times,
            bits: self.weight_bits,
            shape,
            vectors,
        };
        [
            // Key, value, receptance and output of the time mix, receptance
            // of the channel mix: each has a vector of its own.
            product(5 * layers, (channels, channels), 5 * layers),
            product(layers, (ffn, channels), layers),
            product(layers, (channels, ffn), layers),
            Product {
                bits: self.head_bits,
                ..product(1, (self.vocab, channels), 1)
            },
        ]
    }

    fn macs(&self) -> u64 {
        let macs = |p: &Product| p.times * u64::from(p.shape.0) * u64::from(p.shape.1);
        self.products().iter().map(macs).sum()
    }

    /// Instructions of all products and of all preparations, if all shapes
    /// have been counted.
    fn instructions(&self, costs: &[Cost]) -> Option<(u64, u64)> {
        let (mut matrix, mut prepare) = (0, 0);
        for product in self.products() {
            let cost = costs
                .iter()
                .find(|cost| cost.bits == product.bits && cost.shape == product.shape)?;
            matrix += product.times * cost.scaled;
            prepare += product.vectors * cost.prepare;
        }
        Some((matrix, prepare))
    }
}

/// Runs all models on a machine.
pub fn measure(machine: &'static Machine, costs: &[Cost], results: &mut Results) -> Result<()> {
    let kinglet = build_kinglet()?;
    let folder = target_dir().join("bench");
    std::fs::create_dir_all(&folder)
        .with_context(|| format!("cannot create {}", folder.display()))?;
    for (model, checkpoint) in checkpoints(&kinglet, &folder)? {
        for weights in ["int4", "int8"] {
            let target = machine.layout_target;
            let image = folder.join(format!("{model}-{weights}-{target}.kgl"));
            pack(&kinglet, &checkpoint, &image, weights, target)?;
            let tokens = run(machine, &kinglet, &image, costs)?;
            results.tokens.push(Tokens {
                model: model.into(),
                weights: weights.into(),
                ..tokens
            });
        }
    }
    Ok(())
}

/// The demo model, and a random one that is about twice as large.
fn checkpoints(kinglet: &Path, folder: &Path) -> Result<[(&'static str, PathBuf); 2]> {
    let synthetic = folder.join("synthetic.safetensors");
    output(
        Command::new(kinglet)
            .args(["synth", "--layers", "4", "--channels", "192"])
            .args(["--vocab", "512", "-o"])
            .arg(&synthetic),
    )?;
    let demo = root().join("models/stories-bytes.safetensors");
    Ok([("stories-bytes", demo), ("synthetic-4x192", synthetic)])
}

fn pack(kinglet: &Path, from: &Path, to: &Path, weights: &str, target: &str) -> Result<()> {
    output(
        Command::new(kinglet)
            .arg("quantize")
            .arg(from)
            .args(["--weights", weights, "--target", target, "-o"])
            .arg(to),
    )?;
    Ok(())
}

fn run(machine: &'static Machine, kinglet: &Path, image: &Path, costs: &[Cost]) -> Result<Tokens> {
    let inspected = output(Command::new(kinglet).args(["inspect", "--json"]).arg(image))?;
    let shape: Shape = serde_json::from_str(&inspected)?;
    let emulator = prepare(machine, image, true)?;
    let request = Sampling::greedy(TOKENS).request(b"", false)?;
    let answer = emulator.ask(&request, Vec::new(), &mut |_| Ok(()))?;
    let mut counts: Vec<u64> = answer.tokens.iter().map(|t| t.instructions).collect();
    counts.sort_unstable();
    let total = counts
        .get(counts.len() / 2)
        .copied()
        .context("no token was generated")?;
    let split = shape.instructions(costs);
    let macs = shape.macs();
    Ok(Tokens {
        core: machine.core.into(),
        machine: machine.name.into(),
        model: String::new(),
        weights: String::new(),
        instructions_per_token: total,
        matrix_macs: macs,
        instructions_per_mac: (total as f64 / macs as f64 * 10_000.0).round() / 10_000.0,
        matrix_instructions: split.map(|(matrix, _)| matrix),
        prepare_instructions: split.map(|(_, prepare)| prepare),
        other_instructions: split.map(|(matrix, prepare)| total.saturating_sub(matrix + prepare)),
    })
}

/// A row for each model and machine.
pub fn markdown(results: &Results, text: &mut String) -> Result<()> {
    writeln!(
        text,
        "\n| core | model | weights | instructions per token | per multiply-add | \
         products | preparation | the rest |\n|---|---|---|---:|---:|---:|---:|---:|"
    )?;
    for tokens in &results.tokens {
        let Tokens {
            core,
            model,
            weights,
            instructions_per_mac,
            ..
        } = tokens;
        let total = thousands(tokens.instructions_per_token);
        let part = |part: Option<u64>| part.map_or_else(String::new, thousands);
        let (matrix, prepare) = (
            part(tokens.matrix_instructions),
            part(tokens.prepare_instructions),
        );
        let other = part(tokens.other_instructions);
        writeln!(
            text,
            "| {core} | {model} | {weights} | {total} | {instructions_per_mac:.3} | {matrix} | {prepare} | {other} |"
        )?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_of_the_demo_model_are_its_matrices() {
        let shape = Shape {
            layers: 4,
            channels: 128,
            ffn: 512,
            vocab: 256,
            weight_bits: 4,
            head_bits: 8,
        };
        assert_eq!(
            shape.macs(),
            4 * (5 * 128 * 128 + 2 * 128 * 512) + 256 * 128
        );
    }
}
