//! The program `kinglet` as its users meet it: real files, real output.

use kinglet_host::model::Model;
use kinglet_targets::CORES;
use kinglet_tests::{
    arg, computed, demo_checkpoint, demo_image, fails, failure, file, folder, intents_checkpoint,
    json, kinglet, quantize, root, run, says, stdout, Args,
};
use serde_json::Value;
use std::fs;
use std::process::Command;

/// All subcommands, as the program lists them.
fn subcommands() -> Vec<String> {
    let help = stdout("--help");
    let (_, list) = help.split_once("Commands:\n").expect("the list");
    let (list, _) = list.split_once("\n\n").expect("its end");
    // A line that goes on is further to the right.
    let names = list.lines().filter_map(|line| line.strip_prefix("  "));
    let names = names.filter(|line| !line.starts_with(' '));
    let names = names.filter_map(|line| line.split_whitespace().next());
    let names: Vec<_> = names.filter(|&name| name != "help").collect();
    assert!(names.len() > 10, "{help}");
    names.into_iter().map(str::to_owned).collect()
}

#[test]
fn every_subcommand_has_help_with_an_example() {
    for command in subcommands() {
        let help = stdout(([&command], "--help"));
        assert!(help.contains("Example"), "{command}: {help}");
        assert!(
            help.contains(&format!("kinglet {command} ")),
            "{command}: {help}"
        );
    }
    assert!(stdout("--version").starts_with("kinglet "));
}

#[test]
fn bad_use_exits_with_2_and_failure_with_1() {
    for bad_use in [
        "",
        "run",
        "quantize x -o y --weights int3",
        "run x --temperature -1",
        "run x --temperature NaN",
        "run x --top-p 2",
        "run x -n many",
        "run x --prompt a --prompt-file b",
    ] {
        failure(bad_use, 2);
    }
    fails("run no-such-file.kgl", 1, "no-such-file.kgl");
}

/// What has no meaning for a file is refused, not passed over.
#[test]
fn options_that_do_nothing_are_refused() {
    let folder = folder();
    let (four, intents) = (demo_checkpoint(), intents_checkpoint());
    let image = demo_image(folder.path(), "int8");
    let text = file(folder.path(), "text", "a\tlight-on\n");
    let out = folder.path().join("out");
    let eval = ("--text", &text);
    fails(
        ("eval", &image, eval, "--gn-eps 0.1"),
        2,
        "leave out --gn-eps",
    );
    fails(
        ("eval", &intents, eval, "--reset 0"),
        2,
        "leave out --reset",
    );
    fails(("inspect", &image, "--tied-head"), 2, "and --tied-head");
    fails(
        ("inspect", &four, "--tied-head"),
        2,
        "leave out --tied-head",
    );
    fails(("run", &intents, "--prompt a -n 3"), 2, "leave out -n");
    let sizes = "plan --layers 2 --channels 64 --head-size 8";
    fails(sizes, 2, "leave out --head-size");
    let c_array = ("--c-array", &out, "--family 1");
    fails(("export", &image, c_array), 2, "--uf2");
    let packed = ("quantize", &four, "-o", &out, "--weights int4");
    fails((packed, "--keys int4"), 2, "leave out --keys");
    assert!(!out.exists());
}

/// The option itself says what is wrong, and not that there is no option `-1`.
#[test]
fn a_negative_number_is_a_value() {
    for (args, said) in [
        (
            "run x --temperature -1",
            "must be a finite number, 0 or more",
        ),
        ("run x -n -1", "-1 is not in 0..=4294967295"),
        ("run x --tokens 1,b", "not a whole number"),
        ("run x --top-p -0.5", "must be between 0 and 1"),
        ("monitor x --timeout -3", "-3 is not in 1..=86400"),
    ] {
        fails(args, 2, said);
    }
    let folder = folder();
    let image = demo_image(folder.path(), "int4");
    // A text may look like one.
    stdout(("run", &image, "--prompt -1 -n 1"));
}

