//! `kinglet new`: what it writes for every board, and what it refuses. The projects
//! are built, and their workflow is run, in `tests/emulated/tests/boards/project.rs`.

use kinglet_tests::crates::packages;
use kinglet_tests::{arg, demo_image, fails, file, folder, json, names, root, says, stdout};
use serde_json::Value;
use std::fs;
use std::path::Path;

/// The boards that have firmware.
fn boards() -> Vec<String> {
    let folder = root().join("firmware/boards");
    let boards = names(&folder).into_iter();
    let boards: Vec<_> = boards
        .filter(|name| folder.join(name).join("memory.x").exists())
        .collect();
    assert!(boards.len() > 5);
    boards
}

/// Makes a project for a board, with the crates of this checkout.
fn new(path: &Path, board: &str, options: &[&str]) {
    let board = ["--board", board, "--kinglet", arg(root())];
    stdout(("new", path, board, options));
}

/// All files of a folder, by their paths relative to it.
fn files(folder: &Path) -> Vec<(String, String)> {
    let mut files = Vec::new();
    for name in names(folder) {
        let path = folder.join(&name);
        match path.is_dir() {
            true => {
                let within = self::files(&path).into_iter();
                files.extend(within.map(|(path, text)| (format!("{name}/{path}"), text)));
            }
            false => {
                let text = String::from_utf8_lossy(&fs::read(path).expect("a file")).into_owned();
                files.push((name, text));
            }
        }
    }
    files
}

/// What cargo reads in the manifest of a project.
fn package(project: &Path) -> Value {
    let mut packages = packages(project);
    assert_eq!(packages.len(), 1);
    packages.remove(0)
}

#[test]
fn a_project_stands_for_itself() {
    let folder = folder();
    for board in boards() {
        let name = format!("wren-{board}");
        let project = folder.path().join(&name);
        new(&project, &board, &[]);
        let package = package(&project);
        assert_eq!(package["name"], *name);
        assert_eq!(package["targets"][0]["name"], *name);
        assert!(package["features"]["defmt"].is_array(), "{package}");
        for needs in package["dependencies"].as_array().expect("a list") {
            let is_kinglet = needs["name"] == "kinglet-board-common";
            assert_eq!(needs["path"].is_string(), is_kinglet, "{needs}");
        }
        let original = root().join("firmware/boards").join(&board);
        let files = files(&project);
        for (path, text) in &files {
            let same = fs::read_to_string(original.join(path));
            match path.as_str() {
                "Cargo.lock" => continue,
                "src/main.rs" | "memory.x" | ".cargo/config.toml" => {
                    assert_eq!(*text, same.expect("the board has it"), "{board} {path}");
                    continue;
                }
                _ => {}
            }
            for left in ["../", ".workspace", "xtask"] {
                assert!(!text.contains(left), "{board} {path}: {left}");
            }
            // Braces of TOML and of nothing else.
            let is_text = path.ends_with(".md") || path.ends_with(".yml");
            assert!(
                !is_text || !text.contains(['{', '}']),
                "{board} {path}: {text}"
            );
        }
        let text = |name: &str| {
            let found = files.iter().find(|(path, _)| path == name);
            found.unwrap_or_else(|| panic!("no {name}")).1.as_str()
        };
        says(text("README.md"), "the console is");
        says(text("Cargo.toml"), "[profile.release.package.kinglet]");
        let workflow = text(".github/workflows/firmware.yml");
        says(workflow, "cargo build --release");
        says(workflow, "| diff model/expected.json -");
        assert!(!workflow.contains('\t') && workflow.ends_with('\n'));
        says(text("build.rs"), "memory.x");
    }
}

#[test]
fn crates_come_from_an_address_too() {
    let folder = folder();
    let project = folder.path().join("wren");
    let address = "https://git.example.org/it's";
    let place = format!("{address}#0123abc");
    stdout(("new", &project, "--board pico2 --kinglet", [place.as_str()]));
    let needs = package(&project)["dependencies"].clone();
    let source = format!("git+{address}?rev=0123abc");
    let mut needs = needs.as_array().expect("a list").iter();
    assert!(needs.any(|needs| needs["source"] == *source));
    let workflow = fs::read_to_string(project.join(".github/workflows/firmware.yml"));
    let install = r"cargo install --locked --git 'https://git.example.org/it'\''s' --rev 0123abc kinglet-host";
    says(&workflow.expect("a workflow"), install);
}

