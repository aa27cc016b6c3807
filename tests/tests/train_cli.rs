//! `kinglet train` as its users meet it: interruptions, bad data, files.

use kinglet_tests::{
    arg, fails, failure, file, folder, json, kinglet, names, quantize, root, run, says, sentences,
    shell, stdout, Args,
};
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Stdio};
use std::time::{Duration, Instant};

/// A training of seconds.
fn small<'a>(text: &'a Path, output: &'a Path, more: impl Args + 'a) -> impl Args + 'a {
    let size = "--layers 2 --channels 32 --context 64 -o";
    ("train --text", text, size, output, more)
}

/// The options of a small training by the recipe of a model that is passed on.
fn shipped(steps: &str) -> impl Args + '_ {
    let recipe = root().join("models/stories.toml");
    let others = "--vocab 140 --qat-from 0.5 --steps";
    ("--recipe", recipe, others, steps)
}

fn saved(output: &Path) -> PathBuf {
    PathBuf::from(format!("{}.training", arg(output)))
}

#[test]
fn a_killed_training_goes_on_and_reaches_the_same_result() {
    let folder = folder();
    let text = file(folder.path(), "text.txt", sentences(2000, 1));
    let whole = folder.path().join("whole.safetensors");
    let options = &shipped("150");
    stdout(small(&text, &whole, options));

    let killed = folder.path().join("killed.safetensors");
    let more = (options, "--save-every 0");
    let mut deaths = 0;
    // Killed at several points: early, in the middle, while it saves.
    for life in 1..=5 {
        let mut child = kinglet()
            .args(small(&text, &killed, more).list())
            .stdout(Stdio::null())
            .spawn()
            .expect("kinglet starts");
        let start = Instant::now();
        let patience = Duration::from_secs(60);
        while !saved(&killed).exists() && start.elapsed() < patience && !killed.exists() {
            std::thread::sleep(Duration::from_millis(2));
        }
        std::thread::sleep(Duration::from_millis(37 * life));
        child.kill().expect("the child can be killed");
        deaths += u32::from(!child.wait().expect("the child ends").success());
    }
    assert!(deaths > 0, "no run was interrupted");
    if saved(&killed).exists() {
        // Other settings are not mixed in.
        let error = failure(small(&text, &killed, shipped("151")), 1);
        says(&error, "other settings");
        says(&error, "budget");
        // Nor are other texts of the same name.
        file(folder.path(), "text.txt", sentences(2000, 2));
        fails(small(&text, &killed, more), 1, "saved with other texts");
        file(folder.path(), "text.txt", sentences(2000, 1));
    }
    stdout(small(&text, &killed, more));
    assert!(!saved(&killed).exists());
    let read = |path| fs::read(path).expect("a checkpoint");
    assert!(read(&whole) == read(&killed), "the results differ");
}

/// Card, curve and unfinished training are written beside the checkpoint, but not
/// over another program's files.
#[test]
fn only_files_of_its_own_are_replaced() {
    let folder = folder();
    let at = |name: &str| folder.path().join(name);
    let text = file(folder.path(), "README.md", sentences(200, 7));
    let steps = "--steps 2 --fresh";
    let refuses = |input: &Path, output: &str, what: &str| {
        let before = fs::read(input).expect("a file");
        let error = failure(small(&text, &at(output), steps), 2);
        assert!(error.contains(what), "{output}: {error}");
        assert!(fs::read(input).expect("a file") == before, "{output}");
    };
    for output in ["README.md", "README.safetensors"] {
        refuses(&text, output, "would be written over an input");
    }
    let over = "the card would be written over another output";
    refuses(&text, "model.md", over);
    let over = "the curve would be written over another output";
    refuses(&text, "model.svg", over);
    let foreign = "would be written over a file that Kinglet did not write";
    let damaged = "would be written over a file that is damaged or not Kinglet's";
    let page = "# Model\n\nWritten by hand.\n";
    let picture = "<svg width=\"800\" height=\"480\"></svg>\n";
    for (name, content, what, foreign) in [
        ("a.md", page, "the card", foreign),
        ("b.svg", picture, "the curve", foreign),
        (
            "c.safetensors.training",
            "",
            "the unfinished training",
            damaged,
        ),
    ] {
        let there = file(folder.path(), name, content);
        let output = format!("{}.safetensors", &name[..1]);
        refuses(&there, &output, &format!("{what} {foreign}"));
        assert!(!at(&output).exists());
    }
    // Its own it replaces.
    let output = at("model.safetensors");
    for _ in 0..2 {
        stdout(small(&text, &output, steps));
    }
    let recipe = file(folder.path(), "d.md", "");
    let args = ("--recipe", &recipe);
    let over = "the card would be written over an input";
    fails(small(&text, &at("d.safetensors"), args), 2, over);
}

