//! The library computes with integers alone: its object code has no instruction of a
//! floating-point unit, and calls no routine that stands for one.

use kinglet_targets::{Core, CORES};
use kinglet_tests::{file, folder};
use kinglet_workshop::firmware::{self, build_smallest, Smallest, RELEASE, SMALL, WHOLE_LIBRARY};
use kinglet_workshop::workspace::{output, run, target_dir};
use object::read::archive::ArchiveFile;
use object::{Object, ObjectSection, ObjectSymbol, SectionKind};
use std::path::{Path, PathBuf};
use std::process::Command;

/// What the library is built for beside the cores of the table.
const OTHER_TARGET: &str = "riscv32imc-unknown-none-elf";

/// Beginnings of names: the floating-point unit is a coprocessor, and the cores have
/// no other.
const COPROCESSOR: [&str; 5] = ["mcr", "mrc", "mrrc", "ldc", "stc"];

/// The object files in the bytes of one or of an archive.
fn objects(bytes: &[u8]) -> Vec<object::File<'_>> {
    let members: Vec<&[u8]> = match ArchiveFile::parse(bytes) {
        Ok(archive) => {
            let members = archive.members().map(|member| member.expect("a member"));
            members.map(|m| m.data(bytes).expect("its bytes")).collect()
        }
        Err(_) => vec![bytes],
    };
    // An archive of Rust has a member that is no object.
    let objects = members.into_iter().map(object::File::parse);
    objects.filter_map(Result::ok).collect()
}

