//! The options of `kinglet train`, and the settings that follow from them.

use crate::checkpoint::Checkpoint;
use crate::cli::bad_use;
use crate::cli::fit::named;
use crate::cli::formats::size;
use crate::cli::model::{gn_eps, ReadingArgs};
use crate::cli::output::read_text;
use crate::model::Model;
use crate::pack::{shape, Options, Precisions};
use crate::quantize::Precision;
use crate::train::arch::Arch;
use crate::train::fit::{fit, Room};
use crate::train::prepare::network;
use crate::train::settings::{Budget, Floats, Settings, Task};
use anyhow::Result;
use kinglet_targets::{located, Boards};
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// Train a model on your texts
///
/// All positions of a sequence are computed at once, on all cores; the result
/// is a checkpoint under published names, for `kinglet quantize`, `run`,
/// `eval`. A text ends with a zero byte or `<|endoftext|>`, if more texts follow
/// in a file: the model learns to end with token 0. Ctrl-C, or the end of the terminal,
/// saves the training and ends it; it resumes from its last save when
/// the same command is given again.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    kinglet train --text stories.txt --minutes 10 -o stories.safetensors\n  \
    kinglet train --text a.txt b.txt --version v7 --vocab 512 --steps 2000 -o model.safetensors\n  \
    kinglet train --text stories.txt --board pico --qat int4 -o small.safetensors\n  \
    kinglet train --text stories.txt --budget 128KiB --qat int4 -o small.safetensors\n  \
    kinglet train --text commands.tsv --task classify --layers 2 --channels 64 --minutes 3 -o intents.safetensors\n  \
    kinglet train --recipe stories.toml --qat int4 -o stories.safetensors\n  \
    kinglet train --from model.pth --distill --qat int4 --keys int4 -o for-int4.safetensors")]