/// The last line of a training is a command, also where names have spaces.
#[test]
fn the_command_that_packs_can_be_pasted() {
    let folder = folder();
    let text = file(folder.path(), "text.txt", sentences(200, 7));
    let output = folder.path().join("it's a model.safetensors");
    let told = stdout(small(&text, &output, "--steps 2"));
    let (_, command) = told.split_once("to pack it").expect("a command");
    let line = format!("kinglet() {{ \"$program\" \"$@\"; }}; program=$1; {command}");
    let done = shell(&line, "");
    says(&String::from_utf8_lossy(&done.stdout), "it's a model.kgl: ");
    let image = folder.path().join("model.kgl");
    fails(small(&text, &image, "--steps 2"), 2, ".kgl is the ending");
}

#[test]
fn threads_do_not_change_the_result() {
    let folder = folder();
    let text = file(folder.path(), "text.txt", sentences(500, 2));
    let train = |name: &str, threads: &str| {
        let output = folder.path().join(name);
        let options = (shipped("10"), "--threads", threads);
        stdout(small(&text, &output, options));
        fs::read(output).expect("a checkpoint")
    };
    assert!(train("one", "1") == train("three", "3"));
}

#[test]
fn a_checkpoint_comes_with_vocabulary_curve_and_card() {
    let folder = folder();
    file(folder.path(), "text.txt", sentences(2000, 3));
    let output = folder.path().join("model.safetensors");
    let recipe =
        "text = ['text.txt']\nlayers = 1\nchannels = 32\nvocab = 180\nbudget = { steps = 60 }\n";
    let recipe = file(folder.path(), "recipe.toml", recipe);
    let report = json(("train --recipe", &recipe, "-o", &output, "--json"));
    assert_eq!(report["steps"], 60);
    let card = fs::read_to_string(folder.path().join("model.md")).expect("a card");
    says(&card, "RWKV-4");
    says(&card, "180 entries");
    let curve = fs::read_to_string(folder.path().join("model.svg")).expect("a curve");
    assert!(
        curve.starts_with("<svg") && curve.contains("validation"),
        "{curve}"
    );
    // The vocabulary goes with the checkpoint, into the image, and is used.
    let image = folder.path().join("model.kgl");
    quantize(&output, &image, "--weights int8");
    let inspected = json(("inspect", &image, "--json"));
    assert_eq!(inspected["tokenizer_entries"], 180);
    for model in [&output, &image] {
        let run = json(("run", model, ["--prompt", "the cat sees"], "-n 4 --json"));
        let tokens = run["prompt_tokens"].as_u64().expect("a count");
        assert!(tokens < 12, "{run}");
    }
}

