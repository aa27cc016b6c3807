//! The README is true: its transcript is what the demo prints.

use kinglet_emulated::run;
use kinglet_tests::{demo_image, folder, root, stdout};

/// The transcript in the README, without its fence.
fn transcript() -> String {
    let readme = std::fs::read_to_string(root().join("README.md")).unwrap();
    let (_, rest) = readme.split_once("```text\n").expect("a transcript");
    let (transcript, _) = rest.split_once("```").expect("its end");
    transcript.to_owned()
}

#[test]
fn the_story_is_what_the_model_writes() {
    let folder = folder();
    let image = demo_image(folder.path(), "int4");
    let prompt = "Once upon a time";
    let story = stdout(("run", &image, ["--prompt", prompt], "-n 64"));
    let transcript = transcript();
    assert!(
        transcript.starts_with(&format!("{prompt}{story}")),
        "{transcript}\n---\n{story}"
    );
}

/// Another compiler makes other code: numbers may be 2 % off.
fn assert_like(found: &str, said: &str) {
    let number = |word: &str| word.replace(',', "").parse::<f64>().ok();
    let (found_words, said_words) = (found.split_whitespace(), said.split_whitespace());
    assert_eq!(found_words.clone().count(), said_words.clone().count());
    for (found, said) in found_words.zip(said_words) {
        match (number(found), number(said)) {
            (Some(a), Some(b)) => assert!((a - b).abs() <= 0.02 * b, "{found}, not {said}"),
            _ => assert_eq!(found, said),
        }
    }
}

#[test]
fn the_table_is_what_the_demo_measures() {
    let output = run("demo");
    let printed = String::from_utf8(output.stdout).expect("UTF-8");
    assert_like(&printed, &transcript());
}

#[test]
fn every_file_that_is_named_exists() {
    let readme = std::fs::read_to_string(root().join("README.md")).unwrap();
    for path in [
        "docs/architecture.md",
        "docs/performance.md",
        "docs/format.md",
        "CONTRIBUTING.md",
        "LICENSE-MIT",
        "LICENSE-APACHE",
    ] {
        let is_named = readme.contains(path);
        assert!(is_named && root().join(path).is_file(), "{path}");
    }
}
