//! The firmware in QEMU with the demo model: it computes what the workstation
//! computes, at a constant cost, in the memory that `kinglet inspect` promises.

use kinglet_emulated::{assert_same, failure, qemu, run};
use kinglet_targets::DEFAULT_MACHINE;
use kinglet_tests::{
    arg, demo_checkpoint, demo_image, intents_checkpoint, json, kept_folder, stdout, xtask,
};
use object::{Object, ObjectSymbol};
use serde_json::Value;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::OnceLock;

fn folder() -> PathBuf {
    kept_folder("qemu")
}

fn int4() -> &'static Path {
    static IMAGE: OnceLock<PathBuf> = OnceLock::new();
    IMAGE.get_or_init(|| demo_image(&folder(), "int4"))
}

fn int8() -> &'static Path {
    static IMAGE: OnceLock<PathBuf> = OnceLock::new();
    IMAGE.get_or_init(|| demo_image(&folder(), "int8"))
}

/// The image of a random model of this version and size.
fn random(version: &str, size: &[&str]) -> PathBuf {
    let name = format!("random-{version}{}", size.concat());
    let checkpoint = folder().join(format!("{name}.safetensors"));
    let image = folder().join(format!("{name}.kgl"));
    let synth = ["synth", "--version", version, "-o", arg(&checkpoint)];
    stdout(&[&synth[..], size].concat());
    let quantize = ["quantize", arg(&checkpoint), "-o", arg(&image)];
    stdout(&[&quantize[..], &["--weights", "int4"]].concat());
    image
}

/// A fast random model whose vocabulary ends at byte 127.
fn small() -> &'static Path {
    static IMAGE: OnceLock<PathBuf> = OnceLock::new();
    IMAGE.get_or_init(|| {
        let size = ["--layers", "1", "--channels", "16", "--vocab", "128"];
        random("v4", &size)
    })
}

/// 512 bytes of English, which the demo model has tokens for.
fn long_prompt() -> PathBuf {
    let path = folder().join("prompt-512.txt");
    let text =
        "Once upon a time a goldcrest met a kinglet. \"So very small!\" it said - ".repeat(8);
    std::fs::write(&path, &text.as_bytes()[..512]).unwrap();
    path
}

/// The engine is compiled for speed in every firmware whose profile says so for
/// it: nothing of a token's work is compiled with the firmware, for size.
#[test]
fn a_firmware_for_size_is_as_fast_as_one_for_speed() {
    // An image of another name, so that the firmware has one, too.
    let image = folder().join("in-fast-firmware.kgl");
    std::fs::copy(int4(), &image).unwrap();
    let generate = ["--prompt", "Once upon a time", "-n", "16", "--json"];
    let output = xtask()
        .args(["qemu", "--image", arg(&image)])
        .args(generate)
        .env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "3")
        .output()
        .unwrap();
    let fast: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let small = qemu(int4(), &generate[..4]);
    assert_eq!(small["logits_hashes"], fast["logits_hashes"]);
    let number = |run: &Value, key: &str| run[key].as_f64().expect("a number");
    let bytes = |run| number(run, "flash_bytes");
    assert!(bytes(&small) < 0.99 * bytes(&fast), "one is for size");
    let count = |run| number(run, "instructions_per_token");
    let (small, fast) = (count(&small), count(&fast));
    assert!(
        small <= 1.01 * fast,
        "{small} instructions, {fast} for speed"
    );
}

#[test]
fn every_logit_of_a_long_prompt_is_that_of_the_workstation() {
    let prompt = long_prompt();
    let args = ["--prompt-file", arg(&prompt), "-n", "64", "--every-logits"];
    assert_same(int8(), &args, &[]);
    assert_same(int4(), &args, &["--load"]);
}

#[test]
fn draws_are_those_of_the_workstation() {
    let seed = [
        "--seed",
        "18446744073709551615",
        "-n",
        "40",
        "--prompt",
        "The",
    ];
    let warm = ["--temperature", "0.9", "--top-k", "20", "--top-p", "0.85"];
    assert_same(int4(), &[&seed[..], &warm].concat(), &[]);
    let penalty = ["--temperature", "0.3", "--repetition-penalty", "1.3"];
    assert_same(int4(), &[&seed[..], &penalty].concat(), &[]);
}

