//! The program on the crate's front page and the one in the manual are right
//! for any model: built with one whose tokens are parts of words and with one
//! whose tokens are bytes, they print what `kinglet run` prints.

use kinglet_tests::{arg, demo_image, file, folder, root, stdout};
use std::fs;
use std::path::Path;
use std::process::Command;

/// The content of a fenced block of the text, from `start` on.
fn block<'t>(text: &'t str, start: &str, fence: &str) -> &'t str {
    let (_, rest) = text.split_once(start).expect("the heading");
    let (_, rest) = rest.split_once(fence).expect("a block");
    rest.split_once("```").expect("its end").0
}

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

/// The manual's program, with a UART.
fn manual() -> String {
    let page = fs::read_to_string(root().join("docs/library.md")).expect("the manual");
    let items = block(&page, "## The smallest program\n", "```rust\n");
    let body = block(&page, "In `main`:\n", "```rust\n");
    format!(
        "use kinglet::{{Image, Sampler, Sampling, Session, Text}};\n{items}\n\
         struct Uart;\n\
         impl Uart {{ fn write(&mut self, text: &str) {{ print!(\"{{text}}\") }} }}\n\
         fn run(state: &'static mut [i32], scratch: &'static mut [i32], mut uart: Uart) \
         -> Result<(), kinglet::Error> {{\n{body}\nOk(()) }}\n\
         fn main() {{ unsafe {{ run(&mut *&raw mut STATE, &mut *&raw mut SCRATCH, Uart) }}.unwrap() }}\n"
    )
}

#[test]
fn programs_of_the_documentation_are_right_for_any_model() {
    let folder = folder();
    let words = demo_image(folder.path(), "int4");
    let bytes = root().join("core/tests/data/tiny.kgl");
    let mut manifest = format!(
        "[package]\nname = \"programs\"\nedition = \"2021\"\n[workspace]\n\
         [dependencies]\nkinglet = {{ path = \"{}\" }}\n",
        arg(&root().join("core"))
    );
    let programs = [("page", front_page(), "20"), ("manual", manual(), "100")];
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
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("programs");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let built = Command::new(cargo)
        .args([
            "build",
            "--quiet",
            "--offline",
            "--target-dir",
            arg(&target),
        ])
        .current_dir(folder.path())
        .output()
        .expect("cargo starts");
    let errors = String::from_utf8_lossy(&built.stderr);
    assert!(built.status.success(), "{errors}");
    for ((name, _, tokens), (model, image)) in all {
        let program = target.join("debug").join(format!("{name}-{model}"));
        let output = Command::new(&program).output().expect("it starts");
        assert!(output.status.success(), "{name} {model}");
        let printed = String::from_utf8(output.stdout).expect("UTF-8");
        let prompt = ["--prompt", "Once upon a time", "-n", tokens];
        let expected = stdout(("run", image, &prompt));
        assert_eq!(printed.clone() + "\n", expected, "{name} {model}");
        assert!(printed.len() > 10, "{name} {model}: {printed}");
    }
}
