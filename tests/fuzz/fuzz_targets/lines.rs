//! Lines of text, tab and label.
#![no_main]

use kinglet_host::labels::labelled_lines;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let count = bytes.split(|&byte| byte == b'\n').count();
    match labelled_lines(bytes) {
        Ok(lines) => lines.iter().for_each(|line| {
            assert!(!line.text.is_empty() && !line.label.is_empty());
            assert!(!line.label.contains(['\t', '\n']) && line.number <= count);
        }),
        Err((number, problem)) => assert!((1..=count).contains(&number) && problem.len() < 99),
    }
});