/// Texts as they are published: marks between documents, typography.
#[test]
fn marks_and_typography_are_learned_as_token_0_and_ascii() {
    let folder = folder();
    let plain = sentences(400, 6).replace("the cat", "the 'cat'");
    let (first, second) = plain.split_at(plain.len() / 3);
    let first = first.trim_end();
    let train = |text: String, options: &str| {
        let text = file(folder.path(), "text.txt", text);
        let output = folder.path().join("model.safetensors");
        let train = small(&text, &output, ("--vocab 110 --steps 3 --fresh", options));
        let done = run(&train);
        assert!(done.status.success());
        let eval = json(("eval", &output, "--text", &text, "--json --unknown replace"));
        let said = String::from_utf8(done.stderr).expect("sentences");
        let notes = said.lines().filter(|line| line.starts_with("note: "));
        let notes: Vec<_> = notes.map(str::to_owned).collect();
        (
            fs::read(&output).expect("a checkpoint"),
            eval["bits_per_byte"].clone(),
            notes,
        )
    };
    let (expected, bits, notes) = train(format!("{first}\0{second}"), "");
    assert!(notes.is_empty());
    let marked = format!("{first}\n<|endoftext|>\n{second}");
    let curly = marked.replacen('\'', "\u{2018}", 3);
    let (learned, marked_bits, notes) = train(curly.clone(), "");
    assert!(learned == expected, "{notes:?}");
    let notes = notes.join("\n");
    assert_eq!(marked_bits, bits);
    says(&notes, "1 times <|endoftext|> became token 0");
    says(&notes, "3 typographic characters became ASCII");
    assert!(train(curly.clone(), "--keep-typography").0 != expected);
    // A language that needs more than ASCII keeps its quotation marks.
    let (_, _, notes) = train(curly.replacen('e', "\u{e9}", 9), "");
    assert!(!notes.join("\n").contains("typographic"), "{notes:?}");
}

/// Labels that only the order of the words tells apart.
#[test]
fn an_order_of_words_is_not_learned_where_all_are_shuffled() {
    let folder = folder();
    let text = "meow tweet\tcat\ntweet meow\tbird\nmoo\tcow\n".repeat(150);
    let text = file(folder.path(), "lines.tsv", &text);
    // Of three lines two have one of two labels, which cannot be told: 2/3 ln 2 nats.
    for (options, is_shuffled, nats) in
        [("", false, 0.0..0.2), ("--shuffle-words 1", true, 0.4..0.8)]
    {
        let output = folder.path().join(format!("{is_shuffled}.safetensors"));
        let options = format!("--task classify --steps 120 --batch 16 --json {options}");
        let report = json(small(&text, &output, &*options));
        let curve = report["curve"].as_array().expect("a list");
        let last = curve.last().expect("a point");
        let loss = last["validation"].as_f64().expect("nats");
        assert!(nats.contains(&loss), "{report}");
        let card = fs::read_to_string(output.with_extension("md")).expect("a card");
        assert_eq!(card.contains("in 1 of the lines"), is_shuffled, "{card}");
    }
    // A shipped recipe has it, too.
    let recipe = root().join("firmware/examples/intents/home-assistant.toml");
    let output = folder.path().join("home.safetensors");
    let text = ("train --task text --recipe", &recipe, "-o", &output);
    fails(text, 2, "--shuffle-words is for lines with labels");
}

