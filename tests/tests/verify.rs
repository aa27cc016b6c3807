//! `kinglet verify` and firmware that is right, and wrong in every way. The boards'
//! console runs here, on a socket; with a board in QEMU:
//! `tests/emulated/tests/boards/monitor.rs`.

use embedded_io::{ErrorKind, ErrorType, Read, ReadReady, Write};
use kinglet::image::HEADER_BYTES;
use kinglet::shape::FRONT_BYTES;
use kinglet::Image;
use kinglet_app::{converse, Board, Model, Speed};
use kinglet_host::engine::open_image;
use kinglet_host::pack::image_parts;
use kinglet_tests::{arg, fails, failure, file, folder, json, root, run, says, stdout};
use serde_json::Value;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

const PROMPT: [&str; 2] = ["--prompt", "A bird"];

fn tiny() -> PathBuf {
    root().join("core/tests/data/tiny.kgl")
}

/// The line of a token, counted from 1, as it is sent; none where the board dies.
type Spoil = fn(usize, &str) -> Option<String>;

/// A token's line as it is.
fn honest(_: usize, line: &str) -> Option<String> {
    Some(line.to_owned())
}

struct Bench;

impl Board for Bench {
    fn title(&self) -> impl std::fmt::Display {
        "bench"
    }

    fn clock(&self) -> u32 {
        0
    }

    fn speed(&self, _: u32, _: u64) -> Speed {
        Speed::CentitokensPerSecond(0)
    }

    fn stack_bytes(&self) -> u32 {
        0
    }
}

/// A board's port, on which lines of tokens may change.
struct Wire {
    stream: TcpStream,
    /// The line of a token that is being sent.
    line: Option<String>,
    tokens: usize,
    spoil: Spoil,
}

impl ErrorType for Wire {
    type Error = ErrorKind;
}

impl Read for Wire {
    fn read(&mut self, to: &mut [u8]) -> Result<usize, ErrorKind> {
        match self.stream.read(to) {
            Ok(0) | Err(_) => Err(ErrorKind::ConnectionReset),
            Ok(length) => Ok(length),
        }
    }
}

impl ReadReady for Wire {
    fn read_ready(&mut self) -> Result<bool, ErrorKind> {
        self.stream.set_nonblocking(true).expect("a socket");
        let is_ready = self.stream.peek(&mut [0]).is_ok();
        self.stream.set_nonblocking(false).expect("a socket");
        Ok(is_ready)
    }
}

