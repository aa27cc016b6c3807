//! The tables of `docs/performance.md`.

use super::kernels::{Kernel, KernelCode, Sample, State};
use super::parts::Part;
use super::slices::Slices;
use super::tokens::Tokens;
use super::Results;
use kinglet_workshop::table::thousands;

/// All results as Markdown; tables of which nothing was measured are left out.
pub fn markdown(results: &Results) -> String {
    let per_multiply_add = [
        "sums, per multiply-add",
        "with row scales, per multiply-add",
        "preparation, per column",
    ];
    let tables = [
        table(
            &["core", "machine", "weights", "rows x columns"],
            &per_multiply_add,
            results.kernels.iter().map(kernel),
        ),
        table(
            &["core", "model", "weights"],
            &[
                "instructions per token",
                "per multiply-add",
                "per parameter",
            ],
            results.tokens.iter().map(token),
        ),
        table(
            &["core", "model", "weights"],
            &Part::ALL.map(title),
            results.tokens.iter().map(parts),
        ),
        table(
            &["core", "version", "state"],
            &["a step of the state, per element"],
            results.tokens.iter().filter_map(recurrence),
        ),
        table(
            &["core", "model", "weights", "weights of a slice"],
            &["instructions of a slice at most", "of a token in slices"],
            results.slices.iter().map(slices),
        ),
        table(
            &["core", "machine", "state"],
            &["a read, per element", "a write, per element"],
            results.states.iter().map(state),
        ),
        table(
            &["core", "machine", "vocabulary"],
            &["the likeliest token", "a drawn token"],
            results.sampling.iter().map(sample),
        ),
        table(
            &["core", "kernel"],
            &["bytes of code"],
            results.code.iter().map(code),
        ),
    ];
    let tables: Vec<_> = tables.into_iter().flatten().collect();
    tables.join("\n")
}

/// Columns of names, then columns of numbers; each row a list of cells.
fn table(
    names: &[&str],
    numbers: &[&str],
    rows: impl Iterator<Item = Vec<String>>,
) -> Option<String> {
    let line = |cells: String| format!("| {cells} |\n");
    let rows: String = rows.map(|cells| line(cells.join(" | "))).collect();
    let head = line([names, numbers].concat().join(" | "));
    let rule = "---|".repeat(names.len()) + &"---:|".repeat(numbers.len());
    (!rows.is_empty()).then(|| format!("{head}|{rule}\n{rows}"))
}

fn kernel(kernel: &Kernel) -> Vec<String> {
    vec![
        kernel.core.clone(),
        kernel.machine.clone(),
        kernel.weights.clone(),
        format!("{} x {}", kernel.rows, kernel.cols),
        format!("{:.3}", kernel.instructions_per_mac),
        format!("{:.3}", kernel.instructions_per_mac_scaled),
        format!("{:.1}", kernel.prepare_per_column),
    ]
}

fn state(state: &State) -> Vec<String> {
    vec![
        state.core.clone(),
        state.machine.clone(),
        state.state.clone(),
        format!("{:.2}", state.read_per_element),
        format!("{:.2}", state.write_per_element),
    ]
}

fn sample(sample: &Sample) -> Vec<String> {
    vec![
        sample.core.clone(),
        sample.machine.clone(),
        sample.vocab.to_string(),
        thousands(sample.greedy),
        thousands(sample.drawn),
    ]
}

fn token(tokens: &Tokens) -> Vec<String> {
    let per_parameter = tokens.instructions_per_parameter;
    let mut cells = names(tokens);
    cells.extend([
        thousands(tokens.instructions_per_token),
        format!("{:.3}", tokens.instructions_per_mac),
        per_parameter.map_or_else(String::new, |value| format!("{value:.3}")),
    ]);
    cells
}

/// A part's name in a table.
fn title(part: Part) -> &'static str {
    match part {
        Part::TokenShift => "token shift",
        part => part.name(),
    }
}

fn parts(tokens: &Tokens) -> Vec<String> {
    let mut cells = names(tokens);
    cells.extend(tokens.parts.named().map(|(_, part)| thousands(part)));
    cells
}

fn recurrence(tokens: &Tokens) -> Option<Vec<String>> {
    let per_element = tokens.recurrence_per_element?;
    let names = [&tokens.core, &tokens.version, &tokens.state].map(String::clone);
    Some([names.into(), vec![format!("{per_element:.2}")]].concat())
}

fn slices(slices: &Slices) -> Vec<String> {
    vec![
        slices.core.clone(),
        slices.model.clone(),
        slices.weights.clone(),
        thousands(slices.slice_weights.into()),
        thousands(slices.slice_instructions),
        thousands(slices.instructions_per_token),
    ]
}

fn names(tokens: &Tokens) -> Vec<String> {
    vec![
        tokens.core.clone(),
        tokens.model.clone(),
        [&*tokens.weights, &tokens.state]
            .join(" ")
            .trim_end()
            .to_owned(),
    ]
}

fn code(code: &KernelCode) -> Vec<String> {
    vec![
        code.core.clone(),
        format!("`{}`", code.symbol),
        code.bytes.to_string(),
    ]
}
