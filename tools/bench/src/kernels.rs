//! Kernels: the bench firmware, and what it says.

use super::{Check, Results};
use anyhow::{bail, Context, Result};
use kinglet_protocol::{Measure, SHAPES};
use kinglet_targets::Machine;
use kinglet_workshop::elf::symbols;
use kinglet_workshop::emulator::Emulator;
use kinglet_workshop::firmware::build_program;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// What a matrix x vector product costs.
#[derive(Debug, Serialize, Deserialize)]
pub struct Kernel {
    pub core: String,
    pub machine: String,
    pub weights: String,
    pub rows: u32,
    pub cols: u32,
    pub instructions_per_mac: f64,
    pub instructions_per_mac_scaled: f64,
    pub prepare_per_column: f64,
}

/// What choosing a token costs.
#[derive(Debug, Serialize, Deserialize)]
pub struct Sample {
    pub core: String,
    pub machine: String,
    pub vocab: u32,
    pub greedy: u64,
    pub drawn: u64,
}

/// What an element of a matrix state costs.
#[derive(Debug, Serialize, Deserialize)]
pub struct State {
    pub core: String,
    pub machine: String,
    pub state: String,
    pub read_per_element: f64,
    pub write_per_element: f64,
}

/// What a kernel takes of flash.
#[derive(Debug, Serialize, Deserialize)]
pub struct KernelCode {
    pub core: String,
    pub machine: String,
    pub symbol: String,
    pub bytes: u64,
}

/// Instructions of a product and of preparing its vector.
#[derive(Clone, Copy, Debug)]
pub struct Cost {
    /// Bits of a weight.
    pub bits: u32,
    /// Bits of the vector.
    pub vectors: u32,
    /// Rows and columns.
    pub shape: (u32, u32),
    /// The product, with scales.
    pub scaled: u64,
    /// The vector.
    pub prepare: u64,
}

/// Runs the bench firmware, its library built in this profile; adds what it says to the
/// results and returns the costs of all its products.
pub fn measure(
    machine: &'static Machine,
    profile: &str,
    results: &mut Results,
) -> Result<Vec<Cost>> {
    let elf = build_program(machine, "bench", profile, &[])?;
    results.code.extend(code(machine, &elf)?);
    let emulator = Emulator {
        machine,
        elf,
        images: Vec::new(),
    };
    let (lines, _) = emulator.listen()?;
    let mut costs = Vec::new();
    for line in &lines {
        match Measure::parse(line) {
            Some(Measure::Check { name, cases, wrong }) => results.checks.push(Check {
                machine: machine.name.into(),
                name: name.into(),
                cases,
                wrong,
            }),
            Some(Measure::Done) => return Ok(costs),
            Some(measure) => note(machine, measure, &mut costs, results),
            None => bail!("the firmware says: {line}"),
        }
    }
    bail!("the firmware stopped half-way")
}

/// Rounded to what is worth comparing.
pub fn rounded(value: f64) -> f64 {
    (value * 10_000.0).round() / 10_000.0
}

/// Adds what was counted to the costs, and to the results what is one.
fn note(machine: &Machine, measure: Measure<'_>, costs: &mut Vec<Cost>, results: &mut Results) {
    let (core, name) = (machine.core.title.to_owned(), machine.name.to_owned());
    match measure {
        Measure::Kernel {
            bits,
            vectors,
            rows,
            cols,
            sums,
            scaled,
            prepare,
        } => {
            costs.push(Cost {
                bits,
                vectors,
                shape: (rows, cols),
                scaled,
                prepare,
            });
            let macs = f64::from(rows) * f64::from(cols);
            let kernel = Kernel {
                core,
                machine: name,
                weights: match vectors {
                    8 => format!("int{bits}"),
                    _ => format!("int{bits}x{vectors}"),
                },
                rows,
                cols,
                instructions_per_mac: rounded(sums as f64 / macs),
                instructions_per_mac_scaled: rounded(scaled as f64 / macs),
                prepare_per_column: rounded(prepare as f64 / f64::from(cols)),
            };
            let compared = SHAPES.contains(&(rows, cols));
            results.kernels.extend(compared.then_some(kernel));
        }
        Measure::State {
            bits,
            elements,
            read,
            write,
        } => {
            let per_element = |count: u64| rounded(count as f64 / f64::from(elements));
            results.states.push(State {
                core,
                machine: name,
                state: format!("i{bits}"),
                read_per_element: per_element(read),
                write_per_element: per_element(write),
            });
        }
        Measure::Sample {
            vocab,
            greedy,
            drawn,
        } => results.sampling.push(Sample {
            core,
            machine: name,
            vocab,
            greedy,
            drawn,
        }),
        // They have been dealt with.
        Measure::Check { .. } | Measure::Done => {}
    }
}

/// The kernels in the firmware: routines in assembly, and the library's
/// functions around them, without the portable twins that the check needs.
fn code(machine: &Machine, elf: &Path) -> Result<Vec<KernelCode>> {
    let symbols = symbols(elf).context("cannot read the symbols of the bench firmware")?;
    let has_own = symbols.iter().any(|symbol| is_of_port(&symbol.name));
    let kernels = symbols.into_iter().filter(|symbol| {
        let name = &symbol.name;
        let twin = name.contains("arch::portable");
        is_assembly(name) || (name.contains("kinglet::arch::") && !(has_own && twin))
    });
    Ok(kernels
        .map(|symbol| KernelCode {
            core: machine.core.title.into(),
            machine: machine.name.into(),
            symbol: symbol.name,
            bytes: symbol.bytes,
        })
        .collect())
}

/// Whether it multiplies as this core's port does.
fn is_of_port(name: &str) -> bool {
    let others = ["portable", "shared", "product", "steps"];
    let is_rust =
        name.contains("kinglet::arch::") && !others.iter().any(|file| name.contains(file));
    is_rust || is_assembly(name)
}

/// The names of routines in global assembly have no path.
fn is_assembly(name: &str) -> bool {
    name.starts_with("kinglet_") && !name.contains("::")
}
