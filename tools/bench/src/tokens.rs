//! Tokens: what a whole step of a model costs, and its parts.

use super::kernels::{rounded, Costs};
use super::parts::{Parts, Shape};
use super::slices;
use super::Results;
use anyhow::{Context, Result};
use kinglet_targets::Machine;
use kinglet_workshop::emulator::Emulator;
use kinglet_workshop::prompt::Sampling;
use kinglet_workshop::workspace::{build_kinglet, output, root, work_folder};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Tokens that are generated; the median counts.
const TOKENS: u32 = 7;

/// The model whose slices are counted too.
const DEMO: &str = "stories";

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
    /// Parameters; a token reads only one row of the embedding.
    #[serde(default)]
    pub instructions_per_parameter: Option<f64>,
    /// Products of matrices with vectors, from the counts of the kernels; the
    /// head's among them.
    pub matrix_instructions: Option<u64>,
    /// Quantizing and arranging vectors, likewise.
    pub prepare_instructions: Option<u64>,
    /// All else: norms, element-wise work, embedding, sampling.
    pub other_instructions: Option<u64>,
    /// All of the token, split further.
    #[serde(default)]
    pub parts: Option<Parts>,
}

/// A checkpoint that images are packed from.
struct Model {
    name: &'static str,
    checkpoint: PathBuf,
    parameters: u64,
}

/// Runs all models on a machine.
pub fn measure(machine: &'static Machine, costs: &Costs, results: &mut Results) -> Result<()> {
    let kinglet = build_kinglet()?;
    let folder = work_folder("bench")?;
    for model in models(&kinglet, &folder)? {
        for weights in ["int4", "int8"] {
            let target = machine.core.name;
            let image = folder.join(format!("{}-{weights}-{target}.kgl", model.name));
            pack(&kinglet, &model.checkpoint, &image, weights, target)?;
            if model.name == DEMO {
                slices::measure(machine, [model.name, weights], &image, results)?;
            }
            let shape: Shape = serde_json::from_value(inspect(&kinglet, &image)?)?;
            let total = run(machine, &image)?;
            let tokens = divided(machine, &model, total, &shape, costs)?;
            results.tokens.push(Tokens {
                weights: weights.into(),
                ..tokens
            });
        }
    }
    Ok(())
}

/// A token of `total` instructions, divided by what it does.
fn divided(
    machine: &Machine,
    model: &Model,
    total: u64,
    shape: &Shape,
    costs: &Costs,
) -> Result<Tokens> {
    let multiplied = shape.multiplied(costs).map(|(layers, head)| {
        let products = layers.products + head.products;
        (products, layers.quantization + head.quantization)
    });
    let other = |(matrix, prepare)| total.saturating_sub(matrix + prepare);
    let macs = shape.macs();
    Ok(Tokens {
        core: machine.core.title.into(),
        machine: machine.name.into(),
        model: model.name.into(),
        weights: String::new(),
        instructions_per_token: total,
        matrix_macs: macs,
        instructions_per_mac: rounded(total as f64 / macs as f64),
        instructions_per_parameter: Some(rounded(total as f64 / model.parameters as f64)),
        matrix_instructions: multiplied.map(|(matrix, _)| matrix),
        prepare_instructions: multiplied.map(|(_, prepare)| prepare),
        other_instructions: multiplied.map(other),
        parts: shape.parts(total, costs)?,
    })
}

/// The demo model, and a random one that is about twice as large.
fn models(kinglet: &Path, folder: &Path) -> Result<[Model; 2]> {
    let synthetic = folder.join("synthetic.safetensors");
    output(
        Command::new(kinglet)
            .args(["synth", "--layers", "4", "--channels", "192"])
            .args(["--vocab", "512", "-o"])
            .arg(&synthetic),
    )?;
    let model = |name, checkpoint: PathBuf| {
        let parameters = inspect(kinglet, &checkpoint)?["parameters"]
            .as_u64()
            .context("a checkpoint without parameters")?;
        anyhow::Ok(Model {
            name,
            checkpoint,
            parameters,
        })
    };
    let demo = root().join("models/stories.safetensors");
    Ok([model(DEMO, demo)?, model("synthetic-4x192", synthetic)?])
}

/// What `kinglet inspect` says.
fn inspect(kinglet: &Path, file: &Path) -> Result<serde_json::Value> {
    let inspected = output(Command::new(kinglet).args(["inspect", "--json"]).arg(file))?;
    Ok(serde_json::from_str(&inspected)?)
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

/// The instructions of a token: the median of a few.
pub fn run(machine: &'static Machine, image: &Path) -> Result<u64> {
    let emulator = Emulator::prepare(machine, image, true)?;
    let request = Sampling::greedy(TOKENS).request(b"", false)?;
    let answer = emulator.ask(&request, Vec::new(), &mut |_| Ok(()))?;
    let mut counts: Vec<u64> = answer.tokens.iter().map(|t| t.instructions).collect();
    counts.sort_unstable();
    let median = counts.get(counts.len() / 2);
    median.copied().context("no token was generated")
}
