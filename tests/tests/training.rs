//! Training, by the library: what is learned in parallel runs recurrently,
//! and an image scores as its training said.

use kinglet::arch::{Port, Portable};
use kinglet::image::{Factors, Image, Metadata, Parts};
use kinglet::shape::{
    table_row_bytes, Bits, Kind, Part, StateFormat, AFTER_LAYERS, BEFORE_LAYERS, BLOCK_ROWS,
    FIXED_BITS, GROUP_COLS,
};
use kinglet::shape::{Matrix, Table};
use kinglet_host::checkpoint::CheckpointError;
use kinglet_host::engine::{Engine, ImageFile};
use kinglet_host::eval::{evaluate, Cut, Segments};
use kinglet_host::model::{Model, Reading, Version};
use kinglet_host::pack::{pack, Options};
use kinglet_host::quantize::Precision;
use kinglet_host::random::Random;
use kinglet_host::reference::{Reference, DEFAULT_GN_EPS};
use kinglet_host::tensors::{table, Stored, Tensor};
use kinglet_host::text::Unknown;
use kinglet_host::train::arch::{initial_weights, Arch, Network};
use kinglet_host::train::gradient::Sequence;
use kinglet_host::train::optimizer::Rule;
use kinglet_host::train::prepare::{network, prepare};
use kinglet_host::train::run::{train, Observer, Trained};
use kinglet_host::train::save::save_checkpoint;
use kinglet_host::train::settings::{Budget, Settings};
use kinglet_host::train::tape::{Pool, Tape};
use kinglet_host::train::trainer::Trainer;
use kinglet_tests::{file, folder, json, quantize, sentences};
use std::path::Path;
use std::time::Duration;

/// The versions that can be trained.
fn versions() -> impl Iterator<Item = Version> {
    Version::ALL.into_iter().filter(|v| v.is_trained())
}

fn settings(version: Version) -> Settings {
    Settings {
        version: Arch::Rwkv(version),
        layers: 3,
        channels: 64,
        hidden: 96,
        head_size: 32,
        ..Settings::default()
    }
}

/// Weights that no longer have the zeros of the first step.
fn moved_weights(network: &Network) -> Vec<f32> {
    let mut random = Random::new(3);
    let weights = initial_weights(network, 2).into_iter();
    weights.map(|w| w + 0.1 * random.normal()).collect()
}

fn save(path: &Path, settings: &Settings, network: &Network, weights: &[f32]) {
    save_checkpoint(path, settings, network, weights, None, (&[], 0)).unwrap();
}

/// The property of the paper (section 4): all positions at once, or one by
/// one, are the same function.
#[test]
fn logits_of_all_positions_at_once_are_those_of_the_recurrence() {
    let folder = folder();
    let mut random = Random::new(1);
    let tokens: Vec<u32> = (0..2000).map(|_| random.below(256) as u32).collect();
    for version in Version::ALL {
        let settings = settings(version);
        let network = network(&settings, 0);
        let weights = moved_weights(&network);
        let mut pool = Pool::default();
        let mut tape = Tape::new(&weights, &mut pool);
        let logits = network.logits(&mut tape, &tokens);
        let parallel = tape.value(logits).chunks_exact(256);

        let path = folder.path().join("model.safetensors");
        save(&path, &settings, &network, &weights);
        let reference = Reference::new(&Model::open(&path).unwrap(), DEFAULT_GN_EPS).unwrap();
        let mut state = reference.state();
        let mut worst = 0.0f32;
        for (&token, parallel) in tokens.iter().zip(parallel) {
            reference.advance(token, &mut state);
            let recurrent = reference.logits(&mut state);
            let differences = recurrent.iter().zip(parallel).map(|(a, b)| (a - b).abs());
            worst = differences.fold(worst, f32::max);
        }
        println!("{version:?}: largest difference of 2,000 positions {worst:.1e}");
        assert!(worst < 2e-4, "{version:?}: {worst}");
    }
}

/// Watches a training that is not saved.
struct Nobody;

impl Observer for Nobody {
    fn not_saved(&mut self, error: CheckpointError, _: Option<u32>) {
        panic!("{error}");
    }

    fn save_every(&self) -> Duration {
        Duration::MAX
    }
}

