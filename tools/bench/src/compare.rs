//! The figures that got worse since an earlier run.

use super::Results;
use anyhow::{Context, Result};
use std::collections::BTreeMap;
use std::path::Path;

/// Relative growth of a figure that is tolerated.
const TOLERANCE: f64 = 0.005;

/// Growth of a count of instructions that is tolerated: a tick of a timer is
/// more than an instruction, and a short vector is prepared in 160.
const TICKS: f64 = 3.0;

/// Elements of the state of a head of 64 channels.
const STATE_ELEMENTS: f64 = 4096.0;

/// A figure of which less is better.
#[derive(Clone, Copy)]
struct Figure {
    value: f64,
    /// Instructions for each unit of the value.
    unit: f64,
}

impl Figure {
    fn count(instructions: u64) -> Self {
        Self {
            value: instructions as f64,
            unit: 1.0,
        }
    }

    fn is_worse_than(self, before: f64) -> bool {
        let grown = self.value - before;
        grown > before * TOLERANCE && grown * self.unit > TICKS
    }
}

/// Reads what `--json` printed.
pub fn read(path: &Path) -> Result<Results> {
    let text =
        std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    serde_json::from_str(&text)
        .with_context(|| format!("{} is no output of --json", path.display()))
}

/// A sentence for each figure that both have and that got worse.
pub fn worse(before: &Results, now: &Results) -> Vec<String> {
    let before = figures(before);
    let grown = figures(now).into_iter().filter_map(|(name, now)| {
        let before = before.get(&name)?.value;
        let worse = now.is_worse_than(before);
        let now = now.value;
        worse.then(|| {
            let percent = (now / before - 1.0) * 100.0;
            format!("{name}: {before} -> {now} (+{percent:.1} %)")
        })
    });
    grown.collect()
}

/// All figures, by name.
fn figures(results: &Results) -> BTreeMap<String, Figure> {
    let mut figures = BTreeMap::new();
    for kernel in &results.kernels {
        let (rows, cols) = (kernel.rows, kernel.cols);
        let name = format!("{} {} {rows} x {cols}", kernel.machine, kernel.weights);
        let mut insert = |what: &str, value, unit: u32| {
            let unit = f64::from(unit);
            figures.insert(format!("{name}, {what}"), Figure { value, unit });
        };
        insert("sums", kernel.instructions_per_mac, rows * cols);
        let scaled = kernel.instructions_per_mac_scaled;
        insert("with scales", scaled, rows * cols);
        insert("preparation", kernel.prepare_per_column, cols);
    }
    for state in &results.states {
        let name = format!("{} state {}", state.machine, state.state);
        let mut insert = |what: &str, value| {
            let unit = STATE_ELEMENTS;
            figures.insert(format!("{name}, {what}"), Figure { value, unit });
        };
        insert("read", state.read_per_element);
        insert("write", state.write_per_element);
    }
    let mut insert = |name, instructions| figures.insert(name, Figure::count(instructions));
    for sample in &results.sampling {
        let name = format!("{} sampling of {}", sample.machine, sample.vocab);
        insert(format!("{name}, greedy"), sample.greedy);
        insert(format!("{name}, drawn"), sample.drawn);
    }
    for slices in &results.slices {
        let (model, weights) = (&slices.model, &slices.weights);
        let name = format!("{} {model} {weights}", slices.machine);
        let most = slices.slice_weights;
        insert(
            format!("{name}, slices of {most}"),
            slices.slice_instructions,
        );
    }
    for tokens in &results.tokens {
        let (model, weights, state) = (&tokens.model, &tokens.weights, &tokens.state);
        let name = format!("{} {model} {weights} {state}", tokens.machine);
        insert(format!("{name}, token"), tokens.instructions_per_token);
        for (part, count) in tokens.parts.named() {
            insert(format!("{name}, {}", part.name()), count);
        }
    }
    figures
}

#[cfg(test)]
mod tests {
    use super::super::Kernel;
    use super::*;

    fn results(sums: f64) -> Results {
        let kernel = Kernel {
            core: "Cortex-M4F".into(),
            machine: "mps2-an386".into(),
            weights: "int8".into(),
            rows: 64,
            cols: 64,
            instructions_per_mac: sums,
            instructions_per_mac_scaled: 1.0,
            prepare_per_column: 5.0,
        };
        Results {
            kernels: vec![kernel],
            ..Results::default()
        }
    }

    #[test]
    fn only_what_grew_is_worse() {
        assert_eq!(worse(&results(0.9), &results(0.9)), Vec::<String>::new());
        assert_eq!(worse(&results(0.9), &results(0.904)), Vec::<String>::new());
        assert_eq!(worse(&results(0.9), &results(0.5)), Vec::<String>::new());
        let grown = worse(&results(0.9), &results(1.0));
        assert_eq!(grown, ["mps2-an386 int8 64 x 64, sums: 0.9 -> 1 (+11.1 %)"]);
    }

    #[test]
    fn a_tick_is_no_step_back() {
        let prepared = |instructions: f64| {
            let mut results = results(1.0);
            results.kernels[0].prepare_per_column = instructions / 64.0;
            results
        };
        let worse_than_164 = |now| worse(&prepared(164.0), &prepared(now)).len();
        assert_eq!(worse_than_164(167.0), 0);
        assert_eq!(worse_than_164(168.0), 1);
    }

    #[test]
    fn figures_that_only_one_has_are_not_compared() {
        assert_eq!(
            worse(&Results::default(), &results(1.0)),
            Vec::<String>::new()
        );
    }
}
