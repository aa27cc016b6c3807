//! `kinglet export`: the tools that the files are for read them back, and what a
//! board cannot hold is refused.

use kinglet_tests::{
    demo_checkpoint, fails, failure, file, folder, json, quantize, says, stdout, synth,
};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A small image for a target.
fn image(folder: &Path, target: &str) -> PathBuf {
    let checkpoint = folder.join("small.safetensors");
    synth(&checkpoint, "--layers 1 --channels 32 --vocab 64");
    let image = folder.join(format!("small-{target}.kgl"));
    quantize(&checkpoint, &image, ("--weights int4 --target", target));
    image
}

#[test]
fn uf2_hex_and_binary_lie_where_the_board_wants_them() {
    let folder = folder();
    let image = image(folder.path(), "m0");
    let [uf2, hex, bin] = ["m.uf2", "m.hex", "m.bin"].map(|name| folder.path().join(name));
    let args = ("export", &image, "--board pico --json");
    let files = ("--uf2", &uf2, "--hex", &hex, "--bin", &bin);
    let report = json((args, files));
    let bytes = fs::read(&image).unwrap();
    assert_eq!(report["address"], 0x1002_0000);
    assert_eq!(report["image_bytes"], bytes.len());
    assert_eq!(report["files"].as_array().unwrap().len(), 3);
    assert_eq!(fs::read(&bin).unwrap(), bytes);
    // Payloads of 256 bytes after 32 bytes of a block's header.
    let uf2 = fs::read(&uf2).unwrap();
    assert_eq!(uf2[12..16], 0x1002_0000u32.to_le_bytes());
    assert_eq!(uf2[28..32], 0xe48b_ff56u32.to_le_bytes());
    let blocks = uf2.chunks_exact(512);
    let read: Vec<u8> = blocks.flat_map(|block| &block[32..288]).copied().collect();
    assert!(read.starts_with(&bytes) && read.len() < bytes.len() + 256);
    let hex = fs::read_to_string(&hex).unwrap();
    assert!(hex.starts_with(":020000041002"), "{}", &hex[..20]);
    assert!(hex.trim_end().ends_with(":00000001FF"));
    assert_eq!(hex.lines().count(), bytes.len().div_ceil(16) + 2);
}

/// The program that a compiler makes of a source file prints the array.
fn printed(compiler: &mut Command, program: &Path) -> Vec<u8> {
    let status = compiler
        .arg("-o")
        .arg(program)
        .status()
        .expect("the compiler starts");
    assert!(status.success());
    let output = Command::new(program).output().expect("the program starts");
    assert!(output.status.success(), "misaligned");
    output.stdout
}

#[test]
fn sources_compile_to_the_same_bytes() {
    let folder = folder();
    let image = image(folder.path(), "m4");
    let [c, rust] = ["model.c", "model.rs"].map(|name| folder.path().join(name));
    stdout(("export", &image, "--c-array", &c, "--rust", &rust));
    let bytes = fs::read(&image).unwrap();
    let main = "mod model;\nfn main() {\n    use std::io::Write;\n    \
        assert_eq!(model::MODEL.as_ptr() as usize % 16, 0);\n    \
        std::io::stdout().write_all(model::MODEL).unwrap();\n}\n";
    let main = file(folder.path(), "main.rs", main);
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let mut rustc = Command::new(rustc);
    rustc
        .args(["--edition", "2021", "-D", "warnings"])
        .arg(main);
    assert_eq!(printed(&mut rustc, &folder.path().join("from-rust")), bytes);
    if Command::new("cc").arg("--version").output().is_err() {
        eprintln!("skipped: no C compiler `cc` for the C array");
        return;
    }
    let main =
        "#include <stdint.h>\n#include <stdio.h>\nextern const size_t kinglet_model_bytes;\n\
        extern const unsigned char kinglet_model[];\nint main(void) {\n    \
        if ((uintptr_t)kinglet_model % 16) return 1;\n    \
        return fwrite(kinglet_model, 1, kinglet_model_bytes, stdout) != kinglet_model_bytes;\n}\n";
    let main = file(folder.path(), "main.c", main);
    let mut cc = Command::new("cc");
    cc.args(["-Wall", "-Werror"]).arg(main).arg(&c);
    assert_eq!(printed(&mut cc, &folder.path().join("from-c")), bytes);
}