#[test]
fn an_empty_prompt_starts_a_text_and_no_tokens_are_none() {
    assert_same(int4(), &["--prompt", "", "-n", "5", "--every-logits"], &[]);
    assert_same(int4(), &["--prompt", "", "-n", "0"], &[]);
    assert_same(
        int4(),
        &["--prompt", "Hello", "-n", "0", "--every-logits"],
        &[],
    );
    let nothing = qemu(int4(), &["--prompt", "Hello", "-n", "0"]);
    assert_eq!(nothing["instructions_per_token"], Value::Null);
    assert!(nothing["prompt_instructions"].as_u64() > Some(0));
}

#[test]
fn a_prompt_of_100_000_bytes_needs_no_more_memory() {
    let path = folder().join("prompt-100000.txt");
    std::fs::write(&path, "kinglet and ".repeat(8334).get(..100_000).unwrap()).unwrap();
    let long = qemu(small(), &["--prompt-file", arg(&path), "-n", "4"]);
    let short = qemu(small(), &["--prompt", "kinglet", "-n", "4"]);
    assert_eq!(long["prompt_tokens"], 100_000);
    assert_eq!(long["ram_bytes"], short["ram_bytes"]);
    assert_same(small(), &["--prompt-file", arg(&path), "-n", "4"], &[]);
}

/// For every version and any content of the state.
#[test]
fn every_token_costs_the_same() {
    for version in ["v4", "v5.0", "v5", "v6", "v7"] {
        let image = random(version, &["--layers", "1", "--channels", "32"]);
        let run = |tokens| qemu(&image, &["--load", "--prompt", "a", "-n", tokens]);
        let long = run("20000");
        let count = |token: usize| long["instructions"][token - 1].as_u64().unwrap();
        let (early, late) = (count(10), count(20_000));
        println!("{version}: token 10: {early}, token 20,000: {late} instructions");
        assert!(
            early.abs_diff(late) * 1000 <= early,
            "{version}: token 10: {early}, token 20,000: {late}"
        );
        assert_eq!(long["ram_bytes"], run("10")["ram_bytes"], "{version}");
    }
}

#[test]
fn the_library_has_no_other_ram_and_no_allocator() {
    for image in [int8(), int4()] {
        let inspected = json(&["inspect", arg(image), "--json"]);
        let output = run(&["firmware", "--image", arg(image), "--json"]);
        let firmware: Value = serde_json::from_slice(&output.stdout).expect("xtask prints JSON");
        let bytes = std::fs::read(firmware["elf"].as_str().unwrap()).unwrap();
        let elf = object::File::parse(&*bytes).unwrap();
        let size = |name| {
            elf.symbols()
                .find(|s| s.name() == Ok(name))
                .map(|s| s.size())
        };
        assert_eq!(size("KINGLET_STATE"), inspected["state_bytes"].as_u64());
        assert_eq!(size("KINGLET_SCRATCH"), inspected["scratch_bytes"].as_u64());
        for symbol in elf.symbols() {
            let name = symbol.name().unwrap_or_default();
            let allocates = [
                "__rust_alloc",
                "__rust_realloc",
                "__rdl_",
                "__rg_",
                "malloc",
            ];
            assert!(!allocates.iter().any(|part| name.contains(part)), "{name}");
            let variable =
                symbol.is_definition() && (0x2000_0000..0x2040_0000).contains(&symbol.address());
            assert!(
                !variable || symbol.size() == 0 || !name.contains("7kinglet5"),
                "{name}"
            );
        }
        let static_ram = firmware["static_ram_bytes"].as_u64().unwrap();
        let model = inspected["state_bytes"].as_u64().unwrap()
            + inspected["scratch_bytes"].as_u64().unwrap();
        assert!(
            (model..model + 64).contains(&static_ram),
            "{static_ram} bytes of variables"
        );
    }
}

