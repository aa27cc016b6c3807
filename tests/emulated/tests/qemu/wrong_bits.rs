//! A wrong bit in any kernel of a port: `kinglet verify` finds it.
//!
//! Wrong is one bit of the first element of a result, at every call, as a kernel makes it that
//! is wrong at all. Which bit, is a question of what comes after: the results of most kernels
//! are vectors of 30 bits, and the next product reads 8 of them. A lower bit shows in the
//! logits, whose hash is compared, only where it turns a rounding, and that is the rarer
//! the lower it is. So there are two kinds of results here: whole numbers of 16 bits and
//! less, and exact sums, of which the lowest bit is found; and such vectors, of which
//! bit 16 is found, 1/16,384 of the largest value, in one element and within 64 tokens. All
//! bits below are held to `Portable` by the kernels' self-test (`machines.rs`).

use kinglet_targets::{Machine, DEFAULT_MACHINE};
use kinglet_tests::{file, kept_folder, quantize, root, run, says, synth};
use kinglet_workshop::emulator::{loader, qemu};
use kinglet_workshop::firmware::{build_program, RELEASE};
use object::{Object, ObjectSection, ObjectSymbol};
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::Mutex;
use std::thread;

const MACHINE: &Machine = DEFAULT_MACHINE;

/// The lowest bit.
const LOWEST: u8 = 0;
/// Of a vector of 30 bits, far below what a product reads of it.
const LOW: u8 = 16;
/// The lowest bit of a logarithm's whole part: no other one is asked for.
const WHOLE: u8 = 22;

/// Every kernel of a port, its formats each, with an image that runs it and the
/// wrong bit.
const KERNELS: [(&str, &str, u8); 36] = [
    ("prepare", "v7", LOWEST),
    ("sums int8", "v7", LOWEST),
    ("sums int6", "v7", LOWEST),
    ("sums int4", "v7", LOWEST),
    ("prepare_fine", "v4", LOWEST),
    // The lowest bit of what eight bits of the vector give.
    ("fine_sums", "v4", 7),
    ("scale_rows", "v7", LOW),
    ("scale_blocks", "v7", LOW),
    ("sum", "v7", LOW),
    ("less", "v7", LOW),
    ("squares", "v7", LOW),
    ("dot", "v7", LOW),
    ("affine", "v7", LOW),
    ("token_shift", "v7", LOW),
    ("positive_max", "v7", LOW),
    ("relu_squared", "v7", LOW),
    ("copy", "v7", LOW),
    ("add", "v7", LOW),
    ("most", "v7", WHOLE),
    ("coefficients", "v7", LOWEST),
    ("decayed_coefficients", "v7", LOWEST),
    ("decay", "v6", LOW),
    ("read i16", "v6", LOW),
    ("read i8", "v6-i8", LOW),
    ("read_both i16", "v7", LOW),
    ("read_both i8", "v7-i8", LOW),
    ("to_16_bits", "v7", LOWEST),
    ("plan", "v7", LOWEST),
    ("write i16", "v7", LOWEST),
    ("write i8", "v7-i8", LOWEST),
    ("add_values", "v7", LOW),
    // Which bits the mantissas of two rows have, those of one in a half: a lower one
    // of it is below their highest.
    ("differences", "v7", 14),
    ("round_off", "v4", LOW),
    ("average", "v4", LOW),
    // A factor in Q15.
    ("shares", "v4", 4),
    ("add_gated", "v4", LOW),
];

/// Random models, with all formats of weights and of states.
fn image(folder: &Path, name: &str) -> PathBuf {
    let (version, state) = name.split_once('-').unwrap_or((name, "i16"));
    let checkpoint = folder.join(format!("{name}.safetensors"));
    let size = "--layers 2 --channels 64 --version";
    synth(&checkpoint, (size, version));
    let image = folder.join(format!("{name}.kgl"));
    let keys = if name == "v4" { "" } else { "--keys int6" };
    let formats = ("--weights int4", keys, "--target");
    let target = [MACHINE.core.name, "--state", state];
    let head = if name == "v4" { "int8x16" } else { "int8" };
    let head = format!("--force head={head}");
    quantize(&checkpoint, &image, (formats, target, head.as_str()));
    image
}