#[test]
fn what_a_board_cannot_hold_is_refused() {
    let folder = folder();
    let (m0, m4) = (image(folder.path(), "m0"), image(folder.path(), "m4"));
    let out = folder.path().join("out");
    let refuses = |image: &Path, options: &str, said: &str| {
        fails(("export", image, options, "--hex", &out), 2, said);
        assert!(!out.exists());
    };
    let demo = demo_checkpoint();
    let big = folder.path().join("big.kgl");
    quantize(&demo, &big, "--weights int4 --target m0");
    for (image, options, said) in [
        // After the end, before the place of the model, and across the end.
        (
            &m0,
            "--board microbit-v1 --address 0x40000",
            "0x18000 to 0x40000",
        ),
        (&m0, "--board microbit-v1 --address 0", "0x18000 to 0x40000"),
        (
            &m0,
            "--board microbit-v1 --address 0x3ff00",
            "0x18000 to 0x40000",
        ),
        (&m4, "--board microbit-v1", "--target m0"),
        (&m4, "--board toaster", "toaster"),
        (&m4, "--board toaster", "pico2"),
        (&m0, "--board esp32-c3", "KINGLET_IMAGE"),
        (&m4, "", "--address"),
        (&m4, "--address 0x8", "multiple of 16"),
        (&m4, "--address 0x1_0000_0000", "2^32"),
        (&big, "--board microbit-v1", "kinglet plan"),
    ] {
        refuses(image, options, said);
    }
    let uf2 = ("export", &m4, "--uf2", &out);
    fails((uf2, "--board stm32f405"), 2, "--hex");
    fails((uf2, "--address 0x10000010 --family 1"), 2, "0x100");
    failure(("export", &m4), 2);
    fails(("export", &demo, "--bin", &out), 1, "stories");
}

/// An ELF file that loads these bytes to these addresses.
fn elf(segments: &[(u32, &[u8])]) -> Vec<u8> {
    const HEAD_BYTES: usize = 52;
    const ENTRY_BYTES: usize = 32;
    let mut offset = HEAD_BYTES + ENTRY_BYTES * segments.len();
    let mut file = b"\x7fELF\x01\x01\x01".to_vec();
    file.resize(16, 0);
    // An executable for ARM, of version 1.
    file.extend([2, 0, 40, 0, 1, 0, 0, 0]);
    for word in [0, HEAD_BYTES as u32, 0, 0] {
        file.extend(word.to_le_bytes());
    }
    let sizes = [HEAD_BYTES, ENTRY_BYTES, segments.len(), 40, 0, 0];
    for size in sizes {
        file.extend((size as u16).to_le_bytes());
    }
    for &(address, bytes) in segments {
        let (at, len) = (offset as u32, bytes.len() as u32);
        // To be loaded, with a virtual address that is not the one in flash.
        for word in [1, at, address ^ 0x4000_0000, address, len, len, 5, 4] {
            file.extend(u32::to_le_bytes(word));
        }
        offset += bytes.len();
    }
    segments.iter().for_each(|(_, bytes)| file.extend(*bytes));
    file
}