#[test]
fn quiet_leaves_only_results_and_errors() {
    let folder = folder();
    let image = demo_image(folder.path(), "int4");
    let args = (
        "run",
        &image,
        ["--prompt", "caf\u{e9}"],
        "--unknown skip -n 3",
    );
    let noted = |args: &dyn Args| {
        let output = run(args.list());
        assert!(output.status.success());
        (output.stdout, String::from_utf8(output.stderr).unwrap())
    };
    let (text, notes) = noted(&args);
    says(&notes, "warning: the vocabulary lacks 1 character");
    for quiet in ["--quiet", "-q"] {
        assert_eq!(noted(&(args, quiet)), (text.clone(), String::new()));
    }
    fails("run no-such-file.kgl --quiet", 1, "no-such-file.kgl");
}

#[test]
fn shells_complete_and_man_explains() {
    let folder = folder();
    let share = folder.path().join("share");
    stdout(("completions", &share));
    let text = |name: &str| fs::read_to_string(share.join(name)).unwrap();
    for command in subcommands() {
        says(
            &text("man/man1/kinglet.1"),
            &format!("kinglet\\-{command}(1)"),
        );
        says(
            &text(&format!("man/man1/kinglet-{command}.1")),
            ".SH SYNOPSIS",
        );
    }
    says(&text("man/man1/kinglet-run.1"), "\\-\\-temperature");
    says(&text("zsh/site-functions/_kinglet"), "#compdef kinglet");
    says(&text("fish/vendor_completions.d/kinglet.fish"), "quantize");
    let script = share.join("bash-completion/completions/kinglet.bash");
    let line = "source \"$1\"; COMP_WORDS=(kinglet run --tempe); COMP_CWORD=2; \
        _kinglet kinglet --tempe run; echo \"${COMPREPLY[@]}\"";
    let bash = Command::new("bash")
        .args(["-c", line, "bash"])
        .arg(&script)
        .output();
    let completed = String::from_utf8(bash.unwrap().stdout).unwrap();
    assert_eq!(completed, "--temperature\n");
    // Once more, over those that are there.
    stdout(("completions", &share));
    let taken = file(folder.path(), "taken", "");
    fails(("completions", &taken), 1, "cannot be written");
}

#[test]
fn quantize_prints_a_table_and_json() {
    let folder = folder();
    let (checkpoint, out) = (demo_checkpoint(), folder.path().join("m.kgl"));
    let pack = ("quantize", &checkpoint, "-o", &out, "--weights int4");
    let table = stdout(pack);
    says(&table, "ffn.value.weight");
    says(&table, "bits/weight");
    let report = json((pack, "--json"));
    assert_eq!(report["image_bytes"], fs::metadata(&out).unwrap().len());
    assert_eq!(report["weights"], 988_928);
    let small = folder.path().join("small.kgl");
    quantize(&checkpoint, &small, "--weights int4 --head int4");
    assert!(fs::metadata(&small).unwrap().len() + 25_000 < fs::metadata(&out).unwrap().len());
}

#[test]
fn single_matrices_have_their_own_precision() {
    let folder = folder();
    let (checkpoint, out) = (demo_checkpoint(), folder.path().join("m.kgl"));
    let pack = ("quantize", &checkpoint, "-o", &out, "--weights int4");
    let forced = "--force ffn.value=int6 --force blocks.1.ffn.value=int8 --force emb=int4";
    stdout((pack, forced));
    let parts = json(("inspect", &out, "--json"))["parts"].clone();
    let count = |part: &str, format: &str| {
        let mut parts = parts.as_array().unwrap().iter();
        let found = parts.find(|entry| entry["part"] == part && entry["format"] == format);
        found.map_or(0, |entry| entry["count"].as_u64().unwrap())
    };
    let values = ["int8", "int6", "int4"].map(|format| count("ffn.value.weight", format));
    assert_eq!(values, [1, 3, 0]);
    assert_eq!(count("ffn.key.weight", "int4"), 4);
    assert_eq!(count("emb.weight", "int4"), 1);
    assert_eq!(count("head.weight", "int8"), 1);
    let choices = "there are emb, att.key";
    fails((pack, "--force blocks.4.ffn.value=int8"), 2, choices);
    fails((pack, "--force att.time_decay=int8"), 2, choices);
    fails((pack, "--force ffn.value=int5"), 2, "int8, int6, int4");
    fails((pack, "--force ffn.value"), 2, "ffn.value=int4");
}

