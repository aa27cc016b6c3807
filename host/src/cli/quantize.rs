//! `kinglet quantize`: a checkpoint becomes an image.

use super::calibration::CalibrationArgs;
use super::fit::{check_fits, named};
use super::formats::{probes, set_formats, Choice, FormatArgs};
use super::model::{assumed_gn_eps, gn_eps, ReadingArgs};
use super::output::{check_outputs, print_json, progress_bar, report_to, write_file, Output};
use super::table::{thousands, Table};
use super::{bad_use, mention};
use crate::checkpoint::Checkpoint;
use crate::labels::unknown_below;
use crate::model::Model;
use crate::pack::{
    least_loss, pack_to, shape, slow_decays, Besides, Options, PartReport, StoredPart,
};
use crate::plan::{self, Planned};
use crate::reference::DEFAULT_GN_EPS;
use crate::tensors::split_name;
use crate::text::{shown, shown_path};
use crate::tokenizer::{TokenizerFile, Vocabulary};
use anyhow::Result;
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use clap::Parser;
use kinglet::image::Metadata;
use kinglet::shape::{Kind, Layout, StateFormat};
use kinglet_targets::{Board, Boards, Core, CORES, DEFAULT_MACHINE};
use serde::Serialize;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

/// Quantize a checkpoint and pack it into an image for the device
///
/// Reads .safetensors and .pth files of BlinkDL's trainers, Hugging Face's transformers,
/// fla and converters for web-rwkv, and .gguf files of llama.cpp; of a checkpoint in parts
/// its index or folder. The image holds everything that the device needs, tokenizer included.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    kinglet quantize model.pth -o model.kgl --weights int4\n  \
    kinglet quantize model.safetensors -o model.kgl --weights int8 --json\n  \
    kinglet quantize model.pth -o model.kgl --weights int4 --calibrate text.txt\n  \
    kinglet quantize model.pth -o model.kgl --budget 512KiB --save-recipe model.toml\n  \
    kinglet quantize model.pth -o model.kgl --board pico\n  \
    kinglet quantize model.safetensors -o small.kgl --weights int4 --head int4 --target m0\n  \
    kinglet quantize model.pth -o model.kgl --weights int4 --board pico\n  \
    kinglet quantize world.pth -o world.kgl --weights int4 --tokenizer rwkv_vocab_v20230424.txt")]
pub struct Args {
    /// The checkpoint, .safetensors, .pth or .gguf
    checkpoint: PathBuf,
    /// The image to write
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    #[command(flatten)]
    formats: FormatArgs,
    /// The core that the image is for [default: the board's, or m4]
    #[arg(long, value_parser = core_parser())]
    target: Option<&'static Core>,
    /// The board that the image is for: chooses the core, refuses what does not fit, and
    /// without --weights has the formats chosen by its flash
    #[arg(long, value_name = "NAME")]
    board: Option<String>,
    /// A file with further boards, see `kinglet plan`
    #[arg(long, value_name = "FILE")]
    boards: Option<PathBuf>,
    /// Number format of the matrix state of RWKV-5 to 7
    #[arg(long, value_parser = state_parser(), default_value = StateFormat::I16.name())]
    state: StateFormat,
    /// Epsilon of the group norm of RWKV-5 to 7 [default: 64e-5]
    #[arg(long, value_name = "EPS", value_parser = gn_eps)]
    gn_eps: Option<f32>,
    /// The vocabulary for the image: a text file as RWKV's World
    /// models have it, or a small one in that format. A model of at most 256
    /// entries reads bytes without one
    #[arg(long, value_name = "FILE")]
    tokenizer: Option<PathBuf>,
    /// Of a model of labels: the probability below which an answer is unknown, as `kinglet eval`
    /// shows what it costs; 0 for none [default: that of the checkpoint]
    #[arg(long, value_name = "SHARE", value_parser = unknown_below)]
    unknown_below: Option<u16>,
    #[command(flatten)]
    reading: ReadingArgs,
    #[command(flatten)]
    calibration: CalibrationArgs,
    /// The model's name in the image [default: the checkpoint's file name]
    #[arg(long)]
    name: Option<String>,
    /// Print one JSON object instead of a table: output, image_bytes, weights, bits_per_weight, tensors, choice
    #[arg(long)]
    json: bool,
}

