//! The firmware in QEMU with the demo model: it computes what the workstation
//! computes, at a constant cost, in the memory that `kinglet inspect` promises.

use kinglet_emulated::{assert_same, fails, failure, qemu};
use kinglet_targets::DEFAULT_MACHINE;
use kinglet_tests::{
    arg, demo_checkpoint, demo_image, file, intents_checkpoint, json, kept_folder, quantize, says,
    synth, typed, xtask,
};
use object::{Object, ObjectSymbol};
use serde_json::Value;
use std::path::{Path, PathBuf};
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
fn random(options: &str) -> PathBuf {
    let name = format!("random{}", options.replace(' ', ""));
    let checkpoint = folder().join(format!("{name}.safetensors"));
    let image = folder().join(format!("{name}.kgl"));
    synth(&checkpoint, options);
    quantize(&checkpoint, &image, "--weights int4");
    image
}

/// A fast random model whose vocabulary ends at byte 127.
fn small() -> &'static Path {
    static IMAGE: OnceLock<PathBuf> = OnceLock::new();
    IMAGE.get_or_init(|| random("--layers 1 --channels 16 --vocab 128"))
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
    let args = ("--prompt-file", &prompt, "-n 64 --every-logits");
    assert_same(int8(), args, "");
    assert_same(int4(), args, "--load");
}

#[test]
fn draws_are_those_of_the_workstation() {
    let seed = "--seed 18446744073709551615 -n 40 --prompt The";
    let warm = "--temperature 0.9 --top-k 20 --top-p 0.85";
    assert_same(int4(), (seed, warm), "");
    let penalty = "--temperature 0.3 --repetition-penalty 1.3";
    assert_same(int4(), (seed, penalty), "");
}

#[test]
fn an_empty_prompt_starts_a_text_and_no_tokens_are_none() {
    assert_same(int4(), (["--prompt", ""], "-n 5 --every-logits"), "");
    assert_same(int4(), (["--prompt", ""], "-n 0"), "");
    assert_same(int4(), "--prompt Hello -n 0 --every-logits", "");
    let nothing = qemu(int4(), "--prompt Hello -n 0");
    assert_eq!(nothing["instructions_per_token"], Value::Null);
    assert!(nothing["prompt_instructions"].as_u64() > Some(0));
}

#[test]
fn a_prompt_of_100_000_bytes_needs_no_more_memory() {
    let path = folder().join("prompt-100000.txt");
    std::fs::write(&path, "kinglet and ".repeat(8334).get(..100_000).unwrap()).unwrap();
    let long = qemu(small(), ("--prompt-file", &path, "-n 4"));
    let short = qemu(small(), "--prompt kinglet -n 4");
    assert_eq!(long["prompt_tokens"], 100_000);
    assert_eq!(long["ram_bytes"], short["ram_bytes"]);
    assert_same(small(), ("--prompt-file", &path, "-n 4"), "");
}

/// For every version and any content of the state, to the instruction; a timer ticks
/// less often than that.
#[test]
fn every_token_costs_the_same() {
    for version in ["v4", "v5.0", "v5", "v6", "v7"] {
        let checkpoint = folder().join(format!("constant-{version}.safetensors"));
        synth(&checkpoint, ("--layers 1 --channels 32 --version", version));
        // Cores with conditional instructions, and without.
        for (core, machine, tokens) in [
            ("m4", DEFAULT_MACHINE.name, "20000"),
            ("m0", "mps2-an385-m0", "400"),
            ("rv32", "virt-rv32", "400"),
        ] {
            let image = folder().join(format!("constant-{version}-{core}.kgl"));
            quantize(&checkpoint, &image, ("--weights int4 --target", core));
            let run = |tokens| {
                let machine = ["--machine", machine];
                qemu(&image, ("--load --prompt a", machine, ["-n", tokens]))
            };
            let long = run(tokens);
            let counts = long["instructions"].as_array().expect("a list").iter();
            let counts = counts.map(|count| count.as_u64().expect("a count"));
            let (least, most) = counts.fold((u64::MAX, 0), |(least, most), count| {
                (least.min(count), most.max(count))
            });
            println!("{version} on {core}: {least} to {most} instructions");
            assert!(most - least <= 2, "{version} {core}: {least} to {most}");
            assert_eq!(long["ram_bytes"], run("10")["ram_bytes"], "{version}");
        }
    }
}

/// The current architecture, with a state of 8 bits, on the core of a micro:bit.
#[test]
fn rwkv_7_runs_on_a_cortex_m0_in_64_kib() {
    let checkpoint = folder().join("v7-4x128.safetensors");
    let image = folder().join("v7-4x128.kgl");
    synth(
        &checkpoint,
        "--version v7 --layers 4 --channels 128 --vocab 512",
    );
    let options = "--weights int4 --state i8 --target m0";
    quantize(&checkpoint, &image, options);
    let asked = ("-n 24", ["--prompt", ""]);
    let ours = json(("run", &image, "--ignore-end --json", asked));
    let board = qemu(&image, ("--machine mps2-an385-m0", asked));
    for key in ["tokens", "logits_hashes"] {
        assert_eq!(board[key], ours[key], "{key}");
    }
    // State and scratch among them.
    let bytes = |key: &str| board[key].as_u64().expect("a size");
    let (variables, stack) = (bytes("ram_bytes"), bytes("stack_bytes"));
    println!("{variables} bytes of variables, {stack} of stack");
    assert!(variables + stack <= 64 << 10, "{board}");
}