/// Trains for some steps on `text` without weight decay.
fn learn(settings: &Settings, text: &Path) -> (Network, Trained) {
    let mut settings = settings.clone();
    settings.text = vec![text.to_path_buf()];
    settings.optimizer.weight_decay = 0.0;
    let prepared = prepare(&settings).unwrap();
    let output = text.with_extension("safetensors");
    let trained = train(&settings, &prepared, &output, &mut Nobody).unwrap();
    (prepared.network, trained)
}

/// A tensor whose gradient stays zero is one that initial values cut off.
#[test]
fn no_tensor_stays_as_it_began() {
    let folder = folder();
    let text = file(folder.path(), "text.txt", sentences(300, 1));
    for version in versions() {
        let settings = Settings {
            context: 32,
            batch: 2,
            budget: Budget::Steps(50),
            ..settings(version)
        };
        let (network, trained) = learn(&settings, &text);
        let began = initial_weights(&network, settings.seed);
        for entry in network.layout.entries() {
            let (name, range) = (&entry.name, entry.range());
            let moved = trained.weights()[range.clone()] != began[range];
            assert!(moved, "{version:?}: {name} stays as it began");
        }
    }
}

/// A letter that comes back after six dots: the token shift of two layers
/// does not reach it, so that without a state 1.03 bits per byte are left,
/// and with one a third; a half where the processor's instructions round so that a
/// version learns later.
#[test]
fn every_version_learns_to_remember() {
    let folder = folder();
    let mut random = Random::new(5);
    let mut line = || {
        let letter = char::from(b'a' + random.below(8) as u8);
        format!("{letter}......{letter}\n")
    };
    let text: String = (0..20_000).map(|_| line()).collect();
    let text = file(folder.path(), "text.txt", text);
    let adamw = versions().map(|version| (version, Rule::AdamW));
    // It has matrices of all shapes.
    for (version, rule) in adamw.chain([(Version::V6, Rule::Muon)]) {
        let mut settings = Settings {
            layers: 2,
            hidden: 0,
            // No whole number of lines, so that pieces begin anywhere in one.
            context: 74,
            budget: Budget::Steps(300),
            ..settings(version)
        };
        settings.optimizer.matrices = rule;
        if rule == Rule::Muon {
            settings.optimizer.learning_rate = 1e-2;
        }
        let (_, trained) = learn(&settings, &text);
        let (bits, _) = trained.progress.best.unwrap();
        println!("{version:?}, {rule:?}: {bits:.3} bits per byte");
        assert!(bits <= 0.6, "{version:?}, {rule:?}: {bits} bits per byte");
    }
}

/// Training with rounding sees what the packer writes and what the engine
/// computes: both predict a text equally well.
#[test]
fn an_image_scores_what_its_training_saw() {
    let folder = folder();
    let text = sentences(3000, 1);
    let file = file(folder.path(), "text.txt", &text);
    let ways = [
        ("v4", "int4", "int4"),
        ("v7", "int4", "int4x16"),
        ("v4", "int8", "int8x16"),
    ];
    for (version, bits, values) in ways {
        let force = format!("--force ffn.value={values}");
        let model = folder.path().join("model.safetensors");
        let size = "--layers 2 --channels 32 --context 64 --steps 150";
        let options = (["--version", version, "--qat", bits], size);
        let force = force.as_str();
        let report = json(("train --text", &file, options, force, "--json -o", &model));
        let seen = report["best_validation"].as_f64().unwrap();
        let image = folder.path().join("model.kgl");
        quantize(&model, &image, (["--weights", bits, "--head", bits], force));
        let engine = Engine::open(&image, DEFAULT_GN_EPS, &Reading::default()).unwrap();
        // The validation text of the training: the last twentieth, in its windows.
        let last = &text.as_bytes()[text.len() - text.len() / 20..];
        let segments = Segments {
            cut: Cut::Bytes(1024),
            after_each_byte: None,
            unknown: Unknown::Refuse,
        };
        let scores = evaluate(&engine, &[], None, last, segments, |_| ()).unwrap();
        let scored = scores[0].bits_per_byte;
        println!("{version} {bits}: the training saw {seen:.4}, the image scores {scored:.4}");
        assert!(seen < 2.5, "{version} {bits} learned little: {seen}");
        assert!(
            (seen - scored).abs() < 0.003,
            "{version} {bits}: {seen} {scored}"
        );
    }
}

