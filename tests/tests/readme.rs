//! The README is true: its transcript is what the demo prints.

use kinglet_tests::{arg, demo_image, root, stdout};

/// The transcript in the README, without its fence.
fn transcript() -> String {
    let readme = std::fs::read_to_string(root().join("README.md")).unwrap();
    let (_, rest) = readme.split_once("```text\n").expect("a transcript");
    let (transcript, _) = rest.split_once("```").expect("its end");
    transcript.to_owned()
}

#[test]
fn the_story_is_what_the_model_writes() {
    let folder = tempfile::tempdir().unwrap();
    let image = demo_image(folder.path(), "int4");
    let prompt = "Once upon a time";
    let story = stdout(&["run", arg(&image), "--prompt", prompt, "-n", "64"]);
    let transcript = transcript();
    assert!(
        transcript.starts_with(&format!("{prompt}{story}")),
        "{transcript}\n---\n{story}"
    );
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
        assert!(
            readme.contains(path) && root().join(path).is_file(),
            "{path}"
        );
    }
}
