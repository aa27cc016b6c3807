//! The console on a stream of the workstation.

use crate::{converse, Board, BootError, Model, Speed};
use core::convert::Infallible;
use embedded_io::{ErrorType, Read, ReadReady, Write};
use kinglet::{Image, ImageError, Session};
use kinglet_protocol::console::{image_checksum, shown, Chosen};
use std::string::String;
use std::vec;
use std::vec::Vec;

static IMAGE: &[u8] = kinglet::include_image!(concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../core/tests/data/tiny.kgl"
));

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
        7
    }
}

struct Stream<'t> {
    typed: &'t [u8],
    printed: Vec<u8>,
    /// Input that comes while the model is at work, after this many printed bytes.
    meanwhile: Option<(usize, &'t [u8])>,
    /// The part of it that has come and was not read.
    early: &'t [u8],
}

impl ReadReady for Stream<'_> {
    fn read_ready(&mut self) -> Result<bool, Infallible> {
        let due = |(at, _): &(usize, &[u8])| self.printed.len() >= *at;
        if let Some((_, bytes)) = self.meanwhile.take_if(|next| due(next)) {
            self.early = bytes;
        }
        Ok(!self.early.is_empty())
    }
}

impl ErrorType for Stream<'_> {
    type Error = Infallible;
}

impl Read for Stream<'_> {
    fn read(&mut self, to: &mut [u8]) -> Result<usize, Infallible> {
        let from = match self.early.is_empty() {
            true => &mut self.typed,
            false => &mut self.early,
        };
        from.read(to).map_err(|_| unreachable!())
    }
}

impl Write for Stream<'_> {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, Infallible> {
        self.printed.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}

/// What the console prints with `words` words of RAM.
fn printed(typed: &str, words: usize) -> Result<String, BootError> {
    printed_with(typed, None, words)
}

fn printed_with(
    typed: &str,
    meanwhile: Option<(usize, &[u8])>,
    words: usize,
) -> Result<String, BootError> {
    let mut stream = Stream {
        typed: typed.as_bytes(),
        printed: Vec::new(),
        meanwhile,
        early: b"",
    };
    let mut arena = vec![0; words];
    let mut model = Model::open(IMAGE, &mut arena)?;
    converse(&mut stream, &mut Bench, &mut model);
    Ok(String::from_utf8(stream.printed).unwrap())
}

/// Words of state, of scratch, and of scratch in blocks.
fn lengths() -> (usize, usize, usize) {
    let image = Image::new(IMAGE).unwrap();
    let shape = image.shape();
    let scratch = (shape.scratch_len(), shape.scratch_len_in_blocks());
    (shape.state_len(), scratch.0, scratch.1)
}

/// The text that a session generates, greedily.
fn expected(prompt: &str, tokens: usize) -> String {
    let image = Image::new(IMAGE).unwrap();
    let (state, scratch, _) = lengths();
    let (mut state, mut scratch) = (vec![0; state], vec![0; scratch]);
    let mut session = Session::new(&image, &mut state, &mut scratch).unwrap();
    let mut sampler = kinglet::Sampler::new(kinglet::Sampling::greedy(), 0);
    let (last, front) = prompt.as_bytes().split_last().unwrap();
    for &byte in front {
        session.feed(&[u32::from(byte)]).unwrap();
    }
    let mut token = u32::from(*last);
    let mut text = Vec::new();
    for _ in 0..tokens {
        token = session.choose(token, &mut sampler).unwrap();
        if token == kinglet::START_TOKEN {
            break;
        }
        text.push(token as u8);
    }
    let text: String = String::from_utf8_lossy(&text).chars().map(shown).collect();
    text.replace('\n', "\r\n")
}

#[test]
fn it_says_what_the_model_says() {
    let (state, scratch, _) = lengths();
    let printed = printed("/n 12\r\nA bird\r\n", state + scratch).unwrap();
    let expected = expected("A bird", 12);
    assert!(printed.contains("Kinglet on a bench"), "{printed}");
    assert!(
        printed.contains(&std::format!("> {expected}\r\n[")),
        "{printed} {expected}"
    );
    assert!(printed.contains("stack 7 bytes, length]\r\n"), "{printed}");
}

