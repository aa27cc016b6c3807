//! `kinglet bench`: speed on this workstation.

use super::output::print_json;
use super::table::Table;
use crate::bench::{measure, Speed};
use crate::engine::open_image;
use anyhow::Result;
use std::io::Write;
use std::path::PathBuf;

/// Measure tokens per second on this workstation
///
/// A step reads every weight once, so the figure is also given as a share of
/// the memory bandwidth that a plain read of the same bytes reaches.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    kinglet bench model.kgl\n  \
    kinglet bench model.kgl --threads 1,2,4 --tokens 50 --json")]
pub struct Args {
    /// An image
    file: PathBuf,
    /// Numbers of threads to measure
    #[arg(long, value_name = "N", value_delimiter = ',', default_value = "1,2",
          value_parser = clap::value_parser!(u16).range(1..=256))]
    threads: Vec<u16>,
    /// Tokens of a round
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
    tokens: u32,
    /// Rounds, of which the median counts
    #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Print one JSON list
    #[arg(long)]
    json: bool,
}

pub fn run(args: &Args) -> Result<()> {
    let file = open_image(&args.file)?;
    let speed = |&threads: &u16| {
        measure(
            &file,
            usize::from(threads),
            args.rounds as usize,
            args.tokens as usize,
        )
    };
    let speeds: Vec<Speed> = args.threads.iter().map(speed).collect::<Result<_, _>>()?;
    if args.json {
        return print_json(&speeds);
    }
    let mut table = Table::new(&["threads", "tokens/s", "GB/s", "plain read GB/s", "share"]);
    for s in speeds {
        table.row([
            s.threads.to_string(),
            format!("{:.1}", s.tokens_per_second),
            format!("{:.2}", s.gigabytes_per_second),
            format!("{:.2}", s.plain_read_gigabytes_per_second),
            format!("{:.0} %", 100.0 * s.share),
        ]);
    }
    write!(std::io::stdout(), "{table}")?;
    Ok(())
}
