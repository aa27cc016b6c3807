//! The book is true: its links lead somewhere, and its commands run.
//!
//! Each chapter runs in its own folder, its `sh` blocks one after the other in
//! one shell. Trainings are shortened and a large model is made small: see
//! [`SHORTER`]. Blocks marked `console` are for hardware, change the
//! machine or need files that are not here: no other command may be in them.

use kinglet_tests::{arg, demo_checkpoint, file, folder, kinglet, root, sentences, xtask};
use std::fs;
use std::os::unix::fs::{symlink, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;

/// What `sed` does to the arguments of `kinglet`.
const SHORTER: &str = "s/ --minutes [0-9.]*//; s/ --steps [0-9]*//; s/^train /train --steps 8 /; \
    s/--vocab 50277/--vocab 1000/; s/--vocab 512/--vocab 150/; \
    s/--recipe [^ ]*/& --vocab 150/; s/--channels 768/--channels 64/";

/// Commands that take minutes or hours however they are cut; each has to be in
/// the book.
const TOO_LONG: [&str; 3] = [
    "python3 tools/experiments/transformer.py",
    "python3 tools/experiments/table.py",
    "python3 tools/experiments/recipe.py",
];

/// What may be in `console` blocks.
const BY_HAND: [&str; 8] = [
    "cargo install ",
    "cargo add ",
    "probe-rs ",
    "cd firmware/boards/",
    "kinglet monitor /dev/",
    "kinglet run board.kgl",
    "kinglet completions ~/.local/share",
    "kinglet verify model.kgl --prompt \"Once upon a time\" -n 20 --lines -- probe-rs ",
];
/// They need files that are not here.
const NOT_HERE: [&str; 9] = [
    "kinglet quantize world.pth",
    "kinglet prime model.kgl --state tuned.pth",
    "pip download --no-deps home-assistant-intents",
    "python3 -m zipfile -e home_assistant_intents",
    "cargo xtask intents --home-assistant ",
    "sentences",
    "kinglet train --recipe firmware/examples/intents/home-assistant.toml",
    "kinglet quantize home.safetensors ",
    "kinglet eval --text target/home-assistant/",
];

/// The chapters that SUMMARY.md names.
fn chapters() -> Vec<PathBuf> {
    let summary = read(&root().join("docs/SUMMARY.md"));
    let links = summary.split("](").skip(1);
    let names = links.filter_map(|rest| rest.split_once(')').map(|(name, _)| name));
    names.map(|name| root().join("docs").join(name)).collect()
}

/// A page; a chapter that lies elsewhere is included in it.
fn read(path: &Path) -> String {
    let text = fs::read_to_string(path);
    let text = text.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let included = text.strip_prefix("{{#include ");
    match included.and_then(|rest| rest.strip_suffix("}}\n")) {
        Some(other) => read(&root().join("docs").join(other)),
        None => text,
    }
}

/// The blocks of a chapter that are marked so.
fn blocks<'t>(text: &'t str, mark: &str) -> Vec<&'t str> {
    let fence = format!("\n```{mark}\n");
    let starts = text.split(fence.as_str()).skip(1);
    starts
        .filter_map(|rest| rest.split_once("\n```").map(|(block, _)| block))
        .collect()
}

#[test]
fn every_page_is_in_the_book_and_every_link_leads_to_one() {
    let chapters = chapters();
    for entry in fs::read_dir(root().join("docs")).expect("docs") {
        let path = entry.expect("an entry").path();
        let is_page = path.extension().is_some_and(|extension| extension == "md");
        assert!(
            !is_page || path.ends_with("SUMMARY.md") || chapters.contains(&path),
            "{}",
            path.display()
        );
    }
    for chapter in chapters {
        let text = read(&chapter);
        assert!(text.starts_with("# "), "{}", chapter.display());
        let links = text
            .split("](")
            .skip(1)
            .filter_map(|rest| rest.split_once(')'));
        for (link, _) in links.filter(|(link, _)| !link.starts_with("https://")) {
            let link = link.split('#').next().expect("the first part");
            let target = root().join("docs").join(link);
            assert!(
                link.is_empty() || target.exists(),
                "{}: {link}",
                chapter.display()
            );
        }
    }
}