pub struct Args {
    /// Texts to learn from; --distill needs none
    #[arg(long, value_name = "FILE", num_args = 1..)]
    pub(super) text: Vec<PathBuf>,
    /// Where to write the checkpoint; a curve (.svg) and a card (.md) go beside it, but not over
    /// files that Kinglet did not write
    #[arg(short, long, value_name = "FILE")]
    pub(super) output: PathBuf,
    /// A trained checkpoint, whose network and tokens stay as they are; with --distill
    #[arg(long, value_name = "CHECKPOINT", requires = "distill", conflicts_with_all = OF_A_NEW_NETWORK)]
    pub(super) from: Option<PathBuf>,
    /// Fit --from to an image of the precision of --qat [default: int4]: its rounded weights learn
    /// to predict what the exact ones predict, in texts that the model writes itself, of which
    /// those of --text replace half at most
    #[arg(long, requires = "from")]
    pub(super) distill: bool,
    /// Epsilon of the group norm of an RWKV-5, 6 or 7 checkpoint of --from [default: 64e-5]
    #[arg(long, value_name = "EPS", value_parser = gn_eps, requires = "from")]
    pub(super) gn_eps: Option<f32>,
    #[command(flatten)]
    pub(super) reading: ReadingArgs,
    /// Settings from a TOML file; options given here replace them
    #[arg(long, value_name = "FILE")]
    pub(super) recipe: Option<PathBuf>,
    /// A text to validate with, not to learn from [default: the last twentieth of the texts]
    #[arg(long, value_name = "FILE")]
    pub(super) validation: Option<PathBuf>,
    /// What to learn [default: text]
    #[arg(long, value_enum)]
    pub(super) task: Option<Task>,
    /// The network [default: v4]
    #[arg(long, visible_alias = "arch", value_enum)]
    pub(super) version: Option<Arch>,
    /// Layers [default: 4]
    #[arg(long)]
    pub(super) layers: Option<usize>,
    /// Channels [default: 128]
    #[arg(long)]
    pub(super) channels: Option<usize>,
    /// As many channels as fit this board at the bits of --qat or else int8,
    /// with the firmware of firmware/boards
    #[arg(long, value_name = "NAME", conflicts_with_all = ["channels", "budget"])]
    pub(super) board: Option<String>,
    /// A file with further boards, see `kinglet plan`
    #[arg(long, value_name = "FILE", requires = "board")]
    pub(super) boards: Option<PathBuf>,
    /// As many channels as an image of SIZE bytes allows, such as 128KiB,
    /// at the bits of --qat or else int8
    #[arg(long, value_name = "SIZE", value_parser = size, conflicts_with = "channels")]
    pub(super) budget: Option<u64>,
    /// Hidden channels of the channel mix [default: four times the channels]
    #[arg(long, value_parser = not_zero::<usize>)]
    pub(super) hidden: Option<usize>,
    /// Channels of a head, for v5 to v7 [default: 64, or all channels]
    #[arg(long)]
    pub(super) head_size: Option<usize>,
    /// Entries of the vocabulary: `bytes`, or a number to learn one, such as 512 [default: bytes]
    #[arg(long, value_parser = vocab)]
    pub(super) vocab: Option<usize>,
    /// Leave typographic characters as they are; else they become ASCII (’ is written as ') where
    /// a vocabulary is learned from texts that have nearly no other characters beyond ASCII
    #[arg(long)]
    pub(super) keep_typography: bool,
    /// The share of the lines with labels that are learned with their words in another order, each time in another one [default: 0]
    #[arg(long, value_name = "SHARE")]
    pub(super) shuffle_words: Option<f64>,
    /// Tokens of a sequence [default: 256]
    #[arg(long)]
    pub(super) context: Option<usize>,
    /// Tokens of a sequence of validation text [default: 1024; of a Transformer as --context]
    #[arg(long, value_name = "TOKENS", value_parser = not_zero::<usize>)]
    pub(super) validation_context: Option<usize>,
    /// Sequences of a step [default: 8; with --distill 4]
    #[arg(long)]
    pub(super) batch: Option<usize>,
    /// Minutes to train [default: 10; with --distill 400 steps]
    #[arg(long, conflicts_with = "steps")]
    pub(super) minutes: Option<f64>,
    /// Steps to train: the same result for the same seed
    #[arg(long)]
    pub(super) steps: Option<u32>,
    /// Seed of initial weights and batches [default: 1]
    #[arg(long)]
    pub(super) seed: Option<u64>,
    /// Train with weights and activations rounded as in an image of this precision
    #[arg(long, value_enum)]
    pub(super) qat: Option<Precision>,
    #[command(flatten)]
    pub(super) precisions: Precisions,
    /// The share of the training after which rounding begins [default: 0]
    #[arg(long, value_name = "SHARE")]
    pub(super) qat_from: Option<f64>,
    /// Stop after this many of 20 validations without progress [default: never]
    #[arg(long, value_parser = not_zero::<u32>)]
    pub(super) patience: Option<u32>,
    /// The highest learning rate [default: 0.003; with --distill 0.0005]
    #[arg(long)]
    pub(super) learning_rate: Option<f32>,
    /// Decay of matrices, times the learning rate [default: 0.01; with --distill 0]
    #[arg(long)]
    pub(super) weight_decay: Option<f32>,
    /// Number format of the checkpoint [default: f32]
    #[arg(long, value_enum)]
    pub(super) floats: Option<Floats>,
    /// Threads [default: all cores]
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=256))]
    pub(super) threads: Option<u16>,
    /// Seconds between saves
    #[arg(long, default_value_t = 20.0, value_name = "SECONDS")]
    pub(super) save_every: f64,
    /// Seconds to try again when the results cannot be written, as on a full disk
    #[arg(long, default_value_t = 300, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(..=86_400))]
    pub(super) wait: u32,
    /// Start from scratch and discard a saved training
    #[arg(long)]
    pub(super) fresh: bool,
    /// Print one JSON object: output, layers, channels, parameters, steps, seconds, best_validation, right, by_position, curve (points of step, seconds, learned, validation)
    #[arg(long)]
    pub(super) json: bool,
}

/// Options that are about a network, or a text, that is not a checkpoint's.
const OF_A_NEW_NETWORK: [&str; 15] = [
    "recipe",
    "validation",
    "task",
    "version",
    "layers",
    "channels",
    "board",
    "budget",
    "hidden",
    "head_size",
    "vocab",
    "keep_typography",
    "shuffle_words",
    "validation_context",
    "qat_from",
];

/// A number that has a default where it is not given: in a recipe, 0 stands for that.
fn not_zero<T: FromStr + Default + PartialEq>(text: &str) -> Result<T, String> {
    let number = text.parse().ok().filter(|number| *number != T::default());
    number.ok_or_else(|| "must be a number of 1 or more; leave it out for the default".to_owned())
}

fn vocab(text: &str) -> Result<usize, String> {
    match text {
        "bytes" => Ok(256),
        number => number
            .parse()
            .map_err(|_| "must be `bytes` or a number".to_owned()),
    }
}

