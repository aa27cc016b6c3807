//! Against third-party checkpoints and logits; see CONTRIBUTING.md for where
//! they are looked for.

use kinglet_tests::npz::Npz;
use kinglet_tests::{file, folder, golden, json, kinglet, logits, quantize, text, Args};
use std::fs;
use std::path::{Path, PathBuf};

/// Largest difference allowed in a logit of the float forward pass.
const FLOAT_TOLERANCE: f32 = 1e-4;

/// A checkpoint, its golden vectors, and the epsilon they were made with.
struct Golden {
    checkpoint: PathBuf,
    vectors: PathBuf,
    gn_eps: Option<&'static str>,
}

/// Checkpoint, folder of golden vectors, epsilon where it is not the default.
const MODELS: [(&str, &str, Option<&str>); 13] = [
    ("models/4v0-660K", "public/4v0-660K", None),
    ("models/5v1-730K", "public/5v1-730K", Some("1e-5")),
    ("models/5v1-730K", "public/5v1-730K-eps64e-5", None),
    ("models/5v2-730K", "public/5v2-730K", Some("1e-5")),
    ("models/5v2-730K", "public/5v2-730K-eps64e-5", None),
    ("models/6v0-3m-bf16", "public/6v0-3m", None),
    ("models/6v0-1m", "public/6v0-1m", None),
    ("models/7v0-834K", "public/7v0-834K", None),
    ("synth/models/synth-v4", "synth/public/synth-v4", None),
    ("synth/models/synth-v51", "synth/public/synth-v51", None),
    ("synth/models/synth-v52", "synth/public/synth-v52", None),
    ("synth/models/synth-v6", "synth/public/synth-v6", None),
    ("synth/models/synth-v7", "synth/public/synth-v7", None),
];

fn models(golden: &Path) -> Vec<Golden> {
    let model = |(checkpoint, vectors, gn_eps): (&str, &str, _)| Golden {
        checkpoint: golden.join(format!("{checkpoint}.safetensors")),
        vectors: golden.join(vectors),
        gn_eps,
    };
    MODELS.into_iter().map(model).collect()
}

/// The option for an epsilon that is not the default.
fn epsilon(gn_eps: Option<&str>) -> Vec<&str> {
    gn_eps.map_or(Vec::new(), |eps| vec!["--gn-eps", eps])
}

/// A prompt of these tokens, which are bytes.
fn prompt(folder: &Path, tokens: &[u32]) -> PathBuf {
    let bytes: Vec<u8> = tokens.iter().map(|&token| token as u8).collect();
    file(folder, "prompt.bin", bytes)
}

fn largest_difference(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter()
        .zip(b)
        .fold(0.0, |max, (a, b)| f32::max(max, (a - b).abs()))
}

#[test]
fn float_logits_equal_the_golden_ones_at_every_position() {
    let Some(golden) = golden() else { return };
    let folder = folder();
    for model in models(&golden) {
        let mut files = 0;
        for entry in fs::read_dir(&model.vectors).unwrap() {
            let path = entry.unwrap().path();
            let mut npz = Npz::open(&path);
            let tokens = npz.tokens("tokens").expect("tokens");
            let prompt = prompt(folder.path(), &tokens);
            let options = ("--prompt-file", &prompt, epsilon(model.gn_eps));
            let ours = logits(&model.checkpoint, options);
            let difference = match npz.f32("logits") {
                Some(expected) => largest_difference(&ours, &expected),
                // The long run holds logits at four positions only.
                None => {
                    let rows = [1023, 2047, 3071, 4095].map(|t| &ours[t * 256..(t + 1) * 256]);
                    largest_difference(&rows.concat(), &npz.f32("logits_at").expect("logits_at"))
                }
            };
            println!("{}: {difference:e}", path.display());
            assert!(
                difference <= FLOAT_TOLERANCE,
                "{}: {difference}",
                path.display()
            );
            files += 1;
        }
        assert!(files >= 3, "{}: {files} files", model.vectors.display());
    }
}

#[test]
fn greedy_tokens_equal_the_golden_ones() {
    let Some(golden) = golden() else { return };
    let folder = folder();
    for model in models(&golden) {
        let mut npz = Npz::open(&model.vectors.join("p1_english.npz"));
        let (tokens, expected) = (
            npz.tokens("tokens").unwrap(),
            npz.tokens("greedy_tokens").unwrap(),
        );
        let margins = npz.f32("greedy_margin").unwrap();
        let prompt = prompt(folder.path(), &tokens);
        let run = ("run", &model.checkpoint, "--prompt-file", &prompt, "-n 64");
        let run = json((run, "--ignore-end --json", epsilon(model.gn_eps)));
        for (i, expected) in expected.iter().enumerate() {
            // A margin below the tolerance is a tie: nothing after it counts.
            if margins[i] < FLOAT_TOLERANCE {
                break;
            }
            assert_eq!(
                run["tokens"][i],
                *expected,
                "{}: token {i}",
                model.checkpoint.display()
            );
        }
    }
}

#[test]
fn pth_and_safetensors_give_identical_results() {
    let Some(golden) = golden() else { return };
    let folder = folder();
    for name in ["4v0-660K", "5v2-730K", "7v0-834K"] {
        let st = golden.join(format!("models/{name}.safetensors"));
        let pth = golden.join(format!("pth/{name}.pth"));
        same_results(&st, &pth, folder.path());
    }
}

