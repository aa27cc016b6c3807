//! Source files that hold an image as an array, aligned as
//! `kinglet::Image::new` wants it.

use kinglet::shape::ALIGN;
use std::io::{self, Write};

/// Bytes of a line of source.
const LINE_BYTES: usize = 16;

/// Writes a C file with `kinglet_model` and `kinglet_model_bytes`.
///
/// # Errors
/// Errors of `out`.
pub fn write_c(bytes: &[u8], out: &mut impl Write) -> io::Result<()> {
    let count = bytes.len();
    writeln!(out, "/* A Kinglet image; written by `kinglet export`. */")?;
    writeln!(out, "#include <stddef.h>\n")?;
    writeln!(out, "const size_t kinglet_model_bytes = {count};\n")?;
    writeln!(out, "#if defined(__GNUC__)")?;
    writeln!(out, "__attribute__((aligned({ALIGN})))")?;
    writeln!(
        out,
        "#elif defined(__STDC_VERSION__) && __STDC_VERSION__ >= 201112L"
    )?;
    writeln!(out, "_Alignas({ALIGN})")?;
    writeln!(out, "#else")?;
    writeln!(out, "#error \"an image must be aligned to {ALIGN} bytes\"")?;
    writeln!(out, "#endif")?;
    writeln!(out, "const unsigned char kinglet_model[{count}] = {{")?;
    write_bytes(bytes, out)?;
    writeln!(out, "}};")
}

/// Writes a Rust file with `MODEL: &[u8]`, to be a module or to be included.
///
/// # Errors
/// Errors of `out`.
pub fn write_rust(bytes: &[u8], out: &mut impl Write) -> io::Result<()> {
    let count = bytes.len();
    writeln!(out, "// A Kinglet image; written by `kinglet export`.\n")?;
    writeln!(out, "#[repr(C, align({ALIGN}))]")?;
    writeln!(out, "struct Aligned([u8; {count}]);\n")?;
    writeln!(out, "/// The image, for `kinglet::Image::new`.")?;
    writeln!(out, "pub static MODEL: &[u8] = &ALIGNED.0;\n")?;
    writeln!(out, "#[rustfmt::skip]")?;
    writeln!(out, "static ALIGNED: Aligned = Aligned([")?;
    write_bytes(bytes, out)?;
    writeln!(out, "]);")
}

fn write_bytes(bytes: &[u8], out: &mut impl Write) -> io::Result<()> {
    for line in bytes.chunks(LINE_BYTES) {
        let numbers: Vec<String> = line.iter().map(|byte| format!("0x{byte:02x},")).collect();
        writeln!(out, "    {}", numbers.join(" "))?;
    }
    Ok(())
}