/// Accepts the names of the state's formats.
fn state_parser() -> impl TypedValueParser<Value = StateFormat> {
    let help = |state| match state {
        StateFormat::I16 => "Two bytes an element",
        StateFormat::I8 => "One byte an element: half the RAM, and a coarser memory",
    };
    let values = StateFormat::ALL.map(|state| PossibleValue::new(state.name()).help(help(state)));
    let floats = FLOATS.map(|name| PossibleValue::new(name).hide(true));
    PossibleValuesParser::new(values.into_iter().chain(floats)).try_map(|name| {
        let mut states = StateFormat::ALL.into_iter();
        let message = "states are integers: leave out --state, or take `i8` for half the RAM";
        states.find(|state| state.name() == name).ok_or(message)
    })
}

/// What other programs' states are.
const FLOATS: [&str; 3] = ["f32", "f16", "bf16"];

/// Accepts the names of the table of cores. Any image computes the same,
/// everywhere; the workstation runs them all.
fn core_parser() -> impl TypedValueParser<Value = &'static Core> {
    let values = CORES
        .iter()
        .map(|core| PossibleValue::new(core.name).help(core.about));
    PossibleValuesParser::new(values)
        .map(|name| Core::named(&name).expect("only names of the table are accepted"))
}

/// One line of the summary: all tensors of a name.
#[derive(Debug, Default, Serialize)]
struct Summary {
    tensors: String,
    format: String,
    count: usize,
    elements: u64,
    bytes: u64,
    bits_per_weight: f64,
    relative_error: f64,
}

#[derive(Debug, Serialize)]
struct Report<'a> {
    output: &'a Path,
    image_bytes: u64,
    weights: u64,
    bits_per_weight: f64,
    tensors: &'a [Summary],
    #[serde(skip_serializing_if = "Option::is_none")]
    choice: Option<Choice>,
}

/// The formats that a line of the options above asks for.
pub fn formats_of(options: &str) -> Result<FormatArgs> {
    #[derive(Debug, clap::Parser)]
    #[command(no_binary_name = true)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }
    let files = ["checkpoint", "-o", "image"];
    let line = files.into_iter().chain(options.split(' '));
    Ok(Line::try_parse_from(line)?.args.formats)
}

pub fn run(args: &Args) -> Result<()> {
    let inputs = [
        Some(&args.checkpoint),
        args.tokenizer.as_ref(),
        args.boards.as_ref(),
        args.calibration.input(),
        args.formats.input(),
    ];
    let outputs = [Some(args.output.as_path()), args.formats.output()];
    let outputs: Vec<_> = outputs.into_iter().flatten().map(Output::named).collect();
    check_outputs(&inputs, &outputs)?;
    args.check()?;
    let board = args.board()?;
    let given = args.tokenizer.as_deref().map(vocabulary).transpose()?;
    let model = Model::new(Checkpoint::open(&args.checkpoint)?, &args.reading.reading())?;
    let vocabulary = match (given, model.vocabulary()?) {
        (Some(_), Some(_)) => {
            let file = args.checkpoint.display();
            return bad_use(format!(
                "{file}: the checkpoint carries its vocabulary; leave out --tokenizer"
            ));
        }
        (given, own) => given.or(own),
    };
    if args.unknown_below.is_some() && model.dimensions().classes == 0 {
        return bad_use("a model of text answers with no label: leave out --unknown-below");
    }
    let lossy = |name: Option<&OsStr>| shown(&name.unwrap_or_default().to_string_lossy());
    let mut source = lossy(args.checkpoint.file_name());
    let ignored = args.reading.reading().ignore;
    if !ignored.is_empty() {
        source += &shown(&format!(" without {}", ignored.join(", ")));
    }
    let name = args.name.clone();
    let name = name.unwrap_or_else(|| lossy(args.checkpoint.file_stem()));
    let labels = model.labels().join("\n");
    let producer = concat!("kinglet ", env!("CARGO_PKG_VERSION"));
    let metadata = Metadata {
        name: &name,
        producer,
        source: &source,
        labels: &labels,
    };
    let mut options = Options {
        formats: args.formats.asked()?,
        layout: args.layout(board.as_ref())?,
        state: args.state,
        gn_eps: args.gn_eps.unwrap_or(DEFAULT_GN_EPS),
        vocabulary: vocabulary.as_ref(),
        unknown_below: args.unknown_below,
        calibration: None,
    };
    // What is wrong with them is said before the work begins.
    let version = model.version();
    if args.formats.names_keys() && !version.recurrence().has_heads() {
        return bad_use(format!(
            "the state of {version} has no matrices: leave out --keys"
        ));
    }
    let (shape, parts) = shape(version, &model.dimensions(), &options)?;
    args.formats.check(&options.formats, &parts)?;
    let mut planned = Planned {
        besides_bytes: Besides::new(&model, &shape, &options, &metadata)?.bytes(),
        shape,
        parts,
    };
    let chooses = args.formats.chooses_all();
    if let Some(board) = board.as_ref().filter(|_| !chooses) {
        check_fits(&planned, board, &args.output)?;
    }
    let texts = args.calibration.texts(&model, &options, chooses)?;
    if !args.calibration.rounds_alone(&model) {
        options.calibration = texts.as_ref();
    }
    let target = board.as_ref().map(|board| board.core).or(args.target);
    let target = target.unwrap_or(DEFAULT_MACHINE.core);
    let choice = texts.as_ref().map(|texts| {
        let on = (target, board.as_ref());
        let probes = |parts: &[StoredPart]| probes(&model, options.gn_eps, parts, texts);
        let is_compensated = options.calibration.is_some();
        args.formats
            .choose(is_compensated, &mut planned, probes, on)
    });
    let choice = choice.transpose()?.flatten();
    if let Some(board) = board.as_ref().filter(|_| chooses) {
        check_fits(&planned, board, &args.output)?;
    }
    set_formats(&mut options.formats, &planned.parts);
    let bar = progress_bar(0, "quantizing");
    let parts = write_file(&args.output, |file| {
        // Unbuffered: what is written are whole chunks of parts.
        let progress = |done, total| {
            bar.set_length(total as u64);
            bar.set_position(done as u64);
        };
        pack_to(file.get_mut(), &model, &options, &metadata, progress)
    })?;
    bar.finish_and_clear();
    args.formats.save(&planned.parts)?;
    if model.dimensions().heads > 0 {
        warn_of_coarse_state(&model, args.state)?;
    }
    warn_of_lacking_tokens(model.dimensions().vocab, vocabulary.as_ref());
    report(args, &parts, &planned, choice)?;
    tell(args, &model)
}