#[test]
fn in_blocks_it_says_the_same() {
    let (state, scratch, in_blocks) = lengths();
    assert!(in_blocks <= scratch);
    let whole = printed("/n 12\nA bird\n", state + scratch).unwrap();
    let blocks = printed("/n 12\nA bird\n", state + in_blocks).unwrap();
    assert_eq!(whole, blocks);
}

#[test]
fn what_cannot_be_done_is_said() {
    let (state, scratch, _) = lengths();
    let ram = state + scratch;
    let long = std::format!("{}\n", "a".repeat(300));
    assert!(printed(&long, ram).unwrap().contains("more than 256 bytes"));
    assert!(printed("/tokens 3\n", ram)
        .unwrap()
        .contains("no such command"));
    assert!(printed("/help\n", ram).unwrap().contains("/top-k 40"));
    // Nothing is read after the end.
    let ended = printed("/quit\nA bird\n", ram).unwrap();
    assert!(!ended.contains('['), "{ended}");
    let error = printed("", state).unwrap_err();
    assert!(matches!(error, BootError::Ram { found, .. } if found == 4 * state));
    let error = Model::open(&[0xff; 64], &mut []).map(|_| ());
    assert_eq!(error, Err(BootError::Image(ImageError::NotAnImage)));
}

/// Each line has its answer, whatever was wrong before.
#[test]
fn the_console_goes_on_after_what_is_wrong() {
    let (state, scratch, _) = lengths();
    let long = "a".repeat(300);
    for wrong in [
        "/from nothing\n\n",
        "/from nothing\nA\n/n 0\n\n",
        "/from\n/\n\n",
        &long,
    ] {
        let typed = std::format!("{wrong}\n/from empty /n 12\nA bird\n/from nothing\nA\n");
        let said = printed(&typed, state + scratch).unwrap();
        let expected = std::format!("> {}\r\n[12 tokens", expected("A bird", 12));
        assert!(said.contains(&expected), "{wrong}: {said}");
        assert!(
            said.contains("no state of this name\r\n> "),
            "{wrong}: {said}"
        );
    }
}

#[test]
fn an_answer_ends_before_its_stop_text() {
    let (state, scratch, _) = lengths();
    // The model is a random one: its likeliest bytes are no text.
    let drawn = |stop: &str| {
        let typed = std::format!("/n 99 /temperature 2.0 /seed 6 {stop}\nA bird\n");
        printed(&typed, state + scratch).unwrap()
    };
    let whole = drawn("");
    let (text, _) = whole
        .rsplit("> ")
        .nth(1)
        .unwrap()
        .split_once("\r\n[")
        .unwrap();
    let is_letter = |byte: &u8| byte.is_ascii_alphabetic();
    let stop = text
        .bytes()
        .filter(is_letter)
        .nth(3)
        .map(char::from)
        .unwrap();
    let (before, _) = text.split_once(stop).unwrap();
    let said = drawn(&std::format!("/stop {stop}"));
    assert!(
        said.contains(&std::format!("> {before}\r\n[")),
        "{said} {before}"
    );
    assert!(said.contains(", stop]"), "{said}");
    let ram = state + scratch;
    assert!(printed("/stop \\x\n", ram)
        .unwrap()
        .contains("does not fit"));
    // All of the rest of the line.
    let settings = printed("/n 3 /stop  a /n 4\\n\\\\ \n/help\n", ram).unwrap();
    assert!(settings.contains("/n 3 "), "{settings}");
    assert!(
        settings.contains(" /stop  a /n 4\\n\\\\ \r\n"),
        "{settings}"
    );
    let settings = printed("/stop a\n/stop /n 5\n/help\n", ram).unwrap();
    assert!(settings.contains("Settings: /n 100 "), "{settings}");
    assert!(settings.contains(" /stop /n 5\r\n"), "{settings}");
    let settings = printed("/stop a\n/stop\n/n 5\n", ram).unwrap();
    assert!(
        !settings.split("/n 5").nth(1).unwrap().contains("/stop"),
        "{settings}"
    );
}

