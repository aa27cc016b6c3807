//! All machines: their kernels pass the self-test, and they generate what the
//! workstation generates, to the bit.

use kinglet_emulated::run;
use kinglet_tests::{arg, json, kept_folder, stdout};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

/// Machines and what images for them are packed for.
const MACHINES: [(&str, &str); 7] = [
    ("mps2-an386", "m4"),
    ("mps2-an385", "m3"),
    ("mps2-an385-m0", "m0"),
    ("microbit", "m0"),
    ("mps2-an500", "m7"),
    ("mps2-an505", "m33"),
    ("mps3-an547", "m55"),
];

fn folder() -> PathBuf {
    kept_folder("machines")
}

/// Versions of random models, and what tells the number format of the state.
const VERSIONS: [(&str, &[&str]); 6] = [
    ("v4", &[]),
    ("v5.0", &[]),
    ("v5", &["--state", "f16"]),
    ("v6", &[]),
    ("v7", &[]),
    ("v7", &["--state", "f16"]),
];

/// A random model whose image fits into 256 KiB of flash and whose buffers fit
/// into 16 KiB of RAM; columns and rows that end within a block or group, and
/// heads of which a part fills vectors.
fn checkpoint(version: &str) -> PathBuf {
    let path = folder().join(format!("small-{version}.safetensors"));
    // Tests run at the same time.
    static ONE: Mutex<()> = Mutex::new(());
    let _one = ONE.lock();
    if !path.exists() {
        let partial = path.with_extension("partial");
        let size = ["--layers", "2", "--channels", "40", "--vocab", "256"];
        let heads = ["--version", version, "--head-size", "10"];
        stdout(&[&["synth", "-o", arg(&partial)], &size[..], &heads].concat());
        std::fs::rename(partial, &path).expect("the target folder can be written");
    }
    path
}

/// An image with a name of its own: tests run at the same time.
fn packed(name: &str, weights: &str, target: &str) -> PathBuf {
    packed_version(name, ("v4", &[]), weights, target)
}

fn packed_version(
    name: &str,
    (version, options): (&str, &[&str]),
    weights: &str,
    target: &str,
) -> PathBuf {
    let image = folder().join(format!(
        "{name}-{version}{}-{weights}-{target}.kgl",
        options.concat()
    ));
    let checkpoint = checkpoint(version);
    let mut args = vec!["quantize", arg(&checkpoint), "-o", arg(&image)];
    args.extend(["--weights", weights, "--head", weights, "--target", target]);
    args.extend(options);
    stdout(&args);
    image
}

#[test]
fn every_machine_generates_what_the_workstation_generates() {
    for (machine, target) in MACHINES {
        for version in VERSIONS {
            for weights in ["int4", "int8"] {
                generates_the_same(machine, target, version, weights);
            }
        }
    }
}

fn generates_the_same(machine: &str, target: &str, version: (&str, &[&str]), weights: &str) {
    let image = packed_version("small", version, weights, target);
    let expected = expected(version, weights, &image);
    let args = ["qemu", "--machine", machine, "--image", arg(&image)];
    let output = run(&[&args[..], &GENERATE].concat());
    let errors = String::from_utf8_lossy(&output.stderr);
    let name = format!("{machine} {version:?} {weights}");
    assert!(output.status.success(), "{name}: {errors}");
    let found: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    for key in ["tokens", "logits_hashes", "prompt_logits_hashes"] {
        assert_eq!(found[key], expected[key], "{key}, {name}");
    }
}

const GENERATE: [&str; 6] = [
    "--prompt",
    "A kinglet",
    "-n",
    "12",
    "--json",
    "--every-logits",
];

/// What the workstation generates: the same from this image and from the one
/// that is packed for a Cortex-M4.
fn expected(version: (&str, &[&str]), weights: &str, image: &Path) -> Value {
    let on_workstation =
        |image: &Path| json(&[&["run", arg(image), "--ignore-end"][..], &GENERATE].concat());
    let expected = on_workstation(&packed_version("small", version, weights, "m4"));
    assert_eq!(on_workstation(image), expected, "{}", image.display());
    expected
}