#[test]
fn the_library_has_no_other_ram_and_no_allocator() {
    for image in [int8(), int4()] {
        let inspected = json(("inspect", image, "--json"));
        let firmware = kinglet_emulated::json(("firmware --image", image, "--json"));
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

/// What the console prints that reads these lines.
fn console(image: &Path, tokens: &str, lines: &str) -> String {
    let mut command = xtask();
    let args = ["qemu", "--image", arg(image), "-n", tokens];
    let output = typed(command.args(args), lines);
    let errors = String::from_utf8_lossy(&output.stderr);
    let shown = String::from_utf8(output.stdout).expect("UTF-8");
    assert!(output.status.success(), "{shown}{errors}");
    shown
}

#[test]
fn the_console_answers_a_typed_prompt() {
    let prompt = ["--prompt", "Once upon a time"];
    let expected = json(("run", int4(), prompt, "-n 30 --json"));
    // No line feed at the end: the end of the input ends the line.
    let lines = "/help\n/nonsense\nOnce upon a time";
    let shown = console(int4(), "30", lines);
    let (core, machine) = (DEFAULT_MACHINE.core.title, DEFAULT_MACHINE.name);
    let greeting = format!("\u{f}Kinglet on a {core} ({machine}): ");
    assert!(shown.starts_with(&greeting), "{shown}");
    says(&shown, "/temperature");
    says(&shown, "/nonsense: no such command");
    says(&shown, expected["text"].as_str().unwrap());
}

/// Errors do not end the conversation: each line is answered.
#[test]
fn the_console_goes_on_after_what_is_wrong() {
    let long = "a".repeat(300);
    let lines = format!("/from nothing\n\n{long}\ncaf\u{e9}\n/from empty\ncat\n");
    let shown = console(small(), "3", &lines);
    for said in [
        "the image has no state of this name",
        "No line has more than 256 bytes.",
        "[3 tokens, ",
    ] {
        says(&shown, said);
    }
}

/// The model of voice commands on the board with the least memory.
#[test]
fn a_micro_bit_answers_with_the_label() {
    let image = folder().join("intents-m0.kgl");
    quantize(&intents_checkpoint(), &image, "--weights int4 --target m0");
    for (sentence, label) in [
        ("please turn on the light in the kitchen", "light-on"),
        ("set a timer for ten minutes", "timer-set"),
        ("what time is it", "time"),
        ("lock the front door", "lock"),
    ] {
        let ours = json(("run", &image, ["--prompt", sentence], "--json"));
        assert_eq!(ours["label"], label, "{sentence}");
        let board = qemu(&image, ("--machine microbit", ["--prompt", sentence]));
        assert_eq!(board["logits_hashes"][0], ours["logits_hash"], "{sentence}");
        let text = board["text"].as_str().expect("a text");
        let said = format!(" %: {label}");
        assert!(text.ends_with(&said), "{sentence}: {text}");
        // Of 16 KiB.
        let ram = board["ram_bytes"].as_u64().expect("a size");
        assert!(ram < 12 * 1024, "{board}");
    }
}

#[test]
fn a_bad_image_gives_a_sentence() {
    let good = std::fs::read(small()).unwrap();
    let bad = |name: &str, bytes: &[u8]| file(&folder(), name, bytes);
    let mut bytes = good.clone();
    bytes[good.len() / 2] ^= 0x10;
    let flipped = bad("flipped.kgl", &bytes);
    let truncated = bad("truncated.kgl", &good[..good.len() - 100]);
    let stub = bad("stub.kgl", &good[..50]);
    let other = bad(
        "other.kgl",
        b"This is a text and not an image, and it is long enough.",
    );
    for load in ["", "--load"] {
        let fails = |path: &Path| failure(("--image", path, "--prompt a", load));
        let message = fails(&flipped);
        assert!(
            message.contains("checksum") || message.contains("not finite"),
            "{message}"
        );
        fails(&truncated);
        fails(&stub);
        says(&fails(&other), "not a Kinglet image");
    }
    says(&failure("--image absent.kgl"), "absent.kgl");
}

#[test]
fn bytes_without_a_token_and_bad_use_are_errors() {
    let message = failure(("--image", small(), ["--prompt", "caf\u{e9}!"], "-n 3"));
    says(&message, "no token stands for the byte 0xc3");
    let message = failure(("--image", &demo_checkpoint(), "--prompt a"));
    says(&message, "not a Kinglet image");
    let machine = "qemu --machine mps9 --image";
    fails((machine, small()), 2, DEFAULT_MACHINE.name);
}