/// A firmware whose kernels are right, until its file says which is wrong.
struct Firmware {
    elf: Vec<u8>,
    /// Where in the file that is.
    at: Range<usize>,
}

impl Firmware {
    fn build() -> Self {
        let flags = ("RUSTFLAGS", OsStr::new("--cfg kinglet_wrong_bit"));
        let path = build_program(MACHINE, "qemu", RELEASE, &[flags]).expect("it builds");
        let elf = std::fs::read(path).expect("an ELF file");
        let file = object::File::parse(&*elf).expect("an ELF file");
        let mut symbols = file.symbols();
        let symbol = symbols.find(|symbol| symbol.name() == Ok("KINGLET_WRONG_BIT"));
        let symbol = symbol.expect("the room for a name");
        let section = symbol.section_index().expect("it is in the file");
        let section = file.section_by_index(section).expect("a section");
        let (start, _) = section.file_range().expect("it is in the file");
        let start = (start + symbol.address() - section.address()) as usize;
        let at = start..start + symbol.size() as usize;
        Self { elf, at }
    }

    /// The program with this kernel wrong; with none where it has no name.
    fn with(&self, kernel: &str, bit: u8) -> Vec<u8> {
        let mut elf = self.elf.clone();
        let wrong = &mut elf[self.at.clone()];
        wrong[..kernel.len()].copy_from_slice(kernel.as_bytes());
        *wrong.last_mut().expect("room") = bit;
        elf
    }
}

/// `kinglet verify` of a program that has the image in its spare RAM.
fn verify(elf: &Path, image: &Path) -> Output {
    let mut emulator = qemu(MACHINE.core, MACHINE.qemu, elf);
    emulator.args(["-device", &loader(image, MACHINE.spare.origin)]);
    let program = [emulator.get_program()].into_iter();
    let words = program.chain(emulator.get_args());
    let words: Vec<_> = words.map(|word| word.to_str().expect("UTF-8")).collect();
    run(("verify", image, "--prompt A -n 64 --", words))
}

/// Runs all cases, some at a time; one waits for QEMU most of its time.
fn each<T: Send>(cases: impl Iterator<Item = T> + Send, check: impl Fn(T) + Sync) {
    let cases = Mutex::new(cases);
    let next = || cases.lock().expect("no panic").next();
    thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| {
                while let Some(case) = next() {
                    check(case);
                }
            });
        }
    });
}

#[test]
fn a_wrong_bit_in_any_kernel_is_found() {
    let folder = kept_folder("wrong-bits");
    let firmware = Firmware::build();
    let images: BTreeSet<_> = KERNELS.iter().map(|(_, image, _)| *image).collect();
    let right = file(&folder, "right.elf", firmware.with("", 0));
    each(images.into_iter(), |name| {
        let output = verify(&right, &image(&folder, name));
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{name}: {said}");
    });
    each(KERNELS.into_iter(), |(kernel, image, bit)| {
        let name = format!("{}.elf", kernel.replace(' ', "-"));
        let wrong = file(&folder, &name, firmware.with(kernel, bit));
        let output = verify(&wrong, &folder.join(format!("{image}.kgl")));
        let said = String::from_utf8_lossy(&output.stderr);
        println!("{kernel}, bit {bit}: {said}");
        assert_eq!(output.status.code(), Some(1), "{kernel}: {said}");
        says(&said, "error: prompt \"A\", token ");
        says(&said, "hash of the");
        std::fs::remove_file(wrong).expect("it was there");
    });
}

/// A kernel that is new has to be found, too.
#[test]
fn the_table_has_all_kernels() {
    let port = std::fs::read_to_string(root().join("core/src/arch/mod.rs")).expect("the source");
    let (_, port) = port.split_once("pub trait Port {").expect("the trait");
    let functions = port.lines().filter_map(|line| line.strip_prefix("    fn "));
    let name = |line: &'_ str| line.split(['(', '<']).next().map(str::to_owned);
    let functions: BTreeSet<_> = functions.filter_map(name).collect();
    let kernels = KERNELS.map(|(kernel, ..)| kernel.split(' ').next().map(str::to_owned));
    let kernels: BTreeSet<_> = kernels.into_iter().flatten().collect();
    assert_eq!(kernels, functions);
}