impl Args {
    /// What is wrong for any checkpoint.
    fn check(&self) -> Result<()> {
        let name = self.name.as_deref().unwrap_or_default();
        if name.contains(char::is_control) {
            return bad_use(
                "--name has control characters, which would be shown to people: give another",
            );
        }
        if self.formats.is_empty() && self.board.is_none() {
            return bad_use(
                "the formats of the weights are not said: give --weights, or --budget, --board or --recipe",
            );
        }
        Ok(())
    }

    /// The board, if one was named.
    fn board(&self) -> Result<Option<Board>> {
        let Some(name) = &self.board else {
            return Ok(None);
        };
        let boards = Boards::load(self.boards.as_deref())?;
        Ok(Some(named(&boards, name)?.clone()))
    }

    /// The arrangement of weights.
    fn layout(&self, board: Option<&Board>) -> Result<Layout> {
        let asked = self.target.map(plan::layout);
        let Some(board) = board else {
            return Ok(asked.unwrap_or(plan::layout(DEFAULT_MACHINE.core)));
        };
        let needed = plan::layout(board.core);
        if asked.is_some_and(|asked| asked != needed) {
            let (name, core) = (&board.name, board.core.name);
            return bad_use(format!("{name} needs --target {core}: leave out --target"));
        }
        Ok(needed)
    }
}

/// Says what a state of few bits costs, and warns of decays that are too slow for it.
fn warn_of_coarse_state(model: &Model, state: StateFormat) -> Result<()> {
    if state == StateFormat::I8 {
        mention(format_args!(
            "note: a state of 8 bits costs quality: compare with `kinglet eval --reset 0 --reference`"
        ));
    }
    let (slow, all) = slow_decays(model, state)?;
    if slow > 0 {
        let (name, tokens) = (state.name(), 1.0 / least_loss(state));
        mention(format_args!(
            "warning: {slow} of {all} decays are slower than a state of `{name}` follows well (less than 1/{tokens} per token): \
             what the model should remember for longer loses precision; compare with `kinglet eval --reset 0 --reference`"
        ));
    }
    Ok(())
}

/// Warns where most of what the model says would be nothing on a board: the
/// image has no tokenizer, or one for another model, or a part of one.
fn warn_of_lacking_tokens(entries: usize, vocabulary: Option<&Vocabulary>) {
    let tokens = vocabulary.map(|vocabulary| vocabulary.tokens().count());
    match tokens {
        None if entries > 256 => mention(format_args!(
            "warning: the image has no tokenizer for the model's {entries} vocabulary entries: a board's console \
             cannot read a prompt; give the vocabulary with --tokenizer"
        )),
        Some(tokens) if tokens < entries - entries / 100 => mention(format_args!(
            "warning: the vocabulary has {tokens} tokens, but the model {entries} entries: boards will print nothing for the \
             others; is the file whole, and the model's?"
        )),
        _ => {}
    }
}