/// Names of all symbols, defined or called.
fn symbols(objects: &[object::File<'_>]) -> Vec<String> {
    let symbols = objects.iter().flat_map(|object| object.symbols());
    let names = symbols.filter_map(|symbol| symbol.name().ok().map(String::from));
    names.collect()
}

/// Whether a routine of the compiler's does what an instruction with floats would:
/// `__aeabi_fadd`, `__aeabi_i2f`, `__mulsf3`, `__floatsidf`, `fmaf`.
fn is_routine(name: &str) -> bool {
    if let Some(routine) = name.strip_prefix("__aeabi_") {
        let starts = ["f", "d", "cf", "cd"]
            .iter()
            .any(|s| routine.starts_with(s));
        return starts || ["2f", "2d", "2h"].iter().any(|to| routine.contains(to));
    }
    if let Some(routine) = name.strip_prefix("__") {
        let kinds = ["sf", "df", "hf", "tf"];
        return !routine.contains('_') && kinds.iter().any(|kind| routine.contains(kind));
    }
    let known = [
        "fma", "sqrt", "floor", "ceil", "trunc", "rint", "round", "fmin", "fmax", "exp",
    ];
    known.contains(&name.strip_suffix('f').unwrap_or(name))
}

/// The instructions of an ARM core's floating-point unit in an object file or an archive.
fn instructions(path: &Path, has_vectors: bool) -> Vec<String> {
    let mut objdump = Command::new("arm-none-eabi-objdump");
    let listing = output(objdump.arg("-d").arg(path)).expect("a listing");
    let lines = listing.lines().filter_map(|line| {
        let mut columns = line.split('\t').skip(2);
        Some((columns.next()?, columns.next().unwrap_or_default()))
    });
    let mut count = 0;
    let found = lines.inspect(|_| count += 1).filter(|&(name, operands)| {
        match has_vectors {
            // Vectors of integers are in the registers of that unit.
            true => is_of_floats(name, operands),
            false => name.starts_with('v') || COPROCESSOR.iter().any(|n| name.starts_with(n)),
        }
    });
    let found = found
        .map(|(name, operands)| format!("{name} {operands}"))
        .collect();
    assert!(count > 0, "{} has no code", path.display());
    found
}

/// Whether an instruction on a core with vectors computes with floats.
fn is_of_floats(name: &str, operands: &str) -> bool {
    let kinds = [".f16", ".f32", ".f64"];
    let is_single = |word: &str| {
        let number = word.strip_prefix('s').unwrap_or_default();
        !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
    };
    let words = operands.split(|c: char| !c.is_ascii_alphanumeric());
    name.starts_with('v')
        && (kinds.iter().any(|kind| name.contains(kind)) || words.clone().any(is_single))
}

/// The instructions of extensions F and D of RISC-V, as hexadecimal numbers.
fn riscv_instructions(objects: &[object::File<'_>]) -> Vec<String> {
    let sections = objects.iter().flat_map(|object| object.sections());
    let code = sections.filter(|section| section.kind() == SectionKind::Text);
    let code: Vec<&[u8]> = code.map(|s| s.data().expect("its bytes")).collect();
    assert!(code.iter().any(|code| code.len() > 1000), "no code");
    code.into_iter().flat_map(riscv_floats).collect()
}

/// Those of one section.
fn riscv_floats(mut code: &[u8]) -> Vec<String> {
    let mut found = Vec::new();
    while let [low, high, ..] = *code {
        let half = u16::from_le_bytes([low, high]);
        let is_long = half & 3 == 3;
        let is_float = match is_long {
            // Load, store, the four that multiply and add, and all others.
            true => matches!(half & 0x7f, 0x07 | 0x27 | 0x43 | 0x47 | 0x4b | 0x4f | 0x53),
            // Loads and stores, by a register or by the stack pointer.
            false => half & 1 == 0 && matches!(half >> 13, 1 | 3 | 5 | 7),
        };
        let (instruction, rest) = code.split_at(if is_long { 4 } else { 2 });
        if is_float {
            found.push(format!("{instruction:02x?}"));
        }
        code = rest;
    }
    found
}

/// All that computes with floats.
fn floats(path: &Path, triple: &str, has_vectors: bool) -> Vec<String> {
    let bytes = std::fs::read(path).expect("a file");
    let objects = objects(&bytes);
    let names = symbols(&objects);
    assert!(names.len() > 10, "{} has no symbols", path.display());
    let mut found: Vec<String> = names.into_iter().filter(|name| is_routine(name)).collect();
    found.extend(match triple.starts_with("thumb") {
        true => instructions(path, has_vectors),
        false => riscv_instructions(&objects),
    });
    found
}

/// The library of a build by itself, before anything is linked.
fn library(triple: &str, core_features: &[&str]) -> PathBuf {
    let features = [&[WHOLE_LIBRARY], core_features].concat().join(",");
    run(firmware::library("build", triple, &features).arg("--quiet")).expect("it builds");
    target_dir().join(triple).join("release/libkinglet.rlib")
}

#[test]
fn the_library_has_no_floats_on_any_target() {
    let own_code = CORES.iter().filter(|core| core.first_of_code() == *core);
    let cores = own_code.map(|core| (core.triple, core.features));
    for (triple, features) in cores.chain([(OTHER_TARGET, &[][..])]) {
        let found = floats(&library(triple, features), triple, !features.is_empty());
        assert_eq!(found, Vec::<String>::new(), "{triple} {features:?}");
    }
}

/// A program has code that the library by itself has not: samplers with room for
/// a number of tokens, and what is inlined.
#[test]
fn a_program_with_all_of_the_library_has_no_floats() {
    for core in ["m4", "m0", "rv32"].into_iter().filter_map(Core::named) {
        for profile in [SMALL, RELEASE] {
            let elf = build_smallest(core.triple, profile, Smallest::Everything);
            let found = floats(&elf.expect("it builds"), core.triple, false);
            assert_eq!(found, Vec::<String>::new(), "{} {profile}", core.triple);
        }
    }
}

/// The control: a function in C that multiplies floats, with and without a unit for
/// them, and with vectors of them.
#[test]
fn floats_are_found_where_they_are() {
    let folder = folder();
    let source = "float product(float a, int b) { return a * (float)b; }\n\
        int sum(const int *x, int n) { int s = 0; while (n-- > 0) { s += x[n]; } return s; }\n";
    let numbers: String = (0..12).map(|n| format!("int n{n} = {n};\n")).collect();
    let source = file(folder.path(), "floats.c", [&numbers, source].concat());
    let compiled = |cpu: &str, abi: &str| {
        let object = folder.path().join(format!("{cpu}-{abi}.o"));
        let mut compiler = Command::new("arm-none-eabi-gcc");
        compiler.args(["-O2", "-mthumb", "-c"]);
        compiler.args([format!("-mcpu={cpu}"), format!("-mfloat-abi={abi}")]);
        run(compiler.arg(&source).arg("-o").arg(&object)).expect("it compiles");
        object
    };
    let mut soft = floats(&compiled("cortex-m0", "soft"), "thumbv6m", false);
    soft.sort();
    assert_eq!(soft, ["__aeabi_fmul", "__aeabi_i2f"]);
    for (cpu, has_vectors) in [("cortex-m4", false), ("cortex-m55", true)] {
        let found = floats(&compiled(cpu, "hard"), "thumb", has_vectors);
        assert!(
            found.iter().any(|line| line.starts_with("vmul.f32")),
            "{found:?}"
        );
        assert!(
            found.iter().any(|line| line.starts_with("vcvt.f32.s32")),
            "{found:?}"
        );
    }
    // `fadd.s`, `flw`, `fsw`, `fmadd.s`, `c.flw` and `c.fswsp` among `add` and `lw`.
    let code = [
        &[0x33, 0x05, 0xb5, 0x00][..],
        &[0x53, 0x75, 0xb5, 0x00],
        &[0x03, 0x25, 0x05, 0x00],
        &[0x07, 0x25, 0x05, 0x00],
        &[0x08, 0x41],
        &[0x27, 0x20, 0xa5, 0x00],
        &[0x43, 0x75, 0xb5, 0x60],
        &[0x08, 0x61],
        &[0x2a, 0xe0],
        &[0x2a, 0xc0],
    ];
    let found = riscv_floats(&code.concat());
    let known = [1, 3, 5, 6, 7, 8].map(|n| format!("{:02x?}", code[n]));
    assert_eq!(found, known);
    for name in [
        "__mulsf3",
        "__floatsidf",
        "__fixunssfsi",
        "__aeabi_d2iz",
        "sqrtf",
        "__aeabi_cdcmple",
    ] {
        assert!(is_routine(name), "{name}");
    }
    let others = [
        "__aeabi_uidiv",
        "__aeabi_lmul",
        "__aeabi_memcpy4",
        "__udivmoddi4",
        "__clzsi2",
    ];
    for name in others
        .iter()
        .chain(&["__aeabi_unwind_cpp_pr0", "kinglet_v6m_int8", "memcpy"])
    {
        assert!(!is_routine(name), "{name}");
    }
}
