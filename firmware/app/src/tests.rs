//! The console on a stream of the workstation.

use crate::{converse, Board, BootError};
use core::convert::Infallible;
use embedded_io::{ErrorType, Read, Write};
use kinglet::{Image, ImageError, Session};
use std::string::String;
use std::vec;
use std::vec::Vec;

static IMAGE: &[u8] = kinglet::include_image!(concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../core/tests/data/tiny.kgl"
));

struct Bench;

impl Board for Bench {
    const TITLE: &'static str = "bench";

    fn micros(&self) -> u32 {
        0
    }

    fn stack_bytes(&self) -> u32 {
        7
    }
}

struct Stream<'t> {
    typed: &'t [u8],
    printed: Vec<u8>,
}

impl ErrorType for Stream<'_> {
    type Error = Infallible;
}

impl Read for Stream<'_> {
    fn read(&mut self, to: &mut [u8]) -> Result<usize, Infallible> {
        self.typed.read(to).map_err(|_| unreachable!())
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

/// What the console prints where there are so many floats of RAM.
fn printed(typed: &str, floats: usize) -> Result<String, BootError> {
    let mut stream = Stream {
        typed: typed.as_bytes(),
        printed: Vec::new(),
    };
    converse(&mut stream, &Bench, IMAGE, &mut vec![0.0; floats])?;
    Ok(String::from_utf8(stream.printed).unwrap())
}

/// Floats of state, of scratch, and of scratch in blocks.
fn floats() -> (usize, usize, usize) {
    let image = Image::new(IMAGE).unwrap();
    let header = image.header();
    let scratch = (header.scratch_len(), header.scratch_len_in_blocks());
    (header.state_len(), scratch.0, scratch.1)
}

/// The text that a session generates, greedily.
fn expected(prompt: &str, tokens: usize) -> String {
    let image = Image::new(IMAGE).unwrap();
    let (state, scratch, _) = floats();
    let (mut state, mut scratch) = (vec![0.0; state], vec![0.0; scratch]);
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
    String::from_utf8_lossy(&text).replace('\n', "\r\n")
}

#[test]
fn it_says_what_the_model_says() {
    let (state, scratch, _) = floats();
    let printed = printed("/n 12\r\nA bird\r\n", state + scratch).unwrap();
    let expected = expected("A bird", 12);
    assert!(printed.contains("Kinglet on a bench"), "{printed}");
    assert!(
        printed.contains(&std::format!("> {expected}\r\n[")),
        "{printed} {expected}"
    );
    assert!(printed.contains("stack 7 bytes]\r\n"), "{printed}");
}

#[test]
fn in_blocks_it_says_the_same() {
    let (state, scratch, in_blocks) = floats();
    assert!(in_blocks <= scratch);
    let whole = printed("/n 12\nA bird\n", state + scratch).unwrap();
    let blocks = printed("/n 12\nA bird\n", state + in_blocks).unwrap();
    assert_eq!(whole, blocks);
}

#[test]
fn what_cannot_be_done_is_said() {
    let (state, scratch, _) = floats();
    let ram = state + scratch;
    let long = std::format!("{}\n", "a".repeat(300));
    assert!(printed(&long, ram).unwrap().contains("more than 256 bytes"));
    assert!(printed("/tokens 3\n", ram)
        .unwrap()
        .contains("no such command"));
    assert!(printed("/help\n", ram).unwrap().contains("/top-k 40"));
    // Nothing is read behind the end.
    let ended = printed("/quit\nA bird\n", ram).unwrap();
    assert!(!ended.contains('['), "{ended}");
    let error = printed("", state).unwrap_err();
    assert!(matches!(error, BootError::Ram { found, .. } if found == 4 * state));
    let mut stream = Stream {
        typed: b"",
        printed: Vec::new(),
    };
    let erased = [0xff; 64];
    let error = converse(&mut stream, &Bench, &erased, &mut []);
    assert_eq!(error, Err(BootError::Image(ImageError::NotAnImage)));
}
