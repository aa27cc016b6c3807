//! The firmware of real boards: it builds, it has the memory that
//! `boards.toml` says, and in QEMU it prints what the workstation prints.

use kinglet_emulated::{fails, json as xtask};
use kinglet_protocol::console::shown;
use kinglet_targets::{Board, Boards, Region};
use kinglet_tests::{
    arg, demo_checkpoint, folder, intents_checkpoint, json, quantize, root, stdout, synth, Args,
};
use serde_json::Value;
use std::path::{Path, PathBuf};

pub fn boards() -> Vec<Board> {
    let boards = Boards::load(None).expect("the repository's boards");
    boards.iter().cloned().collect()
}

fn chips() -> PathBuf {
    root().join("firmware/targets/chips.toml")
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
        if board.is_linked {
            // All flash after the headers of the file is the program's.
            let flash = region(&script, "DROM").expect("flash");
            assert_eq!(flash.origin, board.flash.origin + 0x20);
            assert_eq!(flash.end(), board.flash.end());
            assert_eq!(region(&script, "DRAM"), Some(board.ram));
            let stack = format!("LENGTH(DRAM) - {};", board.stack_bytes);
            assert!(script.contains(&stack), "{}", board.name);
            folders += 1;
            continue;
        }
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

/// Users copy a board's folder out of the repository, so each folder names its
/// own target.
#[test]
fn folders_say_the_target_that_the_table_says() {
    for board in boards() {
        let path = root().join("firmware/boards").join(&board.name);
        let config = std::fs::read_to_string(path.join(".cargo/config.toml"));
        let config = config.expect("every board has a configuration");
        let triple = board.triple();
        for line in [
            format!("target = \"{triple}\""),
            format!("[target.{triple}]"),
        ] {
            assert!(
                config.lines().any(|found| found == line),
                "{}: {line}",
                board.name
            );
        }
    }
}

/// Board, or the machine that stands in for one; text and stack when this was
/// last looked at.
const SIZES: [(&str, u64, Option<u64>); 16] = [
    ("microbit-v1", 83_988, Some(4_644)),
    ("nrf52840-dk", 92_412, None),
    ("stm32f405", 91_640, Some(4_340)),
    ("nucleo-h743zi", 95_416, None),
    ("pico", 95_532, None),
    ("pico2", 101_632, None),
    ("pico2-riscv", 114_690, None),
    ("esp32-c3", 106_766, None),
    ("mps2-an386", 90_884, Some(4_300)),
    ("mps2-an500", 90_888, Some(4_300)),
    ("mps2-an385-m0", 83_860, Some(4_616)),
    ("mps2-an505", 91_952, Some(4_300)),
    ("virt-rv32", 101_038, Some(4_156)),
    ("virt-rv32", 101_012, Some(4_156)),
    ("mps2-an385", 89_004, Some(4_316)),
    ("mps3-an547", 75_420, Some(4_148)),
];

/// Bytes of stack that an interrupt takes: SysTick's comes once a second to
/// count its wraps, at a random depth of the stack. With an FPU the frame has room for
/// its registers.
const INTERRUPT_BYTES: u64 = 112;

#[test]
fn the_firmware_fits_where_the_table_says() {
    let sizes = xtask("sizes --boards --json");
    let sizes = sizes.as_array().expect("a list");
    let name = |size: &Value| {
        let machine = size["machine"].as_str();
        machine.or(size["board"].as_str()).map(str::to_owned)
    };
    let names: Vec<_> = sizes.iter().map(name).collect();
    let pinned = SIZES.map(|(name, ..)| Some(name.to_owned()));
    assert_eq!(names, pinned);
    for (size, (name, text, stack)) in sizes.iter().zip(SIZES) {
        let number = |key: &str| size[key].as_u64();
        near(name, number("text_bytes").expect("a number"), text, 0);
        assert_eq!(number("stack_bytes").is_some(), stack.is_some(), "{name}");
        if let (Some(found), Some(stack)) = (number("stack_bytes"), stack) {
            near(name, found, stack, INTERRUPT_BYTES);
        }
    }
    let boards = boards();
    let known = Boards::with_chips().expect("the repository's chips");
    for size in sizes {
        let board = size["board"].as_str().expect("a name");
        let board = known.named(board).expect("a board or a chip");
        fits(size, board);
        let panics = size["panics"].as_array().expect("a list");
        // Engine and console cannot; the crates of the boards' chips can.
        let is_stand_in = size["machine"].is_string();
        assert_eq!(panics.is_empty(), is_stand_in, "{size}");
        // A machine that stands in for a board is another program.
        if is_stand_in && boards.contains(board) {
            continue;
        }
        let variables = size["data_bytes"].as_u64().zip(size["bss_bytes"].as_u64());
        let variables = variables.map(|(data, bss)| data + bss);
        let said = u64::from(board.variables_bytes);
        assert_eq!(variables, Some(said), "{}: variables_bytes", board.name);
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

/// Within 2 % beside the interrupt's part: a larger change is a decision.
fn near(name: &str, found: u64, expected: u64, chance: u64) {
    assert!(
        found.abs_diff(expected) <= expected / 50 + chance,
        "{name}: {found} bytes, it was {expected}: if that is meant, change SIZES"
    );
}

/// An image of this checkpoint for a board.
fn image(folder: &Path, checkpoint: &Path, board: &str, weights: &str) -> PathBuf {
    let image = folder.join(format!("{board}-{weights}.kgl"));
    let board = ["--board", board, "--weights", weights];
    quantize(checkpoint, &image, ("--boards", &chips(), board));
    image
}

/// What the board answers.
fn answer(board: &str, image: &Path, asked: impl Args) -> Value {
    xtask(("board", board, "--image", image, "--json", asked))
}

/// The text after the prompt.
fn text(answer: &Value) -> &str {
    answer["text"].as_str().expect("text").trim_end()
}

/// The most that a console does for a token: a few bytes of text to
/// the UART, polling for input, and interrupts of the clock. The plan counts the
/// model's work alone.
const CONSOLE_INSTRUCTIONS: f64 = 4_000.0;

/// The report of `kinglet plan` on an image and a board.
fn planned(board: &str, image: &Path) -> Value {
    let board = ["--board", board];
    let report = json(("plan", image, "--json --boards", &chips(), board));
    report["boards"][0].clone()
}

/// Both boards that QEMU has, and the machines that stand in for the others,
/// one of each core; in as many instructions as `kinglet plan` says.
#[test]
fn emulated_boards_print_what_the_workstation_prints() {
    let folder = folder();
    let small = folder.path().join("small.safetensors");
    synth(&small, "--layers 2 --channels 48 --vocab 200");
    let demo = demo_checkpoint();
    let story = "Once upon a time";
    let runs = [
        ("stm32f405", &demo, "int4", story),
        ("stm32f405", &small, "int8", "The cat said: \"Hello!\""),
        ("microbit-v1", &small, "int4", "A kinglet"),
        ("microbit-v1", &small, "int8", "wrens"),
        ("nrf52840-dk", &demo, "int4", story),
        ("nucleo-h743zi", &demo, "int8", story),
        ("pico", &demo, "int4", story),
        ("pico2", &demo, "int8", story),
        ("pico2-riscv", &demo, "int4", story),
        ("esp32-c3", &demo, "int8", story),
        ("stm32f103rg", &demo, "int4", story),
        ("ensemble-e8", &demo, "int8", story),
    ];
    let mut counted = 0;
    for (board, checkpoint, weights, prompt) in runs {
        let image = image(folder.path(), checkpoint, board, weights);
        let asked = (["--prompt", prompt], "-n 60");
        let answer = answer(board, &image, asked);
        let found = text(&answer);
        let printed = stdout(("run", &image, asked));
        // Written to a pipe it is as the model said it; a board cleans what it shows.
        let printed: String = printed.chars().map(shown).collect();
        assert_eq!(found, printed.trim_end(), "{board} {weights}");
        assert!(found.len() > 8, "{board} {weights}: {found}");
        if let Some(measured) = answer["instructions_per_token"].as_f64() {
            let planned = planned(board, &image)["instructions_per_token"].clone();
            let planned = planned.as_f64().expect("a number");
            let more = measured - planned;
            eprintln!("{board} {weights}: {planned} planned, {more} more");
            let range = -0.02 * planned..0.02 * planned + CONSOLE_INSTRUCTIONS;
            assert!(range.contains(&more), "{board}: {planned}, not {measured}");
            counted += 1;
        }
    }
    assert_eq!(counted, 8);
    let intents = intents_checkpoint();
    let image = image(folder.path(), &intents, "microbit-v1", "int4");
    let asked = ["--prompt", "please turn on the light"];
    let label = answer("microbit-v1", &image, asked);
    assert!(text(&label).ends_with(" %: light-on"), "{label}");
}

/// The one file that is copied to a new board: QEMU loads nothing else.
#[test]
fn firmware_and_model_in_one_file_are_all_that_a_board_needs() {
    let folder = folder();
    let intents = intents_checkpoint();
    let light = "please turn on the light";
    let checkpoints = [
        ("microbit-v1", intents, light),
        ("stm32f405", demo_checkpoint(), "Once upon"),
    ];
    let boards = Boards::load(None).expect("the repository's boards");
    for (board, checkpoint, prompt) in checkpoints {
        let machine = boards.named(board).expect("a board").qemu.as_deref();
        let image = image(folder.path(), &checkpoint, board, "int4");
        let asked = (["--prompt", prompt], "-n 20");
        let expected = answer(board, &image, asked);
        let firmware = expected["elf"].as_str().expect("a path");
        let hex = folder.path().join(format!("{board}.hex"));
        let files = (["--firmware", firmware], "--hex", &hex);
        stdout(("export", &image, "--board", board, files));
        let loader = format!("loader,file={}", arg(&hex));
        let machine = ["-machine", machine.expect("a board that QEMU has")];
        let qemu = ("-- qemu-system-arm", machine, ["-device", &loader]);
        let console = "-display none -monitor none -serial stdio";
        let found = json(("monitor --json", asked, qemu, console));
        assert_eq!(text(&found), text(&expected), "{board}");
        assert!(text(&found).len() > 8, "{board}: {found}");
    }
}

#[test]
fn what_no_board_and_no_machine_can_do_is_said() {
    for (args, said) in [
        ("stm32f103rg", "there is no firmware for stm32f103rg"),
        ("unknown", "no board is called unknown"),
        ("pico --image missing.kgl --prompt x", "missing.kgl"),
        (
            "pico --image Cargo.toml --prompt x",
            "pico: the firmware says: ",
        ),
    ] {
        fails(("board", args), 1, said);
    }
    let lines = ["--image", "missing.kgl", "--prompt", "one\ntwo"];
    fails(("board pico", lines), 2, "more than one line");
}