/// The vocabulary in a file. Byte-level BPE has rules that an image cannot hold.
fn vocabulary(path: &Path) -> Result<Vocabulary> {
    match TokenizerFile::open(path)? {
        TokenizerFile::Vocabulary(vocabulary) => Ok(vocabulary),
        TokenizerFile::Json(_) => bad_use(format!(
            "{}: byte-level BPE cannot be put into an image; leave out --tokenizer here and give the file to `kinglet run`, `logits` and `eval`",
            path.display()
        )),
    }
}

/// Says what the file did not, and what an image of it has besides the weights.
fn tell(args: &Args, model: &Model) -> Result<()> {
    if model.dimensions().heads > 0 && args.gn_eps.is_none() {
        mention(format_args!("note: {}", assumed_gn_eps()));
    }
    if let Some(reason) = args.calibration.alone_because(model) {
        mention(format_args!("note: each weight is rounded alone: {reason}"));
    }
    if model.tuned_state()?.is_some() {
        mention(format_args!(
            "note: the tuned state of the checkpoint is the state `start`, from which texts start"
        ));
    }
    Ok(())
}

fn report(
    args: &Args,
    parts: &[PartReport],
    planned: &Planned,
    choice: Option<Choice>,
) -> Result<()> {
    let image_bytes = planned.image_bytes();
    let summaries = summarize(parts);
    let weights: u64 = parts.iter().map(|part| part.elements).sum();
    let report = Report {
        output: &args.output,
        image_bytes,
        weights,
        bits_per_weight: bits(image_bytes, weights),
        tensors: &summaries,
        choice,
    };
    if args.json {
        return print_json(&report);
    }
    let mut table = Table::new(&[
        "tensors",
        "format",
        "count",
        "weights",
        "bytes",
        "bits/weight",
        "error",
    ]);
    for s in &summaries {
        table.row([
            s.tensors.clone(),
            s.format.clone(),
            s.count.to_string(),
            thousands(s.elements),
            thousands(s.bytes),
            format!("{:.2}", s.bits_per_weight),
            format!("{:.3} %", 100.0 * s.relative_error),
        ]);
    }
    let mut out = report_to();
    write!(out, "{table}")?;
    if let Some(choice) = &report.choice {
        let stored: Vec<StoredPart> = parts.iter().map(|part| part.stored).collect();
        writeln!(out, "\n{}{}", choice.table(&stored), choice.sentence())?;
    }
    writeln!(
        out,
        "{}: {} bytes, {} weights, {:.2} bits per weight with everything included",
        shown_path(&args.output),
        thousands(report.image_bytes),
        thousands(weights),
        report.bits_per_weight
    )?;
    Ok(())
}

fn bits(bytes: u64, elements: u64) -> f64 {
    8.0 * bytes as f64 / elements as f64
}

/// Adds up the tensors of each kind, in order of first appearance.
fn summarize(parts: &[PartReport]) -> Vec<Summary> {
    let mut summaries: Vec<Summary> = Vec::new();
    for part in parts {
        let (tensors, format) = (group_of(part), part.stored.format_name());
        let at = summaries
            .iter()
            .position(|s| s.tensors == tensors && s.format == format);
        let at = at.unwrap_or_else(|| {
            summaries.push(Summary {
                tensors,
                format,
                ..Summary::default()
            });
            summaries.len() - 1
        });
        let s = &mut summaries[at];
        s.count += 1;
        s.elements += part.elements;
        s.bytes += part.bytes;
        s.bits_per_weight = bits(s.bytes, s.elements);
        // The mean of the tensors' errors.
        s.relative_error += (part.error - s.relative_error) / s.count as f64;
    }
    summaries
}

/// Vectors are summed up, matrices go by their name.
fn group_of(part: &PartReport) -> String {
    match part.stored.part.kind {
        Kind::Factors(_) | Kind::Mix(_) => "vectors".to_owned(),
        Kind::Fixed(_) => "decays and bonuses".to_owned(),
        Kind::LowRank(..) => "low-rank matrices".to_owned(),
        Kind::Matrix(..) | Kind::Table(..) => split_name(&part.name).1.to_owned(),
    }
}
