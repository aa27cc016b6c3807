//! The firmware of real boards: it builds, it has the memory that
//! `boards.toml` says, and on the boards that QEMU has it prints what the
//! workstation prints.
//!
//! Building all takes minutes: `cargo xtask test boards` does it.

#[path = "qemu_common/mod.rs"]
mod common;

use common::{enabled, run};
use kinglet_plan::{Board, Boards, Region};
use kinglet_tests::{arg, demo_checkpoint, folder, root, stdout};
use serde_json::Value;
use std::path::{Path, PathBuf};

fn boards() -> Vec<Board> {
    let boards = Boards::load(None).expect("the repository's boards");
    boards.iter().cloned().collect()
}

fn xtask(args: &[&str]) -> Value {
    let output = run(args);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{args:?}: {errors}");
    serde_json::from_slice(&output.stdout).expect("JSON")
}

/// A region of a linker script, whose numbers may be hexadecimal.
fn region(script: &str, name: &str) -> Option<Region> {
    let mut lines = script.lines().map(str::trim);
    let line = lines.find(|line| line.starts_with(&format!("{name} : ORIGIN")))?;
    let number = |key: &str| {
        let (_, rest) = line.split_once(key)?;
        let digits = rest.split([',', ' ']).next()?;
        u32::from_str_radix(digits.strip_prefix("0x")?, 16).ok()
    };
    Some(Region {
        origin: number("ORIGIN = ")?,
        bytes: number("LENGTH = ")?,
    })
}

#[test]
fn linker_scripts_say_what_the_table_of_boards_says() {
    let mut folders = 0;
    for board in boards() {
        let path = root()
            .join("firmware/boards")
            .join(&board.name)
            .join("memory.x");
        let script = std::fs::read_to_string(&path).expect("every board has a memory.x");
        assert_eq!(
            region(&script, "MODEL"),
            Some(board.model()),
            "{}",
            board.name
        );
        assert_eq!(region(&script, "RAM"), Some(board.ram), "{}", board.name);
        let flash = region(&script, "FLASH").expect("flash");
        // A boot loader may have the first bytes.
        let boot = region(&script, "BOOT2").map_or(0, |boot| boot.bytes);
        assert_eq!(flash.origin, board.flash.origin + boot, "{}", board.name);
        assert_eq!(
            flash.end(),
            u64::from(board.model().origin),
            "{}",
            board.name
        );
        let stack = format!("LENGTH(RAM) - {};", board.stack_bytes);
        assert!(script.contains(&stack), "{}", board.name);
        folders += 1;
    }
    let all = std::fs::read_dir(root().join("firmware/boards")).expect("the folder of boards");
    let of_boards = all.filter(|entry| {
        let entry = entry.as_ref().expect("an entry");
        entry.path().join("memory.x").exists()
    });
    assert_eq!(of_boards.count(), folders, "a folder of no known board");
}

/// Board or machine, text and stack when this was last looked at.
const SIZES: [(&str, u64, Option<u64>); 12] = [
    ("microbit-v1", 62_752, Some(3_876)),
    ("nrf52840-dk", 66_652, None),
    ("stm32f405", 65_776, Some(3_860)),
    ("nucleo-h743zi", 69_644, None),
    ("pico", 64_196, None),
    ("pico2", 65_472, None),
    ("mps2-an386", 108_832, Some(4_236)),
    ("mps2-an385", 101_756, Some(3_936)),
    ("mps2-an385-m0", 104_332, Some(4_444)),
    ("mps2-an500", 108_832, Some(4_236)),
    ("mps2-an505", 109_456, Some(4_236)),
    ("mps3-an547", 105_920, Some(4_004)),
];

