//! The page for a browser writes what the workstation writes, to the bit.

use kinglet_tests::{arg, folder, json, xtask};
use kinglet_workshop::setup::CHROMIUM;
use kinglet_workshop::workspace::{output, target_dir};
use std::process::Command;

/// As `tools/page/page.html` begins by itself.
const PROMPT: &str = "Once upon a time";
const TOKENS: &str = "200";

/// The text of the first element with this id.
fn text_of<'p>(page: &'p str, id: &str) -> &'p str {
    let start = page
        .split_once(&format!("id=\"{id}\""))
        .map(|(_, rest)| rest);
    let text = start.and_then(|rest| rest.split_once('>'));
    let text = text.and_then(|(_, rest)| rest.split_once('<'));
    text.unwrap_or_else(|| panic!("the page has no {id}: {page:.2000}"))
        .0
}

#[test]
fn a_browser_computes_the_workstations_bits() {
    let page = output(xtask().arg("page")).expect("the page is built");
    let profile = folder();
    let mut browser = Command::new(CHROMIUM);
    browser.args(["--headless", "--no-sandbox", "--disable-gpu", "--dump-dom"]);
    // Time that passes only while the page has nothing to do.
    browser.args(["--virtual-time-budget=20000", "--timeout=120000"]);
    browser.arg(format!("--user-data-dir={}", profile.path().display()));
    let shown = output(browser.arg(format!("file://{}", page.trim()))).expect("it is shown");

    let image = target_dir().join("demo/stories-m4.kgl");
    let run = json((
        "run",
        [arg(&image), "--prompt", PROMPT, "-n", TOKENS, "--json"],
    ));
    let hashes = run["logits_hashes"].as_array().expect("a list");
    assert_eq!(text_of(&shown, "hash"), hashes.last().expect("tokens"));
    assert_eq!(text_of(&shown, "tokens"), hashes.len().to_string());
    assert_eq!(text_of(&shown, "error"), "");
}
