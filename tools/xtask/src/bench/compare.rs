//! What got worse since an earlier run.

use super::Results;
use anyhow::{Context, Result};
use std::collections::BTreeMap;
use std::path::Path;

/// A count may grow by so much: what is counted is exact to a few
/// instructions, and a matrix of 64 x 64 takes 3,600.
const TOLERANCE: f64 = 0.005;

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
        let before = *before.get(&name)?;
        let worse = now > before * (1.0 + TOLERANCE);
        worse.then(|| {
            let percent = (now / before - 1.0) * 100.0;
            format!("{name}: {before} -> {now} (+{percent:.1} %)")
        })
    });
    grown.collect()
}

/// All figures of which less is better, by name.
fn figures(results: &Results) -> BTreeMap<String, f64> {
    let mut figures = BTreeMap::new();
    for kernel in &results.kernels {
        let (rows, cols) = (kernel.rows, kernel.cols);
        let name = format!("{} {} {rows} x {cols}", kernel.machine, kernel.weights);
        figures.insert(format!("{name}, sums"), kernel.instructions_per_mac);
        let scaled = kernel.instructions_per_mac_scaled;
        figures.insert(format!("{name}, with scales"), scaled);
        figures.insert(format!("{name}, preparation"), kernel.prepare_per_column);
    }
    for tokens in &results.tokens {
        let name = format!("{} {} {}", tokens.machine, tokens.model, tokens.weights);
        figures.insert(
            format!("{name}, token"),
            tokens.instructions_per_token as f64,
        );
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
    fn figures_that_only_one_has_are_not_compared() {
        assert_eq!(
            worse(&Results::default(), &results(1.0)),
            Vec::<String>::new()
        );
    }
}
