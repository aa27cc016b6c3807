//! `cargo xtask capi`: a program in C with the library, on an emulated machine.

use crate::demo;
use crate::sizes::panics;
use anyhow::{anyhow, bail, Context, Result};
use kinglet_protocol::Request;
use kinglet_targets::{Core, Machine, CORES, DEFAULT_MACHINE, MACHINES};
use kinglet_workshop::elf::Sections;
use kinglet_workshop::emulator::Emulator;
use kinglet_workshop::firmware;
use kinglet_workshop::prompt::{machine_parser, Prompt, Sampling};
use kinglet_workshop::setup::{ensure_arm_gcc, ensure_qemu, ARM_GCC};
use kinglet_workshop::workspace::{build_kinglet, root, run as run_command, work_folder};
use serde_json::json;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The board of the example: its start-up code is for this one.
const MACHINE: &Machine = DEFAULT_MACHINE;

const STRICT: [&str; 5] = ["-std=c11", "-O2", "-Wall", "-Wextra", "-Wpedantic"];

/// Neither start-up code nor library: the example has its own.
const LINK: [&str; 3] = [
    "-ffreestanding",
    "-nostdlib",
    "-Wl,--gc-sections,-z,noexecstack",
];

/// The sources of every program.
const SOURCES: [&str; 2] = ["board.c", "image.S"];

/// The sources that the header is made from, in its order.
const INTERFACE: [&str; 8] = [
    "status", "image", "session", "slices", "sampler", "hash", "text", "answer",
];

/// A longer prompt does not fit into the compiler's command line everywhere.
const PROMPT_MAX: usize = 4096;

/// Build the example in C, run it in QEMU and print what it prints
///
/// Builds libkinglet.a from firmware/capi, compiles firmware/capi/example with
/// arm-none-eabi-gcc, links both with an image, and boots an emulated
/// Cortex-M4. Installs what is missing (the Rust target with rustup, the
/// compiler and QEMU with apt-get).
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    cargo xtask capi\n  \
    cargo xtask capi --image model.kgl --prompt \"The cat\" -n 100 --temperature 0.8 --seed 7\n  \
    cargo xtask capi --libraries capi\n  \
    cargo xtask capi --library mps2-an505\n  \
    cargo xtask capi --header")]
pub struct Args {
    /// The image; without it the demo's model with int4 weights
    #[arg(long, value_name = "FILE")]
    image: Option<PathBuf>,
    /// A program in place of firmware/capi/example/main.c
    ///
    /// It is compiled beside the example's board.h and kinglet.h, with its
    /// macros and for its board.
    #[arg(long, value_name = "FILE")]
    program: Option<PathBuf>,
    #[command(flatten)]
    prompt: Prompt,
    #[command(flatten)]
    sampling: Sampling,
    /// Print one JSON object: elf, library, flash_bytes, ram_bytes, panics, lines
    ///
    /// Of a model of text, each line is the number of a token.
    #[arg(long)]
    json: bool,
    /// Only generate firmware/capi/include/kinglet.h from the sources
    #[arg(long, exclusive = true)]
    header: bool,
    /// Only build the library, for the core of this machine; prints its path
    #[arg(long, value_name = "MACHINE", exclusive = true, value_parser = machine_parser())]
    library: Option<&'static Machine>,
    /// Only build the library for every core, into a folder: CORE/libkinglet.a, include/kinglet.h and
    /// kinglet-config.cmake; prints the compiler's options for each
    #[arg(long, value_name = "FOLDER", exclusive = true)]
    libraries: Option<PathBuf>,
}

/// The command `capi`.
pub fn run(args: &Args) -> Result<()> {
    if args.header {
        return write_header();
    }
    if let Some(machine) = args.library {
        let library = firmware::build_capi(machine)?;
        return Ok(writeln!(std::io::stdout(), "{}", library.display())?);
    }
    if let Some(folder) = &args.libraries {
        return write_libraries(folder);
    }
    let prompt = args.prompt.bytes()?;
    let prompt = prompt.unwrap_or_else(|| demo::PROMPT.into());
    if prompt.len() > PROMPT_MAX {
        bail!("the prompt is longer than {PROMPT_MAX} bytes, which the program is compiled with");
    }
    let request = args.sampling.request(&prompt, false)?;
    ensure_qemu(MACHINE.core)?;
    ensure_arm_gcc()?;
    let image = match &args.image {
        Some(image) => image.clone(),
        None => demo::quantize(&build_kinglet()?, MACHINE.core)?,
    };
    let library = firmware::build_capi(MACHINE)?;
    let program = args.program.clone();
    let program = program.unwrap_or_else(|| example().join("main.c"));
    let macros = [
        format!(
            "-DIMAGE={}",
            literal(real(&image)?.as_os_str().as_encoded_bytes())
        ),
        format!("-DPROMPT={}", literal(&prompt)),
        format!("-DTOKENS={}", request.tokens),
        format!("-DNUMBERS={}", u8::from(args.json)),
        format!("-DSAMPLING={}", sampling(&request)),
    ];
    let elf = compile(&library, &real(&program)?, macros)?;
    let emulator = Emulator {
        machine: MACHINE,
        elf,
        images: Vec::new(),
    };
    let mut out = std::io::stdout();
    if !args.json {
        write!(out, "{}", String::from_utf8_lossy(&prompt))?;
        out.flush()?;
        return emulator.converse(String::new());
    }
    let (lines, success) = emulator.listen()?;
    if !success {
        bail!("the program gave up: {}", lines.join(" "));
    }
    let sizes = Sections::read(&emulator.elf)?;
    let report = json!({
        "elf": emulator.elf,
        "library": library,
        "flash_bytes": sizes.flash_bytes(),
        "ram_bytes": sizes.ram_bytes(),
        "panics": panics(&emulator.elf)?,
        "lines": lines,
    });
    Ok(writeln!(out, "{report}")?)
}

