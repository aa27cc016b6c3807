//! `kinglet plan`: what fits which board. What it predicts of instructions
//! and of an ELF's variables is compared with QEMU in `tests/emulated/tests/qemu/predictions.rs`.

use kinglet_tests::{
    demo_checkpoint, demo_image, fails, failure, folder, json, quantize, root, says, stdout, synth,
};
use serde_json::Value;

fn board<'v>(report: &'v Value, name: &str) -> &'v Value {
    let boards = report["boards"].as_array().expect("boards");
    let mut boards = boards.iter();
    boards
        .find(|board| board["name"] == name)
        .expect("the board")
}

#[test]
fn the_plan_adds_up() {
    let folder = folder();
    let image = demo_image(folder.path(), "int4");
    let inspected = json(("inspect", &image, "--json"));
    let report = json(("plan", &image, "--json"));
    let table = stdout(("plan", &image));
    for board in report["boards"].as_array().expect("boards") {
        let number = |part: &str, key: &str| board[part][key].as_i64().expect("a number");
        let flash = ["application_bytes", "image_bytes", "free_bytes"];
        let sum: i64 = flash.map(|key| number("flash", key)).iter().sum();
        assert_eq!(sum, number("flash", "bytes"), "{board}");
        let ram = [
            "variables_bytes",
            "state_bytes",
            "scratch_bytes",
            "stack_bytes",
            "free_bytes",
        ];
        let sum: i64 = ram.map(|key| number("ram", key)).iter().sum();
        assert_eq!(sum, number("ram", "bytes"), "{board}");
        assert_eq!(board["ram"]["state_bytes"], inspected["state_bytes"]);
        let fits = number("flash", "free_bytes") >= 0 && number("ram", "free_bytes") >= 0;
        assert_eq!(board["fits"], fits);
        assert_eq!(board["advice"].is_null(), fits);
        let speed = board["tokens_per_second"].as_f64().unwrap();
        let instructions = board["instructions_per_token"].as_f64().unwrap();
        let clock = board["clock_hz"].as_f64().unwrap();
        let cycles = board["cycles_per_instruction"].as_f64().unwrap();
        assert!(
            (speed * instructions * cycles / clock - 1.0).abs() < 1e-9,
            "{board}"
        );
        let name = board["name"].as_str().unwrap();
        says(&table, &format!("{name}: "));
    }
    // The image itself is one for a Cortex-M4.
    let flash = &board(&report, "stm32f405")["flash"];
    assert_eq!(flash["image_bytes"], inspected["image_bytes"]);
    assert_eq!(board(&report, "stm32f405")["fits"], true);
    assert_eq!(board(&report, "microbit-v1")["fits"], false);
    let one = json(("plan", &image, "--board pico --json"));
    assert_eq!(one["boards"][0], *board(&report, "pico"));
    assert_eq!(one["boards"].as_array().unwrap().len(), 1);
}

/// `quantize` accepts what the plan advises.
#[test]
fn advice_leads_to_an_image_that_fits() {
    let folder = folder();
    let path = |name: &str| folder.path().join(name);
    let checkpoint = path("wide.safetensors");
    synth(&checkpoint, "--layers 2 --channels 64 --vocab 256");
    let out = path("wide.kgl");
    let quantize = ("quantize", &checkpoint, "-o", &out, "--board microbit-v1");
    stdout((&quantize, "--weights int8"));
    std::fs::remove_file(&out).unwrap();
    synth(&checkpoint, "--layers 2 --channels 80 --vocab 256");
    let error = failure((&quantize, "--weights int8"), 1);
    says(&error, "bytes of flash");
    says(&error, "; --weights int4 would");
    assert!(!out.exists());
    stdout((&quantize, "--weights int4"));
    let report = json(("plan", &out, "--board microbit-v1 --json"));
    let microbit = board(&report, "microbit-v1");
    assert_eq!(microbit["fits"], true, "{microbit}");
    let image_bytes = std::fs::metadata(&out).unwrap().len();
    assert_eq!(microbit["flash"]["image_bytes"], image_bytes);
}

#[test]
fn bad_boards_are_refused() {
    let folder = folder();
    let image = demo_image(folder.path(), "int4");
    fails(("plan", &image, "--board toaster"), 2, "toaster");
    failure(("plan", &image, "--boards no-such-file.toml"), 1);
    let checkpoint = demo_checkpoint();
    let out = folder.path().join("out.kgl");
    let quantize = ("quantize", &checkpoint, "-o", &out, "--weights int4");
    fails((&quantize, "--board pico --target m4"), 2, "--target m0");
    fails((&quantize, "--board toaster"), 2, "toaster");
}

/// Sizes alone, and an image of them: but for what is estimated, the same.
#[test]
fn a_model_that_is_not_there_is_planned_like_its_image() {
    let folder = folder();
    let sizes = "--version v7 --layers 2 --channels 64 --ffn 200";
    let (checkpoint, image) = (folder.path().join("m.st"), folder.path().join("m.kgl"));
    synth(&checkpoint, sizes);
    quantize(&checkpoint, &image, "--weights int6");
    let by_sizes = json(("plan", sizes, "--weights int6 --json"));
    let by_image = json(("plan", &image, "--json"));
    assert_eq!(by_sizes["image"], Value::Null);
    for name in ["microbit-v1", "stm32f405", "pico2"] {
        let (ours, theirs) = (board(&by_sizes, name), board(&by_image, name));
        assert_eq!(ours["ram"], theirs["ram"]);
        let bytes = |board: &Value| board["flash"]["image_bytes"].as_i64().expect("bytes");
        // Metadata.
        assert!((bytes(ours) - bytes(theirs)).abs() < 512, "{ours} {theirs}");
        let instructions = "instructions_per_token";
        assert_eq!(ours[instructions], theirs[instructions]);
    }
    fails(
        ("plan", &image, "--layers 2 --channels 64"),
        2,
        "cannot be used with",
    );
    fails("plan", 2, "IMAGE");
    fails("plan --layers 2", 2, "--channels");
    fails(
        "plan --version v7 --layers 2 --channels 100",
        2,
        "--head-size",
    );
}

/// The tables of the chapter are what the command prints.
#[test]
fn the_manual_says_what_fits() {
    let page = std::fs::read_to_string(root().join("docs/fits.md")).expect("the chapter");
    let mut rows = [0; 2];
    for line in page.lines().filter(|line| line.contains("| `--version")) {
        let cells: Vec<_> = line.split('|').map(str::trim).collect();
        let number = |cell: usize| cells[cell].replace(',', "").parse().ok();
        let report = json(("plan", cells[2].trim_matches('`'), "--json"));
        let large = board(&report, "nucleo-h743zi");
        let bytes = |part: &str, key: &str| large[part][key].as_u64().expect("bytes");
        assert_eq!(number(3), Some(bytes("flash", "image_bytes")), "{line}");
        let ram = bytes("ram", "state_bytes") + bytes("ram", "scratch_bytes");
        assert_eq!(number(4), Some(ram), "{line}");
        let boards = report["boards"].as_array().expect("boards").iter();
        let fitting = boards.filter(|board| board["fits"] == true);
        let names: Vec<_> = fitting.filter_map(|board| board["name"].as_str()).collect();
        // A table of published models, without a cell for boards, and one of those that fit.
        let said = cells.get(5).copied().unwrap_or_default();
        assert_eq!(names.join(", "), said, "{line}");
        rows[usize::from(!said.is_empty())] += 1;
    }
    assert!(rows[0] >= 5 && rows[1] >= 3, "{rows:?}");
}
