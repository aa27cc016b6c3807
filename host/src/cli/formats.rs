//! Which formats the matrices of an image get, as `quantize` is told, or as it chooses.

use super::bad_use;
use super::output::{progress_bar, read_text, write_file};
use super::table::{thousands, Table};
use crate::model::Model;
use crate::pack::{choices, Class, Forced, Format, Formats, Precisions, StoredPart};
use crate::plan::{Costs, Fit, Planned};
use crate::quantize::choice::{choose, Limits, Totals};
use crate::quantize::compensate::Calibration;
use crate::quantize::sensitivity::{sensitivities, Sensitivity};
use crate::quantize::Precision;
use anyhow::{anyhow, Context, Result};
use kinglet::shape::Bits;
use kinglet_targets::{Board, Core};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

/// What share of a token's instructions may come in addition.
const MORE: f64 = 0.25;
/// The same with `--speed`.
const MORE_AT_SPEED: f64 = 0.05;

/// The formats of the matrices.
#[derive(Debug, clap::Args)]
pub struct FormatArgs {
    /// Precision of the layers' matrices; without it, --budget or --board chooses a format
    /// for each matrix
    #[arg(long, value_enum)]
    weights: Option<Precision>,
    #[command(flatten)]
    precisions: Precisions,
    /// Choose the formats of the best model in an image of SIZE bytes, such as 512KiB, with at
    /// most 25 % more instructions than --weights int4
    #[arg(long, value_name = "SIZE", value_parser = size, conflicts_with_all = ["weights", "recipe"])]
    budget: Option<u64>,
    /// Choose formats of at most 5 % more instructions, not 25 %
    #[arg(long, conflicts_with_all = ["weights", "recipe"])]
    speed: bool,
    /// The formats in a file that --save-recipe wrote
    #[arg(long, value_name = "FILE", conflicts_with_all = ["weights", "head", "embedding", "keys", "force"])]
    recipe: Option<PathBuf>,
    /// Write the formats of all matrices to a file, for --recipe
    #[arg(long, value_name = "FILE")]
    save_recipe: Option<PathBuf>,
}

/// The formats in a file.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Recipe {
    formats: BTreeMap<String, String>,
}

/// What was chosen.
#[derive(Debug, Serialize)]
pub struct Choice {
    /// The predicted divergence from the checkpoint, in nats for each token.
    divergence: f64,
    /// The predicted instructions of a token.
    instructions: Option<u64>,
    /// How many times those with the formats that the choice began with.
    slowdown: Option<f64>,
    /// Those formats: the bits of `--weights`.
    than: &'static str,
    /// The core of the instructions.
    core: &'static str,
    /// The formats, by the matrices' names.
    formats: BTreeMap<String, String>,
}

/// What the formats of a model's matrices cost, by what it reads.
pub fn probes(
    model: &Model,
    gn_eps: f32,
    parts: &[StoredPart],
    texts: &Calibration,
) -> Result<Vec<Sensitivity>> {
    let bar = progress_bar(0, "trying formats");
    let found = sensitivities(model, gn_eps, parts, texts, |done, of| {
        bar.set_length(of as u64);
        bar.set_position(done as u64);
    });
    bar.finish_and_clear();
    found
}

/// Gives all matrices the formats of these parts.
pub fn set_formats(formats: &mut Formats, parts: &[StoredPart]) {
    for part in parts.iter().filter(|part| part.has_choice()) {
        formats.set(part.layer, part.part.name, part.format());
    }
}

impl FormatArgs {
    /// The file that is read.
    pub fn input(&self) -> Option<&PathBuf> {
        self.recipe.as_ref()
    }

    /// The file that is written beside the image.
    pub fn output(&self) -> Option<&Path> {
        self.save_recipe.as_deref()
    }

    /// Whether a format is chosen for each matrix.
    pub fn chooses_all(&self) -> bool {
        self.weights.is_none() && self.recipe.is_none()
    }

    /// Whether nothing says the formats of the layers' matrices.
    pub fn is_empty(&self) -> bool {
        self.chooses_all() && self.budget.is_none()
    }

    /// Whether the formats of keys were named.
    pub fn names_keys(&self) -> bool {
        self.precisions.keys.is_some()
    }

    /// The formats that were asked for, or that a choice begins with.
    pub fn asked(&self) -> Result<Formats> {
        let weights = self.weights.unwrap_or(Precision::Int4);
        let mut formats = self.precisions.formats(weights, Precision::Int8);
        for forced in self.of_recipe()? {
            forced.set(&mut formats);
        }
        Ok(formats)
    }

