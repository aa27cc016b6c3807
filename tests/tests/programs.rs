//! The program on the crate's front page and those in the manual are right
//! for any model: built with one whose tokens are parts of words and with one
//! whose tokens are bytes, they print what `kinglet run` prints. With an image that a build
//! cannot run they do not compile, and the error says what to do.

use kinglet_tests::manual::{block, library, smallest};
use kinglet_tests::{arg, demo_image, file, folder, root, stdout};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The front page's program, as a crate's `main.rs`.
fn front_page() -> String {
    let page = fs::read_to_string(root().join("core/src/lib.rs")).expect("the crate");
    let program = block(&page, "//! # Example\n", "//! ```\n");
    let lines = program.lines().map(|line| match line {
        image if image.contains("include_image!") => {
            "let bytes = kinglet::include_image!(\"model.kgl\");"
        }
        line => line.trim_start_matches("//!").trim_start_matches(" # "),
    });
    let program: Vec<_> = lines.collect();
    format!(
        "fn main() -> Result<(), kinglet::Error> {{\n{}\n}}\n",
        program.join("\n")
    )
}

/// The manual's smallest program, with a UART; where `steps` says so with the lines that
/// `generate` is.
fn manual(steps: bool) -> String {
    let mut program = smallest();
    if steps {
        let page = library();
        let lines = block(&page, "## Step by step\n", "```rust\n");
        let (before, _) = program.split_once("let text").expect("the text");
        program = format!("{before}{lines}\nOk(())\n}}\n");
    }
    format!(
        "{program}\nstruct Uart;\n\
         impl Uart {{ fn write(&mut self, text: &str) {{ print!(\"{{text}}\") }} }}\n\
         fn main() {{ write(&mut Uart).unwrap() }}\n"
    )
}

/// Where cargo puts what it makes of the programs.
fn target() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("programs")
}

/// Runs a command of cargo on the crate in `folder`.
fn cargo(command: &str, folder: &Path) -> Output {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    Command::new(cargo)
        .args([command, "--quiet", "--offline", "--target-dir"])
        .arg(target())
        .current_dir(folder)
        .output()
        .expect("cargo starts")
}

#[test]
fn programs_of_the_documentation_are_right_for_any_model() {
    let folder = folder();
    let words = demo_image(folder.path(), "int4");
    let bytes = root().join("core/tests/data/tiny.kgl");
    let mut manifest = format!(
        "[package]\nname = \"programs\"\nedition = \"2024\"\n[workspace]\n\
         [dependencies]\nkinglet = {{ path = \"{}\" }}\n",
        arg(&root().join("core"))
    );
    let programs = [
        ("page", front_page(), "20"),
        ("manual", manual(false), "100"),
        ("steps", manual(true), "100"),
    ];
    let models = [("words", &words), ("bytes", &bytes)];
    let all = programs
        .iter()
        .flat_map(|program| models.map(|model| (program, model)));
    let all: Vec<_> = all.collect();
    for ((name, source, _), (model, image)) in &all {
        let name = format!("{name}-{model}");
        let home = folder.path().join(&name);
        fs::create_dir(&home).expect("a folder");
        file(&home, "main.rs", source);
        fs::copy(image, home.join("model.kgl")).expect("a copy");
        manifest += &format!("[[bin]]\nname = \"{name}\"\npath = \"{name}/main.rs\"\n");
    }
    file(folder.path(), "Cargo.toml", manifest);
    fs::copy(root().join("Cargo.lock"), folder.path().join("Cargo.lock")).expect("a copy");
    let built = cargo("build", folder.path());
    let errors = String::from_utf8_lossy(&built.stderr);
    assert!(built.status.success(), "{errors}");
    for ((name, _, tokens), (model, image)) in all {
        let program = target().join("debug").join(format!("{name}-{model}"));
        let output = Command::new(&program).output().expect("it starts");
        assert!(output.status.success(), "{name} {model}");
        let printed = String::from_utf8(output.stdout).expect("UTF-8");
        let prompt = ["--prompt", "Once upon a time", "-n", tokens];
        let expected = stdout(("run", image, &prompt));
        assert_eq!(printed.clone() + "\n", expected, "{name} {model}");
        assert!(printed.len() > 10, "{name} {model}: {printed}");
    }
}

/// Of an image that the build cannot run the compiler says what to do.
#[test]
fn an_unfit_image_is_a_compile_error_that_says_what_to_do() {
    let folder = folder();
    let words = demo_image(folder.path(), "int4");
    let bytes = fs::read(&words).expect("an image");
    let cut_off = &bytes[..bytes.len() - 1];
    let cases: [(&str, &[u8], &str); 4] = [
        ("v4,trie", cut_off, "cut off"),
        ("v4,trie", b"#!/bin/sh", "not a Kinglet image"),
        ("v4", &bytes, "feature `trie`"),
        ("v7,trie", &bytes, "feature `v4`"),
    ];
    fs::copy(root().join("Cargo.lock"), folder.path().join("Cargo.lock")).expect("a copy");
    file(folder.path(), "main.rs", manual(false));
    for (features, image, sentence) in cases {
        let features: Vec<_> = features.split(',').collect();
        let manifest = format!(
            "[package]\nname = \"unfit\"\nedition = \"2024\"\n[workspace]\n[dependencies]\n\
             kinglet = {{ path = \"{}\", default-features = false, features = {features:?} }}\n\
             [[bin]]\nname = \"unfit\"\npath = \"main.rs\"\n",
            arg(&root().join("core"))
        );
        file(folder.path(), "Cargo.toml", manifest);
        file(folder.path(), "model.kgl", image);
        let checked = cargo("check", folder.path());
        let errors = String::from_utf8_lossy(&checked.stderr);
        assert!(!checked.status.success(), "{sentence}");
        assert!(errors.contains(sentence), "{sentence}: {errors}");
    }
}