/// A row's scale in an image, for values that were multiplied by `times`.
fn row_scale((factor, places): (i32, u32), exp: i32, times: f64) -> f32 {
    let exp = exp - places as i32;
    (f64::from(factor) * (f64::from(exp).exp2() / times)) as f32
}

/// Columns of a matrix `[rows, cols]` of an image, by products with unit
/// vectors; returns the matrix.
fn matrix_values(matrix: &Matrix<'_>, times: f64) -> Vec<f32> {
    // A product of 127 steps, or 126, of which 31 places less the shift are left out.
    let steps = if matrix.is_fine() { 126.0 } else { 127.0 };
    let (exp, times) = (matrix.exp - 31 + matrix.shift as i32, times / steps);
    let padded = matrix.cols().next_multiple_of(GROUP_COLS);
    let mut out = vec![0.0; matrix.rows() * matrix.cols()];
    for col in 0..matrix.cols() {
        let mut words = vec![0u32; padded / 4];
        words[col / 4] = 1 << (8 * (col % 4));
        let mut sums = vec![0; matrix.rows().next_multiple_of(BLOCK_ROWS)];
        Portable::sums(matrix, &words, &mut sums);
        for (row, &sum) in sums.iter().enumerate() {
            if let Some(out) = out.get_mut(row * matrix.cols() + col) {
                *out = sum as f32 * row_scale(matrix.scales.of_row(row), exp, times);
            }
        }
    }
    out
}

/// The rows of an image's table.
fn table_values(table: &Table<'_>, times: f64) -> Vec<f32> {
    let row_bytes = table_row_bytes(table.bits, table.cols);
    let rows = table.rows.chunks_exact(row_bytes).enumerate();
    let row = |(row, bytes): (usize, &[u8])| -> Vec<f32> {
        let scale = row_scale(table.scales.of_row(row), table.exp, times);
        let weight = |col: usize| match table.bits {
            Bits::Int8 => i32::from(bytes[col] as i8),
            bits => {
                let bits = usize::from(bits.count());
                let (scales, weights) = bytes.split_at(table.cols.div_ceil(GROUP_COLS));
                let at = |bit: usize| weights[bit / 8] >> (bit % 8) & 1;
                let weight = (0..bits).map(|bit| i32::from(at(bits * col + bit)) << bit);
                let weight = weight.sum::<i32>() << (32 - bits) >> (32 - bits);
                weight * i32::from(scales[col / GROUP_COLS])
            }
        };
        (0..table.cols)
            .map(|col| weight(col) as f32 * scale)
            .collect()
    };
    rows.flat_map(row).collect()
}

/// Fixed-point numbers of an image, in the tensor's form.
fn fixed_values(values: &[i32], tensor: &Tensor) -> Vec<f32> {
    let one = f64::from(1 << FIXED_BITS);
    let value = |&m: &i32| ((f64::from(m) / one - tensor.plus) / tensor.times) as f32;
    values.iter().map(value).collect()
}

/// The values of each part in an image, and those that a training saw.
struct Compared {
    name: String,
    image: Vec<f32>,
    seen: Vec<f32>,
    /// The most that they differ by, relative to 1 or a larger value.
    most: f32,
}

