//! What is typed to a board: it answers each line, and nobody but the console
//! sends control characters.
#![no_main]

use embedded_io::{ErrorType, Read, ReadReady, Write};
use kinglet::include_image;
use kinglet_app::{converse, Board, Model, Speed};
use kinglet_protocol::console::GREETING;
use libfuzzer_sys::fuzz_target;
use std::convert::Infallible;

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

struct Stream<'t> {
    typed: &'t [u8],
    printed: Vec<u8>,
}

impl ErrorType for Stream<'_> {
    type Error = Infallible;
}

impl ReadReady for Stream<'_> {
    /// Everything is typed ahead: the answers stay short.
    fn read_ready(&mut self) -> Result<bool, Infallible> {
        Ok(!self.typed.is_empty())
    }
}

impl Read for Stream<'_> {
    fn read(&mut self, to: &mut [u8]) -> Result<usize, Infallible> {
        Ok(std::io::Read::read(&mut self.typed, to).unwrap_or(0))
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

fuzz_target!(|typed: &[u8]| {
    let image = include_image!("../../../core/tests/data/tiny.kgl");
    // The end of the input ends the last answer, too.
    let typed = [b"/n 20\n", typed, b"\n\x03"].concat();
    let mut stream = Stream {
        typed: &typed,
        printed: Vec::new(),
    };
    let mut arena = vec![0; 1000];
    converse(
        &mut stream,
        &mut Bench,
        &mut Model::open(image, &mut arena).expect("room"),
    );
    let said = String::from_utf8(stream.printed).expect("UTF-8");
    let rest = said.strip_prefix(char::from(GREETING)).expect("a greeting");
    let allowed = ['\n', '\r', '\t', '\x02', '\x03', '\x05', '\x06', '\x1e'];
    assert!(rest
        .chars()
        .all(|c| !c.is_control() || allowed.contains(&c)));
});