#[test]
fn an_image_comes_with_what_the_workstation_computes() {
    let folder = folder();
    let image = demo_image(folder.path(), "int4");
    let project = folder.path().join("wren");
    new(&project, "stm32f405", &["--image", arg(&image)]);
    assert_eq!(
        fs::read(project.join("model/model.kgl")).expect("the image"),
        fs::read(&image).expect("an image")
    );
    let recorded = fs::read_to_string(project.join("model/expected.json")).expect("the record");
    let prompt = ["--prompt", "Once upon a time", "-n", "20", "--json"];
    assert_eq!(recorded, stdout(("run", &image, &prompt)));
    let answer = json(("run", &image, prompt));
    assert_eq!(answer["logits_hashes"].as_array().map(Vec::len), Some(20));
    assert!(answer["image_checksum"].is_string(), "{answer}");
}

#[test]
fn what_cannot_be_is_refused_and_leaves_nothing() {
    let folder = folder();
    let place = folder.path();
    let demo = demo_image(place, "int4");
    let garbage = file(place, "garbage.kgl", "no image");
    let unnamed = place.join("unnamed.kgl");
    fs::create_dir(place.join("nest")).expect("a folder");
    file(&place.join("nest"), "egg", "1");
    let synthetic = place.join("synthetic.safetensors");
    kinglet_tests::synth(&synthetic, "--layers 1 --channels 32 --vocab 300");
    kinglet_tests::quantize(&synthetic, &unnamed, "--weights int4");
    let before = names(place);
    let kinglet = ["--kinglet", arg(root())];
    let with = |name: &str, board: &str, options: &[&str], code, sentence: &str| {
        let board = ["--board", board];
        fails(
            ("new", &place.join(name), board, kinglet, options),
            code,
            sentence,
        );
        assert_eq!(names(place), before, "{sentence}");
    };
    let known = "known are microbit-v1, nrf52840-dk, stm32f405, nucleo-h743zi, pico, pico2, pico2-riscv, esp32-c3";
    with("wren", "unknown", &[], 2, known);
    with("wren", "stand-in", &[], 2, "no board is called stand-in");
    with("nest", "pico", &[], 2, "is there already");
    assert_eq!(names(&place.join("nest")), ["egg"]);
    with("no/wren", "pico", &[], 1, "there is no folder");
    for name in [
        "1wren",
        "my wren",
        "wren.rs",
        "fn",
        "kinglet",
        "..",
        "a\u{1b}[2J",
    ] {
        with(name, "pico", &[], 2, "the name of a package");
    }
    let image = |path: &Path, board: &str, code, sentence: &str| {
        with("wren", board, &["--image", arg(path)], code, sentence);
    };
    image(&demo, "pico", 2, "kinglet quantize --board pico");
    image(&garbage, "pico", 1, "not a Kinglet image");
    image(&place.join("missing.kgl"), "pico", 1, "missing.kgl");
    image(&unnamed, "stm32f405", 2, "no vocabulary");
    let large = place.join("large.kgl");
    let options = "--weights int8 --target m0";
    kinglet_tests::quantize(&kinglet_tests::demo_checkpoint(), &large, options);
    let before = names(place);
    let large = ["--image", arg(&large)];
    let board = "--board microbit-v1";
    let wren = place.join("wren");
    fails(
        ("new", &wren, board, kinglet, large),
        1,
        "microbit-v1 lacks",
    );
    fails(
        ("new", &wren, board, ["--kinglet", arg(place)]),
        2,
        "no checkout",
    );
    fails(
        ("new", &wren, board, ["--kinglet", "a\nb"]),
        2,
        "control characters",
    );
    fails(
        ("new", &wren, board, kinglet, "--image -"),
        2,
        "`-` is no file",
    );
    assert_eq!(names(place), before);
}