/// All parts of an image beside the weights that its training saw: those of
/// the layout, then the embedding's rows.
fn compare(image: &Image<'_>, network: &Network, seen: &[f32]) -> Vec<Compared> {
    let Arch::Rwkv(version) = network.arch else {
        unreachable!("a Transformer has no image");
    };
    let shape = image.shape();
    let mut compared = Vec::new();
    let mut read = |layer: Option<usize>, from: &mut Parts<'_>, part: &Part| {
        let (tensor, index) = table(version).of_part(layer.is_some(), part.name);
        let entry = network.layout.entry(layer, tensor.name);
        let values = &seen[entry.range()];
        let floats = |values: &[f32]| values.to_vec();
        let times = tensor.times;
        let image = match part.kind {
            Kind::Factors(dim) | Kind::Mix(dim) => {
                let Factors { m, exp } = from.factors(dim);
                m.iter()
                    .map(|&m| row_scale((m.into(), 0), exp, times))
                    .collect()
            }
            Kind::Fixed(dim) => fixed_values(from.fixed(dim), tensor),
            Kind::Matrix(r, c) | Kind::LowRank(r, c) => matrix_values(&from.matrix(r, c), times),
            Kind::Table(r, c) => table_values(&from.table(r, c), times),
        };
        let seen = match tensor.stored {
            Stored::Normalized => floats(&seen[network.layout.len()..]),
            Stored::Transposed | Stored::Slices(_) => {
                let [.., inputs, outputs] = entry.shape[..] else {
                    unreachable!("a matrix has rows and columns");
                };
                let own = &values[index.unwrap_or(0) * inputs * outputs..];
                let at = |i: usize| own[i % inputs * outputs + i / inputs];
                (0..inputs * outputs).map(at).collect()
            }
            Stored::Complement => values.iter().map(|x| 1.0 - x).collect(),
            _ => tensor.stored_vector(tensor.name, floats(values), shape.n_embd as usize),
        };
        let most = match part.kind {
            // Half a unit of 2^-22, and the roundings of floats.
            Kind::Fixed(_) => 4e-7,
            _ => 0.0,
        };
        compared.push(Compared {
            name: entry.name.clone(),
            image,
            seen,
            most,
        });
    };
    let mut from = image.parts();
    BEFORE_LAYERS
        .iter()
        .for_each(|part| read(None, &mut from, part));
    for layer in 0..shape.n_layer {
        let parts = shape.layer_parts(layer).iter().copied().flatten();
        parts.for_each(|part| read(Some(layer as usize), &mut from, part));
    }
    AFTER_LAYERS
        .iter()
        .for_each(|part| read(None, &mut from, part));
    compared
}

/// For every choice of bits, training rounds what the packer rounds, to the same
/// values, bit for bit.
#[test]
fn an_image_has_the_weights_that_its_training_saw() {
    let folder = folder();
    let path = folder.path().join("model.safetensors");
    let mut random = Random::new(1);
    let tokens: Vec<u32> = (0..17).map(|_| random.below(256) as u32).collect();
    let batch = [Sequence {
        tokens: tokens[..16].to_vec(),
        targets: tokens[1..].to_vec(),
    }];
    let all = [Precision::Int8, Precision::Int6, Precision::Int4];
    // A Latin square of each: any two of the four in all nine ways.
    let way = |i: usize| [i / 3, i, i / 3 + i, i / 3 + 2 * i].map(|i| Some(all[i % 3]));
    for version in versions() {
        for [qat, head, embedding, keys] in (0..9).map(way) {
            let settings = Settings {
                qat,
                head,
                embedding,
                keys,
                force: ["blocks.1.ffn.value=int6", "blocks.0.ffn.key=int8x16"]
                    .map(|force| force.parse().unwrap())
                    .into(),
                layers: 2,
                ..settings(version)
            };
            let formats = settings.formats().unwrap();
            let network = network(&settings, 0);
            let mut trainer = Trainer::new(network.clone(), settings.optimizer, 1);
            // From where no matrix is zero.
            trainer.weights = moved_weights(&network);
            trainer.round_as(Some(formats.clone()));
            (0..3).for_each(|_| _ = trainer.learn(&batch, 0.1));
            save(&path, &settings, &network, &trainer.weights);
            let model = Model::open(&path).unwrap();
            for state in StateFormat::ALL {
                if !version.recurrence().has_heads() && state == StateFormat::I8 {
                    continue;
                }
                let options = Options {
                    state,
                    ..Options::of(formats.clone())
                };
                let metadata = Metadata::default();
                let packed = pack(&model, &options, &metadata, |_, _| ()).unwrap();
                let file = ImageFile::new(&packed.bytes).unwrap();
                let seen = trainer.seen_weights();
                for part in compare(&file.image(), &network, &seen) {
                    let name = format!("{version:?} {formats:?} {state:?}: {}", part.name);
                    assert!(!part.image.is_empty(), "{name}");
                    assert_eq!(part.image.len(), part.seen.len(), "{name}");
                    let pairs = part.image.iter().zip(&part.seen);
                    let differences = pairs.map(|(a, b)| (a - b).abs() / a.abs().max(1.0));
                    let worst = differences.fold(0.0, f32::max);
                    assert!(worst <= part.most, "{name}: {worst}");
                }
            }
        }
    }
}