fn same_results(st: &Path, pth: &Path, folder: &Path) {
    let tokens: Vec<u32> = (0..200).map(|i| (i * 37 + 11) % 256).collect();
    let prompt = prompt(folder, &tokens);
    let bits = |file| -> Vec<u32> {
        let logits = logits(file, ("--prompt-file", &prompt));
        logits.iter().map(|value| value.to_bits()).collect()
    };
    assert_eq!(bits(st), bits(pth));
    let image = |file, name: &str| {
        let out = folder.join(name);
        quantize(file, &out, "--weights int4 --name same");
        let bytes = fs::read(out).unwrap();
        // All but the metadata, where the file's name stands, and its spans.
        let weights_end = u32::from_le_bytes([bytes[56], bytes[57], bytes[58], bytes[59]]) as usize;
        bytes[64..weights_end].to_vec()
    };
    assert!(
        image(st, "a.kgl") == image(pth, "b.kgl"),
        "the images' weights differ"
    );
}

/// Checkpoint, epsilon, format of the weights; the most that quantization may
/// cost: divergence, least top-1 agreement, bytes.
type Quality = (
    &'static str,
    Option<&'static str>,
    &'static str,
    f64,
    f64,
    u64,
);

const QUALITY: [Quality; 8] = [
    ("4v0-660K", None, "int8", 2e-4, 0.984, 720_000),
    ("4v0-660K", None, "int4", 5e-4, 0.97, 410_000),
    ("5v1-730K", Some("1e-5"), "int8", 8e-4, 0.98, 720_000),
    ("5v1-730K", Some("1e-5"), "int4", 0.0165, 0.91, 461_000),
    ("5v2-730K", Some("1e-5"), "int8", 6e-4, 0.98, 770_000),
    ("5v2-730K", Some("1e-5"), "int6", 0.002, 0.96, 640_000),
    ("5v2-730K", Some("1e-5"), "int4", 0.0158, 0.915, 490_000),
    ("6v0-3m-bf16", None, "int4", 0.002, 0.98, 2_450_000),
];

#[test]
fn quantized_images_stay_close_to_the_reference() {
    let (Some(golden), Some(text)) = (golden(), text()) else {
        return;
    };
    let folder = folder();
    let text = fs::read(text.join("alpacaseed.txt")).unwrap();
    // Bounds are of the whole text; its first third is within them, too.
    let text = text[..32 * 1024].to_vec();
    for (model, gn_eps, weights, most_kl, least_top1, most_bytes) in QUALITY {
        let (text_file, image) = (folder.path().join("text"), folder.path().join("model.kgl"));
        let checkpoint = golden.join(format!("models/{model}.safetensors"));
        // That model reads a zero after each byte; a few segments of text
        // are enough for one of its size.
        let zeros = model.starts_with('6');
        let (text, reset) = match zeros {
            true => (
                text.iter().take(20 * 1024).flat_map(|&b| [b, 0]).collect(),
                "2048",
            ),
            false => (text.clone(), "1024"),
        };
        let scored = text.len() - text.len().div_ceil(reset.parse().unwrap());
        fs::write(&text_file, text).unwrap();
        let pack = ("quantize", &checkpoint, "-o", &image, "--json");
        let report = json((pack, ["--weights", weights], epsilon(gn_eps)));
        let bytes = report["image_bytes"].as_u64().unwrap();
        let name = format!("{model} {weights}");
        assert!(bytes <= most_bytes, "{name}: {bytes}");
        let args = ("eval", &image, "--text", &text_file, ["--reset", reset]);
        let scores = json((&args, "--reference", &checkpoint, "--json"));
        println!("{name}: {scores}");
        let number = |key: &str| scores[key].as_f64().unwrap();
        assert!(number("kl") <= most_kl, "{name}: {scores}");
        assert!(number("top1") >= least_top1, "{name}: {scores}");
        assert_eq!(scores["scored_bytes"], scored);
    }
}

/// The model's own texts, the sums over them and the order of rounding depend on nothing
/// but the checkpoint.
#[test]
fn rounding_is_the_same_for_any_number_of_threads() {
    let Some(golden) = golden() else { return };
    let folder = folder();
    let checkpoint = golden.join("models/7v0-834K.safetensors");
    let images = ["1", "2", "3"].map(|threads| {
        let image = folder.path().join("model.kgl");
        let output = kinglet()
            .args(("quantize", &checkpoint, "-o", &image, "--weights int4").list())
            .env("RAYON_NUM_THREADS", threads)
            .output()
            .unwrap();
        assert!(output.status.success());
        fs::read(&image).unwrap()
    });
    assert!(images[0] == images[1] && images[1] == images[2]);
    // It is not plain rounding that was the same.
    let plain = folder.path().join("plain.kgl");
    quantize(&checkpoint, &plain, "--weights int4");
    assert!(fs::read(&plain).unwrap() != images[0]);
}

#[test]
fn versions_are_named() {
    let Some(golden) = golden() else { return };
    let versions = [
        ("5v1-730K.safetensors", "RWKV-5.0"),
        ("5v2-730K.safetensors", "RWKV-5.2"),
        ("6v0-3m-bf16.safetensors", "RWKV-6"),
        ("7v0-834K.safetensors", "RWKV-7"),
    ];
    for (file, version) in versions {
        let path = golden.join("models").join(file);
        let report = json(("inspect", &path, "--json"));
        assert_eq!(report["version"], version);
    }
}