#[test]
fn an_abort_ends_an_answer_and_what_is_typed_ahead_is_next() {
    let (state, scratch, _) = lengths();
    let ram = state + scratch;
    let whole = printed("/n 40\nA bird\n", ram).unwrap();
    let answer = expected("A bird", 40);
    // After three characters.
    let begun = answer.chars().take(3).map(char::len_utf8).sum::<usize>();
    let at = whole.find(&answer).unwrap() + begun;
    for key in [&b"\x03"[..], b"\x1b"] {
        let said = printed_with("/n 40\nA bird\n/info\n", Some((at, key)), ram).unwrap();
        assert!(said.contains(&whole[..at]), "{said}");
        assert!(said.contains(", abort]"), "{said}");
        assert!(said.contains("board: bench\r\n"), "{said}");
    }
    let ahead = printed_with("/n 40\nA bird\n", Some((at, b"/n 1\n/help\n")), ram).unwrap();
    assert!(
        ahead.starts_with(whole.strip_suffix("> ").unwrap()),
        "{ahead}"
    );
    assert!(ahead.contains("Settings: /n 1 "), "{ahead}");
    // Before the model has read the prompt.
    let said = printed_with("/n 40\nA bird\n", Some((0, b"\x03")), ram).unwrap();
    assert!(said.contains("[0 tokens"), "{said}");
    let much = [b'a'; 300];
    let said = printed_with("/n 40\nA bird\n", Some((at, &much)), ram).unwrap();
    assert!(
        said.contains("44 bytes typed meanwhile are lost."),
        "{said}"
    );
    // The end of the input ends a line first.
    let ended = printed("/n 40\nA bird\x04\x04/help\n", ram).unwrap();
    assert_eq!(ended, whole);
    // On an empty line it forgets what was typed.
    assert_eq!(printed("A b\x03/n 40\nA bird\n", ram).unwrap(), whole);
}

/// Whatever is typed or generated, with frames or without, only the console
/// itself sends a control character.
#[test]
fn no_text_is_a_frame() {
    let (state, scratch, _) = lengths();
    let wrong = "/stop \u{5}\n/from \x02\n/\x0f\u{9b}\n";
    let typed = std::format!("{wrong}/n 99 /from empty /temperature 9.0\nA bird\n");
    let said = printed(&typed, state + scratch).unwrap();
    let text = said.strip_prefix('\x0f').unwrap();
    let text = text.replace("\r\n", "\n").replace(['\n', '\t'], "");
    assert!(!text.contains(char::is_control), "{text:?}");
    assert!(text.contains("/??: no such command"), "{text:?}");
    let typed = std::format!("/frames on\n{typed}");
    let said = printed(&typed, state + scratch).unwrap();
    // Five lines, one of them is a prompt of six bytes, and the end.
    for (frame, count) in [('\x05', 6), ('\x02', 1), ('\x03', 1), ('\x06', 5)] {
        assert_eq!(said.matches(frame).count(), count, "{said:?}");
    }
}

#[test]
fn frames_tell_a_program_where_an_answer_is() {
    let (state, scratch, _) = lengths();
    let said = printed("/n 12 /frames on\nA bird\n/frames off\n", state + scratch).unwrap();
    let text = expected("A bird", 12);
    let framed = std::format!("\x05\x02\x06\x06\x06\x06\x06{text}\x03\r\n[12 tokens, ");
    assert!(said.contains(&framed), "{said:?} {framed:?}");
    assert!(said.ends_with("\r\n> "), "{said:?}");
}

#[test]
fn hashes_tell_a_program_what_an_answer_was_chosen_from() {
    let (state, scratch, in_blocks) = lengths();
    let asked = "/n 12 /frames hashes\nA bird\n/frames on\nA bird\n/info\n";
    let said = printed(asked, state + scratch).unwrap();
    assert_eq!(said, printed(asked, state + in_blocks).unwrap());
    let mut answers = said.split('\x02').skip(1);
    let answer = answers.next().unwrap().split_once('\x03').unwrap().0;
    let mut text = String::new();
    let mut tokens = 0;
    for part in answer.split('\x1e').skip(1) {
        let (line, more) = part.split_once("\r\n").unwrap();
        assert!(Chosen::parse(line).is_some(), "{line}");
        text += more;
        tokens += 1;
    }
    assert_eq!((text, tokens), (expected("A bird", 12), 12));
    assert!(!answers.next().unwrap().contains('\x1e'));
    let header = *Image::new(IMAGE).unwrap().header();
    let checksum = said.lines().find_map(image_checksum);
    assert_eq!(checksum, Some(header.crc32));
}