#[test]
fn the_console_answers_a_typed_prompt() {
    let expected = json(&[
        "run",
        arg(int4()),
        "--prompt",
        "Once upon a time",
        "-n",
        "30",
        "--json",
    ]);
    let mut child = xtask()
        .args(["qemu", "--image", arg(int4()), "-n", "30"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // No line feed at the end: the end of the input ends the line.
    child
        .stdin
        .take()
        .unwrap()
        .write_all(b"/help\n/nonsense\nOnce upon a time")
        .unwrap();
    let output = child.wait_with_output().unwrap();
    let shown = String::from_utf8(output.stdout).unwrap();
    assert!(
        output.status.success(),
        "{shown}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let (core, machine) = (DEFAULT_MACHINE.core.title, DEFAULT_MACHINE.name);
    let greeting = format!("\u{f}Kinglet on a {core} ({machine}): ");
    assert!(shown.starts_with(&greeting), "{shown}");
    assert!(shown.contains("/temperature"), "{shown}");
    assert!(shown.contains("/nonsense: no such command"), "{shown}");
    assert!(
        shown.contains(expected["text"].as_str().unwrap()),
        "{shown}"
    );
}

/// Errors do not end the conversation: each line is answered.
#[test]
fn the_console_goes_on_after_what_is_wrong() {
    let mut child = xtask()
        .args(["qemu", "--image", arg(small()), "-n", "3"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    let long = "a".repeat(300);
    let typed = format!("/from nothing\n\n{long}\ncaf\u{e9}\n/from empty\ncat\n");
    input.write_all(typed.as_bytes()).unwrap();
    drop(input);
    let output = child.wait_with_output().unwrap();
    let shown = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{shown}");
    for said in [
        "the image has no state of this name",
        "No line has more than 256 bytes.",
        "[3 tokens, ",
    ] {
        assert!(shown.contains(said), "{said}: {shown}");
    }
}

/// The model of voice commands on the board with the least memory.
#[test]
fn a_micro_bit_answers_with_the_label() {
    let checkpoint = intents_checkpoint();
    let image = folder().join("intents-m0.kgl");
    let options = ["--weights", "int4", "--target", "m0"];
    stdout(
        &[
            &["quantize", arg(&checkpoint), "-o", arg(&image)][..],
            &options,
        ]
        .concat(),
    );
    for (sentence, label) in [
        ("please turn on the light in the kitchen", "light-on"),
        ("set a timer for ten minutes", "timer-set"),
        ("what time is it", "time"),
        ("lock the front door", "lock"),
    ] {
        let ours = json(&["run", arg(&image), "--prompt", sentence, "--json"]);
        assert_eq!(ours["label"], label, "{sentence}");
        let board = qemu(&image, &["--machine", "microbit", "--prompt", sentence]);
        assert_eq!(board["logits_hashes"][0], ours["logits_hash"], "{sentence}");
        let text = board["text"].as_str().expect("a text");
        assert!(
            text.ends_with(&format!(" %: {label}")),
            "{sentence}: {text}"
        );
        // Of 16 KiB.
        assert!(
            board["ram_bytes"].as_u64().expect("a size") < 12 * 1024,
            "{board}"
        );
    }
}

#[test]
fn a_bad_image_gives_a_sentence() {
    let good = std::fs::read(small()).unwrap();
    let bad = |name: &str, bytes: &[u8]| -> PathBuf {
        let path = folder().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    };
    let mut bytes = good.clone();
    bytes[good.len() / 2] ^= 0x10;
    let flipped = bad("flipped.kgl", &bytes);
    let truncated = bad("truncated.kgl", &good[..good.len() - 100]);
    let stub = bad("stub.kgl", &good[..50]);
    let other = bad(
        "other.kgl",
        b"This is a text and not an image, and it is long enough.",
    );
    for load in [&[][..], &["--load"]] {
        let fails =
            |path: &Path| failure(&[&["--image", arg(path), "--prompt", "a"], load].concat());
        let message = fails(&flipped);
        assert!(
            message.contains("checksum") || message.contains("not finite"),
            "{message}"
        );
        fails(&truncated);
        fails(&stub);
        assert!(fails(&other).contains("not a Kinglet image"));
    }
    assert!(failure(&["--image", "absent.kgl"]).contains("absent.kgl"));
}

#[test]
fn bytes_without_a_token_and_bad_use_are_errors() {
    let message = failure(&["--image", arg(small()), "--prompt", "caf\u{e9}!", "-n", "3"]);
    assert!(
        message.contains("no token stands for the byte 0xc3"),
        "{message}"
    );
    let checkpoint = demo_checkpoint();
    assert!(
        failure(&["--image", arg(&checkpoint), "--prompt", "a"]).contains("not a Kinglet image")
    );
    let output = run(&["qemu", "--machine", "mps9", "--image", arg(small())]);
    assert_eq!(output.status.code(), Some(2));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(errors.contains(DEFAULT_MACHINE.name), "{errors}");
}
