//! `kinglet plan`: which boards an image fits, and how fast it would be there.

use super::fit::{advice_sentence, named};
use super::output::print_json;
use super::sizes::Sizes;
use super::table::{thousands, Table};
use crate::engine::open_image;
use crate::pack::{image_parts, Precisions};
use crate::plan::{Costs, Fit, Planned};
use crate::quantize::Precision;
use anyhow::{Context, Result};
use kinglet_targets::{Board, Boards};
use serde::Serialize;
use std::io::Write;
use std::path::PathBuf;

/// Show which boards an image fits, and how fast it would be there
///
/// For every board the image is taken as `kinglet quantize --target` packs it
/// for that core. Flash is what the firmware in firmware/boards keeps for
/// itself, and the image; RAM is its variables, the model's state and scratch,
/// and what it keeps for the stack. Where the logits would not fit at once
/// they are computed in blocks. Instructions of a token are predicted from
/// counts in the emulator; cycles are an assumption of the board's, which
/// --json shows in words.
///
/// Without an image, it is about a model of --layers and --channels that does not
/// exist yet, or that is too large to fetch for a question.
#[derive(Debug, clap::Args)]
#[command(
    override_usage = "kinglet plan [OPTIONS] <IMAGE>\n       kinglet plan [OPTIONS] --layers <LAYERS> --channels <CHANNELS>",
    after_help = "Examples:\n  \
    kinglet plan model.kgl\n  \
    kinglet plan model.kgl --board pico --json\n  \
    kinglet plan --version v7 --layers 12 --channels 768 --vocab 65536\n  \
    kinglet plan model.kgl --boards my-boards.toml"
)]
pub struct Args {
    /// The image
    #[arg(required_unless_present = "Sizes", conflicts_with = "Sizes")]
    image: Option<PathBuf>,
    #[command(flatten)]
    sizes: Option<Sizes>,
    /// Precision of the layers' matrices, where there is no image
    #[arg(long, value_enum, default_value = "int4", conflicts_with = "image")]
    weights: Precision,
    /// One board only
    #[arg(long, value_name = "NAME")]
    board: Option<String>,
    /// A file with further boards, in the form of firmware/targets/boards.toml
    #[arg(long, value_name = "FILE")]
    boards: Option<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// Where the figures come from.
const PROVENANCE: &str =
    "No physical board has run Kinglet yet: instructions are counted in emulators, cycles are assumed.";

#[derive(Debug, Serialize)]
struct Report {
    /// None where sizes were given.
    image: Option<PathBuf>,
    version: String,
    boards: Vec<BoardReport>,
}

#[derive(Debug, Serialize)]
struct BoardReport {
    name: String,
    title: String,
    chip: String,
    target: &'static str,
    fits: bool,
    in_blocks: bool,
    flash: FlashReport,
    ram: RamReport,
    instructions_per_token: Option<u64>,
    clock_hz: u64,
    cycles_per_instruction: f64,
    assumption: String,
    tokens_per_second: Option<f64>,
    /// What would fit where the image does not.
    advice: Option<String>,
}

#[derive(Debug, Serialize)]
struct FlashReport {
    bytes: u32,
    application_bytes: u32,
    image_bytes: u64,
    free_bytes: i64,
}

#[derive(Debug, Serialize)]
struct RamReport {
    bytes: u32,
    variables_bytes: u32,
    state_bytes: u64,
    scratch_bytes: u64,
    stack_bytes: u32,
    free_bytes: i64,
}

pub fn run(args: &Args) -> Result<()> {
    let boards = Boards::load(args.boards.as_deref())?;
    let wanted: Vec<&Board> = match &args.board {
        None => boards.iter().collect(),
        Some(name) => vec![named(&boards, name)?],
    };
    let planned = args.planned()?;
    let costs = Costs::measured().context("the program's table of costs cannot be read")?;
    let report = Report {
        image: args.image.clone(),
        version: planned.shape.version.to_string(),
        boards: wanted
            .into_iter()
            .map(|board| BoardReport::new(&planned, board, &costs))
            .collect(),
    };
    if args.json {
        return print_json(&report);
    }
    report.print()
}

impl Args {
    fn planned(&self) -> Result<Planned> {
        if let Some(path) = &self.image {
            let file = open_image(path)?;
            let image = file.image();
            return Ok(Planned::new(image.header(), image_parts(&image)));
        }
        // The parser wants one of them.
        let sizes = self.sizes.as_ref().context("no image and no sizes")?;
        // As `quantize` does it without more options.
        let formats = Precisions::default().formats(self.weights, Precision::Int8);
        sizes.check_heads()?;
        let version = sizes.version.recurrence();
        Ok(Planned::of_sizes(version, &sizes.dimensions()?, &formats))
    }
}

impl BoardReport {
    fn new(image: &Planned, board: &Board, costs: &Costs) -> Self {
        let fit = Fit::new(image, board);
        let instructions = costs.token(board.core, image);
        let cycles = |count: u64| count as f64 * board.cycles_per_instruction;
        Self {
            name: board.name.clone(),
            title: board.title.clone(),
            chip: board.chip.clone(),
            target: board.core.name,
            fits: fit.fits(),
            in_blocks: fit.in_blocks,
            flash: FlashReport {
                bytes: board.flash.bytes,
                application_bytes: board.application_bytes,
                image_bytes: fit.needs.image_bytes,
                free_bytes: fit.flash_free,
            },
            ram: RamReport {
                bytes: board.ram.bytes,
                variables_bytes: board.variables_bytes,
                state_bytes: fit.needs.state_bytes,
                scratch_bytes: fit.scratch_bytes(),
                stack_bytes: board.stack_bytes,
                free_bytes: fit.ram_free,
            },
            instructions_per_token: instructions,
            clock_hz: board.clock_hz,
            cycles_per_instruction: board.cycles_per_instruction,
            assumption: board.assumption.clone(),
            tokens_per_second: instructions.map(|count| board.clock_hz as f64 / cycles(count)),
            advice: (!fit.fits()).then(|| advice_sentence(image, board)),
        }
    }