    /// The formats of the recipe.
    fn of_recipe(&self) -> Result<Vec<Forced>> {
        let Some(path) = &self.recipe else {
            return Ok(Vec::new());
        };
        let shown = path.display();
        let text = read_text(path)?;
        let recipe: Recipe = toml::from_str(&text)
            .map_err(|error| anyhow!("{shown}: not a recipe: {}", error.message()))?;
        let formats = recipe.formats.iter();
        let formats = formats.map(|(name, format)| format!("{name}={format}").parse::<Forced>());
        let formats: Result<Vec<_>, _> = formats.collect();
        formats.map_err(|error| anyhow!("{shown}: {error}"))
    }

    /// The recipe names all matrices of the model; `formats` are those that were asked for.
    pub fn check(&self, formats: &Formats, parts: &[StoredPart]) -> Result<()> {
        let Some(path) = &self.recipe else {
            return Ok(());
        };
        let is_named = |part: &&StoredPart| {
            let name = |layer| (layer, part.part.name.to_owned());
            [part.layer, None]
                .map(name)
                .iter()
                .any(|name| formats.forced.contains_key(name))
        };
        let mut chosen = parts.iter().filter(|part| part.has_choice());
        match chosen.find(|part| !is_named(part)) {
            None => Ok(()),
            Some(part) => bad_use(format!(
                "{}: the recipe has no format for `{}`: it is another model's",
                path.display(),
                part.short_name()
            )),
        }
    }

    /// Chooses formats, and puts them into `planned`, which has those that were asked
    /// for: of each matrix where no `--weights` says them, else those that read vectors
    /// of 16 bits, where all weights have eight bits. `probes` finds out what formats
    /// cost, if need be.
    pub fn choose(
        &self,
        is_compensated: bool,
        planned: &mut Planned,
        probes: impl FnOnce(&[StoredPart]) -> Result<Vec<Sensitivity>>,
        (core, board): (&'static Core, Option<&Board>),
    ) -> Result<Option<Choice>> {
        let all = self.chooses_all();
        if !all && !self.asks_for_int8() {
            return Ok(None);
        }
        let (Some(all_costs), before) = (Costs::measured(), planned.clone()) else {
            return Ok(None);
        };
        let (Some(costs), Some(token)) = (all_costs.of(core), all_costs.token(core, &before))
        else {
            return Ok(None);
        };
        let found = probes(&before.parts)?;
        let flash = board.map(|board| u64::from(board.model().bytes));
        let allowed_bytes = self.budget.into_iter().chain(flash).min();
        let bytes = match allowed_bytes {
            Some(bytes) if all => bytes.saturating_sub(before.besides_bytes),
            _ => u64::from(u32::MAX),
        };
        let more = if self.speed { MORE_AT_SPEED } else { MORE };
        let more = more * token as f64;
        // Vectors of 16 bits take RAM, and instructions may be too many for any choice.
        let ways = [(true, more), (false, more), (false, f64::INFINITY)];
        for (fine, more_instructions) in ways {
            let limits = Limits {
                bytes,
                more_instructions,
            };
            let allowed = |part: &StoredPart| self.allowed(&before, part, fine);
            let chosen = choose(
                &before.shape,
                &before.parts,
                &found,
                costs,
                limits,
                is_compensated,
                allowed,
            );
            let Some((parts, totals)) = chosen else {
                continue;
            };
            planned.set_parts(parts);
            let has_ram = |board: &&Board| Fit::new(planned, board).ram_free >= 0;
            if fine && board.is_some_and(|board| !has_ram(&board)) {
                continue;
            }
            return Ok(Some(
                self.choice(planned, &before, totals, &all_costs, core),
            ));
        }
        self.too_small(&before, allowed_bytes, board)
    }

    /// That no choice is small enough.
    fn too_small(
        &self,
        planned: &Planned,
        allowed_bytes: Option<u64>,
        board: Option<&Board>,
    ) -> Result<Option<Choice>> {
        let mut least = planned.clone();
        let parts = least.parts.iter().map(|part| {
            let of = self.allowed(planned, part, false).into_iter();
            of.map(|format| part.with(format))
                .min_by_key(|part| part.part.kind.bytes(&planned.shape, part.bits))
                .unwrap_or(*part)
        });
        let parts = parts.collect();
        least.set_parts(parts);
        let for_board = board.map_or(String::new(), |board| format!(" for {}", board.name));
        let (least, allowed) = (least.image_bytes(), allowed_bytes.unwrap_or_default());
        bad_use(format!(
            "the smallest image of this model has {} bytes; {} are allowed{for_board}",
            thousands(least),
            thousands(allowed)
        ))
    }

    /// Whether all weights have eight bits.
    fn asks_for_int8(&self) -> bool {
        self.weights == Some(Precision::Int8)
    }

    /// The formats that a matrix may be given.
    fn allowed(&self, planned: &Planned, part: &StoredPart, fine: bool) -> Vec<Format> {
        let own = part.format();
        let class = Class::of(planned.shape.version, part.layer, &part.part);
        let named = match class {
            Class::Head => self.precisions.head,
            Class::Embedding => self.precisions.embedding,
            Class::Keys => self.precisions.keys,
            _ => None,
        };
        if !part.has_choice()
            || self
                .precisions
                .force
                .iter()
                .any(|forced| forced.names(part))
        {
            return vec![own];
        }
        let is_chosen = self.chooses_all() && named.is_none();
        let bits = Bits::ALL.into_iter();
        let bits = bits.filter(|&bits| is_chosen || bits == own.bits);
        let vectors = [false, true].into_iter();
        let vectors = vectors.filter(|&is| !is || fine && part.product().is_some());
        let vectors: Vec<bool> = vectors.collect();
        bits.flat_map(|bits| vectors.iter().map(move |&fine| Format { bits, fine }))
            .collect()
    }

    fn choice(
        &self,
        planned: &Planned,
        before: &Planned,
        totals: Totals,
        costs: &Costs,
        core: &'static Core,
    ) -> Choice {
        let instructions = costs.token(core, planned);
        let than = costs.token(core, before);
        Choice {
            divergence: totals.divergence,
            instructions,
            slowdown: instructions
                .zip(than)
                .map(|(now, than)| now as f64 / than as f64),
            than: self.weights.map_or(Bits::Int4, Bits::from).name(),
            core: core.name,
            formats: formats_of(&planned.parts),
        }
    }

    /// Writes the recipe, if it was asked for.
    pub fn save(&self, parts: &[StoredPart]) -> Result<()> {
        let Some(path) = &self.save_recipe else {
            return Ok(());
        };
        let recipe = Recipe {
            formats: formats_of(parts),
        };
        let text = toml::to_string(&recipe).context("a recipe is always written")?;
        write_file(path, |file| Ok(file.write_all(text.as_bytes())?))
    }
}

/// The formats of the parts that have a choice, by name.
fn formats_of(parts: &[StoredPart]) -> BTreeMap<String, String> {
    let chosen = parts.iter().filter(|part| part.has_choice());
    chosen
        .map(|part| (part.short_name(), part.format().name()))
        .collect()
}

/// Bytes, KiB or MiB.
pub fn size(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit: u64 = match &text[digits.len()..] {
        "" | "B" => 1,
        "KiB" | "K" | "k" => 1 << 10,
        "MiB" | "M" => 1 << 20,
        unit => return Err(format!("`{unit}` is no unit: use KiB or MiB")),
    };
    let number: u64 = digits.parse().map_err(|_| "not a size".to_owned())?;
    number
        .checked_mul(unit)
        .ok_or_else(|| "too large".to_owned())
}

impl Choice {
    /// The formats, a line for each name, with the layers that have each.
    pub fn table(&self, parts: &[StoredPart]) -> Table {
        let mut table = Table::new(&["matrix", "formats"]);
        for name in choices(parts) {
            let of = parts.iter().filter(|part| part.part.name == name);
            let name = name.trim_end_matches(".weight").to_owned();
            table.row([name, runs(of)]);
        }
        table
    }