#[test]
fn labels_are_learned_and_answered() {
    let folder = folder();
    let line = |(i, sentence): (usize, &str)| {
        let label = ["cat", "bird"][i % 2];
        format!("{} {sentence}\t{label}\n", ["meow", "tweet"][i % 2])
    };
    let lines: String = sentences(400, 4).lines().enumerate().map(line).collect();
    let text = file(folder.path(), "lines.tsv", &lines);
    let output = folder.path().join("model.safetensors");
    let options = "--task classify --steps 120 --batch 16 --json";
    let report = json(small(&text, &output, options));
    assert!(
        report["right"].as_f64().expect("a share") > 0.95,
        "{report}"
    );
    let curve = report["curve"].as_array().expect("a list");
    let last = curve.last().expect("a point");
    assert_eq!(last["step"], 120, "{report}");
    let card = fs::read_to_string(output.with_extension("md")).expect("a card");
    says(&card, "% of only 20 validation lines");
    let image = folder.path().join("model.kgl");
    quantize(&output, &image, "--weights int4");
    for model in [&output, &image] {
        let eval = json(("eval", model, "--text", &text, "--json"));
        assert_eq!(eval["lines"], 400);
        assert!(eval["right"].as_u64().expect("a count") > 380, "{eval}");
        let of_labels = eval["labels"].as_array().expect("a list");
        assert!(of_labels.iter().all(|of| of["lines"] == 200), "{eval}");
        let threshold = eval["threshold"].as_f64().expect("a share");
        assert!((0.5..1.0).contains(&threshold), "{eval}");
        let prompt = ["--prompt", "tweet my sister sees it at night."];
        let answer = json(("run", model, prompt, "--json"));
        assert_eq!(answer["likeliest"], "bird");
        assert!(answer["probability"].as_f64().expect("a share") > 0.5);
        // That of the least likely right answer to 20 validation lines.
        let below = eval["unknown_below"].as_f64().expect("a share");
        assert!((0.3..1.0).contains(&below), "{eval}");
    }
    thresholds_are_kept(folder.path(), &output, &text);
    let unknown = file(folder.path(), "unknown.tsv", "meow\tdog\n");
    let error = failure(("eval", &image, "--text", &unknown), 1);
    says(&error, "line 1");
    says(&error, "`dog`");
    let options = ("--task classify --validation", &unknown);
    let error = failure(small(&text, &output, options), 1);
    says(&error, "line 1");
    says(&error, "`dog`");
}

fn thresholds_are_kept(folder: &Path, checkpoint: &Path, text: &Path) {
    let image = folder.join("threshold.kgl");
    let counts = |below: &str| {
        let options = format!("--weights int4 --unknown-below {below}");
        quantize(checkpoint, &image, &*options);
        let eval = json((
            "eval",
            &image,
            "--text",
            text,
            "--elsewhere",
            text,
            "--json",
        ));
        assert_eq!(eval["elsewhere"]["lines"], 400);
        let count = |what: &serde_json::Value| what.as_u64().expect("a count");
        (count(&eval["lost"]), count(&eval["elsewhere"]["refused"]))
    };
    assert_eq!(counts("0"), (0, 0));
    let (lost, refused) = counts("0.99999");
    assert!(lost > 0 && lost <= refused, "{lost} of {refused}");
    says(&stdout(("inspect", &image)), "unknown      below 100.0 %");
    let error = failure(("quantize -o none.kgl --unknown-below 97", checkpoint), 2);
    says(&error, "from 0 to less than 1");
}

#[test]
fn bad_data_is_refused_with_a_reason() {
    let folder = folder();
    let output = folder.path().join("model.safetensors");
    let good = file(folder.path(), "good.txt", sentences(200, 5));
    let error = failure(small(&file(folder.path(), "empty.txt", ""), &output, ""), 1);
    says(&error, "empty.txt");
    says(&error, "0 bytes");
    let yes = "yes\tgood\n".repeat(200);
    let header = format!("text\tintent\n{yes}no\tbad\n");
    let classify = "--task classify";
    for (text, options, said) in [
        ("one line\n", "", "too few"),
        (
            &*"ab".repeat(600),
            "--vocab 2000",
            "supports a vocabulary of",
        ),
        (&*sentences(200, 5), classify, "line 1 has no tab"),
        (&*header, classify, "line 1 is a header"),
        (&*yes, classify, "same label"),
    ] {
        let text = file(folder.path(), "bad.txt", text);
        fails(small(&text, &output, options), 1, said);
    }
    let missing = folder.path().join("none.txt");
    fails(small(&missing, &output, ""), 1, "none.txt");
    let nowhere = folder.path().join("no/such/folder/model.safetensors");
    fails(small(&good, &nowhere, ""), 1, "cannot be written");
    for bad in [
        "--layers 0",
        "--channels 100 --version v7",
        "--vocab 2",
        "--vocab many",
        "--minutes 0",
        "--learning-rate -1",
        "--version gpt --qat int4",
        "--steps 1 --minutes 1",
        "--threads 1000",
        "--qat-from 0.5",
        "--qat int8 --qat-from 2",
        "--qat int8 --qat-from nan",
        "--weight-decay inf",
        "--shuffle-words 0.5",
        "--task classify --shuffle-words 1.5",
        "--hidden 0",
        "--patience 0",
        "--validation-context 0",
        "--head-size 32",
    ] {
        failure(small(&good, &output, bad), 2);
    }
    failure(("train -o", &output), 2);
    let recipe = file(folder.path(), "bad.toml", "layer = 3\n");
    let error = failure(("train --recipe", &recipe, "-o", &output), 2);
    says(&error, "bad.toml");
    says(&error, "layer");
    assert!(!output.exists());
    // Binary data is a text like any other.
    let binary: Vec<u8> = (0..4000u32).map(|i| (i * i / 7) as u8).collect();
    let binary = file(folder.path(), "binary", binary);
    stdout(small(&binary, &output, "--steps 2"));
}