#[test]
fn the_kernels_of_every_machine_pass_and_are_counted() {
    let output = run(&["bench", "--kernels-only", "--json"]);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    let results: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let list = |key: &str| results[key].as_array().cloned().unwrap_or_default();
    for (machine, _) in MACHINES {
        let of_machine = |entry: &&Value| entry["machine"] == machine;
        let checks = list("checks");
        let checks: Vec<_> = checks.iter().filter(of_machine).collect();
        assert_eq!(checks.len(), 9, "{machine}");
        for check in checks {
            assert_eq!(check["wrong"], 0, "{check}");
            assert!(check["cases"].as_u64() >= Some(6), "{check}");
        }
        let kernels = list("kernels");
        let shapes = kernels.iter().filter(of_machine).count();
        // Where RAM is short, only the smallest matrix fits.
        assert_eq!(
            shapes,
            if machine == "microbit" { 2 } else { 12 },
            "{machine}"
        );
    }
    the_same_code_counts_the_same(&list("kernels"));
    a_better_past_is_noticed(&results);
}

/// The two machines that run Cortex-M0 code, with timers of different kinds.
fn the_same_code_counts_the_same(kernels: &[Value]) {
    for weights in ["int8", "int4"] {
        let count = |machine: &str| {
            let kernel = kernels
                .iter()
                .find(|k| k["machine"] == machine && k["weights"] == weights && k["cols"] == 64);
            kernel.and_then(|k| k["instructions_per_mac"].as_f64())
        };
        let (large, small) = (count("mps2-an385-m0").unwrap(), count("microbit").unwrap());
        assert!((large / small - 1.0).abs() < 0.002, "{large} {small}");
    }
}

/// `--compare` finds figures that were better, and only those.
fn a_better_past_is_noticed(results: &Value) {
    let compare = |results: &Value| {
        let path = folder().join("before.json");
        std::fs::write(&path, results.to_string()).unwrap();
        let machine = ["--machine", "mps2-an386", "--kernels-only"];
        run(&[&["bench", "--compare", arg(&path)][..], &machine].concat())
    };
    assert_eq!(compare(results).status.code(), Some(0));
    let mut better = results.clone();
    let count = &mut better["kernels"][0]["instructions_per_mac"];
    *count = Value::from(count.as_f64().unwrap() * 0.99);
    let output = compare(&better);
    assert_eq!(output.status.code(), Some(1));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(errors.matches("worse: ").count(), 1, "{errors}");
}

/// With and without an FPU. The parts that the bench firmware counted are taken
/// from the whole that another firmware counted: what is left must not depend
/// on the width of the weights.
#[test]
fn the_parts_of_a_token_are_the_whole() {
    for machine in ["mps2-an386", "mps2-an385"] {
        let output = run(&["bench", "--json", "--machine", machine]);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{machine}: {errors}");
        let results: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        let tokens = results["tokens"].as_array().expect("a list");
        assert_eq!(tokens.len(), 4, "{machine}");
        for token in tokens {
            let parts = token["parts"].as_object().expect("parts");
            let counts: Vec<u64> = parts.values().filter_map(Value::as_u64).collect();
            assert_eq!(counts.len(), 6, "{token}");
            assert!(counts.iter().all(|&count| count > 0), "{token}");
            let sum: u64 = counts.iter().sum();
            assert_eq!(Some(sum), token["instructions_per_token"].as_u64());
        }
        for pair in tokens.chunks_exact(2) {
            assert_eq!(pair[0]["model"], pair[1]["model"]);
            assert_ne!(pair[0]["weights"], pair[1]["weights"]);
            let elementwise = |i: usize| pair[i]["parts"]["elementwise"].as_f64().unwrap();
            let ratio = elementwise(0) / elementwise(1);
            assert!((ratio - 1.0).abs() < 0.01, "{machine}: {ratio}");
        }
    }
}

#[test]
fn an_image_for_other_cores_is_refused_with_advice() {
    let image = packed("refused", "int4", "m4");
    for load in [&[][..], &["--load"]] {
        let machine = [
            "qemu",
            "--machine",
            "mps2-an385",
            "--prompt",
            "a",
            "--image",
        ];
        let output = run(&[&machine[..], &[arg(&image)], load].concat());
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{errors}");
        assert!(errors.contains("pack"), "{errors}");
    }
    let output = run(&[
        "qemu",
        "--machine",
        "microbit",
        "--load",
        "--prompt",
        "a",
        "--image",
        arg(&image),
    ]);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{errors}");
    assert!(errors.contains("no spare RAM"), "{errors}");
}