#[test]
fn images_for_every_core_compute_the_same() {
    let folder = folder();
    let checkpoint = demo_checkpoint();
    for weights in ["int8", "int6", "int4"] {
        let runs: Vec<_> = CORES
            .iter()
            .map(|core| {
                let target = core.name;
                let out = folder.path().join(format!("{target}.kgl"));
                quantize(
                    &checkpoint,
                    &out,
                    ["--target", target, "--weights", weights],
                );
                let report = json(("inspect", &out, "--json"));
                let layout = report["layout"].as_str().unwrap();
                assert!(layout.starts_with(core.layout), "{report}");
                let mut words = layout.split(['(', ')', ',', ' ']);
                assert!(words.any(|word| word == target), "{report}");
                computed(("run", &out, ["--prompt", "A dog"], "-n 8 --json"))
            })
            .collect();
        assert!(runs.iter().all(|run| *run == runs[0]), "{weights}");
    }
}

#[test]
fn inspect_agrees_with_the_file() {
    let folder = folder();
    let image = demo_image(folder.path(), "int4");
    let report = json(("inspect", &image, "--json"));
    assert_eq!(report["image_bytes"], fs::metadata(&image).unwrap().len());
    let parts = report["parts"].as_array().unwrap();
    let sum: u64 = parts
        .iter()
        .map(|part| part["bytes"].as_u64().unwrap())
        .sum();
    assert_eq!(report["image_bytes"], sum);
    // 16 bytes per layer and channel, and a power of two for each layer.
    assert_eq!(report["state_bytes"], 4 * (16 * 128 + 4));
    assert_eq!(report["checksum_ok"], true);
    assert_eq!(report["tokenizer"], "longest match");
    assert_eq!(report["tokenizer_entries"], 512);
    assert!(stdout(("inspect", &image)).contains("whole image"));
    let report = json(("inspect", &demo_checkpoint(), "--json"));
    assert_eq!(report["version"], "RWKV-4");
    assert_eq!(report["parameters"], 989_184);
    assert!(stdout(("inspect", &demo_checkpoint())).contains("blocks.3.ffn.value.weight"));
}

#[test]
fn run_streams_the_text_that_json_reports() {
    let folder = folder();
    let image = demo_image(folder.path(), "int8");
    let args = ("run", &image, ["--prompt", "Once upon a time"], "-n 40");
    let text = stdout(args);
    let report = json((args, "--json"));
    assert_eq!(text, format!("{}\n", report["text"].as_str().unwrap()));
    let tokens = report["tokens"].as_array().unwrap();
    let hashes = report["logits_hashes"].as_array().unwrap();
    assert_eq!((tokens.len(), hashes.len()), (40, 40));
    // Tokens are bytes and pieces of words.
    let text = report["text"].as_str().unwrap();
    assert!((41..400).contains(&text.len()), "{text}");
}

