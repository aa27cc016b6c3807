//! The firmware that watches a sensor, in QEMU, and how well it does.

use super::process::{anomalous, normal, Fault};
use super::score::{auc, in_bits, kinds, model, threshold, Kind, Linear, WINDOW};
use super::{seeds, TEST_SAMPLES, TRAIN_SAMPLES};
use anyhow::{bail, ensure, Context, Result};
use kinglet_targets::Machine;
use kinglet_workshop::emulator::Emulator;
use kinglet_workshop::firmware::{build_program, RELEASE};
use kinglet_workshop::setup::ensure_qemu;
use kinglet_workshop::table::{thousands, Table};
use kinglet_workshop::workspace::{build_kinglet, output, root, work_folder};
use serde::Serialize;
use std::ffi::OsStr;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The model of the repository.
const MODEL: &str = "firmware/examples/sensor/sensor.safetensors";

/// The machine's output.
#[derive(Debug, Default)]
struct Said {
    windows: Vec<u32>,
    alarms: Vec<bool>,
    instructions: u64,
    stack_bytes: u64,
}

/// The results; scores are mean bits per sample of a window.
#[derive(Debug, Serialize)]
pub struct Report {
    machine: &'static str,
    image_bytes: u64,
    instructions: u64,
    stack_bytes: u64,
    /// Mean of the normal stream's windows.
    normal_bits: f64,
    linear_normal_bits: f64,
    threshold: f64,
    /// In units of 2^-16, from the machine and from the workstation.
    emulated: Vec<u32>,
    workstation: Vec<u32>,
    /// Of each window: a fault's name, `normal` or `edge`.
    kinds: Vec<&'static str>,
    alarms: Vec<bool>,
    faults: Vec<Found>,
    false_alarms: usize,
    linear_false_alarms: usize,
    normal: usize,
    auc: f64,
    linear_auc: f64,
}

/// Windows of a fault, and in how many of them there was an alarm.
#[derive(Debug, Serialize)]
struct Found {
    fault: &'static str,
    windows: usize,
    found: usize,
    linear_found: usize,
    auc: f64,
    linear_auc: f64,
}

/// Builds and runs all of it.
pub fn run(machine: &'static Machine, seed: u64) -> Result<Report> {
    ensure_qemu(machine.core)?;
    let folder = work_folder("sensor")?;
    let image = quantize(machine, &folder)?;
    let [train_seed, normal_seed, stream_seed] = seeds(seed);
    let expected = normal(TEST_SAMPLES, normal_seed);
    let stream = anomalous(TEST_SAMPLES, stream_seed);
    let samples = folder.join(format!("{}-samples.bin", machine.name));
    std::fs::write(&samples, &stream.samples)
        .with_context(|| format!("cannot write {}", samples.display()))?;

    let normal_scores = model(&image, &expected)?;
    let limit = threshold(&normal_scores)?;
    let workstation = model(&image, &stream.samples)?;
    let threshold_units = limit.to_string();
    let variables = [
        ("KINGLET_IMAGE", image.as_os_str()),
        ("KINGLET_SAMPLES", samples.as_os_str()),
        ("KINGLET_THRESHOLD", OsStr::new(&threshold_units)),
    ];
    let elf = build_program(machine, "sensor", RELEASE, &variables)?;
    let said = listen(machine, elf)?;

    let linear = Linear::learn(&normal(TRAIN_SAMPLES, train_seed))?;
    // Its first window lacks earlier samples to predict from.
    let linear_normal = linear.score(&expected).split_off(1);
    let linear_limit = threshold(&linear_normal)?;
    let kinds = kinds(&stream.labels);
    let all_in_bits = |scores: &[u32]| scores.iter().copied().map(in_bits).collect::<Vec<_>>();
    let ours = Scored::new(&kinds, &all_in_bits(&said.windows), |at| said.alarms[at]);
    let scores = linear.score(&stream.samples);
    let theirs = Scored::new(&kinds, &scores, |at| scores[at] > linear_limit);
    Ok(Report {
        machine: machine.name,
        image_bytes: std::fs::metadata(&image)?.len(),
        instructions: said.instructions,
        stack_bytes: said.stack_bytes,
        normal_bits: mean(&all_in_bits(&normal_scores)),
        linear_normal_bits: mean(&linear_normal),
        threshold: in_bits(limit),
        emulated: said.windows,
        workstation,
        kinds: kinds.iter().map(|kind| name(*kind)).collect(),
        faults: Fault::ALL.map(|f| found(f, &ours, &theirs)).into(),
        false_alarms: ours.alarms(Kind::Normal),
        linear_false_alarms: theirs.alarms(Kind::Normal),
        normal: ours.of(Kind::Normal).len(),
        auc: auc(&ours.faulty(), &ours.of(Kind::Normal)),
        linear_auc: auc(&theirs.faulty(), &theirs.of(Kind::Normal)),
        alarms: said.alarms,
    })
}

fn quantize(machine: &Machine, folder: &Path) -> Result<PathBuf> {
    let image = folder.join(format!("sensor-{}.kgl", machine.core.name));
    let mut quantize = Command::new(build_kinglet()?);
    quantize.current_dir(root()).args(["quantize", MODEL]);
    quantize.args(["--weights", "int8", "--target", machine.core.name, "-o"]);
    output(quantize.arg(&image))?;
    Ok(image)
}