/// Where no file may be longer than some multiples of a checkpoint, of which a
/// saved training is more than four.
#[test]
fn what_cannot_be_saved_is_told_as_it_is() {
    let folder = folder();
    let text = file(folder.path(), "text.txt", sentences(500, 6));
    let output = folder.path().join("model.safetensors");
    stdout(small(&text, &output, "--steps 3"));
    let expected = fs::read(&output).expect("a checkpoint");
    for file in ["model.safetensors", "model.md", "model.svg"] {
        fs::remove_file(folder.path().join(file)).expect("it was there");
    }
    let train = |tenths: usize| {
        // In blocks of 512 or 1024 bytes, as the shell has it.
        let blocks = expected.len() * tenths / 10 / 512;
        let line = format!("trap '' XFSZ; ulimit -f {blocks}; \"$@\"");
        let options = "--steps 3 --save-every 0 --wait 1";
        let done = shell(&line, small(&text, &output, options));
        let left = names(folder.path()).len();
        let errors = String::from_utf8_lossy(&done.stderr).into_owned();
        (done.status.code(), left, errors)
    };
    let (code, left, errors) = train(4);
    says(&errors, "the training continues");
    says(&errors, "trying for 1 s");
    says(&errors, "error: the training is done, but neither");
    says(&errors, "no step was saved before");
    assert_eq!((code, left), (Some(1), 1), "{errors}");
    let (code, left, errors) = train(14);
    says(&errors, "the training continues");
    assert_eq!((code, left), (Some(0), 4), "{errors}");
    assert!(fs::read(&output).expect("a checkpoint") == expected);
}

/// A training that writes to a pipe, read until it has validated once.
fn begun(command: &mut Command) -> (Child, BufReader<ChildStderr>, String) {
    let command = command.stdout(Stdio::null());
    let mut child = command.stderr(Stdio::piped()).spawn().expect("it starts");
    let mut errors = BufReader::new(child.stderr.take().expect("piped"));
    let mut said = String::new();
    while !said.ends_with("tokens/s\n") {
        let bytes = errors.read_line(&mut said).expect("text");
        assert!(bytes > 0, "{said}");
    }
    (child, errors, said)
}

#[cfg(unix)]
fn signal(child: &Child, name: &str) {
    let kill = ["-s", name, &child.id().to_string()];
    let sent = Command::new("kill").args(kill).status();
    assert!(sent.expect("kill starts").success());
}