#[test]
fn only_what_cannot_run_here_is_done_by_hand() {
    for chapter in chapters() {
        let text = read(&chapter);
        for line in blocks(&text, "console").into_iter().flat_map(str::lines) {
            let mut known = BY_HAND.iter().chain(&NOT_HERE);
            let known = known.any(|start| line.starts_with(start));
            assert!(known, "{}: {line}", chapter.display());
        }
    }
}

/// Wrappers with the names that the book uses: they shorten the work or add a path.
fn shims(folder: &Path) -> PathBuf {
    let bin = folder.join("bin");
    fs::create_dir(&bin).expect("a folder");
    let program = kinglet().get_program().to_owned();
    let program = arg(Path::new(&program)).to_owned();
    let chores = xtask().get_program().to_owned();
    let chores = arg(Path::new(&chores));
    // Arguments of the commands that are changed have no spaces.
    let script = format!(
        "#!/bin/sh\nline=\"$*\"\ncase \"$line\" in\n\
         train*|synth*) exec {program} $(echo \"$line\" | sed '{SHORTER}') ;;\n\
         *) exec {program} \"$@\" ;;\nesac\n"
    );
    let cargo = format!("#!/bin/sh\n[ \"$1\" = xtask ] && shift && exec {chores} \"$@\"\n");
    for (name, text) in [("kinglet", script), ("cargo", cargo)] {
        let path = file(&bin, name, text);
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("permissions");
    }
    bin
}

/// The files that a chapter expects its reader to have.
fn desk(folder: &Path, chapter: &str) {
    for name in ["stories.txt", "a.txt", "b.txt"] {
        file(folder, name, sentences(2000, name.len() as u64));
    }
    let lamps = "turn on the lamp\ton\nturn off the lamp\toff\nis the lamp on\task\n";
    file(folder, "commands.tsv", lamps.repeat(40));
    fs::copy(demo_checkpoint(), folder.join("model.safetensors")).expect("a copy");
    for name in ["models", "tools", "firmware"] {
        symlink(root().join(name), folder.join(name)).expect("a link");
    }
    if let Some(boards) = blocks(chapter, "toml").first() {
        file(folder, "boards.toml", boards);
    }
    for (mark, name) in [("c", "talk.c"), ("cmake", "CMakeLists.txt")] {
        if let Some(text) = blocks(chapter, mark).first() {
            file(folder, name, format!("{text}\n"));
        }
    }
}

/// The tables may change, and the picture with them.
#[test]
fn the_picture_is_of_the_figures_in_the_tables() {
    let folder = folder();
    let drawn = folder.path().join("formats.svg");
    let program = root().join("tools/experiments/formats.py");
    let python = Command::new("python3").arg(program).arg(&drawn).output();
    let Ok(python) = python else {
        let is_ci = std::env::var_os("CI").is_some();
        assert!(!is_ci, "no python3 draws the picture");
        eprintln!("skipped: there is no python3");
        return;
    };
    let errors = String::from_utf8_lossy(&python.stderr);
    assert!(python.status.success(), "{errors}");
    let kept = read(&root().join("docs/images/formats.svg"));
    assert!(read(&drawn) == kept, "draw docs/images/formats.svg again");
}

#[test]
fn every_command_runs() {
    let mut left_out = Vec::new();
    for chapter in chapters() {
        let text = read(&chapter);
        let commands: Vec<&str> = blocks(&text, "sh")
            .into_iter()
            .flat_map(str::lines)
            .collect();
        let (long, commands): (Vec<&str>, Vec<&str>) = commands
            .iter()
            .partition(|line| TOO_LONG.iter().any(|start| line.contains(start)));
        left_out.extend(long.iter().map(|line| line.to_string()));
        if commands.is_empty() {
            continue;
        }
        let folder = folder();
        desk(folder.path(), &text);
        let bin = shims(folder.path());
        let path = std::env::var("PATH").unwrap_or_default();
        let done = Command::new("sh")
            .args(["-e", "-x", "-c", &commands.join("\n")])
            .current_dir(folder.path())
            .env("PATH", format!("{}:{path}", arg(&bin)))
            .output()
            .expect("a shell");
        let errors = String::from_utf8_lossy(&done.stderr);
        assert!(done.status.success(), "{}: {errors}", chapter.display());
    }
    for long in TOO_LONG {
        assert!(
            left_out.iter().any(|line| line.contains(long)),
            "not in the book: {long}"
        );
    }
}