/// The recipe's settings, the options in their place, and the channels that
/// there is room for.
pub(super) fn settings(args: &Args) -> Result<Settings> {
    let mut settings = chosen(args)?;
    let room = match (&args.board, args.budget) {
        (Some(name), _) => {
            let boards = Boards::load(args.boards.as_deref())?;
            Some(Room::Board(named(&boards, name)?.clone()))
        }
        (None, budget) => budget.map(Room::Flash),
    };
    let check = |settings: &Settings| settings.check().or_else(bad_use);
    if let Some(room) = room {
        check(&settings)?;
        // Labels are few beside the weights; 64 is room for most.
        let classes = match settings.task {
            Task::Text => 0,
            Task::Classify => 64,
        };
        fit(&mut settings, classes, &room).or_else(bad_use)?;
    }
    check(&settings)?;
    check_formats(&settings)?;
    Ok(settings)
}

/// The network has the matrices that were named.
fn check_formats(settings: &Settings) -> Result<()> {
    let (Arch::Rwkv(version), Some(formats)) = (settings.version, settings.formats()) else {
        return Ok(());
    };
    let dimensions = network(settings, 0).dimensions;
    let checked = shape(version, &dimensions, &Options::of(formats));
    checked.map(drop).or_else(bad_use)
}

/// The recipe's settings, and the options in their place.
fn chosen(args: &Args) -> Result<Settings> {
    let mut settings = match (&args.recipe, &args.from) {
        (None, None) => Settings::default(),
        (Some(path), _) => recipe(path)?,
        (None, Some(path)) => of_checkpoint(args, path)?,
    };
    if args.from.is_none() && !args.reading.is_empty() {
        return bad_use(
            "--ignore, --read-as and --tied-head are about a checkpoint: give one with --from",
        );
    }
    if !args.text.is_empty() {
        settings.text.clone_from(&args.text);
    }
    if args.validation.is_some() {
        settings.validation.clone_from(&args.validation);
    }
    fn set<T: Copy>(setting: &mut T, option: Option<T>) {
        *setting = option.unwrap_or(*setting);
    }
    set(&mut settings.task, args.task);
    set(&mut settings.version, args.version);
    set(&mut settings.layers, args.layers);
    set(&mut settings.channels, args.channels);
    set(&mut settings.hidden, args.hidden);
    set(&mut settings.head_size, args.head_size);
    set(&mut settings.vocab, args.vocab);
    set(&mut settings.context, args.context);
    set(&mut settings.validation_context, args.validation_context);
    set(&mut settings.batch, args.batch);
    set(&mut settings.budget, args.minutes.map(Budget::Minutes));
    set(&mut settings.budget, args.steps.map(Budget::Steps));
    set(&mut settings.seed, args.seed);
    set(&mut settings.qat, args.qat.map(Some));
    set(&mut settings.head, args.precisions.head.map(Some));
    set(&mut settings.embedding, args.precisions.embedding.map(Some));
    set(&mut settings.keys, args.precisions.keys.map(Some));
    if !args.precisions.force.is_empty() {
        settings.force.clone_from(&args.precisions.force);
    }
    set(&mut settings.qat_from, args.qat_from);
    set(&mut settings.patience, args.patience);
    settings.keep_typography |= args.keep_typography;
    set(&mut settings.shuffle_words, args.shuffle_words);
    set(&mut settings.floats, args.floats);
    set(&mut settings.optimizer.learning_rate, args.learning_rate);
    set(&mut settings.optimizer.weight_decay, args.weight_decay);
    if args.head_size.is_some() && !settings.version.has_heads() {
        let version = settings.version;
        return bad_use(format!("{version} has no heads: leave out --head-size"));
    }
    Ok(settings)
}

/// Settings that distill a checkpoint.
fn of_checkpoint(args: &Args, path: &Path) -> Result<Settings> {
    let model = Model::new(Checkpoint::open(path)?, &args.reading.reading())?;
    let dimensions = model.dimensions();
    Ok(Settings {
        version: Arch::Rwkv(model.version()),
        layers: dimensions.layers,
        channels: dimensions.embd,
        hidden: dimensions.ffn,
        head_size: dimensions.head_size(),
        vocab: dimensions.vocab,
        from: Some(path.to_owned()),
        gn_eps: args.gn_eps,
        ..Settings::of_distillation()
    })
}

/// Reads a recipe; its paths are relative to its folder.
fn recipe(path: &Path) -> Result<Settings> {
    let text = read_text(path)?;
    let read = toml::from_str(&text);
    let mut settings: Settings =
        read.or_else(|error| bad_use(format!("{}: {}", path.display(), located(&text, &error))))?;
    let folder = path.parent().unwrap_or(Path::new(""));
    let paths = settings.text.iter_mut().chain(&mut settings.validation);
    paths.for_each(|path| *path = folder.join(&*path));
    Ok(settings)
}