fn listen(machine: &'static Machine, elf: PathBuf) -> Result<Said> {
    let emulator = Emulator {
        machine,
        elf,
        images: Vec::new(),
    };
    let (lines, success) = emulator.listen()?;
    let mut said = Said::default();
    for line in &lines {
        said.hear(line)
            .with_context(|| format!("the firmware says {line:?}"))?;
    }
    ensure!(success, "the firmware gave up");
    Ok(said)
}

impl Said {
    fn hear(&mut self, line: &str) -> Result<()> {
        let words: Vec<_> = line.split_whitespace().collect();
        match words[..] {
            ["window", _, bits, _, ..] => {
                self.windows.push(bits.parse()?);
                self.alarms.push(words.last() == Some(&"alarm"));
            }
            ["instructions", count] => self.instructions = count.parse()?,
            ["stack_bytes", count] => self.stack_bytes = count.parse()?,
            _ => bail!("that is no line of its"),
        }
        Ok(())
    }
}

/// Windows with what they are, what they score, and whether they alarm.
struct Scored(Vec<(Kind, f64, bool)>);

impl Scored {
    fn new(kinds: &[Kind], scores: &[f64], alarm: impl Fn(usize) -> bool) -> Self {
        let windows = kinds.iter().zip(scores).enumerate();
        Self(windows.map(|(at, (k, s))| (*k, *s, alarm(at))).collect())
    }

    fn of(&self, kind: Kind) -> Vec<f64> {
        let these = self.0.iter().filter(|window| window.0 == kind);
        these.map(|window| window.1).collect()
    }

    fn faulty(&self) -> Vec<f64> {
        let faults = Fault::ALL.into_iter();
        faults
            .flat_map(|fault| self.of(Kind::Faulty(fault)))
            .collect()
    }

    fn alarms(&self, kind: Kind) -> usize {
        let alarms = self.0.iter().filter(|window| window.0 == kind && window.2);
        alarms.count()
    }
}

fn found(fault: Fault, ours: &Scored, theirs: &Scored) -> Found {
    let kind = Kind::Faulty(fault);
    Found {
        fault: fault.name(),
        windows: ours.of(kind).len(),
        found: ours.alarms(kind),
        linear_found: theirs.alarms(kind),
        auc: auc(&ours.of(kind), &ours.of(Kind::Normal)),
        linear_auc: auc(&theirs.of(kind), &theirs.of(Kind::Normal)),
    }
}

fn mean(scores: &[f64]) -> f64 {
    scores.iter().sum::<f64>() / scores.len() as f64
}

fn name(kind: Kind) -> &'static str {
    match kind {
        Kind::Normal => "normal",
        Kind::Edge => "edge",
        Kind::Faulty(fault) => fault.name(),
    }
}

/// Windows in a row of the chart.
const ROW: usize = 64;

impl Report {
    /// Whether machine and workstation agree in every bit.
    pub fn is_same(&self) -> bool {
        self.emulated == self.workstation
    }

    /// Rows of three lines: bits per sample, what the window is, alarms.
    pub fn chart(&self) -> String {
        let mut chart = String::new();
        let rows = self.emulated.chunks(ROW).zip(self.kinds.chunks(ROW));
        for ((bits, kinds), alarms) in rows.zip(self.alarms.chunks(ROW)) {
            let bars: String = bits.iter().map(|bits| self.bar(*bits)).collect();
            let kinds: String = kinds.iter().map(|kind| letter(kind)).collect();
            let alarms: String = alarms.iter().map(|&a| if a { '!' } else { ' ' }).collect();
            for line in [&bars, &kinds, &alarms] {
                let _ = writeln!(chart, "{}", line.trim_end());
            }
        }
        chart
    }

    /// The lowest bar is a normal window, the highest twice the threshold.
    fn bar(&self, bits: u32) -> char {
        const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
        let span = 2.0 * self.threshold - self.normal_bits;
        let share = (in_bits(bits) - self.normal_bits) / span;
        BARS[((share * 8.0) as usize).min(7)]
    }

    /// Figures; in brackets those of linear prediction.
    pub fn table(&self) -> Table {
        let mut table = Table::default();
        let bytes = thousands(self.image_bytes);
        table.row("image", bytes, format!("bytes, on {}", self.machine));
        let instructions = thousands(self.instructions);
        table.row("instructions", instructions, "per sample");
        let linear = format!("per sample, normal (linear {:.2})", self.linear_normal_bits);
        table.row("bits", format!("{:.2}", self.normal_bits), linear);
        let threshold = format!("{:.2}", self.threshold);
        let remark = format!("bits per sample, over {WINDOW} samples");
        table.row("threshold", threshold, remark);
        for found in &self.faults {
            let Found { windows, auc, .. } = found;
            let (linear, area) = (found.linear_found, found.linear_auc);
            let remark = format!("found (linear {linear}), AUC {auc:.3} (linear {area:.3})");
            table.row(found.fault, format!("{}/{windows}", found.found), remark);
        }
        let alarms = format!("{}/{}", self.false_alarms, self.normal);
        let remark = format!("false alarms (linear {})", self.linear_false_alarms);
        table.row("normal", alarms, remark);
        let remark = format!("AUC of all (linear {:.3})", self.linear_auc);
        table.row("area", format!("{:.3}", self.auc), remark);
        let same = if self.is_same() {
            "the workstation's, bit for bit"
        } else {
            "NOT those of the workstation"
        };
        table.row("windows", self.emulated.len(), same);
        table
    }
}

fn letter(kind: &str) -> char {
    match kind {
        "normal" => '.',
        "edge" => '-',
        fault => fault.chars().next().unwrap_or('?'),
    }
}
