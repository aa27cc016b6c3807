//! What the tests across crates share: where things are, and the built
//! `kinglet` program.

pub mod crates;
pub mod manual;
pub mod models;
pub mod npz;

pub use kinglet_workshop::workspace::root;

use kinglet_workshop::workspace::{build_kinglet, build_xtask, target_dir};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;

/// A folder of third-party data that is not in the repository: the value of
/// the variable, else in `../shared`. Prints that and returns `None` if absent.
fn shared(variable: &str, name: &str) -> Option<PathBuf> {
    let path = std::env::var_os(variable)
        .map(PathBuf::from)
        .unwrap_or_else(|| root().join("../shared").join(name));
    if path.is_dir() {
        return Some(path);
    }
    eprintln!(
        "skipped: no third-party data at {} (set {variable})",
        path.display()
    );
    None
}

/// Third-party checkpoints and their logits.
pub fn golden() -> Option<PathBuf> {
    shared("KINGLET_GOLDEN", "golden")
}

/// Third-party texts.
pub fn text() -> Option<PathBuf> {
    shared("KINGLET_TEXT", "text")
}

/// The demo checkpoint of the repository.
pub fn demo_checkpoint() -> PathBuf {
    root().join("models/stories.safetensors")
}

/// The checkpoint of the example of voice commands.
pub fn intents_checkpoint() -> PathBuf {
    root().join("firmware/examples/intents/intents.safetensors")
}

/// A command that runs the `kinglet` program, built first if need be.
pub fn kinglet() -> Command {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    Command::new(PROGRAM.get_or_init(|| build_kinglet().expect("kinglet builds")))
}

/// A command that runs the program that `cargo xtask` runs, built first.
pub fn xtask() -> Command {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    Command::new(PROGRAM.get_or_init(|| build_xtask().expect("xtask builds")))
}

/// Arguments of a command: those of the parts of a tuple, one after the other.
/// A text has some with spaces between them, an array has them as they are.
pub trait Args {
    /// Adds them to a list.
    fn add_to(&self, list: &mut Vec<String>);

    /// All of them.
    fn list(&self) -> Vec<String> {
        let mut list = Vec::new();
        self.add_to(&mut list);
        list
    }
}

impl<T: Args + ?Sized> Args for &T {
    fn add_to(&self, list: &mut Vec<String>) {
        (**self).add_to(list);
    }
}

impl Args for str {
    fn add_to(&self, list: &mut Vec<String>) {
        list.extend(self.split_whitespace().map(str::to_owned));
    }
}

impl Args for Path {
    fn add_to(&self, list: &mut Vec<String>) {
        list.push(arg(self).to_owned());
    }
}

impl Args for PathBuf {
    fn add_to(&self, list: &mut Vec<String>) {
        self.as_path().add_to(list);
    }
}

impl<T: AsRef<str>> Args for [T] {
    fn add_to(&self, list: &mut Vec<String>) {
        list.extend(self.iter().map(|text| text.as_ref().to_owned()));
    }
}

impl<T: AsRef<str>, const N: usize> Args for [T; N] {
    fn add_to(&self, list: &mut Vec<String>) {
        self.as_slice().add_to(list);
    }
}

impl<T: AsRef<str>> Args for Vec<T> {
    fn add_to(&self, list: &mut Vec<String>) {
        self.as_slice().add_to(list);
    }
}

macro_rules! tuples {
    ($($part:ident)*) => {
        impl<$($part: Args),*> Args for ($($part,)*) {
            #[allow(non_snake_case)]
            fn add_to(&self, list: &mut Vec<String>) {
                let ($($part,)*) = self;
                $($part.add_to(list);)*
            }
        }
    };
}

tuples!(A B);
tuples!(A B C);
tuples!(A B C D);
tuples!(A B C D E);
tuples!(A B C D E F);
tuples!(A B C D E F G);

/// Runs `kinglet` and returns what it did.
pub fn run(args: impl Args) -> Output {
    kinglet()
        .args(args.list())
        .output()
        .expect("kinglet starts")
}

/// Runs `kinglet`, expects success and returns its standard output.
#[track_caller]
pub fn stdout(args: impl Args) -> String {
    let output = run(&args);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "kinglet {:?}: {errors}",
        args.list()
    );
    String::from_utf8(output.stdout).expect("kinglet prints UTF-8")
}

/// Runs `kinglet`, expects success and returns the JSON it prints.
#[track_caller]
pub fn json(args: impl Args) -> serde_json::Value {
    serde_json::from_str(&stdout(args)).expect("kinglet prints JSON")
}

/// Runs `kinglet`, expects this exit code, of failures a single line on
/// standard error; returns what it says there.
#[track_caller]
pub fn failure(args: impl Args, code: i32) -> String {
    let output = run(&args);
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    let found = output.status.code();
    assert_eq!(found, Some(code), "kinglet {:?}: {errors}", args.list());
    if code == 1 {
        assert_eq!(errors.trim_end().lines().count(), 1, "{errors}");
        assert!(errors.starts_with("error: "), "{errors}");
    }
    errors
}

/// Runs `kinglet`, expects this exit code and that the error contains `part`.
#[track_caller]
pub fn fails(args: impl Args, code: i32, part: &str) {
    says(&failure(args, code), part);
}

/// Expects that `text` contains `part`.
#[track_caller]
pub fn says(text: &str, part: &str) {
    assert!(text.contains(part), "no {part:?} in: {text}");
}