impl Write for Wire {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, ErrorKind> {
        for &byte in bytes {
            let bytes = match (&mut self.line, byte) {
                (None, 0x1e) => {
                    self.line = Some(String::new());
                    vec![byte]
                }
                (None, byte) => vec![byte],
                (Some(line), b'\n') => {
                    self.tokens += 1;
                    let spoilt = (self.spoil)(self.tokens, line.trim_end());
                    self.line = None;
                    match spoilt {
                        Some(line) => format!("{line}\r\n").into_bytes(),
                        None => {
                            let _ = self.stream.shutdown(std::net::Shutdown::Both);
                            return Err(ErrorKind::ConnectionReset);
                        }
                    }
                }
                (Some(line), byte) => {
                    line.push(char::from(byte));
                    continue;
                }
            };
            // `kinglet` may have left already.
            let sent = self.stream.write_all(&bytes);
            sent.map_err(|_| ErrorKind::ConnectionReset)?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> Result<(), ErrorKind> {
        Ok(())
    }
}

/// Runs the console with an image whose checksum nobody checks; returns its port.
fn board(image: &[u8], spoil: Spoil) -> String {
    let mut words = vec![0u128; image.len().div_ceil(16)];
    bytemuck::cast_slice_mut(&mut words)[..image.len()].copy_from_slice(image);
    let length = image.len();
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().expect("an address").port();
    thread::spawn(move || {
        let Ok((stream, _)) = listener.accept() else {
            return;
        };
        stream.set_nodelay(true).expect("a socket");
        let bytes = &bytemuck::cast_slice(&words)[..length];
        let image = Image::new(bytes).expect("an image");
        let (mut state, mut scratch) = (vec![0; 1 << 16], vec![0; 1 << 16]);
        let mut model = Model {
            image,
            state: &mut state[..image.shape().state_len()],
            scratch: &mut scratch[..image.shape().scratch_len()],
        };
        let mut wire = Wire {
            stream,
            line: None,
            tokens: 0,
            spoil,
        };
        converse(&mut wire, &mut Bench, &mut model);
    });
    format!("tcp:127.0.0.1:{port}")
}

fn honest_board() -> String {
    board(&std::fs::read(tiny()).expect("an image"), honest)
}

/// What is said of a board that spoils lines so.
#[track_caller]
fn spoilt(spoil: Spoil) -> String {
    let board = board(&std::fs::read(tiny()).expect("an image"), spoil);
    let args = ("verify", tiny(), PROMPT, "-n 12 --port", [&board]);
    failure(args, 1)
}

#[test]
fn a_board_that_is_right_agrees() {
    let two = ["--prompt", "A bird", "--prompt", "/na"];
    let said = stdout(("verify", tiny(), two, "-n 12 --port", [honest_board()]));
    // The second answer ends after two tokens, and the token for that is compared, too.
    says(&said, "computes what the workstation computes: 15 tokens");
    let board = honest_board();
    let report = json(("verify", tiny(), PROMPT, "-n 12 --json --port", [board]));
    assert_eq!(report["agrees"], true);
    assert_eq!(report["tokens"], 12);
    assert_eq!(report["prompts"], 1);
    assert_eq!(report["difference"], Value::Null);
    let without = stdout(("verify", tiny(), "-n 3 --port", [honest_board()]));
    says(&without, "3 tokens after a prompt");
}

#[test]
fn another_token_other_logits_and_a_shorter_answer_are_told_apart() {
    let said = spoilt(|at, line| match at {
        5 => Some(format!("token 7 {}", line.rsplit(' ').next()?)),
        _ => honest(at, line),
    });
    says(&said, "prompt \"A bird\", token 5: the firmware chose 7 ");
    says(&said, "the logits are equal (hash ");
    let said = spoilt(|at, line| match at {
        3 => Some("token 7 0123456789abcdef".to_owned()),
        _ => honest(at, line),
    });
    says(&said, "token 3: the firmware chose 7 ");
    says(&said, "the hash of the logits is 0123456789abcdef, not ");
    let said = spoilt(|at, line| match at {
        4.. => Some(format!("{}0000000000000000", line.get(..line.len() - 16)?)),
        _ => honest(at, line),
    });
    says(&said, "token 4: both chose ");
    says(&said, "is 0000000000000000, not ");
    let said = spoilt(|_, _| Some("token 7 0000000000000000".to_owned()));
    says(&said, "token 1: ");
    says(&said, "the same prompt");
}

#[test]
fn programs_get_the_difference_in_parts() {
    let board = board(&std::fs::read(tiny()).expect("an image"), |_, _| {
        Some("token 7 0123456789abcdef".to_owned())
    });
    let output = run(("verify", tiny(), PROMPT, "-n 12 --json --port", [board]));
    assert_eq!(output.status.code(), Some(1));
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(report["agrees"], false);
    let difference = &report["difference"];
    assert_eq!(difference["what"], "token");
    assert_eq!(difference["position"], 1);
    assert_eq!(difference["prompt"], "A bird");
    assert_eq!(difference["found"]["token"], 7);
    assert_eq!(difference["found"]["logits_hash"], "0123456789abcdef");
    let ours = json(("run", tiny(), PROMPT, "-n 1 --json"));
    assert_eq!(difference["expected"]["token"], ours["tokens"][0]);
    assert_eq!(
        difference["expected"]["logits_hash"],
        ours["logits_hashes"][0]
    );
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    says(&said, report["sentence"].as_str().expect("a sentence"));
}

#[test]
fn a_damaged_line_is_no_difference_of_the_firmware() {
    let said = spoilt(|at, line| match at {
        2 => line.get(..line.len() - 1).map(str::to_owned),
        _ => honest(at, line),
    });
    says(&said, "where a token and its hash belong");
}

/// The checksum in the header is that of the image without the wrong bit.
#[test]
fn a_wrong_bit_of_a_weight_is_found() {
    let image = std::fs::read(tiny()).expect("an image");
    // In a matrix of the time mixing, of the channel mixing, and in the head: the second
    // weight of the first row.
    let file = open_image(&tiny()).expect("an image");
    let good = file.image();
    let parts = image_parts(&good);
    for name in ["att.key.weight", "ffn.key.weight", "head.weight"] {
        let before = parts.iter().take_while(|stored| stored.part.name != name);
        let bytes = before.map(|stored| stored.part.kind.bytes(good.shape(), stored.bits));
        let mut wrong = image.clone();
        wrong[HEADER_BYTES + bytes.sum::<u64>() as usize + FRONT_BYTES] ^= 0x40;
        let board = board(&wrong, honest);
        let args = ("verify", tiny(), PROMPT, "-n 12 --port", [board]);
        let said = failure(args, 1);
        says(&said, "prompt \"A bird\", token ");
        says(&said, "hash of the");
    }
}

#[test]
fn another_image_is_called_that() {
    let mut other = std::fs::read(tiny()).expect("an image");
    let at = other.len() / 2;
    other[at] ^= 1;
    let checksum = kinglet::image::image_crc32(&other);
    let mut header = kinglet::Header::parse(&other).expect("a header");
    header.crc32 = checksum;
    let header = header.to_bytes();
    other[..header.len()].copy_from_slice(&header);
    let board = board(&other, honest);
    let said = format!("another image: its checksum is {checksum:08x}, ");
    fails(("verify", tiny(), PROMPT, "--port", [board]), 1, &said);
}

#[test]
fn a_board_that_dies_is_gone() {
    let said = spoilt(|at, line| (at < 4).then(|| line.to_owned()));
    says(&said, "is gone");
}

/// A program that prints this.
fn printed(folder: &Path, lines: &str) -> [String; 3] {
    let path = file(folder, "lines.txt", lines);
    ["--".to_owned(), "cat".to_owned(), arg(&path).to_owned()]
}

/// The lines of a firmware that is right, from `kinglet run`.
fn lines() -> Vec<String> {
    let ours = json(("run", tiny(), PROMPT, "-n 8 --json"));
    assert_eq!(ours["reason"], "length");
    let text = |value: &Value| value.to_string().replace('"', "");
    let tokens = ours["tokens"].as_array().expect("a list").iter();
    let hashes = ours["logits_hashes"].as_array().expect("a list");
    let pairs = tokens.zip(hashes);
    let line = |(token, hash)| format!("token {} {}\n", text(token), text(hash));
    pairs.map(line).collect()
}

#[cfg(unix)]
#[test]
fn lines_of_a_loop_without_a_console_are_compared() {
    let folder = folder();
    let folder = folder.path();
    let asked = ("verify", tiny(), PROMPT, "-n 8 --lines");
    let right = lines().concat();
    says(&stdout((&asked, printed(folder, &right))), "8 tokens");
    // A log has other lines, and other words beside these.
    let image = std::fs::read(tiny()).expect("an image");
    let checksum = kinglet::Header::parse(&image).expect("a header").crc32;
    let logged = right
        .replace("token ", "0.1 INFO  token ")
        .replace('\n', " (main.rs:7)\r\n");
    let logged =
        format!("boot\x1b[0m\n\nimage checksum: {checksum:08x}\n{logged}token of thanks\n");
    stdout((&asked, printed(folder, &logged)));
    let other = format!("image checksum: 0000abcd\n{right}");
    fails((&asked, printed(folder, &other)), 1, "checksum is 0000abcd");
    let fewer = lines()[..5].concat();
    let said = "the firmware has 5 of them and the workstation 8";
    fails((&asked, printed(folder, &fewer)), 1, said);
    let mut wrong = lines();
    wrong[5] = wrong[4].clone();
    fails((&asked, printed(folder, &wrong.concat())), 1, "token 6: ");
    let said = "no line `token ID HASH`";
    fails((&asked, printed(folder, "hello\n")), 1, said);
}

#[cfg(unix)]
#[test]
fn a_silent_program_is_ended_with_all_that_it_started() {
    let folder = folder();
    let path = folder.path().join("id");
    let line = format!("sleep 600 & echo $! > {}; wait", arg(&path));
    let shell = ["--", "sh", "-c", &line];
    for way in ["", "--lines"] {
        let start = Instant::now();
        let said = failure(("verify", tiny(), "--timeout 1", way, shell), 1);
        says(&said, "the program sh says nothing for 1 s");
        assert!(start.elapsed() < Duration::from_secs(30));
        let id = std::fs::read_to_string(&path).expect("it has started");
        let alive = || {
            let mut kill = std::process::Command::new("kill");
            let kill = kill
                .args(["-0", id.trim()])
                .stderr(std::process::Stdio::null());
            // One that nobody waits for counts as running until its parent looks.
            let stat = std::fs::read_to_string(format!("/proc/{}/stat", id.trim()));
            kill.status().expect("kill").success() && !stat.is_ok_and(|stat| stat.contains(") Z "))
        };
        while alive() {
            assert!(start.elapsed() < Duration::from_secs(30), "it goes on");
            thread::sleep(Duration::from_millis(50));
        }
    }
    let ends = ["--", "sh", "-c", "exit 3"];
    fails(("verify", tiny(), ends), 1, "the program sh is gone");
}

/// As JUnit's XML.
#[test]
fn the_outcome_is_written_for_ci_whatever_it_is() {
    let folder = folder();
    let junit = folder.path().join("junit.xml");
    let asked = (tiny(), PROMPT, "-n 3 --junit", &junit);
    let text = || std::fs::read_to_string(&junit).expect("it was written");
    stdout(("verify", &asked, "--port", [honest_board()]));
    says(&text(), "tests=\"1\" failures=\"0\"");
    assert!(!text().contains("<failure"), "{}", text());
    let spoilt = board(&std::fs::read(tiny()).expect("an image"), |_, _| {
        Some("token 7 0123456789abcdef".to_owned())
    });
    let said = failure(("verify", &asked, "--port", [spoilt]), 1);
    says(&text(), "tests=\"1\" failures=\"1\"");
    says(
        &text(),
        "<failure message=\"prompt &quot;A bird&quot;, token 1: ",
    );
    // The whole sentence, and nothing that is not XML.
    let sentence = said.trim_end().strip_prefix("error: ").expect("an error");
    let escaped = [
        ("&", "&amp;"),
        ("\"", "&quot;"),
        ("'", "&#39;"),
        ("<", "&lt;"),
    ];
    let escape = |text: String, (c, name): (&str, &str)| text.replace(c, name);
    let escaped = escaped.into_iter().fold(sentence.to_owned(), escape);
    says(&text(), &escaped.replace('>', "&gt;"));
    let dead = ["--", "sh", "-c", "exit 3"];
    failure(("verify", &asked, dead), 1);
    says(&text(), "the program sh is gone");
    // A command that is wrong has no outcome, and leaves the last one.
    let two = ["--lines", "--prompt", "x"];
    fails(("verify", &asked, two, dead), 2, "there is one --prompt");
    says(&text(), "the program sh is gone");
    let nowhere = folder.path().join("none/junit.xml");
    let said = "there is no folder";
    fails(("verify", tiny(), "--junit", &nowhere, dead), 1, said);
}

#[test]
fn bad_use_is_said_before_anything_is_started() {
    let never = ["--", "/no/such/program"];
    fails(("verify", tiny()), 2, "name a port with --port");
    fails(
        ("verify", tiny(), "--port x", never),
        2,
        "cannot be used with",
    );
    fails(("verify", tiny(), "-n 0", never), 2, "0 is not in");
    let two = ["--prompt", "two\nlines"];
    fails(("verify", tiny(), two, never), 2, "control characters");
    fails(
        ("verify", tiny(), "--from lost", never),
        2,
        "no state of this name",
    );
    let both = "--lines --prompt a --prompt b";
    fails(("verify", tiny(), both, never), 2, "one --prompt");
    fails(
        ("verify", tiny(), never),
        1,
        "cannot start /no/such/program",
    );
    let folder = folder();
    let text = file(folder.path(), "x.kgl", "text");
    fails(("verify", &text, never), 1, "kinglet quantize");
}