/// The token that ends a text is not part of it, and may be ignored.
#[test]
fn run_ends_with_the_text() {
    let folder = folder();
    let image = demo_image(folder.path(), "int4");
    for model in [&image, &demo_checkpoint()] {
        let args = ("run", model, ["--prompt", "The little dog"], "-n 150");
        let on = json((args, "--ignore-end --json"));
        let list = |report: &Value, key: &str| report[key].as_array().unwrap().clone();
        let (tokens, hashes) = (list(&on, "tokens"), list(&on, "logits_hashes"));
        assert_eq!((tokens.len(), hashes.len()), (150, 150));
        assert_eq!(on["reason"], "length");
        let end = tokens.iter().position(|token| token == 0);
        let end = end.expect("the model ends a story within 150 tokens");
        let report = json((args, "--json"));
        assert_eq!(list(&report, "tokens"), tokens[..end]);
        assert_eq!(list(&report, "logits_hashes"), hashes[..end]);
        assert_eq!(report["reason"], "end");
        let text = report["text"].as_str().unwrap();
        let whole = on["text"].as_str().unwrap();
        assert_eq!(Some(text), whole.split('\0').next());
        assert_eq!(stdout(args), format!("{text}\n"));
        // Before the first of these texts, though it ends inside a token.
        let stop = &text[8..12];
        let stops = ["--stop", "never said", "--stop", stop];
        let report = json((args, stops, "--json"));
        assert_eq!(report["reason"], "stop");
        assert_eq!(report["text"], text[..text.find(stop).unwrap()]);
    }
}

#[test]
fn draws_depend_on_the_seed_alone() {
    let folder = folder();
    let image = demo_image(folder.path(), "int4");
    let draw = |seed| {
        let kept = "--temperature 0.9 --top-k 40 --top-p 0.95 --repetition-penalty 1.1";
        stdout(("run", &image, "--prompt The -n 50", kept, ["--seed", seed]))
    };
    assert_eq!(draw("1"), draw("1"));
    assert_ne!(draw("1"), draw("2"));
}

#[test]
fn prompts_of_every_kind() {
    let folder = folder();
    let image = demo_image(folder.path(), "int4");
    let tokens = |extra: &dyn Args| json(("run", &image, "-n 5 --json", extra))["tokens"].clone();
    // An empty prompt starts a text, as token 0 does.
    assert_eq!(tokens(&""), tokens(&["--prompt", ""]));
    assert_eq!(tokens(&""), tokens(&"--tokens 0"));
    let same = file(folder.path(), "prompt.txt", "Zq");
    // Tokens of the vocabulary in the checkpoint's notes.
    let model = Model::open(&demo_checkpoint()).unwrap();
    let vocabulary = model.vocabulary().unwrap().unwrap();
    let id = |text: &[u8]| {
        vocabulary
            .tokens()
            .find(|(token, _)| *token == text)
            .map(|(_, id)| id)
    };
    assert_eq!((id(b"Zq"), id(b" Zq")), (None, None));
    let two = format!("{},{}", id(b"Z").unwrap(), id(b"q").unwrap());
    assert_eq!(tokens(&"--prompt Zq"), tokens(&("--prompt-file", &same)));
    assert_eq!(tokens(&"--prompt Zq"), tokens(&["--tokens", &two]));
    // A byte that the vocabulary lacks is named; a model of bytes reads any.
    let odd = file(folder.path(), "odd.bin", [0xff, 0x00, 0xc3]);
    fails(("run", &image, "--prompt-file", &odd), 1, "byte 0xff");
    #[cfg(unix)]
    fails(("run", &image, "--prompt-file /dev/zero"), 1, "longer than");
    let bytes = root().join("core/tests/data/tiny.kgl");
    let run = json((
        "run",
        &bytes,
        "--prompt-file",
        &odd,
        "-n 5 --ignore-end --json",
    ));
    assert_eq!(run["tokens"].as_array().map(Vec::len), Some(5), "{run}");
    let long = file(folder.path(), "long.txt", "Once upon a time. ".repeat(5600));
    assert!(fs::metadata(&long).unwrap().len() > 100_000);
    let five = tokens(&("--prompt-file", &long));
    assert_eq!(five.as_array().map(Vec::len), Some(5));
    fails(("run", &image, "--tokens 512"), 1, "token 512");
    fails(("run", &image, "--tokens 512 -n 0"), 1, "token 512");
}

#[test]
fn a_prompt_of_100_000_bytes_as_an_argument() {
    let folder = folder();
    let image = demo_image(folder.path(), "int4");
    let prompt = "a".repeat(100_000);
    let run = json(("run", &image, ["--prompt", &prompt], "-n 3 --json"));
    assert_eq!(run["tokens"].as_array().map(Vec::len), Some(3), "{run}");
}