    fn cells(&self) -> [String; 8] {
        let number = |value: Option<u64>| value.map_or("?".to_owned(), thousands);
        let speed = self.tokens_per_second;
        [
            self.name.clone(),
            self.target.to_owned(),
            thousands(u64::from(self.flash.application_bytes) + self.flash.image_bytes),
            signed(self.flash.free_bytes),
            thousands(self.ram_bytes()),
            signed(self.ram.free_bytes),
            number(self.instructions_per_token),
            match speed {
                Some(speed) if self.fits => format!("{speed:.1}"),
                _ => "-".to_owned(),
            },
        ]
    }

    fn ram_bytes(&self) -> u64 {
        let RamReport {
            variables_bytes,
            state_bytes,
            scratch_bytes,
            stack_bytes,
            ..
        } = self.ram;
        u64::from(variables_bytes) + state_bytes + scratch_bytes + u64::from(stack_bytes)
    }

    /// Remarks beside the columns.
    fn remark(&self) -> String {
        let blocks = if self.in_blocks {
            "; logits in blocks"
        } else {
            ""
        };
        match &self.advice {
            Some(advice) => format!("does not fit; {advice}"),
            None => format!(
                "{} MHz, {} {} per instruction: {}{blocks}",
                self.clock_hz as f64 / 1e6,
                self.cycles_per_instruction,
                match self.cycles_per_instruction == 1.0 {
                    true => "cycle",
                    false => "cycles",
                },
                self.assumption
            ),
        }
    }
}

fn signed(bytes: i64) -> String {
    let sign = if bytes < 0 { "-" } else { "" };
    format!("{sign}{}", thousands(bytes.unsigned_abs()))
}

impl Report {
    fn print(&self) -> Result<()> {
        let mut table = Table::new(&[
            "board",
            "core",
            "flash",
            "free",
            "RAM",
            "free",
            "instructions",
            "tokens/s",
        ]);
        self.boards
            .iter()
            .for_each(|board| table.row(board.cells()));
        let mut out = std::io::stdout();
        writeln!(out, "{table}")?;
        for board in &self.boards {
            writeln!(out, "{}: {}", board.name, board.remark())?;
        }
        writeln!(out, "\n{PROVENANCE}")?;
        Ok(())
    }
}
