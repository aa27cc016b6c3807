//! `cargo xtask sensor`: a sensor's samples as a language.

mod process;
mod run;
mod score;

use anyhow::{ensure, Context, Result};
use kinglet_targets::{Machine, DEFAULT_MACHINE};
use kinglet_workshop::prompt::machine_parser;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Samples to learn from, and of each of the other two streams.
const TRAIN_SAMPLES: usize = 1 << 20;
const TEST_SAMPLES: usize = 24_577;

/// Watch a motor with a model that predicts its vibration
///
/// With -o, writes streams of a simulated sensor into DIR, a byte a sample:
///
///   train.bin         normal, to learn from
///   validation.bin    normal
///   anomalous.bin     with knocks, imbalance, a stuck sensor and drift
///   anomalous.labels  `.` for a normal sample, else k, i, s or d
///
/// The same seed gives the same files everywhere.
///
/// With --run, an emulated machine scores the anomalous stream with the model
/// of the repository. Windows of 64 samples whose mean bits per sample exceed
/// those of 99 % of the normal windows are alarms.
#[derive(Debug, clap::Args)]
#[command(
    verbatim_doc_comment,
    after_help = "Examples:\n  cargo xtask sensor -o target/sensor\n  cargo xtask sensor --run\n  cargo xtask sensor --run --machine microbit --json"
)]
pub struct Args {
    /// The directory to write into; made if it is not there
    #[arg(short, long, value_name = "DIR", required_unless_present = "run")]
    output: Option<PathBuf>,

    /// Run the firmware in QEMU
    #[arg(long)]
    run: bool,

    /// The machine
    #[arg(long, default_value = DEFAULT_MACHINE.name, value_parser = machine_parser(), requires = "run")]
    machine: &'static Machine,

    /// Which of the streams; the model has learned from those of 1
    #[arg(long, value_name = "S", default_value_t = 1, value_parser = clap::value_parser!(u64).range(..1 << 60))]
    seed: u64,

    /// Print the report as JSON
    #[arg(long, requires = "run")]
    json: bool,
}

/// The command `sensor`.
pub fn run(args: &Args) -> Result<()> {
    if let Some(folder) = &args.output {
        write_streams(folder, args.seed)?;
    }
    if !args.run {
        return Ok(());
    }
    let report = run::run(args.machine, args.seed)?;
    let mut out = std::io::stdout();
    if args.json {
        writeln!(out, "{}", serde_json::to_string(&report)?)?;
        return Ok(());
    }
    writeln!(out, "{}\n{}", report.chart(), report.table())?;
    ensure!(
        report.is_same(),
        "the machine's scores are not those of the workstation"
    );
    Ok(())
}

/// Seeds of the training, the normal and the anomalous stream.
fn seeds(seed: u64) -> [u64; 3] {
    [3 * seed, 3 * seed + 1, 3 * seed + 2]
}

fn write_streams(folder: &Path, seed: u64) -> Result<()> {
    fs::create_dir_all(folder)
        .with_context(|| format!("cannot make the directory {}", folder.display()))?;
    let write = |name: &str, bytes: &[u8]| {
        let path = folder.join(name);
        fs::write(&path, bytes).with_context(|| format!("cannot write {}", path.display()))
    };
    let [train, normal, anomalous] = seeds(seed);
    write("train.bin", &process::normal(TRAIN_SAMPLES, train))?;
    write("validation.bin", &process::normal(TEST_SAMPLES, normal))?;
    let stream = process::anomalous(TEST_SAMPLES, anomalous);
    write("anomalous.bin", &stream.samples)?;
    write("anomalous.labels", &stream.labels)
}
