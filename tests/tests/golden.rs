//! Against third-party checkpoints and logits; see CONTRIBUTING.md for where
//! they are looked for.

use kinglet_tests::npz::{read_npy, Npz};
use kinglet_tests::{arg, golden, json, stdout, text};
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
const MODELS: [(&str, &str, Option<&str>); 12] = [
    ("models/4v0-660K", "public/4v0-660K", None),
    ("models/5v1-730K", "public/5v1-730K", Some("1e-5")),
    ("models/5v1-730K", "public/5v1-730K-eps64e-5", None),
    ("models/5v2-730K", "public/5v2-730K", Some("1e-5")),
    ("models/5v2-730K", "public/5v2-730K-eps64e-5", None),
    ("models/6v0-3m-bf16", "public/6v0-3m", None),
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

impl Golden {
    /// Arguments that the checkpoint needs.
    fn options(&self) -> Vec<&'static str> {
        self.gn_eps.map_or(Vec::new(), |eps| vec!["--gn-eps", eps])
    }
}

/// The logits of a file at every token, `[tokens, 256]`.
fn logits(file: &Path, options: &[&str], tokens: &[u32], folder: &Path) -> Vec<f32> {
    let (prompt, out) = (folder.join("prompt.bin"), folder.join("logits.npy"));
    let bytes: Vec<u8> = tokens.iter().map(|&token| token as u8).collect();
    fs::write(&prompt, bytes).unwrap();
    let args = ["logits", arg(file), "--prompt-file", arg(&prompt), "-o"];
    stdout(&[&args[..], &[arg(&out)], options].concat());
    read_npy(&out)
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
    let folder = tempfile::tempdir().unwrap();
    for model in models(&golden) {
        let mut files = 0;
        for entry in fs::read_dir(&model.vectors).unwrap() {
            let path = entry.unwrap().path();
            let mut npz = Npz::open(&path);
            let tokens = npz.tokens("tokens").expect("tokens");
            let ours = logits(&model.checkpoint, &model.options(), &tokens, folder.path());
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
    let folder = tempfile::tempdir().unwrap();
    for model in models(&golden) {
        let mut npz = Npz::open(&model.vectors.join("p1_english.npz"));
        let (tokens, expected) = (
            npz.tokens("tokens").unwrap(),
            npz.tokens("greedy_tokens").unwrap(),
        );
        let margins = npz.f32("greedy_margin").unwrap();
        let prompt = folder.path().join("prompt.bin");
        fs::write(
            &prompt,
            tokens.iter().map(|&t| t as u8).collect::<Vec<u8>>(),
        )
        .unwrap();
        let args = ["run", arg(&model.checkpoint), "--prompt-file", arg(&prompt)];
        let run = json(
            &[
                &args[..],
                &["-n", "64", "--ignore-end", "--json"],
                &model.options(),
            ]
            .concat(),
        );
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
    let folder = tempfile::tempdir().unwrap();
    for name in ["4v0-660K", "5v2-730K", "7v0-834K"] {
        let st = golden.join(format!("models/{name}.safetensors"));
        let pth = golden.join(format!("pth/{name}.pth"));
        same_results(&st, &pth, folder.path());
    }
}

fn same_results(st: &Path, pth: &Path, folder: &Path) {
    let tokens: Vec<u32> = (0..200).map(|i| (i * 37 + 11) % 256).collect();
    let bits = |file| -> Vec<u32> {
        logits(file, &[], &tokens, folder)
            .iter()
            .map(|v| v.to_bits())
            .collect()
    };
    assert_eq!(bits(st), bits(pth));
    let image = |file, name: &str| {
        let out = folder.join(name);
        stdout(&[
            "quantize",
            arg(file),
            "-o",
            arg(&out),
            "--weights",
            "int4",
            "--name",
            "same",
        ]);
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

/// Most that quantization may cost: divergence and least top-1 agreement.
struct Quality {
    model: &'static str,
    gn_eps: Option<&'static str>,
    weights: &'static str,
    kl: f64,
    top1: f64,
    image_bytes: u64,
}

const fn quality(
    model: &'static str,
    gn_eps: Option<&'static str>,
    weights: &'static str,
    (kl, top1, image_bytes): (f64, f64, u64),
) -> Quality {
    Quality {
        model,
        gn_eps,
        weights,
        kl,
        top1,
        image_bytes,
    }
}

const QUALITY: [Quality; 8] = [
    quality("4v0-660K", None, "int8", (2.5e-4, 0.984, 720_000)),
    quality("4v0-660K", None, "int4", (1.5e-3, 0.96, 410_000)),
    quality("5v1-730K", Some("1e-5"), "int8", (9e-4, 0.98, 720_000)),
    quality("5v1-730K", Some("1e-5"), "int4", (0.055, 0.85, 460_000)),
    quality("5v2-730K", Some("1e-5"), "int8", (9e-4, 0.98, 770_000)),
    quality("5v2-730K", Some("1e-5"), "int4", (0.042, 0.87, 490_000)),
    quality("6v0-3m-bf16", None, "int8", (3e-4, 0.99, 3_450_000)),
    quality("6v0-3m-bf16", None, "int4", (0.012, 0.96, 2_450_000)),
];

#[test]
fn quantized_images_stay_close_to_the_reference() {
    let (Some(golden), Some(text)) = (golden(), text()) else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let text = fs::read(text.join("alpacaseed.txt")).unwrap();
    for quality in QUALITY {
        let (text_file, image) = (folder.path().join("text"), folder.path().join("model.kgl"));
        let checkpoint = golden.join(format!("models/{}.safetensors", quality.model));
        // That model reads a zero after each byte; a few segments of text
        // are enough for one of its size.
        let zeros = quality.model.starts_with('6');
        let (text, reset) = match zeros {
            true => (
                text.iter().take(20 * 1024).flat_map(|&b| [b, 0]).collect(),
                "2048",
            ),
            false => (text.clone(), "1024"),
        };
        let scored = text.len() - text.len().div_ceil(reset.parse().unwrap());
        fs::write(&text_file, text).unwrap();
        let gn_eps = quality.gn_eps.map_or(vec![], |eps| vec!["--gn-eps", eps]);
        let args = ["quantize", arg(&checkpoint), "-o", arg(&image), "--json"];
        let args = [&args[..], &["--weights", quality.weights], &gn_eps].concat();
        let bytes = json(&args)["image_bytes"].as_u64().unwrap();
        let name = format!("{} {}", quality.model, quality.weights);
        assert!(bytes <= quality.image_bytes, "{name}: {bytes}");
        let args = [
            "eval",
            arg(&image),
            "--text",
            arg(&text_file),
            "--reset",
            reset,
        ];
        let scores = json(&[&args[..], &["--reference", arg(&checkpoint), "--json"]].concat());
        println!("{name}: {scores}");
        assert!(
            scores["kl"].as_f64().unwrap() <= quality.kl,
            "{name}: {scores}"
        );
        assert!(
            scores["top1"].as_f64().unwrap() >= quality.top1,
            "{name}: {scores}"
        );
        assert_eq!(scores["scored_bytes"], scored);
    }
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
        let report = json(&["inspect", arg(&path), "--json"]);
        assert_eq!(report["version"], version);
    }
}