#[test]
fn a_firmware_goes_into_the_same_file() {
    let folder = folder();
    let image = image(folder.path(), "m0");
    let bytes = fs::read(&image).unwrap();
    let segments = [(0x1000_0000, &b"boot"[..]), (0x1000_0104, b"program")];
    let firmware = file(folder.path(), "firmware.elf", elf(&segments));
    // The content of the board's flash then.
    let mut flash = vec![0xff; 0x2_0000];
    flash[..4].copy_from_slice(b"boot");
    flash[0x104..0x10b].copy_from_slice(b"program");
    flash.extend(&bytes);
    let [uf2, hex, bin] = ["a.uf2", "a.hex", "a.bin"].map(|name| folder.path().join(name));
    let args = ("export", &image, "--board pico --json --firmware");
    let files = ("--uf2", &uf2, "--hex", &hex, "--bin", &bin);
    let report = json((args, &firmware, files));
    assert_eq!(report["firmware_bytes"], 0x10b);
    assert_eq!(report["image_bytes"], bytes.len());
    assert_eq!(fs::read(&bin).unwrap(), flash);
    let word = |block: &[u8], at: usize| {
        let bytes = block[at..at + 4].try_into().unwrap();
        u32::from_le_bytes(bytes) as usize
    };
    let mut read = vec![0xff; flash.len().next_multiple_of(256)];
    for block in fs::read(&uf2).unwrap().chunks_exact(512) {
        let place = word(block, 12) - 0x1000_0000;
        read[place..place + 256].copy_from_slice(&block[32..288]);
    }
    assert_eq!(read[..flash.len()], flash);
    assert!(read[flash.len()..].iter().all(|&byte| byte == 0xff));
    let hex = fs::read_to_string(&hex).unwrap();
    let lines: Vec<&str> = hex.lines().collect();
    assert!(lines[0].starts_with(":020000041000"), "{}", lines[0]);
    assert!(lines[1].starts_with(":10000000626F6F74FF"), "{}", lines[1]);
    assert_eq!(hex.matches(":00000001FF").count(), 1);
    assert_eq!(hex.matches(":02000004").count(), 2);
}

#[test]
fn what_is_no_firmware_of_the_board_is_refused() {
    let folder = folder();
    let image = image(folder.path(), "m0");
    let out = folder.path().join("out.hex");
    let refuses = |firmware: &Path, said: &str| {
        let args = ("export", &image, "--board pico --hex", &out);
        let error = failure((args, "--firmware", firmware), 1);
        says(&error, said);
        says(&error, &firmware.file_name().unwrap().to_string_lossy());
        assert!(!out.exists());
    };
    let whole = elf(&[(0x1000_0000, &[1; 100])]);
    // A length that lies.
    let mut lies = whole.clone();
    lies[52 + 16..52 + 20].copy_from_slice(&u32::MAX.to_le_bytes());
    let (no_elf, flash) = ("not the ELF file of a firmware", "0x10000000 to 0x10020000");
    for (name, bytes, said) in [
        ("text", b"not an ELF file".to_vec(), no_elf),
        ("empty", Vec::new(), no_elf),
        ("cut", whole[..150].to_vec(), "beyond the file"),
        ("lies", lies, "beyond the file"),
        ("head", whole[..60].to_vec(), no_elf),
        ("nothing", elf(&[(0x1000_0000, b"")]), "nothing in it"),
        ("ram", elf(&[(0x2000_0000, b"x")]), flash),
        ("long", elf(&[(0x1001_ffff, b"xx")]), "another board"),
        ("last", elf(&[(0xffff_ffff, b"xx")]), "another board"),
    ] {
        refuses(&file(folder.path(), name, bytes), said);
    }
    refuses(&folder.path().join("missing"), "missing");
    let good = file(folder.path(), "good", whole);
    let bad_use = ("export", &image, "--hex", &out, "--firmware", &good);
    fails(bad_use, 2, "--board");
}

#[test]
fn users_add_boards() {
    let folder = folder();
    let image = image(folder.path(), "m4");
    let board = "[[board]]\nname = \"mine\"\ntitle = \"Mine\"\nchip = \"X\"\ncore = \"m4\"\n\
        flash = { origin = 0, bytes = 0x10000 }\nram = { origin = 0x20000000, bytes = 0x10000 }\n\
        application_bytes = 0x4000\nvariables_bytes = 16\nstack_bytes = 4096\nclock_hz = 1000000\n\
        cycles_per_instruction = 1.5\nassumption = \"none\"\n";
    let boards = file(folder.path(), "boards.toml", board);
    let out = folder.path().join("out.bin");
    let args = ("export", &image, "--board mine --json --bin", &out);
    let report = json((args, "--boards", &boards));
    assert_eq!(report["address"], 0x4000);
    let bad = file(folder.path(), "bad.toml", board.replace("m4", "z80"));
    fails((args, "--boards", &bad), 1, "bad.toml: line 5");
}