/// A line for a shell, in which `"$@"` is this `kinglet` command.
pub fn shell(line: &str, args: impl Args) -> Output {
    let mut command = Command::new("sh");
    command.args(["-c", line, "sh"]);
    command.arg(kinglet().get_program()).args(args.list());
    command.output().expect("sh starts")
}

/// Runs a command that reads `input`, and returns what it did.
pub fn typed(command: &mut Command, input: impl AsRef<[u8]>) -> Output {
    let command = command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.stderr(Stdio::piped()).spawn().expect("it starts");
    let mut stdin = child.stdin.take().expect("piped");
    stdin.write_all(input.as_ref()).expect("it reads");
    drop(stdin);
    child.wait_with_output().expect("it ends")
}

/// A random checkpoint of `kinglet synth`.
#[track_caller]
pub fn synth(checkpoint: &Path, options: impl Args) {
    stdout(("synth -o", checkpoint, options));
}

/// The logits that `kinglet logits` writes, one row after the other.
#[track_caller]
pub fn logits(model: &Path, options: impl Args) -> Vec<f32> {
    let folder = folder();
    let out = folder.path().join("logits.npy");
    stdout(("logits", model, "-o", &out, options));
    npz::read_npy(&out)
}

/// What `kinglet run --json` says, but for the image's checksum: other images may compute
/// the same.
#[track_caller]
pub fn computed(args: impl Args) -> serde_json::Value {
    let mut run = json(args);
    let said = run.as_object_mut().expect("an object");
    said.remove("image_checksum");
    run
}

/// An image of `kinglet quantize`, each weight rounded alone: what is tested with it
/// does not depend on how good the model is.
#[track_caller]
pub fn quantize(checkpoint: &Path, image: &Path, options: impl Args) {
    stdout(("quantize", checkpoint, "-o", image, "--plain", options));
}

/// A path as an argument.
pub fn arg(path: &Path) -> &str {
    path.to_str().expect("test paths are UTF-8")
}

/// The demo checkpoint as an image of this precision in `folder`.
pub fn demo_image(folder: &Path, weights: &str) -> PathBuf {
    let image = folder.join(format!("stories-{weights}.kgl"));
    quantize(&demo_checkpoint(), &image, ["--weights", weights]);
    image
}

/// An empty folder that is gone when the test is over.
pub fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

/// A folder in the target folder, where a test keeps what takes long to make.
pub fn kept_folder(name: &str) -> PathBuf {
    let folder = target_dir().join("tmp").join(name);
    std::fs::create_dir_all(&folder).expect("the target folder can be written");
    folder
}

/// The names in a folder, in order.
pub fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).expect("a folder");
    let name = |entry: std::io::Result<std::fs::DirEntry>| entry.expect("an entry").file_name();
    let names = entries.map(|entry| name(entry).into_string().expect("UTF-8"));
    let mut names: Vec<_> = names.collect();
    names.sort();
    names
}

/// Writes a file in `folder` and returns its path.
pub fn file(folder: &Path, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, bytes).expect("the folder can be written");
    path
}

/// A text that [`made_up_vocabulary`] has tokens for.
pub const VOCABULARY_TEXT: &str = "the kinglets sing to the king, café";

/// A made-up vocabulary: most bytes of ASCII and some longer tokens, with ids
/// in no order and gaps between them.
pub fn made_up_vocabulary(folder: &Path) -> PathBuf {
    let mut lines = String::new();
    for (index, byte) in (b' '..=b'~').filter(|&byte| byte != b'~').enumerate() {
        let id = 1 + 2 * index;
        lines += &format!("{id} b'\\x{byte:02x}' 1\n");
    }
    let longer = [
        " the",
        " t",
        "the",
        "king",
        "kinglet",
        "\\xe9",
        "ing",
        " kinglets",
    ];
    for (index, token) in longer.iter().enumerate() {
        let bytes = if *token == "\\xe9" { 2 } else { token.len() };
        lines += &format!("{} '{token}' {bytes}\n", 290 - 3 * index);
    }
    file(folder, "vocabulary.txt", lines)
}

/// Sentences of a small grammar, the same for the same seed: text that a
/// small model learns in seconds.
pub fn sentences(count: usize, seed: u64) -> String {
    const WHO: [&str; 6] = [
        "the cat",
        "a small bird",
        "my sister",
        "the old baker",
        "a fox",
        "nobody",
    ];
    const DOES: [&str; 5] = ["sees", "paints", "looks for", "finds", "forgets"];
    const WHAT: [&str; 6] = [
        "the moon",
        "a red ball",
        "three apples",
        "the way home",
        "a song",
        "it",
    ];
    const WHEN: [&str; 4] = ["today", "in the morning", "at night", "again and again"];
    let mut state = seed;
    let mut pick = |from: &[&'static str]| {
        // Knuth's multiplier; the upper bits are the random ones.
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        from[(state >> 33) as usize % from.len()]
    };
    let mut sentence = |_| {
        format!(
            "{} {} {} {}.\n",
            pick(&WHO),
            pick(&DOES),
            pick(&WHAT),
            pick(&WHEN)
        )
    };
    (0..count).map(&mut sentence).collect()
}

/// A `tokenizer.json` of byte-level BPE with three tokens, one of which is `ab`.
pub const SMALL_BPE: &str = r#"{"version": "1.0", "added_tokens": [], "normalizer": null,
"pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true},
"post_processor": null,
"decoder": {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true},
"model": {"type": "BPE", "vocab": {"a": 1, "b": 2, "ab": 7}, "merges": ["a b"]}}"#;