#[test]
fn zero_tokens_print_nothing() {
    let folder = folder();
    let image = demo_image(folder.path(), "int4");
    assert_eq!(stdout(("run", &image, "--prompt a -n 0")), "");
    let report = json(("run", &image, "--prompt a -n 0 --json"));
    assert_eq!(report["tokens"], serde_json::json!([]));
}

#[test]
fn a_closed_pipe_is_not_an_error() {
    use std::io::Read;
    use std::process::Stdio;
    let folder = folder();
    let image = demo_image(folder.path(), "int4");
    let mut child = kinglet()
        .args(["run", arg(&image), "--ignore-end", "-n", "20000"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut some = [0; 4];
    child.stdout.take().unwrap().read_exact(&mut some).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}

#[test]
fn eval_scores_an_image_against_its_checkpoint() {
    let folder = folder();
    let image = demo_image(folder.path(), "int8");
    // A text that the model itself wrote.
    let options = "-n 3000 --ignore-end --temperature 0.7";
    let written = stdout(("run", &image, ["--prompt", "Once upon a time"], options));
    let text = file(folder.path(), "text.txt", written);
    let checkpoint = demo_checkpoint();
    let args = ("eval", &image, "--text", &text, "--reset 256 --json");
    let alone = json(args);
    assert_eq!(alone["kl"], serde_json::Value::Null);
    let scores = json((&args, "--reference", &checkpoint));
    assert_eq!(scores["bits_per_byte"], alone["bits_per_byte"]);
    assert!(scores["bits_per_byte"].as_f64().unwrap() < 1.5, "{scores}");
    assert!(
        (0.0..1e-3).contains(&scores["kl"].as_f64().unwrap()),
        "{scores}"
    );
    assert!(scores["top1"].as_f64().unwrap() > 0.98, "{scores}");
    assert!(scores["max_abs"].as_f64().unwrap() > 0.0, "{scores}");
    // The first token of each segment of 256 bytes is not scored.
    let bytes = fs::metadata(&text).unwrap().len();
    let scored = scores["scored_bytes"].as_u64().unwrap();
    let segments = bytes.div_ceil(256);
    assert!(
        scored <= bytes - segments && scored > bytes - 8 * segments,
        "{scored} of {bytes}"
    );
    // A checkpoint against itself.
    let own = (
        "eval",
        &checkpoint,
        "--text",
        &text,
        "--reference",
        &checkpoint,
    );
    let own = json((own, "--json"));
    assert_eq!(
        (own["kl"].as_f64(), own["top1"].as_f64()),
        (Some(0.0), Some(1.0))
    );
    assert!(stdout(("eval", &image, "--text", &text)).contains("bits per byte"));
}

#[test]
fn bench_reports_every_number_of_threads() {
    let folder = folder();
    let image = demo_image(folder.path(), "int4");
    let args = ("bench", &image, "--tokens 2 --rounds 1 --threads 1,2");
    let report = json((&args, "--json"));
    assert_eq!(report[1]["threads"], 2);
    assert!(report[0]["tokens_per_second"].as_f64().unwrap() > 0.0);
    assert!(stdout(args).contains("tokens/s"));
}

#[test]
fn eval_refuses_texts_that_cannot_be_scored() {
    let folder = folder();
    let image = demo_image(folder.path(), "int8");
    for text in ["", "a"] {
        let text = file(folder.path(), "short.txt", text);
        fails(("eval", &image, "--text", &text), 1, "too short");
    }
    failure(("eval", &image, "--text no-such-text"), 1);
}

#[test]
fn logits_of_an_empty_text_are_an_empty_array() {
    let folder = folder();
    let out = folder.path().join("out.npy");
    stdout(("logits", &demo_checkpoint(), ["--prompt", ""], "-o", &out));
    let bytes = fs::read(out).unwrap();
    assert_eq!(bytes.len(), 128);
    assert!(String::from_utf8_lossy(&bytes).contains("(0, 512)"));
}
