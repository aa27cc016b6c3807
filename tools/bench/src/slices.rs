//! Slices of a step: instructions of the longest one, and of all together.

use super::Results;
use anyhow::{Context, Result};
use kinglet_protocol::Request;
use kinglet_targets::Machine;
use kinglet_workshop::emulator::Emulator;
use kinglet_workshop::prompt::Sampling;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// The most weights of a product that a slice has.
const SLICE_WEIGHTS: [u32; 4] = [512, 2048, 8192, 32768];

/// The cores: one with and one without an FPU.
const CORES: [&str; 2] = ["m4", "m0"];

/// Tokens that are generated.
const TOKENS: u32 = 4;

/// The cost of steps in slices.
#[derive(Debug, Serialize, Deserialize)]
pub struct Slices {
    pub core: String,
    pub machine: String,
    pub model: String,
    pub weights: String,
    pub slice_weights: u32,
    /// Of the longest slice.
    pub slice_instructions: u64,
    /// Of a whole token in slices.
    pub instructions_per_token: u64,
}

/// Runs a model in slices of several sizes.
pub fn measure(
    machine: &'static Machine,
    [model, weights]: [&str; 2],
    image: &Path,
    results: &mut Results,
) -> Result<()> {
    if !CORES.contains(&machine.core.name) {
        return Ok(());
    }
    let emulator = Emulator::prepare(machine, image, true)?;
    for slice_weights in SLICE_WEIGHTS {
        let request = Request {
            slice_weights,
            ..Sampling::greedy(TOKENS).request(b"", false)?
        };
        let answer = emulator.ask(&request, Vec::new(), &mut |_| Ok(()))?;
        let tokens = answer.tokens.iter();
        let most = tokens.map(|token| token.instructions).max();
        results.slices.push(Slices {
            core: machine.core.title.into(),
            machine: machine.name.into(),
            model: model.into(),
            weights: weights.into(),
            slice_weights,
            slice_instructions: answer.slice_instructions.context("no slices")?,
            instructions_per_token: most.context("no token was generated")?,
        });
    }
    Ok(())
}
