//! What a board sends to the monitor: an answer or an error, both of bounded
//! length; and every line of the protocol.
#![no_main]

mod common;

use kinglet_host::monitor::{Console, Limits, Link};
use kinglet_protocol::console::{image_checksum, Chosen, Statistics};
use kinglet_protocol::{Line, Measure, Request};
use libfuzzer_sys::fuzz_target;
use std::io::{sink, Cursor};
use std::time::Duration;

const LIMITS: Limits = Limits {
    silence: Duration::from_secs(5),
    answer: Duration::from_secs(5),
    bytes: 100,
};

fuzz_target!(|bytes: &[u8]| {
    let link = Link::over("fuzz".to_owned(), Cursor::new(bytes.to_vec()), sink());
    let mut shown = String::new();
    let mut show = |piece: &str| {
        shown.push_str(piece);
        Ok(())
    };
    match Console::over(link, LIMITS).ask("x", &mut show) {
        Ok(answer) => assert_eq!(answer.text, shown),
        Err(error) => common::is_sentence(error),
    }
    assert!(shown.len() <= LIMITS.bytes + 8);
    assert!(shown.chars().all(|c| !c.is_control() || "\n\t".contains(c)));
    let _ = Request::from_body(bytes);
    if let Ok(text) = std::str::from_utf8(bytes) {
        let mut buffer = vec![0; bytes.len()];
        if let Some(line) = Line::parse(text, &mut buffer).map(|line| line.to_string()) {
            let mut buffer = vec![0; line.len()];
            assert_eq!(
                Line::parse(&line, &mut buffer).map(|again| again.to_string()),
                Some(line)
            );
        }
        let _ = (Measure::parse(text), image_checksum(text));
        if let Some(chosen) = Chosen::parse(text) {
            assert_eq!(Chosen::parse(&chosen.to_string()), Some(chosen));
        }
        if let Some(statistics) = Statistics::parse(text) {
            assert_eq!(Statistics::parse(&statistics.to_string()), Some(statistics));
        }
    }
});