    /// What it comes to, in a sentence.
    pub fn sentence(&self) -> String {
        let divergence = self.divergence;
        let mut sentence =
            format!("predicted divergence from the checkpoint: {divergence:.5} nats a token");
        if let (Some(instructions), Some(slowdown)) = (self.instructions, self.slowdown) {
            let more = 100.0 * (slowdown - 1.0);
            let (than, core, instructions) = (self.than, self.core, thousands(instructions));
            sentence += &format!(
                "; {instructions} instructions a token on {core}, {more:+.1} % to --weights {than}"
            );
        }
        sentence
    }
}

/// The formats of a matrix in the layers: `int8 0-2, int4 3-11`.
pub fn runs<'p>(parts: impl Iterator<Item = &'p StoredPart>) -> String {
    let mut runs: Vec<(String, Option<usize>, Option<usize>)> = Vec::new();
    for part in parts {
        let format = part.format().name();
        match runs.last_mut() {
            Some((same, _, last)) if *same == format => *last = part.layer,
            _ => runs.push((format, part.layer, part.layer)),
        }
    }
    let run = |(format, first, last): &(String, Option<usize>, Option<usize>)| match (first, last) {
        (Some(first), Some(last)) if first == last => format!("{format} {first}"),
        (Some(first), Some(last)) => format!("{format} {first}-{last}"),
        _ => format.clone(),
    };
    let runs: Vec<String> = runs.iter().map(run).collect();
    runs.join(", ")
}