#[test]
fn the_firmware_fits_where_the_table_says() {
    if !enabled() {
        return;
    }
    let sizes = xtask(&["sizes", "--boards", "--json"]);
    let sizes = sizes.as_array().expect("a list");
    let names: Vec<_> = sizes.iter().map(|size| size["board"].as_str()).collect();
    let pinned = SIZES.map(|(name, ..)| Some(name));
    assert_eq!(names, pinned);
    for (size, (name, text, stack)) in sizes.iter().zip(SIZES) {
        let number = |key: &str| size[key].as_u64();
        near(name, number("text_bytes").expect("a number"), text);
        assert_eq!(number("stack_bytes").is_some(), stack.is_some(), "{name}");
        if let (Some(found), Some(stack)) = (number("stack_bytes"), stack) {
            near(name, found, stack);
        }
    }
    let boards = boards();
    let (of_boards, of_machines) = sizes.split_at(boards.len());
    for (board, size) in boards.iter().zip(of_boards) {
        assert_eq!(size["board"], board.name);
        fits(size, board);
        let variables = size["data_bytes"].as_u64().zip(size["bss_bytes"].as_u64());
        let variables = variables.map(|(data, bss)| data + bss);
        let said = u64::from(board.variables_bytes);
        assert_eq!(variables, Some(said), "{}: variables_bytes", board.name);
    }
    // Each core with the demo model, in the memory of the smallest chip that has room for it.
    let chip = boards.iter().find(|board| board.name == "nrf52840-dk");
    let chip = chip.expect("a board");
    assert!(of_machines.len() >= 6);
    for size in of_machines {
        fits(size, chip);
    }
}

/// In the flash of the application, and on the board's stack.
fn fits(size: &Value, board: &Board) {
    let number = |key: &str| size[key].as_u64();
    let flash = number("text_bytes").zip(number("data_bytes"));
    let flash = flash.map(|(text, data)| text + data).expect("numbers");
    assert!(flash <= u64::from(board.application_bytes), "{size}");
    let stack = number("stack_bytes").unwrap_or(0);
    assert!(stack < u64::from(board.stack_bytes), "{size}");
}

/// Within 2 %, or it is a decision.
fn near(name: &str, found: u64, expected: u64) {
    assert!(
        found.abs_diff(expected) * 50 <= expected,
        "{name}: {found} bytes, it was {expected}: if that is meant, change SIZES"
    );
}

/// An image of this checkpoint for a board.
fn image(folder: &Path, checkpoint: &Path, board: &str, weights: &str) -> PathBuf {
    let image = folder.join(format!("{board}-{weights}.kgl"));
    let args = [
        "quantize",
        arg(checkpoint),
        "-o",
        arg(&image),
        "--board",
        board,
    ];
    stdout(&[&args[..], &["--weights", weights]].concat());
    image
}

#[test]
fn emulated_boards_print_what_the_workstation_prints() {
    if !enabled() {
        return;
    }
    let folder = folder();
    let small = folder.path().join("small.safetensors");
    let size = ["--layers", "2", "--channels", "48", "--vocab", "200"];
    stdout(&[&["synth", "-o", arg(&small)], &size[..]].concat());
    let demo = demo_checkpoint();
    let runs = [
        ("stm32f405", &demo, "int4", "Once upon a time"),
        ("stm32f405", &small, "int8", "The cat said: \"Hello!\""),
        ("microbit-v1", &small, "int4", "A kinglet"),
        ("microbit-v1", &small, "int8", "wrens"),
    ];
    for (board, checkpoint, weights, prompt) in runs {
        let image = image(folder.path(), checkpoint, board, weights);
        let asked = ["--prompt", prompt, "-n", "60"];
        let args = ["board", board, "--image", arg(&image), "--json"];
        let found = xtask(&[&args[..], &asked].concat());
        let printed = stdout(&[&["run", arg(&image)][..], &asked].concat());
        // The workstation goes on behind the token that ends a text.
        let expected = printed.split('\0').next().unwrap_or_default();
        let found = found["text"].as_str().expect("text");
        assert_eq!(found.trim_end(), expected.trim_end(), "{board} {weights}");
        assert!(found.len() > 8, "{board} {weights}: {found}");
    }
    let intents = root().join("models/intents.safetensors");
    let image = image(folder.path(), &intents, "microbit-v1", "int4");
    let asked = ["--prompt", "please turn on the light", "--json"];
    let found = xtask(
        &[
            &["board", "microbit-v1", "--image", arg(&image)][..],
            &asked,
        ]
        .concat(),
    );
    let label = found["text"].as_str().expect("text");
    assert!(label.trim_end().ends_with(" %: light-on"), "{found}");
}