fn example() -> PathBuf {
    root().join("firmware/capi/example")
}

/// The path of a file wherever the compiler runs.
fn real(file: &Path) -> Result<PathBuf> {
    fs::canonicalize(file).with_context(|| format!("cannot read {}", file.display()))
}

/// Compiles and links a program; returns the path of the ELF file.
fn compile(library: &Path, program: &Path, macros: [String; 5]) -> Result<PathBuf> {
    // Programs that differ are files that differ: several may be built at once.
    let mut hasher = DefaultHasher::new();
    (program, &macros, std::process::id()).hash(&mut hasher);
    let folder = work_folder("firmware/capi")?;
    let elf = folder.join(format!("example-{:08x}.elf", hasher.finish() as u32));
    let mut compiler = Command::new(ARM_GCC);
    compiler
        .current_dir(example())
        .args(core_options(MACHINE.core))
        .args(STRICT)
        .args(LINK)
        .args(macros)
        .args(["-I", ".", "-I", "../include", "-T", "board.ld"])
        .arg(program)
        .args(SOURCES)
        .arg(library)
        .arg("-o")
        .arg(&elf);
    let program = program.display();
    run_command(compiler.stdout(std::io::stderr()))
        .map_err(|_| anyhow!("{ARM_GCC} does not build {program}; why is above"))?;
    Ok(elf)
}

/// Builds the library for every core, and puts the header and CMake's targets beside.
fn write_libraries(folder: &Path) -> Result<()> {
    let copied = |from: &Path, to: &Path| {
        let made = fs::create_dir_all(to.parent().unwrap_or(to));
        made.and_then(|()| fs::copy(from, to))
            .with_context(|| format!("cannot write {}", to.display()))
    };
    copied(&header_path(), &folder.join("include/kinglet.h"))?;
    let config = Path::new("kinglet-config.cmake");
    copied(
        &root().join("firmware/capi").join(config),
        &folder.join(config),
    )?;
    for core in CORES {
        let machine = MACHINES.iter().find(|machine| machine.core == core);
        let machine = machine.context("every core has a machine")?;
        let library = folder.join(core.name).join("libkinglet.a");
        copied(&firmware::build_capi(machine)?, &library)?;
        let (path, options) = (library.display(), core_options(core).join(" "));
        writeln!(std::io::stdout(), "{path}: {options}")?;
    }
    Ok(())
}

/// The compiler's options for a core: the FPU follows from its name.
fn core_options(core: &Core) -> Vec<String> {
    if core.is_riscv() {
        return ["-march=rv32imac", "-mabi=ilp32"].map(str::to_owned).into();
    }
    let floats = if core.has_fpu { "hard" } else { "soft" };
    vec![
        format!("-mcpu={}", core.cpu),
        "-mthumb".to_owned(),
        format!("-mfloat-abi={floats}"),
    ]
}

/// A string literal of C: every byte by its number, so that none means
/// something else to preprocessor, compiler or assembler.
fn literal(bytes: &[u8]) -> String {
    let digits: String = bytes.iter().map(|byte| format!("\\{byte:03o}")).collect();
    format!("\"{digits}\"")
}

/// The settings as C initializes a `kgl_sampling`.
fn sampling(request: &Request) -> String {
    format!(
        "{{.temperature={:?}f,.top_k={}u,.top_p={:?}f,.repetition_penalty={:?}f,.seed={}ull}}",
        request.temperature, request.top_k, request.top_p, request.repetition_penalty, request.seed
    )
}

/// Where the header is.
fn header_path() -> PathBuf {
    root().join("firmware/capi/include/kinglet.h")
}

/// The header that the sources make.
fn header() -> Result<String> {
    let folder = root().join("firmware/capi");
    let config = cbindgen::Config::from_file(folder.join("cbindgen.toml"))
        .map_err(|error| anyhow!("cannot use firmware/capi/cbindgen.toml: {error}"))?;
    let mut builder = cbindgen::Builder::new().with_config(config);
    for name in INTERFACE {
        builder = builder.with_src(folder.join("src").join(name).with_extension("rs"));
    }
    let bindings = builder
        .generate()
        .context("cannot make the header from firmware/capi/src")?;
    let mut text = Vec::new();
    bindings.write(&mut text);
    // The heading that Rust has for it means nothing in C.
    Ok(String::from_utf8(text)?.replace("// # Safety\n", "// The caller promises:\n"))
}

fn write_header() -> Result<()> {
    let path = header_path();
    let failed = || format!("cannot write {}", path.display());
    fs::write(&path, header()?).with_context(failed)?;
    Ok(writeln!(std::io::stdout(), "{}", path.display())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_is_what_its_sources_make() {
        let committed = fs::read_to_string(header_path()).unwrap();
        assert!(
            committed == header().unwrap(),
            "kinglet.h is not what its sources make: run `cargo xtask capi --header`"
        );
    }

    #[test]
    fn the_book_has_the_options_of_every_core() {
        let chapter = fs::read_to_string(root().join("docs/c.md")).unwrap();
        for core in CORES {
            let (name, options) = (core.name, core_options(core).join(" "));
            let row = format!("| `{name}` | {} | `{options}` |", core.about);
            assert!(chapter.contains(&row), "{row}");
        }
    }

    #[test]
    fn no_byte_of_a_literal_means_something_else() {
        assert_eq!(literal(b"a\"1\\"), r#""\141\042\061\134""#);
    }
}
