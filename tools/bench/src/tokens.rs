//! Tokens: what a whole step of a model costs, and its parts.

use super::coefficients::planned;
use super::kernels::rounded;
use super::parts::{Part, Parts};
use super::profile;
use super::slices;
use super::Results;
use anyhow::{Context, Result};
use kinglet::shape::StateFormat;
use kinglet::Shape;
use kinglet_host::plan::cost::products;
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

/// A random model of RWKV-4, about twice as large.
const LARGER: &str = "synthetic-4x192";

/// Versions whose matrix state is counted, by the names of `kinglet synth`.
const WITH_STATE: [&str; 3] = ["v5", "v6", "v7"];

/// What a token costs.
#[derive(Debug, Serialize, Deserialize)]
pub struct Tokens {
    pub core: String,
    pub machine: String,
    pub model: String,
    #[serde(default)]
    pub version: String,
    pub weights: String,
    /// Format of the matrix state; empty where the version has none.
    #[serde(default)]
    pub state: String,
    pub instructions_per_token: u64,
    pub matrix_macs: u64,
    pub instructions_per_mac: f64,
    /// Parameters; a token reads only one row of the embedding.
    #[serde(default)]
    pub instructions_per_parameter: Option<f64>,
    /// Everything of a matrix state's step.
    #[serde(default)]
    pub recurrence_per_element: Option<f64>,
    /// All of the token, divided.
    pub parts: Parts,
}

/// A checkpoint that images are packed from.
struct Model {
    name: String,
    checkpoint: PathBuf,
    /// Weights and states of its images.
    formats: &'static [[&'static str; 2]],
}

/// Runs all models on a machine.
pub fn measure(machine: &'static Machine, results: &mut Results) -> Result<()> {
    let kinglet = build_kinglet()?;
    let folder = work_folder("bench")?;
    for model in models(&kinglet, &folder)? {
        let inspected = inspect(&kinglet, &model.checkpoint)?;
        let parameters = inspected["parameters"].as_u64();
        let parameters = parameters.context("a checkpoint without parameters")?;
        for &[weights, state] in model.formats {
            let target = machine.core.name;
            let image = folder.join(format!("{}-{weights}-{state}-{target}.kgl", model.name));
            pack(
                &kinglet,
                &model.checkpoint,
                &image,
                [weights, state, target],
            )?;
            if model.name == DEMO {
                slices::measure(machine, [&model.name, weights], &image, results)?;
            }
            let tokens = traced(machine, &image)?;
            results.tokens.push(Tokens {
                model: model.name.clone(),
                weights: weights.into(),
                instructions_per_parameter: Some(rounded(
                    tokens.instructions_per_token as f64 / parameters as f64,
                )),
                ..tokens
            });
        }
    }
    Ok(())
}

/// A token of an image, divided by what it does.
fn traced(machine: &'static Machine, image: &Path) -> Result<Tokens> {
    let planned = planned(image)?;
    let shape = planned.shape;
    let parts = profile::token(machine, image)?;
    let total = parts.sum();
    let macs = products(&shape, &planned.parts)
        .map(|product| (product.rows * product.cols) as u64)
        .sum();
    let elements = elements(&shape);
    let per_element = |elements: u64| rounded(parts.of(Part::Recurrence) as f64 / elements as f64);
    let state = match shape.state {
        _ if elements == 0 => "",
        StateFormat::I16 => "i16",
        StateFormat::I8 => "i8",
    };
    Ok(Tokens {
        core: machine.core.title.into(),
        machine: machine.name.into(),
        model: String::new(),
        version: shape.version.to_string(),
        weights: String::new(),
        state: state.into(),
        instructions_per_token: total,
        matrix_macs: macs,
        instructions_per_mac: rounded(total as f64 / macs as f64),
        instructions_per_parameter: None,
        recurrence_per_element: (elements > 0).then(|| per_element(elements)),
        parts,
    })
}

/// Elements of the matrix states of all layers.
fn elements(shape: &Shape) -> u64 {
    let channels = u64::from(shape.n_layer) * u64::from(shape.n_embd);
    match shape.version.has_heads() {
        true => channels * shape.head_size() as u64,
        false => 0,
    }
}

/// The demo model, and random ones.
fn models(kinglet: &Path, folder: &Path) -> Result<Vec<Model>> {
    let synth = |name: String, options: &[&str], formats| {
        let checkpoint = folder.join(format!("{name}.safetensors"));
        let mut synth = Command::new(kinglet);
        synth.arg("synth").args(options).arg("-o").arg(&checkpoint);
        output(&mut synth)?;
        anyhow::Ok(Model {
            name,
            checkpoint,
            formats,
        })
    };
    let widths: &[_] = &[["int4", "i16"], ["int8", "i16"]];
    let mut models = vec![Model {
        name: DEMO.into(),
        checkpoint: root().join("models/stories.safetensors"),
        formats: widths,
    }];
    let options = ["--layers", "4", "--channels", "192", "--vocab", "512"];
    models.push(synth(LARGER.into(), &options, widths)?);
    for version in WITH_STATE {
        let options = ["--version", version, "--layers", "2", "--channels", "128"];
        let more = ["--head-size", "64", "--vocab", "256"];
        let name = format!("synthetic-{version}-2x128");
        let states: &[_] = &[["int4", "i16"], ["int4", "i8"]];
        models.push(synth(name, &[&options[..], &more].concat(), states)?);
    }
    Ok(models)
}

/// What `kinglet inspect` says.
fn inspect(kinglet: &Path, file: &Path) -> Result<serde_json::Value> {
    let inspected = output(Command::new(kinglet).args(["inspect", "--json"]).arg(file))?;
    Ok(serde_json::from_str(&inspected)?)
}

/// Packs a checkpoint with these weights, this state, for this core.
fn pack(kinglet: &Path, from: &Path, to: &Path, [weights, state, core]: [&str; 3]) -> Result<()> {
    let mut quantize = Command::new(kinglet);
    quantize.arg("quantize").arg(from).arg("--plain");
    quantize.args(["--weights", weights, "--state", state, "--target", core]);
    output(quantize.arg("-o").arg(to))?;
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
