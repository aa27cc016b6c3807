//! Files that `kinglet` writes: nothing of the user's is lost, and nothing is half there.
#![cfg(unix)]

use kinglet_tests::{
    arg, demo_checkpoint, demo_image, fails, file, folder, names, quantize, root, says, shell,
    stdout, synth, Args,
};
use std::fs;
use std::os::unix::fs::{symlink, FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Every subcommand that writes refuses to write over its input, under any path.
#[test]
fn no_input_is_written_over() {
    let folder = folder();
    let at = |name: &str| folder.path().join(name);
    fs::create_dir(at("dir")).unwrap();
    let refuses = |input: &Path, problem: &str, args: &dyn Args| {
        let before = (fs::read(input).unwrap(), names(folder.path()));
        fails(args, 2, problem);
        let after = (fs::read(input).unwrap(), names(folder.path()));
        assert!(after == before, "{:?}", args.list());
    };
    let model = at("model.safetensors");
    fs::copy(demo_checkpoint(), &model).unwrap();
    let vocabulary = file(folder.path(), "vocabulary.txt", "1 'a' 1\n");
    let boards = file(folder.path(), "boards.toml", "");
    fs::hard_link(&model, at("hard.kgl")).unwrap();
    symlink(&model, at("soft.kgl")).unwrap();
    symlink(folder.path(), at("dir/same")).unwrap();
    for same in [
        "model.safetensors",
        "dir/../model.safetensors",
        "dir/same/model.safetensors",
        "hard.kgl",
        "soft.kgl",
    ] {
        let pack = ("quantize", &model, "--weights int4 -o", &at(same));
        refuses(&model, "over an input", &pack);
        let read = ("logits", &model, "--prompt a -o", &at(same));
        refuses(&model, "over an input", &read);
    }
    for (option, input) in [("--tokenizer", &vocabulary), ("--boards", &boards)] {
        let pack = (
            "quantize",
            &model,
            "--weights int4 -o",
            input,
            option,
            input,
        );
        refuses(input, "over an input", &pack);
    }

    // The parts of a checkpoint in several files.
    let part = at("dir/model-1-of-2.safetensors");
    let index = file(folder.path(), "dir/model.safetensors.index.json", "{}");
    fs::copy(&model, &part).unwrap();
    for whole in [&at("dir"), &index] {
        let pack = ("quantize", whole, "--weights int4 -o", &part);
        refuses(&part, "over an input", &pack);
    }

    let image = demo_image(folder.path(), "int4");
    let export = ("export", &image, "--board pico");
    for option in ["--bin", "--hex", "--uf2", "--rust", "--c-array"] {
        refuses(&image, "over an input", &(export, option, &image));
    }
    let firmware = file(folder.path(), "firmware.elf", "no ELF");
    let files = ("--firmware", &firmware, "--uf2", &firmware);
    refuses(&firmware, "over an input", &(export, files));
    symlink("a", at("link")).unwrap();
    for other in ["a", "dir/../a", "link"] {
        let files = ("--bin", &at("a"), "--rust", &at(other));
        refuses(&image, "over another output", &("export", &image, files));
    }

    // An image may be primed in place.
    let prompt = file(folder.path(), "prompt.txt", "Once");
    let prime = ("prime", &image, "--prompt-file", &prompt, "-o");
    stdout((prime, &image));
    refuses(&prompt, "over an input", &(prime, &prompt));
    // Standard input is a file like another.
    let prime = ("prime", &image, "--prompt-file /dev/stdin -o", &prompt);
    let done = shell(&format!("\"$@\" < {}", arg(&prompt)), prime);
    says(&String::from_utf8_lossy(&done.stderr), "over an input");

    for output in [at("dir"), at(".."), at("new/")] {
        let synth = ("synth --layers 1 --channels 32 -o", &output);
        refuses(&image, "over a folder", &synth);
    }
}

/// An output that cannot be written is known before any work: here before the
/// input is found missing.
#[test]
fn a_folder_that_cannot_be_written_is_told_first() {
    let folder = folder();
    let missing = folder.path().join("none");
    let text = file(folder.path(), "text.txt", "text");
    let nowhere = folder.path().join("no/m");
    // Not even root makes files there.
    for (output, why) in [
        (&nowhere, "there is no folder"),
        (&PathBuf::from("/sys/m"), ""),
    ] {
        let problem = format!("{}: cannot be written: {why}", arg(output));
        fails(
            ("quantize", &missing, "--weights int8 -o", output),
            1,
            &problem,
        );
        fails(("export", &missing, "--bin", output), 1, &problem);
        fails(("prime", &missing, "--prompt a -o", output), 1, &problem);
        fails(("logits", &missing, "--prompt a -o", output), 1, &problem);
        fails(("synth --layers 1 --channels 32 -o", output), 1, &problem);
        fails(("train --text", &text, "-o", output), 1, &problem);
    }
    assert_eq!(names(folder.path()), ["text.txt"]);
}

#[test]
fn links_lead_to_the_file_that_is_replaced() {
    let folder = folder();
    let at = |name: &str| folder.path().join(name);
    let tiny = "--layers 1 --channels 32";
    synth(&at("plain"), tiny);
    let expected = fs::read(at("plain")).unwrap();
    fs::create_dir(at("elsewhere")).unwrap();
    file(folder.path(), "elsewhere/old", "old");
    let private = fs::Permissions::from_mode(0o600);
    fs::set_permissions(at("elsewhere/old"), private).unwrap();
    symlink("elsewhere/old", at("first")).unwrap();
    symlink("first", at("to-old")).unwrap();
    symlink("elsewhere/new", at("to-new")).unwrap();
    for (link, to) in [("to-old", "elsewhere/old"), ("to-new", "elsewhere/new")] {
        synth(&at(link), tiny);
        assert!(at(link).is_symlink() && !at(to).is_symlink());
        assert!(fs::read(at(to)).unwrap() == expected, "{link}");
    }
    let mode = |name: &str| fs::metadata(at(name)).unwrap().mode() & 0o777;
    assert_eq!(mode("elsewhere/old"), 0o600);
    assert_eq!(mode("elsewhere/new"), mode("plain"));
    assert_ne!(mode("plain") & 0o444, 0o400, "as other programs make files");
    assert_eq!(names(&at("elsewhere")), ["new", "old"]);
}

#[test]
fn devices_and_pipes_are_written_to() {
    let folder = folder();
    let at = |name: &str| folder.path().join(name);
    let image = root().join("core/tests/data/tiny.kgl");
    let bytes = fs::read(&image).unwrap();
    let export = ("export", &image, "--bin");
    // Standard output, a pipe; the report goes aside.
    let done = shell("\"$@\" | cat", (export, "/dev/stdout"));
    assert!(done.stdout == bytes);
    says(&String::from_utf8_lossy(&done.stderr), "/dev/stdout: ");
    // Standard output, a file with something in it.
    let log = file(folder.path(), "log", "before");
    shell(&format!("\"$@\" >> {}", arg(&log)), (export, "/dev/stdout"));
    assert!(fs::read(&log).unwrap() == [b"before", &bytes[..]].concat());
    // What is written last is read first: the header of an image.
    let (plain, piped) = (at("plain.kgl"), at("piped.kgl"));
    quantize(&demo_checkpoint(), &plain, "--weights int4");
    let pack = (
        "quantize",
        &demo_checkpoint(),
        "--weights int4 -o /dev/stdout",
    );
    shell(&format!("\"$@\" | cat > {}", arg(&piped)), pack);
    assert!(fs::read(&piped).unwrap() == fs::read(&plain).unwrap());
    // A pipe with a name.
    let fifo = at("fifo");
    let line = format!("mkfifo {0}; cat {0} & \"$@\" >&2; wait", arg(&fifo));
    assert!(shell(&line, (export, &fifo)).stdout == bytes);
    assert!(fs::metadata(&fifo).unwrap().file_type().is_fifo());
    // Devices; two outputs may be the same.
    stdout((export, "/dev/null --c-array /dev/null"));
    let null = fs::symlink_metadata("/dev/null").unwrap();
    assert!(null.file_type().is_char_device());
    if Path::new("/dev/full").exists() {
        fails((export, "/dev/full"), 1, "/dev/full: cannot be written");
    }
    // Who does not read all of a result has lost it.
    let line = "{ \"$@\"; echo $? >&2; } | head -c 4 > /dev/null";
    let done = shell(
        line,
        (
            "quantize",
            &demo_checkpoint(),
            "--weights int8 -o /dev/stdout",
        ),
    );
    says(
        &String::from_utf8_lossy(&done.stderr),
        "cannot be written: Broken pipe",
    );
    assert!(done.stderr.ends_with(b"\n1\n"));
    let text = file(folder.path(), "text.txt", "text");
    fails(("train --text", &text, "-o /dev/null"), 2, "must be a file");
}

#[test]
fn a_dash_is_no_file() {
    for args in [
        "quantize - -o m.kgl --weights int8",
        "quantize m.pth -o - --weights int8",
        "export m.kgl --rust -",
        "prime m.kgl --prompt-file - -o p.kgl",
        "run - --prompt a",
        "eval m.kgl --text -",
        "synth --layers 1 --channels 32 -o -",
        "train --text a.txt - -o m.safetensors",
    ] {
        fails(args, 2, "`-` is no file");
    }
    // A text may be a dash.
    let image = root().join("core/tests/data/tiny.kgl");
    stdout(("run", &image, "--prompt - -n 1"));
}

/// Where no file may be longer than some bytes, the old ones stay.
#[test]
fn a_full_disk_costs_nothing() {
    let folder = folder();
    let at = |name: &str| folder.path().join(name);
    let image = demo_image(folder.path(), "int4");
    let (model, tiny) = (demo_checkpoint(), "--layers 1 --channels 32");
    for (name, args) in [
        (
            "m.kgl",
            ("quantize", &model, "--weights int8 -o", &at("m.kgl")).list(),
        ),
        ("m.c", ("export", &image, "--c-array", &at("m.c")).list()),
        (
            "p.kgl",
            ("prime", &image, "--prompt a -o", &at("p.kgl")).list(),
        ),
        (
            "m.npy",
            ("logits", &image, "--prompt abcdefghij -o", &at("m.npy")).list(),
        ),
        ("m.st", ("synth -o", &at("m.st"), tiny).list()),
    ] {
        file(folder.path(), name, "old");
        let before = names(folder.path());
        let done = shell("trap '' XFSZ; ulimit -f 8; \"$@\"", &args);
        let said = String::from_utf8_lossy(&done.stderr);
        says(&said, &format!("{name}: "));
        says(&said, "File too large");
        assert_eq!(done.status.code(), Some(1), "{said}");
        assert_eq!(fs::read(at(name)).unwrap(), b"old");
        assert_eq!(names(folder.path()), before);
        stdout(&args);
        assert_ne!(fs::read(at(name)).unwrap(), b"old");
    }
}