/// Ctrl-C, the signal with which machines are shut down, and the end of the terminal.
#[cfg(unix)]
#[test]
fn an_interrupted_training_is_saved_and_goes_on() {
    let folder = folder();
    let text = file(folder.path(), "text.txt", sentences(2000, 8));
    let [output, whole] = ["m.safetensors", "whole"].map(|name| folder.path().join(name));
    let options = "--steps 400";
    let all = run(small(&text, &whole, options));
    let said = String::from_utf8_lossy(&all.stderr);
    assert_eq!(said.matches("bits/byte validation").count(), 20, "{said}");
    assert_eq!(said.lines().count(), 20, "{said}");
    let mut before = None;
    // The last one, unless the tests themselves are run by `nohup`.
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let hangup = ignored.filter(|mask| mask.ends_with(['0', '2', '4', '6', '8', 'a', 'c', 'e']));
    let hangup = hangup.map(|_| "HUP");
    for name in ["INT", "TERM"].into_iter().chain(hangup) {
        let (mut child, mut errors, mut said) =
            begun(kinglet().args(small(&text, &output, options).list()));
        if let Some(step) = before {
            says(&said, &format!("goes on at step {step}, "));
        }
        signal(&child, name);
        errors.read_to_string(&mut said).expect("text");
        assert_eq!(child.wait().expect("it ends").code(), Some(130), "{said}");
        let last = said.lines().last().expect("a line");
        let step = last.strip_prefix("saved at step ");
        let step = step.and_then(|rest| rest.strip_suffix("; the same command goes on"));
        before = Some(step.expect("a step").to_owned());
        let there = [
            "m.safetensors.training",
            "text.txt",
            "whole",
            "whole.md",
            "whole.svg",
        ];
        assert_eq!(names(folder.path()), there);
    }
    // Where no file may be longer than a byte.
    let mut command = Command::new("sh");
    command.args(["-c", "trap '' XFSZ; ulimit -f 0; exec \"$@\"", "sh"]);
    command
        .arg(kinglet().get_program())
        .args(small(&text, &output, options).list());
    let (mut child, mut errors, mut said) = begun(&mut command);
    signal(&child, "INT");
    errors.read_to_string(&mut said).expect("text");
    assert_eq!(child.wait().expect("it ends").code(), Some(1), "{said}");
    let last = said.lines().last().expect("a line");
    says(last, "error: not saved at step ");
    let step = before.expect("a step");
    says(
        last,
        &format!("; the same command goes on at step {step}, the last that was saved: "),
    );
    stdout(small(&text, &output, options));
    assert!(fs::read(&output).expect("a result") == fs::read(&whole).expect("a result"));
}

/// A lock that is gone with its process, whatever ended that.
#[cfg(unix)]
#[test]
fn one_training_at_a_time_has_an_output() {
    let folder = folder();
    let at = |name: &str| folder.path().join(name);
    let text = file(folder.path(), "text.txt", sentences(2000, 9));
    let output = at("model.safetensors");
    std::os::unix::fs::symlink(&output, at("link")).expect("a link");
    let options = "--steps 200";
    let (mut child, ..) = begun(kinglet().args(small(&text, &output, options).list()));
    for other in ["model.safetensors", "link"] {
        let refused = failure(small(&text, &at(other), options), 1);
        says(&refused, "another training is at work on it");
    }
    child.kill().expect("it runs");
    child.wait().expect("it ends");
    let lock = at("model.safetensors.lock");
    assert!(lock.exists());
    stdout(small(&text, &output, options));
    assert!(output.exists() && !lock.exists());
    fs::write(&lock, "versions").expect("the folder can be written");
    let foreign = "the lock would be written over a file that Kinglet did not write";
    fails(small(&text, &output, options), 2, foreign);
}

/// What comes during a training is not written over, and who stops reading what it says does not end it.
#[test]
fn a_training_minds_what_happens_meanwhile() {
    let folder = folder();
    let text = file(folder.path(), "text.txt", sentences(2000, 10));
    let output = folder.path().join("model.safetensors");
    let options = "--steps 100 --wait 0";
    // As `nohup` does: the end of the terminal is none of the training.
    let mut command = Command::new("sh");
    command.args(["-c", "trap '' HUP; exec \"$@\"", "sh"]);
    command.arg(kinglet().get_program());
    let (mut child, errors, _) = begun(command.args(small(&text, &output, options).list()));
    drop(errors);
    #[cfg(unix)]
    signal(&child, "HUP");
    let card = file(folder.path(), "model.md", "Mine.");
    assert_eq!(child.wait().expect("it ends").code(), Some(1));
    assert_eq!(fs::read(&card).expect("a file"), b"Mine.");
    assert!(output.exists());
}
